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
	chunk := []byte(strings.SplitAfter(chatStream, "\n\n")[1])
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
