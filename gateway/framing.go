package gateway

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// errFraming refuses a request whose end two servers could see in different
// places, or whose head they could read differently: the one before us may have
// done so already. The connection is closed behind the answer.
var errFraming = refuse(codeInvalidRequest, "the request's head or framing is ambiguous")

// strictFraming refuses what fasthttp takes and RFC 9112 does not want taken:
// both Content-Length and Transfer-Encoding, or a coding that is not chunked
// (6.1, 6.3); lines that end in a bare LF, and a bare CR (2.2); folded lines
// (5.2); white space before a colon and names that are no tokens (5.1); no Host
// in HTTP/1.1 (3.2); versions that are not 1.0 or 1.1.
func strictFraming(h *fasthttp.RequestHeader) error {
	protocol := h.Protocol()
	if string(protocol) != "HTTP/1.1" && string(protocol) != "HTTP/1.0" {
		return errFraming
	}
	if len(h.Host()) == 0 && string(protocol) == "HTTP/1.1" {
		return errFraming
	}
	length, coding := false, false
	for raw := h.RawHeaders(); len(raw) > 0; {
		end := bytes.IndexByte(raw, '\n')
		if end <= 0 || raw[end-1] != '\r' {
			return errFraming
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !token(line[:colon]) || bytes.IndexByte(line, '\r') >= 0 {
			return errFraming
		}
		switch name := line[:colon]; {
		case reads(name, fasthttp.HeaderContentLength):
			length = true
			if name[len("Content")] != '-' {
				return errFraming
			}
		case reads(name, fasthttp.HeaderTransferEncoding):
			if name[len("Transfer")] != '-' || !bytes.EqualFold(bytes.Trim(line[colon+1:], " \t"), []byte("chunked")) {
				return errFraming
			}
			coding = true
		}
	}
	if length && coding {
		return errFraming
	}
	return nil
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

func token(name []byte) bool {
	for _, c := range name {
		if !tokenBytes[c] {
			return false
		}
	}
	return true
}
