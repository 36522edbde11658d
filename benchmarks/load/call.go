package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// Call is what is asked over and over.
type Call struct {
	// BodyBytes is how long a request's body is, at least some 200.
	BodyBytes int
	// Chunks asks for a stream of that many; zero for an answer of 1 KB in one.
	Chunks int
	// Gap is between two chunks, in nanoseconds.
	Gap int64
	// Hold makes the provider wait behind the first chunk until the client has
	// gone.
	Hold bool
	// Model to ask for.
	Model string
}

// The mark in a request's text tells the provider what to answer, whatever the
// gateway does to the JSON around it: the kind, and the call's number. No
// character of it is one that JSON encoders escape.
const (
	markStart  = "[[call "
	markDigits = 9
	markBytes  = len(markStart) + 1 + 1 + markDigits + len("]]")
)

// kinds of what the provider does.
const (
	kindUnary  = 'u'
	kindStream = 's'
	kindSilent = 'q' // nothing, ever
)

// prose is what is asked: words as people use them, since recall reads them.
const prose = `We are five people with a dog and want to spend the second week of May somewhere near water, but not in a place that is ` +
	`crowded. Last spring Chiara moved to Porto and said the market halls there are worth a morning, and Daniel still talks about the harvest ` +
	`he helped with when he was a student in Turin. My mother can not walk far, so a flat above a bakery would suit her more than a hotel on ` +
	`a hill; the children would rather have bicycles and a canal. Our budget is small this year because of the roof. Please compare three ` +
	`towns that can be reached by train within one day, tell me what each of them is like when it rains, which museum has something for a boy ` +
	`who takes clocks apart, and where somebody who has just opened a shop would go to see how others do it. Keep in mind what I told you ` +
	`earlier about Paris and about the suitcase, and finish with a list of what we should book first and what can wait until we arrive. `

// template is a request without what differs between calls. The mark lies in
// head, the tail is shared by all connections.
type template struct {
	head, tail []byte
	mark       int // where the kind and the number stand in head
}

func (c *Call) template(path, host, header string) *template {
	body := `{"model":"` + c.Model + `","temperature":0.7,`
	if c.Chunks > 0 {
		body += `"stream":true,`
	}
	body += `"messages":[{"role":"user","content":"`
	mark := len(body) + len(markStart)
	body += markStart + "u " + string(bytes.Repeat([]byte("0"), markDigits)) + `]] `
	const end = `"}]}`
	fill := bytes.Repeat([]byte(prose), c.BodyBytes/len(prose)+1)
	fill = append(fill[:max(0, c.BodyBytes-len(body)-len(end))], end...)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: OpenAI/Python 2.0.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Retry-Count: 0\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n%s\r\n", path, host, len(body)+len(fill), header)
	t := &template{head: append([]byte(head), body...), mark: len(head) + mark}
	const together = 4 << 10 // small bodies go in one write
	if len(fill) <= together {
		t.head = append(t.head, fill...)
	} else {
		t.tail = fill
	}
	return t
}

// number writes a call's kind and number into a copy of the head.
func (t *template) number(head []byte, kind byte, id int) {
	head[t.mark] = kind
	putNumber(head[t.mark+2:], id)
}

func putNumber(b []byte, n int) {
	for i := markDigits - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// readMark finds a mark in the beginning of a body.
func readMark(body []byte) (kind byte, id int, ok bool) {
	at := bytes.Index(body, []byte(markStart))
	if at < 0 || len(body) < at+markBytes {
		return 0, 0, false
	}
	mark := body[at+len(markStart):]
	id, err := strconv.Atoi(string(mark[2 : 2+markDigits]))
	return mark[0], id, err == nil
}

// The answers. A text carries the call's number, or the chunk's, so that one
// that went to somebody else, or was lost, is seen.
const (
	answerStart = `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"`
	answerEnd   = `"},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":200,"completion_tokens":150,"total_tokens":350}}`
	chunkStart  = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"`
	chunkEnd    = `"},"finish_reason":null}]}` + "\n\n"
	lastChunk   = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` +
		"\n\ndata: [DONE]\n\n"
	textStart = "call "
)

// lorem makes an answer of about 1 KB.
var lorem = string(bytes.Repeat([]byte(" lorem ipsum"), 50))

// unaryAnswer is a whole answer; the number stands at numberAt.
var unaryAnswer, numberAt = func() ([]byte, int) {
	body := answerStart + textStart + "000000000" + lorem + answerEnd
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_1\r\nOpenai-Organization: org-bench\r\nContent-Length: %d\r\n\r\n", len(body))
	return []byte(head + body), len(head) + len(answerStart) + len(textStart)
}()

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: req_1\r\nOpenai-Organization: org-bench\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunkFill  = " lorem ipsum dolor"
)

// event is one chunk of a stream with its framing, the number at eventAt.
var event, eventAt = func() ([]byte, int) {
	data := chunkStart + textStart + "000000000" + chunkFill + chunkEnd
	size := fmt.Sprintf("%x\r\n", len(data))
	return []byte(size + data + "\r\n"), len(size) + len(chunkStart) + len(textStart)
}()

// end is what ends a stream, with its framing.
var end = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(lastChunk), lastChunk)
