package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/ownkey/ownkey/internal/fault"
)

// SyntaxError says why a body is not the JSON or the form that must be read, and
// where. It holds no byte of the body.
type SyntaxError struct {
	Offset int64 // of the first byte that is wrong
	Reason string
	Form   bool // it was to be a form
}

// Error gives the reason and the offset.
func (e *SyntaxError) Error() string {
	return e.Reason + " at byte " + strconv.FormatInt(e.Offset, 10)
}

// Reasons of syntax errors.
const (
	reasonNotObject  = "not a JSON object"
	reasonSyntax     = "not valid JSON"
	reasonTruncated  = "the JSON ends too early"
	reasonTrailing   = "something follows the JSON object"
	reasonDeep       = "nested deeper than 512 levels"
	reasonUTF8       = "not valid UTF-8"
	reasonDuplicate  = "the member model or stream stands twice"
	reasonSpelling   = "a member differs from model or stream only by case"
	reasonModelType  = "model is neither a string nor null, an object or an array"
	reasonStreamType = "stream is not true, false or null"
)

// Head is what routing needs of a request's body.
type Head struct {
	// Model is the decoded name. It borrows the body unless it was written
	// with escapes. A model that is null, an object or an array is none.
	Model    []byte
	HasModel bool
	Stream   bool
	// MaxTokens is the longest answer that is asked for; 0 where it is not said.
	MaxTokens int64
	// Background: the provider is to work on when the client has left.
	Background bool

	modelSeen bool // a member of that name, whatever its value
	hasStream bool
	modelAt   int    // where the raw name begins in the body, behind its quote
	modelRaw  []byte // the raw name
}

// Reset forgets the body.
func (h *Head) Reset() { *h = Head{} }

// ReadHead checks that the whole body is a JSON object (RFC 8259) in UTF-8 and
// reads its members model and stream, without decoding the rest. A second such
// member, and one that differs only by case, is refused: providers would not
// agree which counts, and an allow-list must know. The error is a
// [*SyntaxError]; it leaves h empty.
func ReadHead(t Text, h *Head) error { return readHead(t, h, false) }

// ReadAnyHead is ReadHead for paths whose bodies are not known: a JSON array is
// taken, too, and has no model.
func ReadAnyHead(t Text, h *Head) error { return readHead(t, h, true) }

func readHead(t Text, h *Head, arrays bool) error {
	fault.At("wire.head")
	h.Reset()
	p := parser{b: t.Reveal(), head: h, arrays: arrays}
	why := p.document()
	if read := p.b[:p.i]; !utf8.Valid(read) {
		// Where a body was cut within a character, nothing is wrong but its end.
		if i := invalidAt(read); why != reasonTruncated || utf8.FullRune(read[i:]) {
			p.i, why = i, reasonUTF8
		}
	}
	if why != "" {
		h.Reset()
		return &SyntaxError{Offset: int64(p.i), Reason: why}
	}
	return nil
}

// invalidAt finds the first byte that is not UTF-8.
func invalidAt(b []byte) int {
	i := 0
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

// parser walks a body once, without recursion. Its methods return "" or the
// reason why the byte at i is wrong.
type parser struct {
	b     []byte
	i     int
	nest  nesting
	fresh bool // an array or object was just opened
	head  *Head

	arrays bool // the body may be one
}

func (p *parser) document() string {
	switch c, ok := p.peek(); {
	case !ok:
		return reasonTruncated
	case c != '{' && (c != '[' || !p.arrays):
		return reasonNotObject
	}
	if why := p.value(); why != "" {
		return why
	}
	for p.nest.depth > 0 {
		if why := p.next(); why != "" {
			return why
		}
	}
	if _, ok := p.peek(); ok {
		return reasonTrailing
	}
	return ""
}

// peek skips white space and gives the byte behind it.
func (p *parser) peek() (c byte, ok bool) {
	for p.i < len(p.b) {
		switch c := p.b[p.i]; c {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return c, true
		}
	}
	return 0, false
}

// next reads what may stand inside an open array or object: an element or a
// member with the comma before it, or the end.
func (p *parser) next() string {
	object := p.nest.inObject()
	fresh := p.fresh
	p.fresh = false
	c, ok := p.peek()
	switch {
	case !ok:
		return reasonTruncated
	case c == '}' && object, c == ']' && !object:
		p.i++
		p.nest.pop()
		return ""
	case !fresh && c != ',':
		return reasonSyntax
	case !fresh:
		p.i++
	}
	if object {
		return p.member()
	}
	return p.value()
}

func (p *parser) member() string {
	switch c, ok := p.peek(); {
	case !ok:
		return reasonTruncated
	case c != '"':
		return reasonSyntax
	}
	at := p.i
	if why := p.str(); why != "" {
		return why
	}
	key := p.b[at+1 : p.i-1]
	switch c, ok := p.peek(); {
	case !ok:
		return reasonTruncated
	case c != ':':
		return reasonSyntax
	}
	p.i++
	if p.nest.depth == 1 { // of the body itself
		return p.topMember(key, at)
	}
	return p.value()
}

// topMember reads a member of the body itself: model and stream are kept.
func (p *parser) topMember(key []byte, keyAt int) string {
	name, exact := wanted(key)
	switch {
	case name != "" && !exact:
		p.i = keyAt
		return reasonSpelling
	case name == "model" && p.head.modelSeen, name == "stream" && p.head.hasStream:
		p.i = keyAt
		return reasonDuplicate
	}
	c, ok := p.peek()
	at := p.i
	switch {
	case !ok:
		return reasonTruncated
	case name == "model" && c != '"' && c != 'n' && c != '{' && c != '[':
		return reasonModelType
	case name == "stream" && c != 't' && c != 'f' && c != 'n':
		return reasonStreamType
	}
	if why := p.value(); why != "" {
		return why
	}
	switch name {
	case "model":
		p.head.modelSeen = true
		if c == '"' {
			p.head.HasModel, p.head.modelAt, p.head.modelRaw = true, at+1, p.b[at+1:p.i-1]
			p.head.Model = unescape(p.head.modelRaw)
		}
	case "stream":
		p.head.hasStream, p.head.Stream = true, c == 't'
	case "":
		p.maxTokens(key, p.b[at:p.i])
		if c == 't' && isBackground(key) {
			p.head.Background = true
		}
	}
	return ""
}

// isBackground reports whether a raw key is background once its escapes are
// decoded.
func isBackground(raw []byte) bool {
	const name = "background"
	return len(raw) >= len(name) && len(raw) <= len(name)*len(`\u0000`) && string(unescape(raw)) == name
}

// maxTokens keeps the largest of the bounds that the dialects know. What is no
// whole number is the provider's to refuse.
func (p *parser) maxTokens(key, value []byte) {
	switch string(key) {
	case "max_tokens", "max_completion_tokens", "max_output_tokens":
	default:
		return
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' || n > 1<<40 {
			return
		}
		n = n*10 + int64(c-'0')
	}
	p.head.MaxTokens = max(p.head.MaxTokens, n)
}

