package gateway

import (
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/wire"
)

// maxZstdWindow is what a decoder must have and no encoder may ask beyond (RFC
// 9659).
const maxZstdWindow = 8 << 20

var (
	errEncoding = refuse(codeInvalidRequest, "a JSON body may have one Content-Encoding: gzip, deflate, zstd or identity")
	errEncoded  = refuse(codeInvalidRequest, "the request body is not what its Content-Encoding says")
)

// decode replaces a compressed body by the JSON in it, at most limit bytes, and
// keeps what came. A small body may unfold into much: memory follows what was
// unfolded, within the tenant's part of the room, and so does what the decoder
// holds meanwhile.
func (h *heldBody) decode(encoding []byte, limit int64) error {
	name := strings.ToLower(string(bytes.TrimSpace(encoding)))
	if name == "" || name == "identity" || h.text().Len() == 0 {
		return nil
	}
	working := decoderBytes(name, *h.buf)
	if !h.holder.Take(working) {
		return errNoMemory
	}
	defer h.holder.Give(working)
	h.encoded, h.encodedTaken = h.buf, h.taken
	h.buf, h.taken = borrowBuffer(firstReadBytes), 0
	stream, closing, err := decoder(name, bytes.NewReader(*h.encoded))
	if err != nil {
		return err
	}
	defer closing()
	var turns pace.Turns
	for {
		if len(*h.buf) == cap(*h.buf) {
			if err := h.grow(-1); err != nil {
				return err
			}
		}
		buf := *h.buf
		n, err := stream.Read(buf[len(buf):min(cap(buf), len(buf)+pace.TurnBytes)])
		*h.buf = buf[:len(buf)+n]
		turns.Passed(n)
		switch {
		case int64(len(*h.buf)) > limit:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return errEncoded
		}
	}
}

// decoderBytes is what a decoder holds beside what it reads and writes: the
// window, and buffers of some blocks of 128 KiB or tables.
func decoderBytes(name string, body []byte) int {
	if name == "zstd" {
		return zstdWindow(body) + 512<<10
	}
	return 64 << 10
}

// decoder reads what an encoding holds. closing gives its memory back.
func decoder(name string, from *bytes.Reader) (stream io.Reader, closing func(), err error) {
	closing = func() {}
	switch name {
	case "gzip", "x-gzip":
		stream, err = gzip.NewReader(from)
	case "deflate":
		stream, err = zlib.NewReader(from)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow)); err == nil {
			stream, closing = z, z.Close
		}
	default:
		return nil, nil, errEncoding
	}
	if err != nil {
		return nil, nil, errEncoded
	}
	return stream, closing, nil
}

// asItCame makes a compressed body that nothing is changed about go out as it
// came, and reports so.
func (h *heldBody) asItCame(out *wire.Body) bool {
	if h.encoded == nil || out.Edited() {
		return false
	}
	*out = wire.NewBody(wire.NewText(h.encoded))
	return true
}
