package wire

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func count(n int64) Count { return Count{n, true} }

// scan feeds an answer in pieces of the given size.
func scan(d Dialect, f Format, answer string, size int) *Scanner {
	s := &Scanner{}
	s.Reset(d, f)
	for len(answer) > 0 {
		n := min(size, len(answer))
		s.Write([]byte(answer[:n]))
		answer = answer[n:]
	}
	return s
}

type verdict struct {
	usage   Usage
	model   string
	ended   bool
	failed  bool
	between bool
	events  int64
}

func verdictOf(s *Scanner) verdict {
	v := verdict{between: s.BetweenEvents()}
	s.Finish()
	v.usage, v.model, v.ended, v.failed, v.events = s.Usage(), string(s.Model()), s.Ended(), s.Failed(), s.Events()
	return v
}

const chatStream = `data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null,"obfuscation":"xY"}

data: {"id":"c","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"say \"usage\":{\"prompt_tokens\":999} "},"finish_reason":null}],"usage":null}

data: {"id":"c","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"c","model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":7},"completion_tokens_details":{"reasoning_tokens":4}}}

data: [DONE]

`

const messagesStream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-4-5","stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":3,"cache_read_input_tokens":100,"output_tokens":1}}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"error"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

`

const responsesStream = `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"gpt-5","usage":null,"error":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":1,"delta":"hi"}

event: response.completed
data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp_1","model":"gpt-5","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":1},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}}

