//go:build !race

package wire

import (
	"io"
	"strings"
	"testing"
)

func TestNoAllocations(t *testing.T) {
	f := func(name string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
	body := text(`{"model":"openai/gpt-4o","messages":[{"role":"user","content":"hello there"}],"stream":true}`)
	var h Head
	f("ReadHead", func() { _ = ReadHead(body, &h) })
	var b Body
	f("Body", func() {
		b = NewBody(body, h.StripModelPrefix(7))
		_, _ = b.WriteTo(io.Discard)
	})
	var s Scanner
	stream := []byte(chatStream)
	f("Scanner", func() {
		s.Reset(DialectChat, FormatSSE)
		s.Write(stream[:100])
		s.Write(stream[100:])
		s.Finish()
	})
	var c Conversation
	f("Conversation", func() {
		if err := c.Read(body, DialectChat, testMark); err != nil {
			t.Fatal(err)
		}
		b = NewBody(body, c.Insert([]byte("BLOCK"), true)...)
		_, _ = b.WriteTo(io.Discard)
	})
	answer := []byte(`{"model":"m","choices":[{"message":{"content":"a\nb"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8}}`)
	f("Scanner of JSON", func() {
		s.Reset(DialectChat, FormatJSON)
		s.Write(answer)
		s.Finish()
	})
}

func benchmarkReadHead(b *testing.B, n int) {
	body := text(`{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("lorem ipsum ", n/12) + `"}]}`)
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	var h Head
	for b.Loop() {
		if err := ReadHead(body, &h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadHead1KB(b *testing.B)   { benchmarkReadHead(b, 1<<10) }
func BenchmarkReadHead400KB(b *testing.B) { benchmarkReadHead(b, 400<<10) }

func BenchmarkScannerChatChunk(b *testing.B) {
	chunk := []byte(`data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" gateway"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n")
	var s Scanner
	s.Reset(DialectChat, FormatSSE)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		s.Write(chunk)
	}
}

func BenchmarkScannerEmbeddings1MB(b *testing.B) {
	answer := []byte(`{"data":[{"embedding":[` + strings.Repeat("-0.0123456789,", 75_000) + `1]}],"usage":{"prompt_tokens":8}}`)
	var s Scanner
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(DialectEmbeddings, FormatJSON)
		s.Write(answer)
	}
}

// Code in an answer has an escape in each line: reading it must not look for
// the string's end again behind each.
func BenchmarkScannerEscapes1MB(b *testing.B) {
	answer := []byte(`{"choices":[{"message":{"content":"` + strings.Repeat(`\tif err != nil {\n`, 55_000) + `"}}],"usage":{"prompt_tokens":8}}`)
	var s Scanner
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(DialectChat, FormatJSON)
		s.Write(answer)
	}
}
