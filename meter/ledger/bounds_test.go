package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestFramesTakeMultiplesOfEight(t *testing.T) {
	for n, want := range map[int]int{0: 16, 1: 16, 7: 16, 8: 24, 15: 24, 16: 32, maxPayload: maxPayload + 16} {
		if got := frameBytes(n); got != want {
			t.Errorf("%d bytes take %d, want %d", n, got, want)
		}
	}
}

// TestFrameIsReadWholeOrNotAtAll: up to its last byte, its padding left out.
func TestFrameIsReadWholeOrNotAtAll(t *testing.T) {
	for _, n := range []int{0, 1, 6, 7, 8, 100, maxPayload - 1, maxPayload, maxPayload + 1} {
		b := make([]byte, frameBytes(n)+8)
		putFrame(b, 5, bytes.Repeat([]byte{'p'}, n))
		for _, size := range []int{0, 1, frameHead - 1, frameHead, frameHead + n - 1, frameHead + n, frameBytes(n) - 1, frameBytes(n), len(b)} {
			kind, payload, took := frameAt(b[:size])
			want := 0
			if size >= frameHead+n && n <= maxPayload {
				want = min(size, frameBytes(n))
			}
			if took != want || want > 0 && (kind != 5 || len(payload) != n) {
				t.Errorf("%d bytes of a payload of %d: kind %d with %d bytes, %d taken, want %d", size, n, kind, len(payload), took, want)
			}
		}
	}
}

func TestScanGivesEndAndDamage(t *testing.T) {
	b := make([]byte, 16+24+16+40)
	putFrame(b, 1, []byte("a"))
	putFrame(b[16:], 2, []byte("12345678"))
	putFrame(b[40:], 3, []byte("c"))
	look := func(want int, wantDamage []span, kinds ...Kind) {
		t.Helper()
		var got []Kind
		end, damaged := scan(b, 0, func(k Kind, _ []byte, _ int) bool {
			got = append(got, k)
			return true
		})
		if end != want || !slices.Equal(damaged, wantDamage) || !slices.Equal(got, kinds) {
			t.Errorf("end %d, damage %v, kinds %v; want %d, %v, %v", end, damaged, got, want, wantDamage, kinds)
		}
	}
	look(56, nil, 1, 2, 3)
	b[30] ^= 1
	look(56, []span{{16, 40}}, 1, 3)
	b[2] ^= 1
	look(56, []span{{0, 40}}, 3)
	b[41] ^= 1
	look(0, nil)
	if end, damaged := scan(b[:0], 0, nil); end != 0 || damaged != nil {
		t.Errorf("of nothing: %d, %v", end, damaged)
	}
}

func TestHeadersAreWholeOrNone(t *testing.T) {
	b := make([]byte, headerBytes+1)
	putHeader(b, Identity{uuid.New(), 3}, 7)
	for size, want := range map[int]bool{0: false, 8: false, headerUsed + 4: false, headerBytes - 1: false, headerBytes: true, headerBytes + 1: true} {
		if n, ok := headerOf(b[:size]); ok != want || ok && n != 7 {
			t.Errorf("%d bytes: number %d, %v", size, n, ok)
		}
	}
	for i := range headerUsed + 4 {
		b[i] ^= 1
		if _, ok := headerOf(b); ok {
			t.Errorf("byte %d is damaged and was not missed", i)
		}
		b[i] ^= 1
	}
	for name, want := range map[string]bool{
		"0000000000000010.log": true, "000000000000001.log": false, "00000000000000010.log": false, "0000000000000010": false,
		"0000000000000010.bin": false, "000000000000001g.log": false, "+000000000000001.log": false, ".log": false,
	} {
		if n, ok := fileNumber(name); ok != want || ok && n != 16 {
			t.Errorf("%s: %d, %v", name, n, ok)
		}
	}
}

func TestPositionsAreOrdered(t *testing.T) {
	all := []Position{{}, {0, 1}, {1, 0}, {1, 64}, {1, 65}, {2, 0}, {2, 64}}
	for i, p := range all {
		for j, q := range all {
			if p.Before(q) != (i < j) {
				t.Errorf("%v before %v: %v", p, q, p.Before(q))
			}
		}
	}
}

