package gateway

import (
	"bytes"
)

// This file gives a path its one spelling. Limits and lists judge the spelling
// that is forwarded, so no other way of writing a path gets round them.

var (
	errSpelling = refuse(codeInvalidRequest, "the path: it may hold printable ASCII and complete escapes (%2F) only, "+
		"no backslash, no #, no encoded control character, no . or .. beside an encoded slash or a semicolon, and no encoded slash behind a semicolon; send it percent-encoded (RFC 3986)")
	errPath = refuse(codeNotFound, "no such path; use /v1/... or /{provider}/v1/...")
)

// canonicalPath gives the one spelling of a request's path: by RFC 3986, 6.2.2,
// escapes of unreserved characters are decoded, others are kept with upper-case
// digits, and dot segments are removed; what a URL cannot hold as it is gets an
// escape (as the URL Standard does), and slashes that follow each other are one,
// since many servers read them so. The result is path itself where that is
// spelled so already, which is nearly always. errSpelling: servers would
// disagree on what the path means.
func canonicalPath(path []byte) ([]byte, error) {
	if isCanonical(path) {
		return path, nil
	}
	out := make([]byte, 0, len(path)+len("%XX"))
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c <= ' ' || c > '~' || c == '\\' || c == '#':
			return nil, errSpelling
		case c == '/':
			if len(out) == 0 || out[len(out)-1] != '/' {
				out = append(out, c)
			}
		case c == '%':
			d, ok := unescaped(path[i+1:])
			if !ok || d < ' ' || d == 0x7f || d == '\\' {
				return nil, errSpelling
			}
			if i += 2; unreserved(d) {
				out = append(out, d)
			} else {
				out = appendEscape(out, d)
			}
		case inPath(c):
			out = append(out, c)
		default:
			out = appendEscape(out, c)
		}
	}
	out = removeDotSegments(out)
	if hidesDots(out) || hidesSlash(out) {
		return nil, errSpelling
	}
	return out, nil
}

// isCanonical reports whether nothing of a path needs a second look.
func isCanonical(path []byte) bool {
	last := byte(0)
	for _, c := range path {
		if !inPath(c) || last == '/' && (c == '/' || c == '.') {
			return false
		}
		last = c
	}
	return true
}

// unreserved characters mean the same with and without an escape (RFC 3986, 2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// inPath reports whether a path holds a character as it is: unreserved, a
// sub-delimiter, a colon, an @, or the slash itself (RFC 3986, 3.3).
func inPath(c byte) bool {
	if unreserved(c) {
		return true
	}
	switch c {
	case '/', ':', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=':
		return true
	}
	return false
}

// unescaped reads the two digits of an escape.
func unescaped(digits []byte) (c byte, ok bool) {
	if len(digits) < 2 {
		return 0, false
	}
	high, low := hexDigit(digits[0]), hexDigit(digits[1])
	return high<<4 | low, high < 16 && low < 16
}

// hexDigit gives a digit's value, or 16.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// removeDotSegments removes . and .. in place (RFC 3986, 5.2.4). The path begins
// with a slash, or has no segments.
func removeDotSegments(path []byte) []byte {
	if !bytes.Contains(path, []byte("/.")) || path[0] != '/' {
		return path
	}
	out := path[:0]
	for rest := path; len(rest) > 0; {
		segment := rest
		if end := bytes.IndexByte(rest[1:], '/'); end >= 0 {
			segment = rest[:end+1]
		}
		rest = rest[len(segment):]
		switch string(segment) {
		case "/..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
			fallthrough
		case "/.":
			if len(rest) == 0 {
				out = append(out, '/')
			}
		default:
			out = append(out, segment...)
		}
	}
	return out
}

// hidesDots reports whether a server that takes %2F for a slash, or cuts a
// segment's parameters (;x, or %3Bx behind a proxy that decodes it) off, would
// find a dot segment.
func hidesDots(path []byte) bool {
	if !bytes.Contains(path, []byte("..")) && !bytes.Contains(path, []byte("/.")) && !bytes.Contains(path, []byte("%2F.")) {
		return false
	}
	for segment := range bytes.SplitSeq(bytes.ReplaceAll(path, []byte("%2F"), []byte("/")), []byte("/")) {
		segment, _, _ = bytes.Cut(segment, []byte(";"))
		segment, _, _ = bytes.Cut(segment, []byte("%3B"))
		if s := string(segment); s == "." || s == ".." {
			return true
		}
	}
	return false
}

// hidesSlash reports whether a segment has an encoded slash in its parameters:
// servers that decode first and those that cut parameters off first would read
// different paths.
func hidesSlash(path []byte) bool {
	for rest := path; ; {
		i := bytes.IndexByte(rest, ';')
		if i < 0 {
			return false
		}
		parameters := rest[i:]
		if end := bytes.IndexByte(parameters, '/'); end >= 0 {
			parameters = parameters[:end]
		}
		if bytes.Contains(parameters, []byte("%2F")) {
			return true
		}
		rest = rest[i+len(parameters):]
	}
}

// lenient is how the most forgiving server reads a canonical path: an encoded
// slash is one, and so is an encoded semicolon, letters have no case, parameters of a segment and a slash at the
// end do not count. A call is judged by it, whatever the provider makes of the
// path: one that somebody would take for a chat is counted as a chat.
func lenient(path []byte) []byte {
	if strictly(path) {
		return bytes.TrimSuffix(path, []byte("/"))
	}
	out := make([]byte, 0, len(path))
	parameters := false
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			switch string(path[i : i+3]) {
			case "%2F":
				c, i = '/', i+2
			case "%3B":
				c, i = ';', i+2
			}
		}
		switch {
		case c == '/':
			parameters = false
			if len(out) == 0 || out[len(out)-1] != '/' {
				out = append(out, c)
			}
		case c == ';':
			parameters = true
		case parameters:
		case 'A' <= c && c <= 'Z':
			out = append(out, c|0x20)
		default:
			out = append(out, c)
		}
	}
	return bytes.TrimSuffix(out, []byte("/"))
}

// strictly reports whether every server reads a path alike.
func strictly(path []byte) bool {
	for _, c := range path {
		if c == '%' || c == ';' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}
