package gateway

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ownkey/ownkey/gateway/admission"
)

// zstdFrame is text in a frame with a window.
func zstdFrame(t testing.TB, text []byte, window int, change ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, append(change, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	for len(text) > 0 { // in pieces: a writer that has it all at once would ask for less
		n := min(len(text), 1000)
		if _, err := w.Write(text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// TestZstdWindow: the largest of all frames, wherever it is; nothing that a
// client sends makes it fail or go beyond the bound.
func TestZstdWindow(t *testing.T) {
	small, large := zstdFrame(t, noise(300_000), 64<<10), zstdFrame(t, noise(300_000), 4<<20)
	huge := zstdFrame(t, noise(300_000), 64<<20)
	zeros := zstdFrame(t, make([]byte, 3<<20), 1<<20)
	checked := zstdFrame(t, noise(300_000), 8<<20, zstd.WithEncoderCRC(true))
	plain := zstdFrame(t, noise(300_000), 8<<20, zstd.WithEncoderCRC(false))
	skippable := append([]byte{0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0}, "notes"...)
	encoder, _ := zstd.NewWriter(nil)
	single := encoder.EncodeAll([]byte("in one segment"), nil)
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	for name, c := range map[string]struct {
		body []byte
		want int
	}{
		"nothing": {nil, 0}, "no zstd": {[]byte(`{"model":"m"}`), 0}, "one": {small, 64 << 10}, "run lengths": {zeros, 1 << 20},
		"the second": {join(small, large), 4 << 20}, "the first": {join(large, small), 4 << 20},
		"behind notes": {join(skippable, small, skippable, large), 4 << 20}, "with a checksum": {join(checked, small), 8 << 20}, "without": {join(plain, large), 8 << 20},
		"too much": {huge, maxZstdWindow}, "cut short": {large[:len(large)/2], 4 << 20}, "single segment": {join(single, small), 64 << 10},
	} {
		if got := zstdWindow(c.body); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		body := bytes.Clone(join(small[:200], skippable, large[:200]))
		for range 1 + r.IntN(8) {
			body[r.IntN(len(body))] = byte(r.Uint32())
		}
		if got := zstdWindow(body[:r.IntN(len(body))]); got < 0 || got > maxZstdWindow {
			t.Fatalf("%d of %x", got, body)
		}
	}
}

// TestDecodersAreCounted: what a decoder holds is in its tenant's part of the
// room while it works, is no less than what it takes of the heap, and is given
// back, however the body ends.
func TestDecodersAreCounted(t *testing.T) {
	for _, window := range []int{64 << 10, 1 << 20, 8 << 20} {
		body := zstdFrame(t, noise(window+300_000), window)
		before := heapInUse()
		stream, closing, err := decoder("zstd", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, stream, int64(window)+200_000); err != nil {
			t.Fatal(err)
		}
		held := heapInUse() - before
		closing()
		if counted := decoderBytes("zstd", body); held > int64(counted) || counted > 2*window+1<<20 {
			t.Errorf("window %d: %d bytes of the heap, %d are counted", window, held, counted)
		}
		runtime.KeepAlive(stream)
	}

	limiter := admission.New(admission.Options{MaxBufferedBytes: 12 << 20})
	defer limiter.Close()
	text := append([]byte(`{"model":"m"}`), bytes.Repeat([]byte(" "), 300_000)...)
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"a window within the part": {zstdFrame(t, text, 4<<20), nil},
		"a window beyond it":       {zstdFrame(t, text, 8<<20), errNoMemory},
		"beyond it in the second":  {append(zstdFrame(t, text, 64<<10), zstdFrame(t, nil, 8<<20, zstd.WithZeroFrames(true))...), errNoMemory},
		"no zstd":                  {[]byte("no zstd"), errEncoded},
		"cut short":                {zstdFrame(t, noise(100_000), 64<<10)[:5000], errEncoded},
	} {
		h := &heldBody{holder: limiter.Heads(), buf: borrowBuffer(len(c.body))}
		*h.buf = append(*h.buf, c.body...)
		if err := h.decode([]byte("zstd"), 1<<20); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		h.release()
		if held := limiter.Held(); held != 0 {
			t.Errorf("%s: %d bytes stay held", name, held)
		}
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
