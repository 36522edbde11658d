package ledger

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame is, in little-endian:
//
//	u32 length of the payload
//	u32 CRC-32C of the length, the kind and the payload
//	u8  kind, 1 to 255
//	    payload, then zeros to a multiple of eight bytes
//
// Eight zero bytes are the end. Frames begin at multiples of eight, so that
// those behind a damaged one can be found again.
const (
	frameHead  = 9
	frameAlign = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameBytes is the room that a payload of n bytes takes.
func frameBytes(n int) int { return (frameHead + n + frameAlign - 1) &^ (frameAlign - 1) }

// putFrame writes a frame to the beginning of dst, which is zeroed and has
// room for it.
func putFrame(dst []byte, kind Kind, payload []byte) {
	copy(dst[frameHead:], payload)
	dst[8] = byte(kind)
	binary.LittleEndian.PutUint32(dst, uint32(len(payload))) //nolint:gosec // bounded by maxPayload
	binary.LittleEndian.PutUint32(dst[4:], frameSum(dst, len(payload)))
}

// frameSum is the checksum of the frame at the beginning of b, whose payload
// has n bytes.
func frameSum(b []byte, n int) uint32 {
	return crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, b[8:frameHead+n])
}

// frameAt reads the frame at the beginning of b. size is 0 when there is none
// that is whole.
func frameAt(b []byte) (kind Kind, payload []byte, size int) {
	if len(b) < frameHead {
		return 0, nil, 0
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxPayload || frameHead+int(n) > len(b) || b[8] == 0 {
		return 0, nil, 0
	}
	if binary.LittleEndian.Uint32(b[4:]) != frameSum(b, int(n)) {
		return 0, nil, 0
	}
	return Kind(b[8]), b[frameHead : frameHead+int(n)], min(frameBytes(int(n)), len(b))
}

// allZero reports whether nothing was written to b.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// span is a part of a file.
type span struct{ from, to int }

// scan goes through the frames of b, from an offset that one begins at, and
// calls each with where the next one begins; false ends it. It gives where the
// last whole frame ends, and the parts before it that are no frames.
func scan(b []byte, from int, each func(kind Kind, payload []byte, next int) bool) (end int, damaged []span) {
	end = from
	for at := from; at < len(b); {
		kind, payload, size := frameAt(b[at:])
		if size == 0 {
			at += frameAlign
			continue
		}
		if at > end {
			damaged = append(damaged, span{end, at})
		}
		at += size
		end = at
		if !each(kind, payload, at) {
			return end, damaged
		}
	}
	return end, damaged
}
