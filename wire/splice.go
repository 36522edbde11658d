package wire

import "io"

// Edit replaces the bytes from Start to End of a body by With.
type Edit struct {
	Start, End int
	With       []byte
}

// StripModelPrefix plans the removal of the first n bytes of the decoded model
// name, such as "openai/", from the body it was read from. It also finds them
// where the name was written with escapes (PHP writes "openai\/gpt-4o"). The
// prefix must end where a character ends.
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
	edits [maxEdits]plannedEdit
	n     int
}

// plannedEdit is an edit that prints no more than the text does.
type plannedEdit struct {
	start, end int
	with       hidden
}

// NewBody makes a body of a text and at most four edits, in ascending order
// and without overlap. It borrows the bytes of both and does not allocate.
func NewBody(t Text, edits ...Edit) Body {
	if len(edits) > maxEdits {
		panic("BUG: more edits than a request can have")
	}
	b := Body{text: t, n: len(edits)}
	for i, e := range edits {
		b.edits[i] = plannedEdit{e.Start, e.End, hide(e.With)}
	}
	return b
}

// Edited reports whether anything of the text is changed.
func (b *Body) Edited() bool { return b.n > 0 }

// Len is the length in bytes of what WriteTo writes.
func (b *Body) Len() int {
	n := b.text.Len()
	for _, e := range b.edits[:b.n] {
		n += e.with.n - (e.end - e.start)
	}
	return n
}

// WriteTo writes the body with its edits; all other bytes as they came. An
// error is the writer's.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	text, at := b.text.Reveal(), 0
	var total int64
	for _, e := range b.edits[:b.n] {
		if err := writePart(w, text[at:e.start], &total); err != nil {
			return total, err
		}
		if err := writePart(w, e.with.bytes(), &total); err != nil {
			return total, err
		}
		at = e.end
	}
	err := writePart(w, text[at:], &total)
	return total, err
}

func writePart(w io.Writer, part []byte, total *int64) error {
	if len(part) == 0 {
		return nil
	}
	n, err := w.Write(part)
	*total += int64(n)
	return err
}
