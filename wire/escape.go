package wire

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape decodes the inside of a valid JSON string. Without escapes the
// result is raw itself.
func unescape(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		var n int
		out, n = appendUnit(out, raw[i:])
		i += n
	}
	return out
}

// appendUnit appends what the first byte or escape of raw stands for, and says
// how many raw bytes that were.
func appendUnit(dst, raw []byte) (out []byte, n int) {
	if raw[0] != '\\' {
		return append(dst, raw[0]), 1
	}
	switch c := raw[1]; c {
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'u':
		r, n := escapedRune(raw)
		return utf8.AppendRune(dst, r), n
	default:
		return append(dst, c), 2
	}
}

// escapedRune decodes \uXXXX, with its second half where there is one. A lone
// surrogate becomes U+FFFD, as encoding/json has it.
func escapedRune(raw []byte) (r rune, n int) {
	r = hex4(raw[2:6])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(raw[8:12])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		r = r<<4 | rune(hexDigit(c)) //nolint:gosec // a digit, or -1 in a string that was refused
	}
	return r
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
