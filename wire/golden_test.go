package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsageOfProviders: what each provider's way of reporting comes to. The
// answers are made after the providers' references and public reports of what
// they send (2026-11); every file has its line here.
func TestUsageOfProviders(t *testing.T) {
	seen := map[string]bool{}
	f := func(file string, d Dialect, rules UsageRules, want Usage) {
		t.Helper()
		seen[file] = true
		b, err := os.ReadFile(filepath.Join("testdata/usage", file))
		if err != nil {
			t.Fatal(err)
		}
		format := FormatSSE
		if strings.HasSuffix(file, ".json") {
			format = FormatJSON
		}
		for _, size := range []int{len(b), 1, 7} {
			s := scan(d, format, string(b), size)
			s.SetRules(rules)
			s.Finish()
			if got := s.Usage(); got != want || !s.Ended() {
				t.Errorf("%s in pieces of %d: got %+v, want %+v; ended: %v", file, size, got, want, s.Ended())
			}
		}
	}
	xai := UsageRules{ReasoningApart: true}
	none := UsageRules{}
	f("openai.sse", DialectChat, none, Usage{Input: count(1409), Output: count(78), CachedInput: count(1280), Reasoning: count(64)})
	f("openai-responses.sse", DialectResponses, none, Usage{Input: count(328), Output: count(52), CachedInput: count(256), Reasoning: count(40)})
	f("anthropic.sse", DialectMessages, none, Usage{Input: count(11), Output: count(57), CachedInput: count(3000), CacheWrite: count(200)})
	f("anthropic-zeros-at-the-end.sse", DialectMessages, none, Usage{Input: count(11), Output: count(57), CachedInput: count(3000), CacheWrite: count(200)})
	f("anthropic-compaction.sse", DialectMessages, none, Usage{Input: count(203_000), Output: count(4500), CachedInput: count(0), CacheWrite: count(40)})
	f("gemini-own-api-array.json", DialectNone, none, Usage{Input: count(8), Output: count(205), CachedInput: count(4), Reasoning: count(200)})
	f("cohere.json", DialectNone, none, Usage{Input: count(71), Output: count(418), CachedInput: count(16)})
	f("cohere.sse", DialectNone, none, Usage{Input: count(71), Output: count(418)})
	f("cohere-v1.json", DialectNone, none, Usage{Input: count(71), Output: count(418)})
	f("bedrock-converse.json", DialectNone, none, Usage{Input: count(30), Output: count(633), CachedInput: count(3), CacheWrite: count(2)})
	f("cloudflare.json", DialectNone, none, Usage{Input: count(20), Output: count(46)})
	f("reasoning-beside-a-total.json", DialectChat, none, Usage{Input: count(33), Output: count(81_160), Reasoning: count(73_997)})
	f("xai.sse", DialectChat, xai, Usage{Input: count(32), Output: count(103), CachedInput: count(6), Reasoning: count(94)})
	f("xai.sse", DialectChat, none, Usage{Input: count(32), Output: count(103), CachedInput: count(6), Reasoning: count(94)}) // under another name: by the total
	f("xai-without-a-total.sse", DialectChat, xai, Usage{Input: count(32), Output: count(103), CachedInput: count(6), Reasoning: count(94)})
	f("moonshot.sse", DialectChat, none, Usage{Input: count(1336), Output: count(31), CachedInput: count(1280)})
	f("deepseek.sse", DialectChat, none, Usage{Input: count(1111), Output: count(60), CachedInput: count(1024)})
	f("mistral.sse", DialectChat, none, Usage{Input: count(20), Output: count(12), CachedInput: count(16)})
	f("groq.sse", DialectChat, none, Usage{Input: count(42), Output: count(21)})
	f("gemini.sse", DialectChat, none, Usage{Input: count(8), Output: count(205)})
	f("gemini-own-api.sse", DialectNone, none, Usage{Input: count(8), Output: count(205), CachedInput: count(4), Reasoning: count(200)})
	f("openrouter.sse", DialectChat, none, Usage{Input: count(194), Output: count(2), CachedInput: count(64), CacheWrite: count(100), Reasoning: count(1)})
	f("together.sse", DialectChat, none, Usage{Input: count(38), Output: count(3), CachedInput: count(32)})
	f("fireworks.sse", DialectChat, none, Usage{Input: count(23), Output: count(12), CachedInput: count(16)})
	f("counts-as-floats.sse", DialectChat, none, Usage{Input: count(26), Output: count(26)})
	f("only-a-total.json", DialectEmbeddings, none, Usage{Input: count(38)})
	f("a-total-and-input.json", DialectChat, none, Usage{Input: count(30), Output: count(8)})
	f("absurd.sse", DialectChat, none, Usage{Input: count(7), Output: count(1)})
	files, err := os.ReadDir("testdata/usage")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !seen[file.Name()] {
			t.Errorf("%s has no line in this test", file.Name())
		}
	}
}

