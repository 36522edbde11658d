package wire

// masked is how a text looks to everything that prints.
const masked = "[text]"

// Text is a body that other rooms may hold and hand on, but not read. With
// every verb of fmt, and in JSON, it prints as [text]. It borrows its bytes
// through a pointer, so that even printing its memory shows an address only.
type Text struct{ b *[]byte }

// NewText makes a text of bytes that the caller keeps and must not change
// while the text is used.
func NewText(b *[]byte) Text { return Text{b} }

// Len is the text's length in bytes.
func (t Text) Len() int { return len(t.Reveal()) }

// Reveal gives the bytes themselves. Only wire and memory may call it; the
// linter says so.
func (t Text) Reveal() []byte {
	if t.b == nil {
		return nil
	}
	return *t.b
}

// String gives [text].
func (t Text) String() string { return masked }

// GoString gives [text].
func (t Text) GoString() string { return masked }

// MarshalText gives [text].
func (t Text) MarshalText() ([]byte, error) { return []byte(masked), nil }
