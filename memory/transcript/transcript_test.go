package transcript

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ownkey/ownkey/wire"
)

var streams = []struct {
	name    string
	dialect wire.Dialect
	format  wire.Format
	answer  string
	want    string
}{
	{"chat", wire.DialectChat, wire.FormatSSE, ": hello\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\ndata: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}},{\"index\":0,\"delta\":{\"content\":\"né\\n\"}}]}\r\n\r\n" +
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"hm\",\"content\":\"two\"}}]}\n\ndata: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n", "né\ntwo"},
	{"chat with a tool", wire.DialectChat, wire.FormatSSE, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":null,\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n", ""},
	{"lines of data", wire.DialectChat, wire.FormatSSE, "\xef\xbb\xbfdata: {\"choices\":[{\"index\":0,\rdata: \"delta\":{\"content\":\"x\"}}]}\r\revent: y\rdata:z\r\r", "x"},
	{"responses", wire.DialectResponses, wire.FormatSSE, "event: response.reasoning_text.delta\ndata: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"hm\"}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"one\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[]}}\n\n", "one"},
	{"messages", wire.DialectMessages, wire.FormatSSE, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"one\"}}\n\n", "one"},
	{"chat, whole", wire.DialectChat, wire.FormatJSON, `{"choices":[{"message":{"content":"one"}},{"message":{"content":"other"}}]}`, "one"},
	{"chat, parts", wire.DialectChat, wire.FormatJSON, `{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"audio"},{"type":"text","text":"b"}]}}]}`, "ab"},
	{"chat, a tool", wire.DialectChat, wire.FormatJSON, `{"choices":[{"message":{"content":null,"tool_calls":[]}}]}`, ""},
	{"responses, whole", wire.DialectResponses, wire.FormatJSON, `{"output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"one"},{"type":"refusal","text":"no"}]}]}`, "one"},
	{"messages, whole", wire.DialectMessages, wire.FormatJSON, `{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"one"},{"type":"tool_use"}]}`, "one"},
	{"something else", wire.DialectEmbeddings, wire.FormatJSON, `{"data":[]}`, ""},
	{"not JSON", wire.DialectChat, wire.FormatJSON, `{"choices":[{"message"`, ""},
}

// TestEveryChunking: what was said does not hang on the pieces that it came in.
func TestEveryChunking(t *testing.T) {
	var tr Transcript
	for _, s := range streams {
		for step := 1; step <= len(s.answer); step++ {
			tr.Reset(s.dialect, s.format, 1000)
			var deltas strings.Builder
			for rest := s.answer; rest != ""; {
				n := min(step, len(rest))
				tr.Write([]byte(rest[:n]))
				deltas.Write(tr.Delta())
				rest = rest[n:]
			}
			text := tr.Text()
			if got := string(text.Reveal()); got != s.want || deltas.String() != s.want || tr.Truncated() {
				t.Fatalf("%s in pieces of %d: %q, deltas %q", s.name, step, got, deltas.String())
			}
		}
	}
}

// FuzzTranscript: what was said does not hang on the pieces that an answer came
// in, is UTF-8, and stays below its bound; and an event counts when it has
// ended, whatever follows.
func FuzzTranscript(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s.answer), uint8(s.dialect), uint8(s.format), uint8(200), []byte{0, 6, 1, 30})
		f.Add([]byte(s.answer), uint8(s.dialect), uint8(s.format), uint8(2), []byte{0})
	}
	f.Fuzz(func(t *testing.T, answer []byte, d, form, most uint8, cuts []byte) {
		dialect, format := wire.Dialect(d%6), wire.Format(form%3)
		var all, whole, split Transcript
		all.Reset(dialect, format, 1<<30)
		all.Write(answer)
		whole.Reset(dialect, format, int(most))
		whole.Write(answer)
		split.Reset(dialect, format, int(most))
		var deltas []byte
		for rest, i := answer, 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)]))
			}
			split.Write(bytes.Clone(rest[:n]))
			deltas = append(deltas, split.Delta()...)
			rest = rest[n:]
		}
		deltas = append(deltas, split.Delta()...)
		text, same := whole.Text(), split.Text()
		said := text.Reveal()
		if !bytes.Equal(said, same.Reveal()) || !bytes.Equal(said, deltas) || whole.Truncated() != split.Truncated() {
			t.Fatalf("whole %q %v, split %q %v, deltas %q", said, whole.Truncated(), same.Reveal(), split.Truncated(), deltas)
		}
		if len(said) > int(most) || !utf8.Valid(said) {
			t.Fatalf("%q of at most %d bytes", said, most)
		}
		if everything := all.Delta(); !bytes.HasPrefix(everything, said) || whole.Truncated() != (len(everything) > len(said)) {
			t.Fatalf("%q of %q, truncated %v", said, everything, whole.Truncated())
		}
		if format == wire.FormatSSE {
			whole.Write([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"unfinished\"}}]}\n"))
			if more := whole.Delta(); len(more) > len(said) {
				t.Fatalf("%q was said by an event that has not ended", more[len(said):])
			}
		}
	})
}

func TestBounds(t *testing.T) {
	var tr Transcript
	tr.Reset(wire.DialectChat, wire.FormatSSE, 5)
	for range 3 {
		tr.Write([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abc\"}}]}\n\n"))
	}
	if text := tr.Text(); string(text.Reveal()) != "abc" || !tr.Truncated() {
		t.Errorf("%q, truncated %v", text.Reveal(), tr.Truncated())
	}
	for _, f := range []wire.Format{wire.FormatSSE, wire.FormatJSON} {
		tr.Reset(wire.DialectChat, f, 5)
		for range maxEventBytes/1000 + 2 {
			tr.Write([]byte(strings.Repeat("x", 1000)))
		}
		if !tr.Truncated() || len(tr.line)+len(tr.data) > maxEventBytes {
			t.Errorf("%d bytes are held of an event without end", len(tr.line)+len(tr.data))
		}
	}
}
