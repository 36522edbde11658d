package wire

import (
	"strings"
	"testing"
)

func count(n int64) Count { return Count{n, true} }

// scan feeds an answer in pieces of the given sizes, in turn.
func scan(d Dialect, f Format, answer string, sizes ...int) *Scanner {
	s := &Scanner{}
	s.Reset(d, f)
	for i := 0; len(answer) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(answer))
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
	return verdict{s.Usage(), string(s.Model()), s.Ended(), s.Failed(), s.BetweenEvents(), s.Events()}
}

func TestScanner(t *testing.T) {
	f := func(name string, d Dialect, format Format, answer string, want verdict) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(answer) + 1, 1, 2, 3, 7, 64} {
				s := scan(d, format, answer, size)
				s.Finish()
				if got := verdictOf(s); got != want {
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
	// What was cut did not arrive: the client's parser does not see it either.
	f("cut within an event", DialectChat, FormatSSE, "data: {\"choices\":[{\"fin", verdict{})
	f("cut behind a line", DialectChat, FormatSSE, "event: x\n", verdict{})
	f("cut behind a line of data", DialectChat, FormatSSE, "data: {\"choices\":\n", verdict{})
	f("cut within a number", DialectChat, FormatSSE, "data: {\"usage\":{\"prompt_tokens\":12", verdict{})
	f("cut within the last event", DialectResponses, FormatSSE, "event: response.completed\ndata: {\"type\":\"response.completed\",\"resp", verdict{})
	f("cut within DONE", DialectChat, FormatSSE, "data: [DON", verdict{})
	f("cut in the middle", DialectChat, FormatSSE, chatStream[:len(chatStream)/2], verdict{model: "gpt-4o-2024-08-06", events: 2})
	f("messages cut before their stop", DialectMessages, FormatSSE, strings.Split(messagesStream, "event: message_stop")[0], verdict{
		usage: Usage{Input: count(25), Output: count(15), CachedInput: count(100), CacheWrite: count(3)},
		model: "claude-sonnet-4-5", between: true, events: 4,
	})
	f("not JSON", DialectChat, FormatSSE, "data: {\"usage\":{\"prompt_tokens\":3}]} x\n\ndata: {\"usage\":{\"completion_tokens\":4}}\n\ndata: {\"usage\":{\"prompt_tokens\":01}}\n\n",
		verdict{usage: Usage{Output: count(4)}, between: true, events: 3})
	f("last event without a blank line", DialectResponses, FormatSSE, "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":1}}}",
		verdict{usage: Usage{Input: count(1)}, ended: true, events: 1})
	f("more than DONE", DialectChat, FormatSSE, "data: [DONE]!\n\ndata: x[DONE]\n\ndata: [DONE]\ndata:\n\n", verdict{between: true, events: 3})
	f("data over two lines", DialectChat, FormatSSE, "data: {\"usage\":\ndata: {\"prompt_tokens\":3}}\n\n", verdict{usage: Usage{Input: count(3)}, between: true, events: 1})
	f("error event", DialectChat, FormatSSE, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", verdict{ended: true, failed: true, between: true, events: 1})
	f("error in the middle", DialectChat, FormatSSE, strings.SplitAfter(chatStream, "\n\n")[0]+"data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n",
		verdict{model: "gpt-4o-2024-08-06", ended: true, failed: true, between: true, events: 2})
	f("error as a string", DialectChat, FormatSSE, "data: {\"error\":\"overloaded\"}\n\n", verdict{ended: true, failed: true, between: true, events: 1})
	f("error as a flag", DialectChat, FormatSSE, "data: {\"error\":true}\n\n", verdict{ended: true, failed: true, between: true, events: 1})
	f("errors that are none", DialectChat, FormatSSE, "data: {\"error\":false}\n\ndata: {\"error\":\"\"}\n\ndata: {\"error\":0}\n\ndata: {\"choices\":[{\"error\":true}]}\n\n", verdict{between: true, events: 4})
	f("error null", DialectChat, FormatSSE, "data: {\"error\":null,\"choices\":[]}\n\n", verdict{between: true, events: 1})
	f("groq", DialectChat, FormatSSE, "data: {\"x_groq\":{\"id\":\"r\",\"usage\":{\"queue_time\":0.1,\"prompt_tokens\":5,\"completion_tokens\":6}}}\n\ndata: [DONE]\n\n",
		verdict{usage: Usage{Input: count(5), Output: count(6)}, ended: true, between: true, events: 2})
	f("deepseek", DialectChat, FormatSSE, deepseekStream, verdict{
		usage: Usage{Input: count(11), Output: count(60), CachedInput: count(8), Reasoning: count(41)},
		model: "deepseek-reasoner", ended: true, between: true, events: 5,
	})
	f("a zero is a count", DialectChat, FormatSSE, "data: {\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":null}}\n\n", verdict{usage: Usage{Input: count(0)}, between: true, events: 1})
	f("the largest count", DialectChat, FormatSSE, "data: {\"usage\":{\"prompt_tokens\":68719476736,\"completion_tokens\":68719476737}}\n\n",
		verdict{usage: Usage{Input: count(1 << 36)}, between: true, events: 1})
	f("counts as floats", DialectChat, FormatSSE, "data: {\"usage\":{\"prompt_tokens\":1e3,\"completion_tokens\":1.0}}\n\n",
		verdict{usage: Usage{Input: count(1000), Output: count(1)}, between: true, events: 1})
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
	f("responses incomplete, named only by its event", DialectResponses, FormatSSE, "event: response.incomplete\ndata: {}\n\n", verdict{ended: true, between: true, events: 1})
	f("responses without their last event", DialectResponses, FormatSSE, strings.Split(responsesStream, "event: response.completed")[0], verdict{model: "gpt-5", between: true, events: 2})
	f("an event without data is none", DialectMessages, FormatSSE, "event: message_stop\n\n", verdict{between: true})
	f("fields of no concern", DialectChat, FormatSSE, "id: 7\nretry: 10\ndata\nx\ndata: [DONE]\n\n", verdict{ended: true, between: true, events: 1})
	f("unknown dialect ends with its bytes", DialectNone, FormatSSE, "data: x\n\n", verdict{ended: true, between: true, events: 1})
	f("unary chat", DialectChat, FormatJSON, `{"id":"x","model":"gpt-4o","choices":[{"message":{"content":"\"usage\":{}\\"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`,
		verdict{usage: Usage{Input: count(1), Output: count(2)}, model: "gpt-4o", ended: true, between: true})
	f("unary cut", DialectChat, FormatJSON, `{"id":"x","usage":{"prompt_tokens":12`, verdict{between: true})
	f("unary chat that is followed by something", DialectChat, FormatJSON, "{\"usage\":{\"prompt_tokens\":1}}\n\n{\"usage\":{\"prompt_tokens\":2}}",
		verdict{usage: Usage{Input: count(1)}, ended: true, between: true})
	f("members behind the usage", DialectChat, FormatJSON, `{"usage":{"prompt_tokens":1},"x":{"prompt_tokens":2},"prompt_tokens":3}`,
		verdict{usage: Usage{Input: count(1)}, ended: true, between: true})
	f("a count beyond 64 bits", DialectChat, FormatJSON, `{"usage":{"prompt_tokens":18446744073709551617}}`, verdict{ended: true, between: true})
	f("half an exponent", DialectChat, FormatJSON, `{"usage":{"prompt_tokens":1,"x":1e+}}`, verdict{between: true})
	f("usage in an array", DialectChat, FormatJSON, `{"usage":[{"prompt_tokens":1}],"response":{"usage":[1,{"input_tokens":1}]}}`, verdict{ended: true, between: true})
	f("three digits of four", DialectChat, FormatJSON, `{"a":"\u12e"}`, verdict{between: true})
	f("unary that is not JSON", DialectChat, FormatJSON, `<html>{"usage":{"prompt_tokens":1}}`, verdict{between: true})
	f("unary that is a number", DialectNone, FormatJSON, `12`, verdict{ended: true, between: true})
	f("unary messages", DialectMessages, FormatJSON, `{"type":"message","model":"claude-opus-4-1","content":[{"type":"text","text":"error"}],"usage":{"input_tokens":3,"output_tokens":5,"cache_read_input_tokens":0,"service_tier":"standard","cache_creation":{"input_tokens":77}}}`,
		verdict{usage: Usage{Input: count(3), Output: count(5), CachedInput: count(0)}, model: "claude-opus-4-1", ended: true, between: true})
	f("unary error", DialectMessages, FormatJSON, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, verdict{ended: true, failed: true, between: true})
	f("escaped slashes in a name", DialectChat, FormatJSON, `{"model":"meta-llama\/Llama-3"}`, verdict{model: "meta-llama/Llama-3", ended: true, between: true})
	f("a name that is too long", DialectChat, FormatJSON, `{"model":"`+strings.Repeat("m", 129)+`"}`, verdict{ended: true, between: true})
	f("the longest name", DialectChat, FormatJSON, `{"model":"`+strings.Repeat("m", 128)+`"}`, verdict{model: strings.Repeat("m", 128), ended: true, between: true})
	f("too deep", DialectChat, FormatJSON, strings.Repeat("[", 513)+strings.Repeat("]", 513), verdict{between: true})
	f("as deep as may be", DialectChat, FormatJSON, strings.Repeat("[", 512)+strings.Repeat("]", 512), verdict{ended: true, between: true})
	f("embeddings", DialectEmbeddings, FormatJSON, `{"data":[{"embedding":[0.1,-2e-3,5]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`,
		verdict{usage: Usage{Input: count(8)}, model: "e", ended: true, between: true})
	f("opaque", DialectNone, FormatOpaque, "\x00\x01", verdict{ended: true, between: true})
	f("a model that is a sentence", DialectChat, FormatJSON, `{"model":"tell me a secret"}`, verdict{ended: true, between: true})
}