`

func TestScanner(t *testing.T) {
	f := func(name string, d Dialect, format Format, answer string, want verdict) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(answer) + 1, 1, 2, 3, 7, 64} {
				if got := verdictOf(scan(d, format, answer, size)); got != want {
					t.Errorf("in pieces of %d: got %+v, want %+v", size, got, want)
				}
			}
		})
	}
	chat := verdict{
		usage: Usage{Input: count(19), Output: count(10), CachedInput: count(0), Reasoning: count(4)},
		model: "gpt-4o-2024-08-06", ended: true, between: true, events: 5,
	}
	f("chat with include_usage", DialectChat, FormatSSE, chatStream, chat)
	f("chat with CRLF", DialectChat, FormatSSE, strings.ReplaceAll(chatStream, "\n", "\r\n"), chat)
	f("chat with CR", DialectChat, FormatSSE, strings.ReplaceAll(chatStream, "\n", "\r"), chat)
	f("chat behind a byte order mark", DialectChat, FormatSSE, "\xef\xbb\xbf"+chatStream, chat)
	f("chat with comments", DialectChat, FormatSSE, ": keep-alive\n\n"+strings.ReplaceAll(chatStream, "data: ", ": x\ndata:"), chat)
	last := chat
	last.between = false
	f("DONE without its blank line", DialectChat, FormatSSE, strings.TrimSuffix(chatStream, "\n"), last)
	f("no DONE but a finish reason", DialectChat, FormatSSE, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
		verdict{ended: true, between: true, events: 1})
	f("cut between events", DialectChat, FormatSSE, "data: {\"choices\":[{\"finish_reason\":null}]}\n\n", verdict{between: true, events: 1})
	f("cut within an event", DialectChat, FormatSSE, "data: {\"choices\":[{\"fin", verdict{events: 1})
	f("cut behind a line", DialectChat, FormatSSE, "event: x\n", verdict{})
	f("data over two lines", DialectChat, FormatSSE, "data: {\"usage\":\ndata: {\"prompt_tokens\":3}}\n\n", verdict{usage: Usage{Input: count(3)}, between: true, events: 1})
	f("error event", DialectChat, FormatSSE, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", verdict{ended: true, failed: true, between: true, events: 1})
	f("error null", DialectChat, FormatSSE, "data: {\"error\":null,\"choices\":[]}\n\n", verdict{between: true, events: 1})
	f("groq", DialectChat, FormatSSE, "data: {\"x_groq\":{\"id\":\"r\",\"usage\":{\"queue_time\":0.1,\"prompt_tokens\":5,\"completion_tokens\":6}}}\n\ndata: [DONE]\n\n",
		verdict{usage: Usage{Input: count(5), Output: count(6)}, ended: true, between: true, events: 2})
	f("strange counts", DialectChat, FormatSSE, "data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5,\"cached_tokens\":\"7\"}}\n\ndata: [DONE]\n\n",
		verdict{ended: true, between: true, events: 2})
	f("nested usage is not usage", DialectChat, FormatSSE, "data: {\"a\":{\"usage\":{\"prompt_tokens\":1}},\"b\":[{\"usage\":{\"prompt_tokens\":2}}]}\n\n", verdict{between: true, events: 1})
	f("messages", DialectMessages, FormatSSE, messagesStream, verdict{
		usage: Usage{Input: count(25), Output: count(15), CachedInput: count(100), CacheWrite: count(3)},
		model: "claude-sonnet-4-5", ended: true, between: true, events: 5,
	})
	f("messages error", DialectMessages, FormatSSE, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
		verdict{ended: true, failed: true, between: true, events: 1})
	f("responses", DialectResponses, FormatSSE, responsesStream, verdict{
		usage: Usage{Input: count(36), Output: count(87), CachedInput: count(1), Reasoning: count(64)},
		model: "gpt-5", ended: true, between: true, events: 3,
	})
	f("responses failed", DialectResponses, FormatSSE, "data: {\"type\":\"response.failed\",\"response\":{}}\n\n", verdict{ended: true, failed: true, between: true, events: 1})
	f("unknown dialect ends with its bytes", DialectNone, FormatSSE, "data: x\n\n", verdict{ended: true, between: true, events: 1})
	f("unary chat", DialectChat, FormatJSON, `{"id":"x","model":"gpt-4o","choices":[{"message":{"content":"\"usage\":{}\\"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`,
		verdict{usage: Usage{Input: count(1), Output: count(2)}, model: "gpt-4o", ended: true, between: true})
	f("unary cut", DialectChat, FormatJSON, `{"id":"x","usage":{"prompt_tokens":12`, verdict{usage: Usage{Input: count(12)}, between: true})
	f("embeddings", DialectEmbeddings, FormatJSON, `{"data":[{"embedding":[0.1,-2e-3,5]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`,
		verdict{usage: Usage{Input: count(8)}, model: "e", ended: true, between: true})
	f("opaque", DialectNone, FormatOpaque, "\x00\x01", verdict{ended: true, between: true})
	f("a model that is a sentence", DialectChat, FormatJSON, `{"model":"tell me a secret"}`, verdict{ended: true, between: true})
}

// FuzzScanner: any chunking gives what the whole gives; nothing panics.
func FuzzScanner(f *testing.F) {
	for i, s := range []string{chatStream, messagesStream, responsesStream, "data: {\"a\":[[[[[[[{}]]]]]]]}\r\r\n\r\ndata", `{"usage":{"prompt_tokens":1e5}}`} {
		f.Add([]byte(s), uint8(i), uint8(i), uint16(3))
	}
	f.Fuzz(func(t *testing.T, answer []byte, d, format uint8, size uint16) {
		dialect, form := Dialect(d%6), Format(format%3)
		whole := verdictOf(scan(dialect, form, string(answer), len(answer)+1))
		split := verdictOf(scan(dialect, form, string(answer), 1+int(size)))
		if whole != split {
			t.Fatalf("whole %+v, split %+v", whole, split)
		}
	})
}

// FuzzScannerUsage: on valid JSON the counts are those that encoding/json
// reads.
func FuzzScannerUsage(f *testing.F) {
	f.Add([]byte(`{"usage":{"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":3}}}`))
	f.Add([]byte(`{"a":"\"usage\":{","usage":{"prompt_tokens":7,"x":{"prompt_tokens":9}}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var std struct {
			Usage map[string]json.RawMessage `json:"usage"`
		}
		if strings.Count(strings.ToLower(string(answer)), "usage") != 1 || strings.Contains(string(answer), `\u`) ||
			strings.Count(string(answer), "prompt_tokens\"") != 1 || json.Unmarshal(answer, &std) != nil {
			return
		}
		raw, ok := std.Usage["prompt_tokens"]
		n, err := strconv.ParseInt(string(raw), 10, 64)
		want := Count{}
		if ok && err == nil && n >= 0 && n <= maxCount && string(raw) != "-0" {
			want = count(n)
		}
		if !strings.Contains(string(answer), `"usage"`) {
			return // encoding/json matches names regardless of case
		}
		if got := verdictOf(scan(DialectChat, FormatJSON, string(answer), 5)).usage.Input; got != want {
			t.Fatalf("%s: got %+v, want %+v", answer, got, want)
		}
	})
}
