package wire

import (
	"bytes"

	"github.com/ownkey/ownkey/internal/fault"
)

// This file reads the models that a multipart form names (RFC 7578), for tokens
// with a list of models. It takes one spelling of everything, the one that
// clients write, and refuses what two readers could understand in two ways: a
// provider must not see a model that was not judged.

// Reasons of syntax errors in forms.
const (
	reasonBoundary   = "header Content-Type has no boundary that can be read in one way only"
	reasonDelimiter  = "not a part's delimiter, which is CRLF, two hyphens, the boundary, and CRLF or two hyphens"
	reasonFormEnd    = "the form ends too early"
	reasonAfterForm  = "something follows the form"
	reasonFormHeader = "a part's header that can be read in two ways"
	reasonPartName   = "a part without one name, in plain quotes, in one header Content-Disposition"
	reasonFormModel  = "the part model stands twice"
	reasonModelName  = "a part whose name is nearly model"
	reasonModelPart  = "the part model is a file, or not plain text"
)

// formPart is a part of a form. Its bytes are borrowed.
type formPart struct {
	at    int // where its header begins
	name  []byte
	value []byte
	file  bool // it has a file name
	typed bool // its type or encoding is not that of plain text
}

// IsForm reports whether a Content-Type is that of a form.
func IsForm(contentType []byte) bool {
	media, _, _ := bytes.Cut(contentType, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(media), []byte("multipart/form-data"))
}

// ReadForm checks that a body is a form, of a request with that Content-Type,
// and reads its part model. A second one, one that is a file and a name that
// differs by case or escapes are refused. The error is a [*SyntaxError]; it leaves
// h empty. The time is linear in the body.
func ReadForm(t Text, contentType []byte, h *Head) error {
	fault.At("wire.head")
	h.Reset()
	at, why := eachPart(t.Reveal(), contentType, func(p *formPart) string {
		switch {
		case string(p.name) != "model":
			if nearlyModel(p.name) {
				return reasonModelName
			}
			return ""
		case h.HasModel:
			return reasonFormModel
		case p.file, p.typed:
			return reasonModelPart
		}
		h.Model, h.HasModel, h.modelSeen = p.value, true, true
		return ""
	})
	if why != "" {
		h.Reset()
		return &SyntaxError{Offset: int64(at), Reason: why, Form: true}
	}
	return nil
}

// OtherFormModels is [OtherModels] for a form that ReadForm has accepted: parts
// whose names would name models in JSON, brackets left out.
func OtherFormModels(t Text, contentType []byte, visit func(model []byte) bool) bool {
	const stopped = "stopped"
	_, why := eachPart(t.Reveal(), contentType, func(p *formPart) string {
		name, _, _ := bytes.Cut(p.name, []byte("["))
		if string(p.name) != "model" && !p.file && naming(name) && !visit(p.value) {
			return stopped
		}
		return ""
	})
	return why != stopped
}

// nearlyModel reports whether some reader could take a name for model: in another
// case, with escapes, white space or brackets.
func nearlyModel(name []byte) bool {
	const most = 64 // of a name that could be it
	var plain [most]byte
	n := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' && i+2 < len(name) {
			if high, low := hexDigit(name[i+1]), hexDigit(name[i+2]); high >= 0 && low >= 0 {
				c = byte(high<<4 | low) //nolint:gosec // two digits
				i += 2
			}
		}
		if c <= ' ' || c == '[' || c == ']' || c == '"' || c == '\'' {
			continue
		}
		if n == most {
			return false
		}
		plain[n] = c
		n++
	}
	return bytes.EqualFold(plain[:n], []byte("model")) || bytes.EqualFold(plain[:n], []byte("_charset_"))
}

// eachPart calls visit for each part of a form, until it gives a reason. It
// returns the reason why the form cannot be read, and where.
func eachPart(b, contentType []byte, visit func(*formPart) string) (at int, why string) {
	boundary := boundaryOf(contentType)
	if boundary == nil {
		return 0, reasonBoundary
	}
	delimiter := append([]byte("--"), boundary...)
	if !bytes.HasPrefix(b, delimiter) {
		return 0, reasonDelimiter
	}
	for i := len(delimiter); ; {
		switch rest := b[i:]; {
		case bytes.HasPrefix(rest, []byte("--")):
			if rest = rest[2:]; len(rest) > 0 && string(rest) != "\r\n" {
				return i + 2, reasonAfterForm
			}
			return 0, ""
		case len(rest) < 2:
			return len(b), reasonFormEnd
		case !bytes.HasPrefix(rest, []byte("\r\n")):
			return i, reasonDelimiter
		}
		i += len("\r\n")
		p := formPart{at: i}
		n, why := p.readHeader(b[i:])
		if why != "" {
			return i + n, why
		}
		i += n
		end := bytes.Index(b[i:], delimiter)
		switch {
		case end < 0:
			return len(b), reasonFormEnd
		case end < 2 || string(b[i+end-2:i+end]) != "\r\n":
			return i + end, reasonDelimiter
		}
		p.value = b[i : i+end-2]
		if why := visit(&p); why != "" {
			return p.at, why
		}
		i += end + len(delimiter)
	}
}

