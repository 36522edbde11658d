package gateway

import "github.com/klauspost/compress/zstd"

// zstdWindow is the largest window that the frames of a body ask for (RFC 8878,
// 3.1.1), as far as they can be read: their decoder holds as much. Beyond
// maxZstdWindow it refuses them.
func zstdWindow(body []byte) (largest int) {
	for len(body) > 0 {
		var h zstd.Header
		if h.Decode(body) != nil {
			return largest // the decoder will say what is wrong
		}
		head := uint64(h.HeaderSize) //nolint:gosec // a few bytes
		rest := head + uint64(h.SkippableSize)
		if !h.Skippable {
			window := h.WindowSize
			if h.SingleSegment {
				window = h.FrameContentSize
			}
			largest = max(largest, int(min(window, maxZstdWindow)))
			rest = head + zstdBlocks(body[h.HeaderSize:])
			if h.HasCheckSum {
				rest += 4
			}
		}
		body = body[min(rest, uint64(len(body))):]
	}
	return largest
}

// zstdBlocks is how long the blocks of a frame are, as their headers say.
func zstdBlocks(b []byte) (length uint64) {
	const headerBytes, runLength = 3, 1
	for at := uint64(0); at+headerBytes <= uint64(len(b)); {
		head := uint64(b[at]) | uint64(b[at+1])<<8 | uint64(b[at+2])<<16
		size := head >> 3
		if head>>1&3 == runLength {
			size = 1
		}
		at += headerBytes + size
		if head&1 == 1 { // the last one
			return at
		}
	}
	return uint64(len(b))
}
