package hostile

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// numbers are counts that no honest provider reports, as JSON.
var numbers = []string{
	"9007199254740992", "9223372036854775807", "18446744073709551616", "-1", "-9223372036854775808", "1e308", "1e999", "26.5",
	`"1000000"`, "null", "[1]", "{}", "true", "0", strings.Repeat("9", 4000),
}

func number() string { return numbers[rand.N(len(numbers))] }

// Provider is one that the hostile tenant runs itself. It speaks just enough
// of OpenAI's and Anthropic's APIs to be believed, and lies in them.
type Provider struct {
	http     *http.Server
	listener net.Listener
	answered atomic.Int64
}

// StartProvider listens on a free port of the loopback interface.
func StartProvider() (*Provider, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Provider{listener: l}
	p.http = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: time.Minute}
	go p.http.Serve(l) // ends with Close
	return p, nil
}

// URL is the base URL, with /v1.
func (p *Provider) URL() string { return "http://" + p.listener.Addr().String() + "/v1" }

// Answered counts the calls that reached the provider.
func (p *Provider) Answered() int64 { return p.answered.Load() }

// Close closes the listener and every connection.
func (p *Provider) Close() error { return p.http.Close() }

// serve does what the model's name asks for (act-NAME-…); without one the
// numbers lie.
func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.answered.Add(1)
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	act := ""
	if i := strings.Index(string(body), `"model":"act-`); i >= 0 {
		act, _, _ = strings.Cut(string(body[i+len(`"model":"act-`):]), "-")
	}
	switch act {
	case "hang":
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
	case "garbage":
		p.raw(w, "SSH-2.0-OpenSSH_9.2\r\n\r\n")
	case "headers":
		p.raw(w, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Filler: "+strings.Repeat("a", 1000)+"\r\n", 2000)+"\r\n{}")
	case "interim":
		p.raw(w, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 20_000))
	case "line":
		p.flood(w, "data: ", strings.Repeat("x", 64<<10), 64)
	case "events":
		p.flood(w, "", strings.Repeat("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", 1000), 32)
	case "nested":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":`+strings.Repeat("[", 2<<20))
	default:
		p.lie(w, strings.Contains(string(body), `"stream":true`))
	}
}

// lie answers a call with counts that are not so.
func (p *Provider) lie(w http.ResponseWriter, stream bool) {
	usage := fmt.Sprintf(`{"prompt_tokens":%s,"completion_tokens":%s,"total_tokens":%s,"input_tokens":%s,"output_tokens":%s,"prompt_tokens_details":{"cached_tokens":%s},`+
		`"completion_tokens_details":{"reasoning_tokens":%s},"cache_creation_input_tokens":%s}`, number(), number(), number(), number(), number(), number(), number(), number())
	w.Header().Set("Openai-Organization", "org-"+strings.Repeat("z", rand.N(4000)))
	w.Header().Set("X-Request-Id", fmt.Sprint(rand.Uint64()))
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"x","object":"chat.completion","model":"served-%d","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"data":[{"embedding":[1e999]}],"usage":%s}`, rand.Uint64(), usage)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for range 3 {
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"model\":\"served-%d\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}],\"usage\":%s}\n\n", rand.Uint64(), usage)
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// flood sends a stream that never says anything a reader could end at.
func (p *Provider) flood(w http.ResponseWriter, begin, piece string, pieces int) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, begin)
	for range pieces {
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
	}
}

// raw takes the connection over, writes and closes it.
func (p *Provider) raw(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, text)
}
