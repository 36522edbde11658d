package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// contender is one of the ways to ask a provider that docs/decisions/0001
// weighs: ask reads an answer whole, leave abandons one after its first bytes.
type contender interface {
	ask(body string) (string, error)
	leave(body string) error
}

type ours struct{ target *Target }

func (o ours) ask(body string) (string, error) {
	var a Attempt
	a.Begin(o.target, time.Now())
	defer func() { a.End(time.Now()) }()
	if err := a.Send(newRequest(body)); err != nil {
		return "", err
	}
	var b strings.Builder
	for {
		p, err := a.Next()
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		b.Write(p)
	}
}

func (o ours) leave(body string) error {
	var a Attempt
	a.Begin(o.target, time.Now())
	defer func() { a.End(time.Now()) }()
	if err := a.Send(newRequest(body)); err != nil {
		return err
	}
	_, err := a.Next()
	a.Cancel()
	return err
}

type fastClient struct{ c *fasthttp.HostClient }

func (f fastClient) do(body string, read func(io.Reader) error) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + f.c.Addr + "/v1/chat/completions")
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.Set("Authorization", "Bearer sk-secret")
	request.SetBodyString(body)
	if err := f.c.Do(request, response); err != nil {
		return err
	}
	err := read(response.BodyStream())
	return errors.Join(err, response.CloseBodyStream())
}

func (f fastClient) ask(body string) (string, error) {
	var b []byte
	err := f.do(body, func(r io.Reader) (err error) { b, err = io.ReadAll(r); return err })
	return string(b), err
}

func (f fastClient) leave(body string) error {
	return f.do(body, func(r io.Reader) error { _, err := r.Read(make([]byte, 16)); return err })
}

type netHTTP struct {
	c   *http.Client
	url string
}

func (n netHTTP) do(ctx context.Context, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer sk-secret")
	return n.c.Do(request)
}

func (n netHTTP) ask(body string) (string, error) {
	response, err := n.do(context.Background(), body)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return string(b), err
}

func (n netHTTP) leave(body string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	response, err := n.do(ctx, body)
	if err != nil {
		return err
	}
	_, err = response.Body.Read(make([]byte, 16))
	cancel()
	return errors.Join(err, response.Body.Close())
}

func contenders(t testing.TB) map[string]contender {
	t.Helper()
	base := provider(t, echo)
	client := NewClient()
	t.Cleanup(client.Close)
	return map[string]contender{
		"ours":     ours{client.NewTarget(base, nil, nil, testLimits)},
		"fasthttp": fastClient{&fasthttp.HostClient{Addr: base.Host, StreamResponseBody: true, MaxConns: 64}},
		"net-http": netHTTP{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, base.String() + "/chat/completions"},
	}
}

// echo answers each request with its body twenty times over; a body that
// begins with slow gets the second half a little later than the first.
func echo(c net.Conn, r *bufio.Reader) {
	for {
		_, body, err := readRequest(r)
		if err != nil {
			return
		}
		answer := bytes.Repeat(body, 20)
		head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(answer))
		if bytes.HasPrefix(body, []byte("slow")) {
			_, _ = c.Write(append(head, answer[:len(answer)/2]...))
			head, answer = nil, answer[len(answer)/2:]
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = c.Write(append(head, answer...))
	}
}

// TestAbortDoesNotDesync abandons answers and asks again: an answer must never
// hold bytes of another. What fasthttp's client does is logged, for the
// decision that rests on it.
func TestAbortDoesNotDesync(t *testing.T) {
	for name, c := range contenders(t) {
		t.Run(name, func(t *testing.T) {
			foreign, failed := 0, 0
			for i := range 100 {
				want := fmt.Sprintf("tenant-b-%03d", i)
				_ = c.leave(fmt.Sprintf("slow-tenant-a-%03d", i))
				got, err := c.ask(want)
				switch {
				case err != nil:
					failed++
				case got != strings.Repeat(want, 20):
					foreign++
				}
			}
			t.Logf("of 100 answers after an abandoned one, %d held foreign bytes and %d failed", foreign, failed)
			if name != "fasthttp" && foreign+failed > 0 {
				t.Error("an abandoned answer spoiled the next")
			}
		})
	}
}

func BenchmarkContenders(b *testing.B) {
	body := strings.Repeat("x", 1000)
	for _, name := range []string{"ours", "fasthttp", "net-http"} {
		c := contenders(b)[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ask(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
