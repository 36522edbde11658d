package upstream

import (
	"bytes"
	"io"
	"net/http/httputil"
	"testing"
)

// unframeIn feeds b in pieces of the given size and returns the data.
func unframeIn(b []byte, size int) (data []byte, ended, broken bool) {
	var c chunkedReader
	for len(b) > 0 && !c.ended() && !c.broken() {
		piece := bytes.Clone(b[:min(size, len(b))])
		ready, used := c.unframe(piece)
		data = append(data, piece[:ready]...)
		b = b[used:]
	}
	return data, c.ended(), c.broken()
}

// FuzzUnframe: any split gives the same data, and where the standard library
// accepts a body, so do we, with the same data.
func FuzzUnframe(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 1)
	f.Add([]byte("A;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"), 3)
	f.Add([]byte("0\r\n\r\nrest"), 2)
	f.Add([]byte("ffffffffffffffff\r\n"), 4)
	f.Add([]byte("5\nhello\n0\n\n"), 1)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = max(1, size&0xff)
		whole, wholeEnded, wholeBroken := unframeIn(b, len(b)+1)
		split, splitEnded, splitBroken := unframeIn(b, size)
		if !bytes.Equal(whole, split) || wholeEnded != splitEnded || wholeBroken != splitBroken {
			t.Fatalf("whole %q %v %v, split %q %v %v", whole, wholeEnded, wholeBroken, split, splitEnded, splitBroken)
		}
		if wholeEnded {
			std, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(b)))
			if err == nil && !bytes.Equal(std, whole) {
				t.Fatalf("got %q, net/http/httputil %q", whole, std)
			}
		}
	})
}
