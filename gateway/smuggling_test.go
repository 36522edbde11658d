package gateway_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// technique is a malformed request. In its text, AUTH stands for a valid token's
// header line, CHAT for the head of a call with a JSON body, SMUGGLED for
// a whole request that nobody has sent, and LEN for that request's length.
type technique struct {
	name string
	text string
}

const (
	smuggledChat = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAUTHContent-Type: application/json\r\n"
	emptyChunk   = "0\r\n\r\nSMUGGLED"
)

// techniques are the malformed requests, each by the name of its trick. Sources:
// RFC 9112 (sections 2.2, 3, 5, 6, 7, 11), "HTTP Desync Attacks" (J. Kettle,
// 2019), "HTTP/1.1 must die" (J. Kettle, 2025), CVEs of proxies.
var techniques = []technique{
	{"CL.TE", smuggledChat + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + emptyChunk},
	{"TE.CL", smuggledChat + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nHEXLEN\r\nSMUGGLED\r\n0\r\n\r\n"},
	{"TE.TE, two lines", smuggledChat + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + emptyChunk},
	{"TE.TE, two lines, nonsense first", smuggledChat + "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n" + emptyChunk},
	{"TE list, chunked not last", smuggledChat + "Transfer-Encoding: chunked, identity\r\n\r\n" + emptyChunk},
	{"TE list, gzip before chunked", smuggledChat + "Transfer-Encoding: gzip, chunked\r\n\r\n" + emptyChunk},
	{"TE list, chunked twice", smuggledChat + "Transfer-Encoding: chunked, chunked\r\n\r\n" + emptyChunk},
	{"TE identity with CL", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\n{}SMUGGLED"},
	{"TE xchunked", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n\r\n{}SMUGGLED"},
	{"TE chunked, tab behind the colon", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding:\tchunked\r\n\r\n{}SMUGGLED"},
	{"TE chunked, vertical tab", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding:\vchunked\r\n\r\n{}SMUGGLED"},
	{"TE chunked, form feed behind it", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding: chunked\f\r\n\r\n{}SMUGGLED"},
	{"TE chunked in quotes", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding: \"chunked\"\r\n\r\n{}SMUGGLED"},
	{"TE chunked with a parameter", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding: chunked;a=b\r\n\r\n{}SMUGGLED"},
	{"TE empty", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding:\r\n\r\n{}SMUGGLED"},
	{"TE, space before the colon", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding : chunked\r\n\r\n{}SMUGGLED"},
	{"TE, NUL in the name", smuggledChat + "Content-Length: 2\r\nTransfer\x00-Encoding: chunked\r\n\r\n{}SMUGGLED"},
	{"TE, underscore in the name", smuggledChat + "Content-Length: 2\r\nTransfer_Encoding: chunked\r\n\r\n{}SMUGGLED"},
	{"TE behind a folded line", smuggledChat + "Content-Length: 2\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n\r\n{}SMUGGLED"},
	{"TE value on a folded line", smuggledChat + "Content-Length: 2\r\nTransfer-Encoding:\r\n chunked\r\n\r\n{}SMUGGLED"},
	{"TE behind a bare LF", smuggledChat + "Content-Length: 2\r\nX-A: b\nTransfer-Encoding: chunked\r\n\r\n{}SMUGGLED"},
	{"TE behind a bare CR", smuggledChat + "Content-Length: 2\r\nX-A: b\rTransfer-Encoding: chunked\r\n\r\n{}SMUGGLED"},
	{"TE in HTTP/1.0", strings.Replace(smuggledChat, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + emptyChunk},
	{"CL twice, different", smuggledChat + "Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}SMUGGLED"},
	{"CL twice, the same", smuggledChat + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}SMUGGLED"},
	{"CL list", smuggledChat + "Content-Length: 2, 2\r\n\r\n{}SMUGGLED"},
	{"CL with a plus", smuggledChat + "Content-Length: +2\r\n\r\n{}SMUGGLED"},
	{"CL negative", smuggledChat + "Content-Length: -2\r\n\r\n{}SMUGGLED"},
	{"CL hex", smuggledChat + "Content-Length: 0x2\r\n\r\n{}SMUGGLED"},
	{"CL with a fraction", smuggledChat + "Content-Length: 2.0\r\n\r\n{}SMUGGLED"},
	{"CL beyond 64 bits", smuggledChat + "Content-Length: 18446744073709551618\r\n\r\n{}SMUGGLED"},
	{"CL with a space within", smuggledChat + "Content-Length: 1 2\r\n\r\n{}SMUGGLED"},
	{"CL empty", smuggledChat + "Content-Length:\r\n\r\n{}SMUGGLED"},
	{"CL, space before the colon", smuggledChat + "Content-Length : 2\r\n\r\n{}SMUGGLED"},
	{"CL on a folded line", smuggledChat + "Content-Length:\r\n\t2\r\n\r\n{}SMUGGLED"},
	{"chunk size negative", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n" + emptyChunk},
	{"chunk size with 0x", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n" + emptyChunk},
	{"chunk size beyond 64 bits", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n" + emptyChunk},
	{"chunk size with a space before", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n" + emptyChunk},
	{"chunk ends in a bare LF", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n" + emptyChunk},
	{"chunk without its line end", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}X" + emptyChunk},
	{"chunk extension with a bare LF", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n2;a\nSMUGGLED\r\n{}\r\n0\r\n\r\n"},
	{"chunk extension, very long", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("a", 20_000) + "\r\n{}\r\n" + emptyChunk},
	{"chunk extension with a bare CR", smuggledChat + "Transfer-Encoding: chunked\r\n\r\n2;a\rb\r\n{}\r\n" + emptyChunk},
	{"trailer that frames", smuggledChat + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"trailer that authorizes", smuggledChat + "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n2\r\n{}\r\n0\r\nAUTH\r\nSMUGGLED"},
	{"0.CL: Expect without waiting", smuggledChat + "Expect: 100-continue\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"Expect of something else", smuggledChat + "Expect: y 100-continue\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"CL.0: body of a GET", "GET /v1/models HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"body of a HEAD", "HEAD /v1/models HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"body of an OPTIONS", "OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"body of a refused call", "POST /nowhere HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"body without a token", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"absolute form, another host", "POST http://127.0.0.1:1/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"two Hosts", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHost: y\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"no Host", "POST /v1/chat/completions HTTP/1.1\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"HTTP/0.9", "GET /v1/models\r\n\r\nSMUGGLED"},
	{"HTTP/1.2", "POST /v1/chat/completions HTTP/1.2\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSMUGGLED"},
	{"upgrade to h2c", "GET /v1/models HTTP/1.1\r\nHost: x\r\nAUTHConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"tabs in the request line", "POST\t/v1/chat/completions\tHTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"CRLF in the target", "GET /v1/models%0d%0aX:%20y HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"space in the target", "GET /v1/models HTTP/1.1\r\nX: y HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"line ends before the request", "\r\n\r\n" + smuggledChat + "Content-Length: LEN\r\n\r\nSMUGGLED"},
	{"head in bare LFs", strings.ReplaceAll(smuggledChat, "\r\n", "\n") + "Content-Length: LEN\n\nSMUGGLED"},
	{"name with a space", smuggledChat + "X A: b\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"name that is empty", smuggledChat + ": b\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"line without a colon", smuggledChat + "GET /v1/models HTTP/1.1\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"CONNECT", "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"TRACE", "TRACE /v1/models HTTP/1.1\r\nHost: x\r\nAUTHContent-Length: LEN\r\n\r\nSMUGGLED"},
	{"hop-by-hop names the framing", smuggledChat + "Connection: Content-Length\r\nContent-Length: LEN\r\n\r\nSMUGGLED"},
}

// write puts a technique's request together for a token.
func (x *technique) write(token string, number int) string {
	auth := "Authorization: Bearer " + token + "\r\n"
	smuggled := fmt.Sprintf("GET /v1/models?smuggled=%d HTTP/1.1\r\nHost: x\r\n%s\r\n", number, auth)
	return strings.NewReplacer("AUTH", auth, "SMUGGLED", smuggled, "HEXLEN", fmt.Sprintf("%x", len(smuggled)), "LEN", fmt.Sprint(len(smuggled))).Replace(x.text)
}

// victim makes calls of another user and wants each answered with its own.
func (h *house) victim(client *http.Client, address, token string, n int) error {
	for i := range n {
		body := fmt.Sprintf(`{"model":"fake:echo-sha","messages":[{"role":"user","content":"victim %d %d"}]}`, i, time.Now().UnixNano())
		request, err := http.NewRequest("POST", "http://"+address+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		sum := sha256.Sum256([]byte(body))
		if err != nil {
			return err
		}
		if response.StatusCode != 200 || !strings.Contains(string(got), hex.EncodeToString(sum[:])) {
			return fmt.Errorf("somebody else's answer: %d %s", response.StatusCode, got)
		}
	}
	return nil
}

// attack sends a technique's request, and behind it, on the same connection, a
// good one; it gives the answers' statuses and whether the connection was
// closed.
func attack(t *testing.T, address, raw string) (statuses []int) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, raw)
	r := bufio.NewReader(c)
	for {
		_ = c.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		if response.StatusCode >= 200 {
			statuses = append(statuses, response.StatusCode)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}

// smuggled lists the requests at the provider that nobody has sent.
func (h *house) smuggled() (all []string) {
	for _, r := range h.provider.Requests() {
		if strings.Contains(r.RawQuery, "smuggled") {
			all = append(all, r.Path+"?"+r.RawQuery)
		}
	}
	return all
}

// inside reports whether what is hidden lies within the body, however the
// request is read: then it must never be taken for a request. Elsewhere one
// reading makes it a request that follows, which is its sender's to make; that
// one gets its answer.
func (x *technique) inside() bool {
	return strings.Contains(x.text, "LEN\r\n") && !strings.Contains(x.name, "trailer") && x.name != "CONNECT" // which has no body
}

// judge compares what the provider was asked with what the sender got.
func (h *house) judge(t *testing.T, x *technique, statuses []int) {
	t.Helper()
	hidden := h.smuggled()
	switch {
	case x.inside() && len(hidden) > 0:
		t.Errorf("%s: the provider was asked %v; answers %v", x.name, hidden, statuses)
	case len(hidden) >= len(statuses) && len(hidden) > 0, len(statuses) > 2:
		t.Errorf("%s: asked %v, and somebody else has the answer; the sender's: %v", x.name, hidden, statuses)
	}
	h.provider.Forget()
}

// TestSmugglingDirectly: what hides in a body reaches no provider, and nobody
// gets an answer too many.
func TestSmugglingDirectly(t *testing.T) {
	h := newHouse(t)
	client := &http.Client{Transport: &http.Transport{}}
	inside := 0
	for i := range techniques {
		x := &techniques[i]
		h.judge(t, x, attack(t, h.addr, x.write(h.token, i)))
		if x.inside() {
			inside++
		}
	}
	if err := h.victim(client, h.addr, h.token, 5); err != nil {
		t.Error(err)
	}
	t.Logf("%d techniques, %d with a whole request in the body", len(techniques), inside)
}

// TestAmbiguousFramingIsRefused: what fasthttp would take, and another server
// could take otherwise, is answered with 400 and a closed connection.
func TestAmbiguousFramingIsRefused(t *testing.T) {
	h := newHouse(t)
	f := func(name, head string) {
		t.Helper()
		c, r := h.dial(strings.ReplaceAll(head, "AUTH", "Authorization: Bearer "+h.token+"\r\n"))
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != 400 || !response.Close {
			t.Errorf("%s: %d, closed: %v", name, response.StatusCode, response.Close)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection stays open: %v", name, err)
		}
	}
	for _, name := range []string{"CL.TE", "TE identity with CL", "TE behind a bare LF", "head in bare LFs", "no Host", "HTTP/1.2", "TE behind a folded line", "TE, NUL in the name"} {
		for i := range techniques {
			if techniques[i].name == name {
				f(name, techniques[i].write(h.token, 0))
			}
		}
	}
	if a := h.chat("gpt-4o-mini"); a.status != 200 {
		t.Errorf("a good request: %d", a.status)
	}
}
