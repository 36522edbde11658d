package gateway

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/linear"
	"github.com/valyala/fasthttp"
)

// TestNamesOfConnectionTakeLinearTime: a head that is full of headers and of
// names in Connection, from either side, costs no more than its bytes.
func TestNamesOfConnectionTakeLinearTime(t *testing.T) {
	head := func(first string, n int) *bufio.Reader {
		names := strings.Repeat("a,", n/4)
		text := first + "\r\nConnection: " + names + "\r\n" + strings.Repeat("Openai-Beta: b\r\n", n/32) + "\r\n"
		return bufio.NewReaderSize(strings.NewReader(text), len(text)+1)
	}
	linear.Check(t, 1<<12, func(n int) func() {
		h := &fasthttp.RequestHeader{}
		if err := h.Read(head("GET / HTTP/1.1\r\nHost: x", n)); err != nil {
			t.Fatal(err)
		}
		return func() { appendRequestHeader(nil, h, commonRequestHeaders, true) }
	})
	linear.Check(t, 1<<12, func(n int) func() {
		h := &fasthttp.ResponseHeader{}
		if err := h.Read(head("HTTP/1.1 200 OK\r\nContent-Length: 0", n)); err != nil {
			t.Fatal(err)
		}
		return func() {
			copyAnswerHeader(&fasthttp.ResponseHeader{}, h, commonResponseHeaders, func([]byte) bool { return false })
		}
	})
}

// TestNamesOfConnection: each is found however it is written, and the two that
// name no header cost nothing.
func TestNamesOfConnection(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "map[]",
		"close":                            "map[]",
		"Keep-Alive, CLOSE ,":              "map[]",
		"keep-alive,\topenai-BETA , , x_y": "map[Openai-Beta:{} X_y:{}]",
	} {
		if got := fmt.Sprint(hopNames([][]byte{[]byte("close"), []byte(text)})); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
