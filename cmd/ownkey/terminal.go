package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// stdout is where everything goes that verbs print, and no command writes to the
// terminal itself: names and messages come from others, and must not be able to
// drive it.
var stdout io.Writer = &plainWriter{to: os.Stdout}

// plain is a text as stdout would show it.
func plain(text string) string {
	var out strings.Builder
	_, _ = (&plainWriter{to: &out}).Write([]byte(text))
	return out.String()
}

func printf(format string, args ...any) { _, _ = fmt.Fprintf(stdout, format, args...) }

// plainWriter writes text, with every character that a terminal would obey, and
// those that change the order of a line, as an escape such as \u001b. JSON stays
// JSON. Line ends and tabs pass.
type plainWriter struct {
	to  io.Writer
	cut []byte // the beginning of a character that the last write has cut
}

// Write writes p.
func (w *plainWriter) Write(p []byte) (int, error) {
	text := slices.Concat(w.cut, p)
	out := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) && string(text) != "\r" {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\r' && text[1] == '\n': // CSV's end of a line
			out = append(out, text[:size]...)
		case r == utf8.RuneError && size == 1:
			out = utf8.AppendRune(out, r)
		case obeyed(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	w.cut = append([]byte(nil), text...)
	if _, err := w.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// obeyed are control characters of both sets (ECMA-48), line and paragraph
// separators, and what changes the direction of writing (Unicode Standard Annex
// 9, 2.4).
func obeyed(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}