func TestSizesThatCannotWork(t *testing.T) {
	const least = headerBytes + maxPayload + 16
	for _, f := range []struct {
		file, most int64
		ok         bool
	}{{least, 2 * least, true}, {least - 1, 2 * least, false}, {least, 2*least - 1, false}, {1 << 20, 1 << 20, false}, {0, 1 << 20, false}} {
		l, err := Open(Options{Dir: t.TempDir(), FileBytes: f.file, MaxBytes: f.most, Alarm: func(x Trouble) { t.Errorf("%+v", x) }})
		if (err == nil) != f.ok {
			t.Errorf("files of %d within %d: %v", f.file, f.most, err)
		}
		if err == nil {
			l.Close()
		}
	}
	l, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.o.MaxBytes != 1<<30 || l.o.FileBytes != 8<<20 || l.o.SyncInterval != 5*time.Millisecond {
		t.Errorf("%+v", l.o)
	}
}

func TestPayloadsAreBounded(t *testing.T) {
	var told troubles
	l := open(t, small(t.TempDir(), &told))
	defer l.Close()
	for _, f := range []struct {
		kind Kind
		n    int
		ok   bool
	}{{1, 0, true}, {255, maxPayload, true}, {1, maxPayload + 1, false}, {0, 1, false}} {
		before := l.End()
		err := l.Append(f.kind, make([]byte, f.n))
		if (err == nil) != f.ok || (l.End() != before) != f.ok {
			t.Errorf("kind %d with %d bytes: %v, from %v to %v", f.kind, f.n, err, before, l.End())
		}
	}
}

