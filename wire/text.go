package wire

import "unsafe"

// masked is how a text looks to everything that prints.
const masked = "[text]"

// Text is a body that other rooms may hold and hand on, but not read. It
// prints as [text], in fmt and in JSON. Verbs that are not for strings, and
// fields that fmt can not call methods of, show an address and a length.
type Text struct{ b hidden }

// NewText makes a text of bytes that the caller keeps, and must neither change
// nor move to another buffer while the text is used.
func NewText(b *[]byte) Text {
	if b == nil {
		return Text{}
	}
	return Text{hide(*b)}
}

// Len is the text's length in bytes.
func (t Text) Len() int { return t.b.n }

// Reveal gives the bytes themselves. Only wire and memory may call it; the
// linter says so.
func (t Text) Reveal() []byte { return t.b.bytes() }

// String gives [text].
func (t Text) String() string { return masked }

// GoString gives [text].
func (t Text) GoString() string { return masked }

// MarshalText gives [text].
func (t Text) MarshalText() ([]byte, error) { return []byte(masked), nil }

// hidden is a slice that fmt can not read. A pointer to a slice would not do:
// fmt follows it when the verb is wrong for it, as %s is in a field that is not
// exported. It never follows an unsafe.Pointer.
type hidden struct {
	p unsafe.Pointer
	n int
}

func hide(b []byte) hidden {
	return hidden{unsafe.Pointer(unsafe.SliceData(b)), len(b)} //nolint:gosec // the slice's own data and length
}

func (h hidden) bytes() []byte {
	return unsafe.Slice((*byte)(h.p), h.n) //nolint:gosec // as hide took it apart
}
