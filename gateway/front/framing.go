package front

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"
)

// Why a request cannot be read. The text of an error is ours and quotes nothing.
var (
	// ErrFraming: two servers could see the request's end in different places, or
	// read its head differently; the one before us may have done so already.
	ErrFraming = errors.New("ambiguous head or framing")
	// ErrMalformed: it is not HTTP/1.1 or 1.0.
	ErrMalformed = errors.New("not valid HTTP")
	// ErrHeadTooLarge: the head is larger than Options.MaxHeadBytes.
	ErrHeadTooLarge = errors.New("head too large")
	// ErrNoRoom: Options.Large has no room for the head now.
	ErrNoRoom = errors.New("no room for a large head")
	// ErrSlowHead: the head did not arrive in time.
	ErrSlowHead = errors.New("head did not arrive in time")
)

// strictFraming gives the length of a request's body, -1 for chunked. It
// refuses what fasthttp takes and RFC 9112 does not want taken: both
// Content-Length and Transfer-Encoding, or a coding that is not chunked (6.1,
// 6.3); lines that end in a bare LF, and a bare CR (2.2); folded lines (5.2);
// white space before a colon and names that are no tokens (5.1); no Host in
// HTTP/1.1 (3.2); versions that are not 1.0 or 1.1; chunked in HTTP/1.0 (6.1); and
// methods that are not in capitals, which some servers take for those that are.
func strictFraming(h *fasthttp.RequestHeader) (length int, err error) {
	protocol := h.Protocol()
	if string(protocol) != "HTTP/1.1" && string(protocol) != "HTTP/1.0" {
		return 0, ErrFraming
	}
	if !capitals(h.Method()) {
		return 0, ErrFraming
	}
	if len(h.Host()) == 0 && string(protocol) == "HTTP/1.1" {
		return 0, ErrFraming
	}
	sized, coded := false, false
	for raw := h.RawHeaders(); len(raw) > 0; {
		end := bytes.IndexByte(raw, '\n')
		if end <= 0 || raw[end-1] != '\r' {
			return 0, ErrFraming
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break
		}
		if !field(line) {
			return 0, ErrFraming
		}
		colon := bytes.IndexByte(line, ':')
		switch name := line[:colon]; {
		case reads(name, fasthttp.HeaderContentLength):
			sized = true
			if name[len("Content")] != '-' {
				return 0, ErrFraming
			}
		case reads(name, fasthttp.HeaderTransferEncoding):
			if name[len("Transfer")] != '-' || !bytes.EqualFold(bytes.Trim(line[colon+1:], " \t"), []byte("chunked")) {
				return 0, ErrFraming
			}
			coded = true
		}
	}
	switch {
	case sized && coded, coded && string(protocol) == "HTTP/1.0":
		return 0, ErrFraming
	case coded:
		return -1, nil
	case sized:
		return h.ContentLength(), nil // read by fasthttp: digits only, once only
	}
	return 0, nil
}

// capitals reports whether a method is spelled as all registered ones are: in
// capitals and hyphens.
func capitals(method []byte) bool {
	for _, c := range method {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return len(method) > 0
}

// field reports whether a line, without its end, is a header or trailer field
// that has one reading.
func field(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	return colon > 0 && Token(line[:colon]) && bytes.IndexByte(line, '\r') < 0 && bytes.IndexByte(line, 0) < 0
}

// reads reports whether a name could be read as another one: in any case, and
// with an underscore for the hyphen, as CGI and some proxies have it.
func reads(name []byte, as string) bool {
	if len(name) != len(as) {
		return false
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		if c|0x20 != as[i]|0x20 {
			return false
		}
	}
	return true
}

// tokenBytes are what a field's name is made of (RFC 9110, section 5.6.2).
var tokenBytes = func() (is [256]bool) {
	for c := range is {
		is[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0
	}
	return is
}()

// Token reports whether a name is made of the bytes that a field's name can
// have.
func Token(name []byte) bool {
	for _, c := range name {
		if !tokenBytes[c] {
			return false
		}
	}
	return true
}

// originForm takes scheme and authority from a target in absolute form, as RFC
// 9112, section 3.2.2, wants it accepted. What is before the path does not
// matter: there is one origin here.
func originForm(h *fasthttp.RequestHeader) {
	target := h.RequestURI()
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) < len(scheme) || !bytes.EqualFold(target[:len(scheme)], []byte(scheme)) {
			continue
		}
		rest := target[len(scheme):]
		switch i := bytes.IndexAny(rest, "/?"); {
		case i < 0:
			h.SetRequestURI("/")
		case rest[i] == '?':
			h.SetRequestURI("/" + string(rest[i:]))
		default:
			h.SetRequestURI(string(rest[i:]))
		}
		return
	}
}