func TestBetweenEvents(t *testing.T) {
	f := func(stream string, want bool) {
		t.Helper()
		for _, size := range []int{len(stream) + 1, 1} {
			s := scan(DialectChat, FormatSSE, stream, size)
			if got := s.BetweenEvents(); got != want {
				t.Errorf("%q: got %v, want %v", stream, got, want)
			}
			// It is asked once the provider has cut: the client has what it has.
			if s.Finish(); s.BetweenEvents() != want {
				t.Errorf("%q: %v once finished, want %v", stream, !want, want)
			}
		}
	}
	f("", true)
	f("data: {}\n\n", true)
	f("data: {}\r\n\r\n", true)
	f("data: {}\r\r", true)
	f(": comment\n", true) // an event may follow a comment
	f(": comm", false)
	f("d", false)
	f("data:", false)
	f("data: {}", false)
	f("data: {}\n", false)
	f("data: {}\r\n", false)
	f("event: ping\n", false)
	f("id\n", false)
	f("data: {}\n\nevent: x\n", false)
}

func TestFinishTwiceCountsOnce(t *testing.T) {
	s := scan(DialectChat, FormatSSE, "data: {}", 3)
	s.Finish()
	s.Finish()
	if s.Events() != 1 {
		t.Errorf("got %d events", s.Events())
	}
}

func TestResetForgets(t *testing.T) {
	s := scan(DialectChat, FormatSSE, "data: {\"model\":\"m\",\"error\":1}\n\ndata: {\"usage\":{\"prompt_tokens\":1", 5)
	s.Finish()
	s.Reset(DialectChat, FormatSSE)
	if got := verdictOf(s); got != (verdict{between: true}) {
		t.Errorf("got %+v", got)
	}
}
