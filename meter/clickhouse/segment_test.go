package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
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