// TestReservationsEndAtTheRoom: the last byte that fits is promised, and one more
// is not and costs nothing.
func TestReservationsEndAtTheRoom(t *testing.T) {
	var told troubles
	l := open(t, small(t.TempDir(), &told))
	defer l.Close()
	const heads = 4 * (frameHead + frameAlign)
	fits := func(what string, n int) {
		t.Helper()
		if err := l.Reserve(n + 1); !errors.Is(err, ErrFull) {
			t.Errorf("%s: %d bytes: %v", what, n+1, err)
		}
		if held := l.reserved.Load(); held != 0 {
			t.Errorf("%s: %d bytes are reserved after a refusal", what, held)
		}
		if err := l.Reserve(n); err != nil {
			t.Errorf("%s: %d bytes: %v", what, n, err)
		}
		if held := l.reserved.Load(); held != int64(n+heads) {
			t.Errorf("%s: %d bytes are reserved for %d", what, held, n)
		}
		l.Release(n)
		if held := l.reserved.Load(); held != 0 {
			t.Errorf("%s: %d bytes are reserved after the release", what, held)
		}
	}
	room := int(2 * (l.o.FileBytes - headerBytes)) // of two empty files
	fits("room of the files", room-frameBytes(maxPayload)-heads)
	if err := l.Append(1, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if held, _ := l.Bytes(); held != int64(frameBytes(1000)) {
		t.Errorf("the ledger holds %d bytes", held)
	}
	fits("after a frame", room-frameBytes(1000)-frameBytes(maxPayload)-heads)
	l.used.Store(l.o.MaxBytes - 5000)
	fits("the ledger's bound", 5000-heads)
}

// fillFile appends until the active file has exactly left bytes of room, and gives
// how many frames that were.
func fillFile(t *testing.T, l *Ledger, left int64) (frames int) {
	t.Helper()
	for {
		room := l.active.room() - left
		if room == 0 {
			return frames
		}
		n := min(int(room)-16, 4000) // a whole frame, which leaves none too small for another
		if rest := int(room) - frameBytes(n); rest > 0 && rest < 16 {
			n -= 16
		}
		if err := l.Append(1, make([]byte, max(0, n))); err != nil {
			t.Fatal(err)
		}
		frames++
	}
}

// TestFilesAreFilledToTheirLastByte: a frame that just fits is put into the file,
// the next one begins another, and all are there after a restart.
func TestFilesAreFilledToTheirLastByte(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	frames := fillFile(t, l, int64(frameBytes(100)))
	first := l.End()
	if err := l.Append(2, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if end := l.End(); end != (Position{first.File, l.o.FileBytes}) {
		t.Errorf("the last frame of a file ends at %v", end)
	}
	if err := l.Append(3, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if end := l.End(); end != (Position{first.File + 1, int64(headerBytes + frameBytes(100))}) {
		t.Errorf("the first frame of the next file ends at %v", end)
	}
	if room, has := l.room.Load(), roomOf(l); room != has {
		t.Errorf("room of %d is counted, there are %d", room, has)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, small(dir, &told))
	defer l.Close()
	n := 0
	if err := l.Read(Position{}, func(Position, Kind, []byte) bool { n++; return true }); err != nil || n != frames+2 {
		t.Errorf("%d frames of %d, %v", n, frames+2, err)
	}
	if len(told.all) != 0 {
		t.Errorf("%+v", told.all)
	}
}

// roomOf is what the files have left.
func roomOf(l *Ledger) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := l.active.room()
	if l.spare != nil {
		room += l.spare.room()
	}
	return room
}

// TestReadGoesOnFromEachPosition: across files, to the end and up to where the
// reader has enough.
func TestReadGoesOnFromEachPosition(t *testing.T) {
	var told troubles
	l := open(t, small(t.TempDir(), &told))
	defer l.Close()
	const n = 700
	at := []Position{{}}
	for i := range n {
		appendNumber(t, l, i)
		at = append(at, l.End())
	}
	if at[n].File < 2 {
		t.Fatal("all frames are in one file")
	}
	for from := 0; from <= n; from++ {
		var next []Position
		err := l.Read(at[from], func(p Position, kind Kind, _ []byte) bool {
			if want := Kind(1 + (from+len(next))%200); kind != want {
				t.Errorf("from %v: kind %d, want %d", at[from], kind, want)
			}
			next = append(next, p)
			return len(next) < 3
		})
		if want := at[from+1 : min(from+4, n+1)]; err != nil || !slices.Equal(next, want) {
			t.Fatalf("from %v: %v, want %v, %v", at[from], next, want, err)
		}
	}
}

// TestTrimKeepsTheFileOfThePosition: files before it go, one by one, with their
// bytes; the one that it is in stays.
func TestTrimKeepsTheFileOfThePosition(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	defer l.Close()
	for range 3 {
		fillFile(t, l, 0)
		if err := l.Append(9, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	held, _ := l.Bytes()
	for number := uint64(1); number <= 4; number++ {
		if err := l.Trim(Position{number, 1 << 40}); err != nil {
			t.Fatal(err)
		}
		names := logs(t, dir)
		if len(names) != int(5-number) || names[0] != filePath(dir, number) {
			t.Errorf("before file %d: %v", number, names)
		}
		now, most := l.Bytes()
		if want := held - int64(number-1)*l.o.FileBytes; now != want || most != l.o.MaxBytes {
			t.Errorf("before file %d: %d of %d bytes are held, want %d", number, now, most, want)
		}
	}
}

// TestNextFileWithoutASpare: when the worker was too slow the file is made at
// once, with the next number; the one before is closed at its size.
func TestNextFileWithoutASpare(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	o := small(dir, &told)
	o.SyncInterval = -1
	l := open(t, o)
	appendNumber(t, l, 0)
	before := l.End()
	l.mu.Lock()
	spare := l.spare
	l.spare = nil
	err := errors.Join(spare.remove(), l.next())
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	appendNumber(t, l, 1)
	if end := l.End(); end.File != before.File+1 || end.Offset != int64(headerBytes+frameBytes(len(payload(1)))) {
		t.Errorf("the frame after it ends at %v, the one before at %v", end, before)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, name := range logs(t, dir) {
		info, err := os.Stat(name)
		if want := int64(headerBytes + frameBytes(len(payload(i)))); err != nil || info.Size() != want {
			t.Errorf("%s has %d bytes, want %d, %v", name, info.Size(), want, err)
		}
	}
	l = open(t, o)
	defer l.Close()
	if got := numbers(t, l, Position{}); !slices.Equal(got, upTo(2)) || len(told.all) != 0 {
		t.Errorf("%v, %+v", got, told.all)
	}
}

// TestDamageIsNamedExactly: where it begins, how long it is without the zeros at
// its end, and a copy of just that; a file without a frame goes.
func TestDamageIsNamedExactly(t *testing.T) {
	for _, zeros := range []bool{false, true} { // at the end of the checksum before the header's own zeros
		damageIsNamed(t, gatewayWhoseChecksumEndsIn(zeros))
	}
}

// gatewayWhoseChecksumEndsIn gives a gateway whose header of file 5 has a
// checksum with a zero byte at its end, or without one.
func gatewayWhoseChecksumEndsIn(zeros bool) Identity {
	for {
		id, b := Identity{uuid.New(), 1}, make([]byte, headerBytes)
		if putHeader(b, id, 5); (b[headerUsed+3] == 0) == zeros {
			return id
		}
	}
}

func damageIsNamed(t *testing.T, id Identity) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	good := make([]byte, headerBytes+16+1000+16)
	putHeader(good, id, 5)
	putFrame(good[headerBytes:], 1, []byte("a"))
	middle := headerBytes + 16
	copy(good[middle:], "what is no frame")
	last := len(good) - 16
	putFrame(good[last:], 2, []byte("c"))
	torn := append(bytes.Clone(good), "half a frame\x00\x00\x00\x00"...)
	badHeader := bytes.Clone(good[:last])
	badHeader[3] ^= 1
	named := bytes.TrimRight(badHeader[:headerBytes], "\x00")
	empty := bytes.Clone(good[:headerBytes])
	for number, b := range map[uint64][]byte{5: torn, 6: badHeader, 7: empty, 8: append(bytes.Clone(empty), make([]byte, 4096)...), 9: {}} {
		if err := os.WriteFile(filePath(dir, number), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var told troubles
	l := open(t, small(dir, &told))
	defer l.Close()
	want := []struct {
		Trouble
		kept string
	}{
		{Trouble{What: "damaged", File: filePath(dir, 5), Offset: int64(middle), Bytes: 16}, "what is no frame"},
		{Trouble{What: "torn", File: filePath(dir, 5), Offset: int64(len(good)), Bytes: 12}, "half a frame"},
		{Trouble{What: "damaged", File: filePath(dir, 6), Offset: 0, Bytes: int64(len(named))}, string(named)},
		{Trouble{What: "torn", File: filePath(dir, 6), Offset: int64(middle), Bytes: 16}, "what is no frame"},
	}
	if len(told.all) != len(want) {
		t.Fatalf("%+v", told.all)
	}
	for i, w := range want {
		got := told.all[i]
		kept, err := os.ReadFile(got.Kept)
		if name := fmt.Sprintf("%016x-%d.bin", 5+i/2, w.Offset); filepath.Base(got.Kept) != name || string(kept) != w.kept || err != nil {
			t.Errorf("%s holds %q, want %s with %q, %v", got.Kept, kept, name, w.kept, err)
		}
		got.Kept = ""
		if got != w.Trouble {
			t.Errorf("%+v, want %+v", got, w.Trouble)
		}
	}
	for number, size := range map[uint64]int64{5: int64(len(good)), 6: int64(middle), 7: -1, 8: -1, 9: -1} {
		info, err := os.Stat(filePath(dir, number))
		if err != nil && size >= 0 || err == nil && info.Size() != size {
			t.Errorf("file %d: want %d bytes; %v", number, size, err)
		}
	}
	if end := l.End(); end != (Position{10, headerBytes}) {
		t.Errorf("the next file is at %v", end)
	}
	if held, _ := l.Bytes(); held != int64(len(good)+middle) {
		t.Errorf("%d bytes are held", held)
	}
}

// TestCopyIsWholeFramesOfTheMoment: of a ledger that is written on, without what is
// half written and without a spare file that is not in use.
func TestCopyIsWholeFramesOfTheMoment(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	for i := range 300 {
		appendNumber(t, l, i)
	}
	end := l.End()
	all, err := OpenCopy(dir)
	if err != nil {
		t.Fatal(err)
	}
	appendNumber(t, l, 300)
	restored := t.TempDir()
	for _, c := range all {
		b, err := io.ReadAll(c.Reader())
		if err != nil || int64(len(b)) != c.Size {
			t.Errorf("%s: %d bytes of %d, %v", c.Name, len(b), c.Size, err)
		}
		if c.Name == filepath.Base(filePath(dir, end.File)) && c.Size != end.Offset {
			t.Errorf("%s ends at %d, the ledger at %d", c.Name, c.Size, end.Offset)
		}
		if c.Name == spareName {
			t.Error("the spare file, which is not in use, is part of the copy")
		}
		if err := errors.Join(os.WriteFile(filepath.Join(restored, c.Name), b, 0o600), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := open(t, small(restored, &told))
	if got := numbers(t, r, Position{}); !slices.Equal(got, upTo(300)) || r.Identity().Gateway != l.Identity().Gateway || len(told.all) != 0 {
		t.Errorf("%d frames of %v, %+v", len(got), r.Identity(), told.all)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCopyOfASpareThatIsInUse: it is part of the ledger as soon as it has a frame.
func TestCopyOfASpareThatIsInUse(t *testing.T) {
	b := make([]byte, headerBytes+16)
	putHeader(b, Identity{uuid.New(), 1}, 5)
	putFrame(b[headerBytes:], 1, []byte("a"))
	for size, want := range map[int]int{0: 0, headerBytes - 1: 0, headerBytes: 0, headerBytes + 16: 1} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, spareName), b[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := OpenCopy(dir)
		if err != nil || len(all) != want {
			t.Errorf("a spare file of %d bytes: %d files, %v", size, len(all), err)
		}
		for _, c := range all {
			if err := c.Close(); err != nil || c.Size != int64(size) {
				t.Errorf("%d bytes of %d, %v", c.Size, size, err)
			}
		}
	}
	b[3] ^= 1 // a log is read all the same; a spare file without a header was never in use
	for name, want := range map[string]int{spareName: 0, filepath.Base(filePath("", 5)): 1} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := OpenCopy(dir)
		if err != nil || len(all) != want {
			t.Errorf("%s with a damaged header: %d files, %v", name, len(all), err)
		}
		for _, c := range all {
			if err := c.Close(); err != nil || c.Size != int64(len(b)) {
				t.Errorf("%s with a damaged header: %d bytes of %d, %v", name, c.Size, len(b), err)
			}
		}
	}
	if _, err := OpenCopy(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
}

// TestRenewedEpochsAreNew: above the one that was copied, and above what the
// original can have come to meanwhile.
func TestRenewedEpochsAreNew(t *testing.T) {
	gateway := uuid.New()
	for _, epoch := range []uint64{1, 1 << 50} {
		dir := t.TempDir()
		held, err := json.Marshal(Identity{gateway, epoch})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, identityFile), held, 0o600), Renew(dir)); err != nil {
			t.Fatal(err)
		}
		renewed, err := os.ReadFile(filepath.Join(dir, identityFile))
		if err != nil {
			t.Fatal(err)
		}
		var id Identity
		if err := json.Unmarshal(renewed, &id); err != nil || id.Gateway != gateway {
			t.Errorf("%+v, %v", id, err)
		}
		if now := uint64(time.Now().UnixMilli()); epoch == 1 && (id.Epoch > now || id.Epoch < now-60_000) || epoch > 1 && id.Epoch != epoch+1 {
			t.Errorf("epoch %d became %d", epoch, id.Epoch)
		}
	}
	if err := Renew(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no ledger: %v", err)
	}
}

// TestCopiesHaveEpochsOfTheirOwn: a directory that was copied, or set back to an
// earlier state of its disk, without a restore. ClickHouse would take the rows of
// one for those of the other, and drop them.
func TestCopiesHaveEpochsOfTheirOwn(t *testing.T) {
	opens := func(dir string) Identity {
		t.Helper()
		time.Sleep(2 * time.Millisecond) // they are not started in the same one
		l := open(t, Options{Dir: dir, FileBytes: 128 << 10, MaxBytes: 4 << 20, Alarm: func(x Trouble) { t.Errorf("%+v", x) }})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Identity()
	}
	dir, copied := t.TempDir(), t.TempDir()
	first := opens(dir)
	held, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err := errors.Join(err, os.WriteFile(filepath.Join(copied, identityFile), held, 0o600)); err != nil {
		t.Fatal(err)
	}
	one, other := opens(dir), opens(copied)
	if one == other || one.Gateway != other.Gateway || one.Epoch <= first.Epoch || other.Epoch <= first.Epoch {
		t.Errorf("%v, then %v and %v", first, one, other)
	}
}