// wanted tells whether a raw key is one of ours once its escapes are decoded,
// and whether it is spelled so exactly.
func wanted(raw []byte) (name string, exact bool) {
	const longest = len("stream") * len(`\u0000`)
	if len(raw) < len("model") || len(raw) > longest {
		return "", false
	}
	key := unescape(raw)
	for _, name := range [...]string{"model", "stream"} {
		if bytes.EqualFold(key, []byte(name)) { // also a long s, as encoding/json folds it
			return name, string(key) == name
		}
	}
	return "", false
}

// value reads a scalar whole, or the opening of an array or object.
func (p *parser) value() string {
	c, ok := p.peek()
	if !ok {
		return reasonTruncated
	}
	switch c {
	case '{', '[':
		return p.open(c == '{')
	case '"':
		return p.str()
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	}
	return p.number()
}

func (p *parser) open(object bool) string {
	if !p.nest.push(object) {
		return reasonDeep
	}
	p.i++
	p.fresh = true
	return ""
}

func (p *parser) literal(word string) string {
	for i := range len(word) {
		if p.i == len(p.b) {
			return reasonTruncated
		}
		if p.b[p.i] != word[i] {
			return reasonSyntax
		}
		p.i++
	}
	return ""
}

func (p *parser) number() string {
	if p.i < len(p.b) && p.b[p.i] == '-' {
		p.i++
	}
	if p.i < len(p.b) && p.b[p.i] == '0' {
		p.i++
	} else if why := p.digits(); why != "" {
		return why
	}
	if p.i < len(p.b) && p.b[p.i] == '.' {
		p.i++
		if why := p.digits(); why != "" {
			return why
		}
	}
	if p.i < len(p.b) && p.b[p.i]|0x20 == 'e' {
		p.i++
		if p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		return p.digits()
	}
	return ""
}

// digits reads at least one digit.
func (p *parser) digits() string {
	if p.i == len(p.b) {
		return reasonTruncated
	}
	if c := p.b[p.i]; c < '0' || c > '9' {
		return reasonSyntax
	}
	for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
	}
	return ""
}

// str reads a string with its quotes.
func (p *parser) str() string {
	p.i++
	for {
		p.i += plain(p.b[p.i:])
		if p.i == len(p.b) {
			return reasonTruncated
		}
		switch p.b[p.i] {
		case '"':
			p.i++
			return ""
		case '\\':
			if why := p.escape(); why != "" {
				return why
			}
		default:
			return reasonSyntax // a control character
		}
	}
}

func (p *parser) escape() string {
	p.i++
	if p.i == len(p.b) {
		return reasonTruncated
	}
	switch p.b[p.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.i++
		return ""
	case 'u':
		p.i++
		for range 4 {
			if p.i == len(p.b) {
				return reasonTruncated
			}
			if hexDigit(p.b[p.i]) < 0 {
				return reasonSyntax
			}
			p.i++
		}
		return ""
	}
	return reasonSyntax
}

// plain counts the bytes before the first quote, backslash or control
// character, 32 at a time and then eight.
func plain(b []byte) int {
	n := 0
	for ; len(b)-n >= 32; n += 32 {
		w := b[n : n+32 : n+32]
		if special(binary.LittleEndian.Uint64(w))|special(binary.LittleEndian.Uint64(w[8:]))|
			special(binary.LittleEndian.Uint64(w[16:]))|special(binary.LittleEndian.Uint64(w[24:])) != 0 {
			break
		}
	}
	for ; len(b)-n >= 8; n += 8 {
		if found := special(binary.LittleEndian.Uint64(b[n:])); found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(b) && b[n] >= 0x20 && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// special marks the bytes of a word that end what is plain. A byte of v is zero
// where x has it; (v-ones)&^v&highs marks zero bytes, and x-0x20 marks those
// below 0x20 (Bit Twiddling Hacks, S. E. Anderson). Marks above the lowest may
// be false, the lowest not.
func special(x uint64) uint64 {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	quote, slash := x^ones*'"', x^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x) & highs
}
