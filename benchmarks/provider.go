package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// The provider answers from memory, so that the proxies are what is measured.
var (
	unaryAnswer = []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("lorem ipsum ", 50) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":150,"total_tokens":350}}`)
	chunk = []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":" lorem ipsum dolor"},"finish_reason":null}]}` + "\n\n")
	done  = []byte("data: [DONE]\n\n")
)

const (
	streamChunks = 100
	streamGap    = 10 * time.Millisecond
	// holdModel asks for a stream that sends one chunk and stays open.
	holdModel = "hold"
)

func serveProvider() {
	server := &fasthttp.Server{Handler: answer, ReadBufferSize: 8 << 10, NoDefaultServerHeader: true, Concurrency: 1 << 16}
	if err := server.ListenAndServe(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("X-Request-Id", "req_1")
	ctx.Response.Header.Set("Openai-Organization", "org-bench")
	if !bytes.Contains(ctx.PostBody(), []byte(`"stream":true`)) {
		ctx.SetContentType("application/json")
		ctx.Response.SetBodyRaw(unaryAnswer)
		return
	}
	hold := bytes.Contains(ctx.PostBody(), []byte(holdModel))
	ctx.SetContentType("text/event-stream")
	ctx.Response.ImmediateHeaderFlush = true
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		for i := range streamChunks {
			if i > 0 {
				time.Sleep(streamGap)
			}
			_, _ = w.Write(chunk)
			if w.Flush() != nil {
				return
			}
			if hold {
				time.Sleep(time.Minute)
				return
			}
		}
		_, _ = w.Write(done)
	})
}
