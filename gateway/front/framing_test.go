package front

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func sdkHead(t testing.TB) *fasthttp.RequestHeader {
	t.Helper()
	h := &fasthttp.RequestHeader{}
	err := h.Read(bufio.NewReader(strings.NewReader("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: gzip, deflate\r\n" +
		"Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\nUser-Agent: OpenAI/Python 2.8.1\r\n" +
		"X-Stainless-Lang: python\r\nX-Stainless-Package-Version: 2.8.1\r\nX-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\n" +
		"X-Stainless-Runtime: CPython\r\nX-Stainless-Runtime-Version: 3.13.1\r\nAuthorization: Bearer ok_" + strings.Repeat("x", 50) + "\r\n" +
		"X-Stainless-Async: false\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\nContent-Length: 1024\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestFramingAlloc: the look at the framing costs no memory.
func TestFramingAlloc(t *testing.T) {
	h := sdkHead(t)
	if _, err := strictFraming(h); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = strictFraming(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStrictFraming(b *testing.B) {
	h := sdkHead(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := strictFraming(h); err != nil {
			b.Fatal("refused")
		}
	}
}

// FuzzStrictFraming: whatever a head holds that fasthttp takes, what passes is
// framed in one way.
func FuzzStrictFraming(f *testing.F) {
	for _, seed := range []string{"Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer_Encoding: chunked", "A: b\nC: d", "A: b\r\n c", "A : b", "Transfer-Encoding: chunked"} {
		f.Add("GET / HTTP/1.1\r\nHost: x\r\n" + seed + "\r\n\r\n")
	}
	f.Fuzz(func(t *testing.T, raw string) {
		h := &fasthttp.RequestHeader{}
		if h.Read(bufio.NewReader(strings.NewReader(raw))) != nil {
			return
		}
		if _, err := strictFraming(h); err != nil {
			return
		}
		lower := strings.ToLower(string(h.RawHeaders()))
		if strings.Contains(lower, "\ncontent-length:") && strings.Contains(lower, "\ntransfer-encoding:") {
			t.Errorf("framed twice: %q", raw)
		}
		if strings.Count(lower, "\n") != strings.Count(lower, "\r\n") || strings.Contains(lower, "\n ") || strings.Contains(lower, "\n\t") {
			t.Errorf("lines that others read otherwise: %q", raw)
		}
	})
}