// readHeader reads a part's header and the empty line behind it, and gives their
// length, or the place of what is wrong.
func (p *formPart) readHeader(b []byte) (n int, why string) {
	for {
		end := bytes.Index(b[n:], []byte("\r\n"))
		if end < 0 {
			return n, reasonFormEnd
		}
		line := b[n : n+end]
		if end == 0 {
			if p.name == nil {
				return n, reasonPartName
			}
			return n + 2, ""
		}
		if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, 0) >= 0 {
			return n, reasonFormHeader
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) {
			return n, reasonFormHeader
		}
		switch {
		case bytes.EqualFold(name, []byte("Content-Disposition")):
			if p.name != nil || !p.readDisposition(value) {
				return n, reasonPartName
			}
		case bytes.EqualFold(name, []byte("Content-Type")):
			value = bytes.TrimSpace(value)
			if len(value) >= 10 && bytes.EqualFold(value[:10], []byte("multipart/")) {
				return n, reasonFormHeader // its parts could have the outer one's name
			}
			p.typed = p.typed || !plainText(value)
		case bytes.EqualFold(name, []byte("Content-Transfer-Encoding")):
			p.typed = p.typed || !oneOf(bytes.TrimSpace(value), "7bit", "8bit", "binary")
		}
		n += end + 2
	}
}

// readDisposition reads a value of Content-Disposition.
func (p *formPart) readDisposition(value []byte) bool {
	kind, params, _ := bytes.Cut(value, []byte(";"))
	if !bytes.EqualFold(bytes.TrimSpace(kind), []byte("form-data")) {
		return false
	}
	ok := eachParam(params, func(name, value []byte) bool {
		switch {
		case bytes.EqualFold(name, []byte("name")):
			if p.name != nil {
				return false
			}
			p.name = value
		case len(name) >= 4 && bytes.EqualFold(name[:4], []byte("name")):
			return false // name*, name*0
		default:
			p.file = p.file || len(name) >= 8 && bytes.EqualFold(name[:8], []byte("filename"))
		}
		return true
	})
	return ok && p.name != nil
}

// plainText reports whether a type says no more than a part without one: .NET's
// and Java's clients name it with each text.
func plainText(contentType []byte) bool {
	media, params, _ := bytes.Cut(contentType, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(media), []byte("text/plain")) && eachParam(params, func(name, value []byte) bool {
		return bytes.EqualFold(name, []byte("charset")) && oneOf(value, "utf-8", "us-ascii")
	})
}

func oneOf(b []byte, options ...string) bool {
	for _, o := range options {
		if bytes.EqualFold(b, []byte(o)) {
			return true
		}
	}
	return false
}

// boundaryOf is the boundary of a form's Content-Type (RFC 2046, section 5.1.1),
// nil if there is none that is read in one way only.
func boundaryOf(contentType []byte) (boundary []byte) {
	if !IsForm(contentType) {
		return nil
	}
	_, params, _ := bytes.Cut(contentType, []byte(";"))
	ok := eachParam(params, func(name, value []byte) bool {
		switch {
		case bytes.EqualFold(name, []byte("boundary")):
			if boundary != nil {
				return false
			}
			boundary = value
		case len(name) >= 8 && bytes.EqualFold(name[:8], []byte("boundary")):
			return false // boundary*
		}
		return true
	})
	const most = 70
	if !ok || len(boundary) == 0 || len(boundary) > most || boundary[len(boundary)-1] == ' ' {
		return nil
	}
	for _, c := range boundary {
		if !isBoundary[c] {
			return nil
		}
	}
	return boundary
}

// eachParam calls visit for each parameter of a header's value, behind the first
// semicolon, as long as it gives true. It reports whether all were read: tokens or
// strings in quotes, which have no backslash before a quote, since some readers
// end the string there and some do not.
func eachParam(b []byte, visit func(name, value []byte) bool) bool {
	for {
		b = bytes.TrimLeft(b, " \t")
		if len(b) == 0 {
			return true
		}
		equals := bytes.IndexByte(b, '=')
		if equals <= 0 || !isToken(b[:equals]) {
			return false
		}
		name := b[:equals]
		b = b[equals+1:]
		var value []byte
		if len(b) > 0 && b[0] == '"' {
			end := bytes.IndexByte(b[1:], '"')
			if end < 0 || end > 0 && b[end] == '\\' {
				return false
			}
			value, b = b[1:end+1], b[end+2:]
		} else {
			end := bytes.IndexByte(b, ';')
			if end < 0 {
				end = len(b)
			}
			if value = bytes.TrimRight(b[:end], " \t"); !isToken(value) {
				return false
			}
			b = b[end:]
		}
		if !visit(name, value) {
			return false
		}
		b = bytes.TrimLeft(b, " \t")
		if len(b) > 0 && b[0] != ';' {
			return false
		}
		b = bytes.TrimPrefix(b, []byte(";"))
	}
}

// isToken reports whether b is a token (RFC 9110, section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !isTokenByte[c] {
			return false
		}
	}
	return len(b) > 0
}

const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

var (
	isTokenByte = bytesOf(letters + "!#$%&'*+-.^_`|~")
	isBoundary  = bytesOf(letters + "'()+_,-./:=? ") // RFC 2046, section 5.1.1
)

func bytesOf(s string) (is [256]bool) {
	for i := range len(s) {
		is[s[i]] = true
	}
	return is
}
