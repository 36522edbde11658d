package wire

import "io"

// Edit replaces the bytes from Start to End of a body by With.
type Edit struct {
	Start, End int
	With       []byte
}

// StripModelPrefix plans the removal of the first n bytes of the decoded model
// name, such as "openai/", from the body it was read from. It also finds them
// where the name was written with escapes (PHP writes "openai\/gpt-4o").
func (h *Head) StripModelPrefix(n int) Edit {
	var scratch [utf8Max]byte
	raw, decoded := 0, 0
	for decoded < n && raw < len(h.modelRaw) {
		out, used := appendUnit(scratch[:0], h.modelRaw[raw:])
		raw += used
		decoded += len(out)
	}
	return Edit{Start: h.modelAt, End: h.modelAt + raw}
}

// utf8Max is the longest encoding of a rune.
const utf8Max = 4

// maxEdits is how many edits a body can have: one for each thing that is ever
// changed in one request.
const maxEdits = 4

// Body is a text with edits, ready to be sent. The text is not copied.
type Body struct {
	text  Text
	edits [maxEdits]Edit
	n     int
}

// NewBody makes a body of a text and at most four edits, in ascending order
// and without overlap.
func NewBody(t Text, edits ...Edit) Body {
	b := Body{text: t, n: len(edits)}
	if copy(b.edits[:], edits) != len(edits) {
		panic("BUG: more edits than a request can have")
	}
	return b
}

// Len is the length in bytes of what WriteTo writes.
func (b *Body) Len() int {
	n := b.text.Len()
	for _, e := range b.edits[:b.n] {
		n += len(e.With) - (e.End - e.Start)
	}
	return n
}

// WriteTo writes the body with its edits; all other bytes as they came.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	var total int64
	rest, at := b.text.Reveal(), 0
	for i := 0; i <= b.n; i++ {
		e := Edit{Start: at + len(rest)}
		if i < b.n {
			e = b.edits[i]
		}
		for _, part := range [2][]byte{rest[:e.Start-at], e.With} {
			if len(part) == 0 {
				continue
			}
			n, err := w.Write(part)
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		if i < b.n {
			rest, at = rest[e.End-at:], e.End
		}
	}
	return total, nil
}
