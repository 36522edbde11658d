package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	unaryConns  = 32
	unaryTime   = 4 * time.Second
	unaryRounds = 5
)

// unaryBody is a chat call of 1 KB.
var unaryBody = []byte(`{"model":"gpt-4o-mini","temperature":0.7,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"` +
	strings.Repeat("Tell me about Paris. ", 42) + `"}]}`)

// unary measures CPU per request and requests per second, the ways in turn
// several times over; the best round of each counts, which is the one that the
// rest of the machine disturbed least.
func unary(b *bed) error {
	best := map[string]load{}
	for range unaryRounds {
		for _, w := range []*way{b.nginx, b.ownkey, b.clickhouse} {
			l, err := w.load()
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if held, ok := best[w.name]; !ok || l.cpu < held.cpu {
				best[w.name] = l
			}
		}
	}
	fmt.Printf("Unary chat of 1 KB, %d connections, one core each, best of %d rounds of %v\n\n", unaryConns, unaryRounds, unaryTime)
	fmt.Println("| way | CPU µs per request | requests/s | ratio of CPU to nginx |")
	fmt.Println("| --- | ---: | ---: | ---: |")
	for _, name := range []string{b.nginx.name, b.ownkey.name, b.clickhouse.name} {
		l := best[name]
		fmt.Printf("| %s | %.1f | %.0f | %.2f |\n", name, l.cpu, l.rate, l.cpu/best["nginx"].cpu)
	}
	fmt.Println()
	return nil
}

// load is what one round gave.
type load struct {
	cpu  float64 // µs per request
	rate float64 // requests per second
}

func (w *way) load() (load, error) {
	client := &fasthttp.HostClient{Addr: w.addr, MaxConns: unaryConns}
	defer client.CloseIdleConnections()
	if err := w.ask(client, 200); err != nil { // warm up
		return load{}, err
	}
	var n atomic.Int64
	var failed atomic.Pointer[error]
	began, cpu := time.Now(), w.cpu()
	var all sync.WaitGroup
	for range unaryConns {
		all.Go(func() {
			for time.Since(began) < unaryTime {
				if err := w.ask(client, 20); err != nil {
					failed.Store(&err)
					return
				}
				n.Add(20)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return load{}, *err
	}
	count := float64(n.Load())
	return load{cpu: float64((w.cpu() - cpu).Nanoseconds()) / 1000 / count, rate: count / time.Since(began).Seconds()}, nil
}

// ask makes n calls and checks every answer.
func (w *way) ask(client *fasthttp.HostClient, n int) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	w.prepare(request, unaryBody)
	for range n {
		if err := client.Do(request, response); err != nil {
			return err
		}
		if response.StatusCode() != fasthttp.StatusOK || !bytes.Equal(response.Body(), unaryAnswer) {
			return errors.New("wrong answer")
		}
	}
	return nil
}

func (w *way) prepare(request *fasthttp.Request, body []byte) {
	request.SetRequestURI("http://" + w.addr + w.path)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType("application/json")
	request.Header.Set("Authorization", w.auth)
	request.Header.Set("User-Agent", "OpenAI/Python 2.0.0")
	request.Header.Set("X-Stainless-Lang", "python")
	request.Header.Set("X-Stainless-Retry-Count", "0")
	request.SetBodyRaw(body)
}