// TestTextBytes: what a stream has said, in bytes.
func TestTextBytes(t *testing.T) {
	long := strings.Repeat("x", 400_000)
	f := func(name string, d Dialect, stream string, want int64) {
		t.Helper()
		for _, size := range []int{len(stream) + 1, 1, 7} {
			s := scan(d, FormatSSE, stream, size)
			if got := s.TextBytes(); got != want {
				t.Errorf("%s in pieces of %d: got %d, want %d", name, size, got, want)
			}
			if s.Finish(); s.TextBytes() != want {
				t.Errorf("%s, finished: got %d, want %d", name, s.TextBytes(), want)
			}
		}
	}
	chat := func(delta string) string {
		return `data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","model":"gpt-4o","choices":[{"index":0,"delta":` + delta + `}]}` + "\n\n"
	}
	f("nothing", DialectChat, "", 0)
	f("comments and names", DialectChat, ": "+long+"\n\nevent: "+long+"\n\ndata: [DONE]\n\n", 0)
	f("a chunk", DialectChat, chat(`{"role":"assistant","content":" gateway"}`), 8)
	f("one event of 400 KB", DialectChat, chat(`{"content":"`+long+`"}`), 400_000)
	f("a member that nobody knows", DialectChat, chat(`{"musings":"`+long+`"}`), 400_000)
	f("an unknown member of 128 bytes", DialectChat, chat(`{"musings":"`+long[:128]+`"}`), 0)
	f("an unknown member of 129 bytes", DialectChat, chat(`{"musings":"`+long[:129]+`"}`), 129)
	for _, name := range []string{"content", "reasoning_content", "reasoning", "refusal", "arguments", "delta", "text", "thinking", "partial_json", "transcript"} {
		f(name, DialectChat, `data: {"`+name+`":"hello"}`+"\n\n", 5)
	}
	f("a list of texts", DialectMessages, `data: {"content":["ab",["c"]]}`+"\n\n", 3)
	f("what is too deep to be named", DialectChat, chat(`{"tool_calls":[{"function":{"arguments":"{}"}}]}`), 2)
	f("log probabilities", DialectChat, `data: {"choices":[{"logprobs":{"content":[{"token":" gateway","top_logprobs":[{"token":"gate"}]}]},"delta":{"content":"x"}}]}`+"\n\n", 1)
	f("an escape counts as it is written", DialectChat, chat(`{"content":"\n\u4e16"}`), 8)
	f("data that is no JSON", DialectChat, "data: "+long+"\n\n", 400_000)
	f("data that stops being JSON", DialectChat, `data: {"a":1}]`+long[:100]+"\n\n", 0) // the value is whole: the rest is not looked at
	f("an event that was cut", DialectChat, strings.TrimSuffix(chat(`{"content":"`+long+`"}`), `"}}]}`+"\n\n"), 400_000)
	f("a short string that was cut", DialectChat, strings.TrimSuffix(chat(`{"content":"hello"}`), `"}}]}`+"\n\n"), 0)
	f("messages", DialectMessages, messagesStream, int64(len("error")))
	f("reasoning", DialectChat, deepseekStream, int64(len(`the \"usage\" is {\"prompt_tokens\": 5}`)+len("4")))
	said := `data: {"type":"response.output_text.delta","delta":"hello"}` + "\n\n"
	again := `data: {"type":"response.output_text.done","text":"hello"}` + "\n\n" + `data: {"type":"response.content_part.done","part":{"text":"hello"}}` + "\n\n"
	f("responses say it again", DialectResponses, said+again, 5)
	f("responses say it at once", DialectResponses, `data: {"type":"response.completed","response":{"instructions":"`+long+`","output":[{"content":[{"text":"hello"}]}]}}`+"\n\n", 5)
}

// TestTextBytesIsLinear: twice the stream is twice the text, whatever it is
// made of.
func TestTextBytesIsLinear(t *testing.T) {
	for name, d := range map[string]Dialect{"openai.sse": DialectChat, "anthropic.sse": DialectMessages, "gemini-own-api.sse": DialectNone} {
		b, err := os.ReadFile(filepath.Join("testdata/usage", name))
		if err != nil {
			t.Fatal(err)
		}
		once, twice := scan(d, FormatSSE, string(b), 64), scan(d, FormatSSE, string(b)+string(b), 64)
		if once.TextBytes() == 0 || twice.TextBytes() != 2*once.TextBytes() {
			t.Errorf("%s: %d and %d", name, once.TextBytes(), twice.TextBytes())
		}
	}
}
