package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"
)

// FuzzUnpack: a segment's file is damaged, or its parts are all that stands
// behind its manifest, also where somebody has made the checksums fit.
func FuzzUnpack(f *testing.F) {
	_, manifest, bodies, err := (&packer{}).pack(segmentID{Seq: 1}, batch(0, 3), time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest[segmentHead:], bodies)
	const none = `"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`
	f.Add([]byte(`{"parts":[{"bytes":0,`+none+`}]}`), []byte{})
	f.Add([]byte(`{"parts":[{"bytes":1,`+none+`}]}`), []byte{})
	f.Add([]byte("null"), []byte("x"))
	f.Fuzz(func(t *testing.T, head, bodies []byte) {
		file := binary.LittleEndian.AppendUint32(nil, uint32(len(head)))
		sum := sha256.Sum256(head)
		file = append(append(append(file, sum[:]...), head...), bodies...)
		m, parts, err := unpack(file)
		if err != nil {
			if !errors.Is(err, errDamaged) || parts != nil {
				t.Fatalf("%q %q: %v", head, bodies, err)
			}
			return
		}
		if len(parts) != len(m.Parts) || !bytes.Equal(bytes.Join(parts, nil), bodies) {
			t.Fatalf("%q %q: %d parts", head, bodies, len(parts))
		}
		if _, _, err := unpack(append(file, 'x')); err == nil {
			t.Fatalf("%q %q and a byte more", head, bodies)
		}
		raw := bytes.Clone(file)
		raw[len(raw)/2] ^= 1
		if _, _, err := unpack(raw); err == nil {
			t.Fatalf("%q %q with a bit changed", head, bodies)
		}
	})
}

// BenchmarkPack is what a record costs on its way into a segment.
func BenchmarkPack(b *testing.B) {
	rows, k := batch(0, 20_000), &packer{}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := k.pack(segmentID{Seq: 1}, rows, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows.Rows()), "ns/row")
}

// TestWhatMayHaveBeenSent: after a restart the first segment may have been sent,
// and all of them if they were not sent in order; those that came later were not.
func TestWhatMayHaveBeenSent(t *testing.T) {
	dir := t.TempDir()
	open := func(want string) *spool {
		t.Helper()
		s, err := openSpool(dir, 1<<20, func(kept string) { t.Errorf("damaged: %s", kept) })
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, w := range s.queue {
			got += fmt.Sprintf("%d:%v ", w.seq, w.attempted)
		}
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		return s
	}
	s := open("")
	for i := range 3 {
		if err := s.add(batch(i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	s = open("1:true 2:false 3:false ")
	s.first()
	if err := s.later(0); err != nil {
		t.Fatal(err)
	}
	s = open("1:true 2:true 3:true ")
	for range 3 {
		if err := s.drop(true); err != nil {
			t.Fatal(err)
		}
	}
	s = open("")
	for i := range 2 {
		if err := s.add(batch(i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	open("4:true 5:false ")
}
