package wire

import (
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/linear"
)

// nasty are bodies that a tenant may send, of some n bytes each: whatever is
// looked for, as often as possible.
var nasty = map[string]func(n int) string{
	"own blocks":            func(n int) string { return chatOf(repeat("a <memory-k>x</memory-k> b ", n)) },
	"own blocks in another": func(n int) string { return chatOf(repeat("<memory-k>", n/2) + repeat("</memory-k>", n/2)) },
	"halves of markers":     func(n int) string { return chatOf(repeat("<mem<memory-k></memory-k>ory-k>", n)) },
	"markers that close":    func(n int) string { return chatOf(repeat("</memory-k>", n)) },
	"a long string":         func(n int) string { return chatOf(repeat("x", n)) },
	"white space":           func(n int) string { return chatOf(repeat(" ", n)) },
	"escapes":               func(n int) string { return chatOf(repeat(`\u00e9\n\"`, n)) },
	"half surrogates":       func(n int) string { return chatOf(repeat(`\ud83d`, n)) },
	"many turns":            func(n int) string { return list("messages", `{"role":"user","content":"q"}`, n) },
	"many system parts":     func(n int) string { return list("messages", `{"role":"system","content":"q"}`, n, user) },
	"many tools' answers":   func(n int) string { return list("messages", `{"role":"tool","content":"q"}`, n, user) },
	"many content parts": func(n int) string {
		return `{"messages":[{"role":"user","content":[` + strings.TrimSuffix(repeat(`{"type":"text","text":"x"},`, n), ",") + `]}]}`
	},
	"many members":           func(n int) string { return `{` + repeat(`"a":1,`, n) + `"messages":[` + user + `]}` },
	"many members of a turn": func(n int) string { return `{"messages":[{` + repeat(`"a":1,`, n) + user[1:] + `]}` },
	"members with escapes":   func(n int) string { return `{` + repeat(`"\u0061\u0062":1,`, n) + `"messages":[` + user + `]}` },
	"deep nesting": func(n int) string {
		return `{"x":[` + strings.TrimSuffix(repeat(strings.Repeat("[", 500)+strings.Repeat("]", 500)+",", n), ",") + `],"messages":[` + user + `]}`
	},
	"marks of the cache": func(n int) string {
		return `{"cache_control":{"type":"ephemeral"},"messages":[{"role":"user","content":[` + strings.TrimSuffix(repeat(`{"type":"text","text":"x","cache_control":{}},`, n), ",") + `]}]}`
	},
	"many items": func(n int) string { return list("input", `{"type":"function_call_output","output":"q"}`, n, user) },
	"numbers":    func(n int) string { return `{"messages":[` + user + `],"x":[` + repeat("1,", n) + `1]}` },
}

const user = `{"role":"user","content":"q"}`

func repeat(s string, n int) string { return strings.Repeat(s, max(1, n/len(s))) }

func chatOf(text string) string {
	return `{"messages":[{"role":"user","content":"` + text + `"}],"input":"` + text + `"}`
}

func list(name, one string, n int, first ...string) string {
	all := strings.TrimSuffix(repeat(one+",", n), ",")
	for _, f := range first {
		all = f + "," + all
	}
	return `{"` + name + `":[` + all + `]}`
}

// TestParsersAreLinear: no body takes time that grows faster than the body, in
// any of the parsers of requests and of answers.
func TestParsersAreLinear(t *testing.T) {
	parsers := map[string]func(body string){
		"head": func(body string) {
			var h Head
			_ = ReadHead(text(body), &h)
		},
		"answer": func(body string) {
			var s Scanner
			s.Reset(DialectChat, FormatJSON)
			s.Write([]byte(body))
			s.Finish()
		},
		"stream": func(body string) {
			var s Scanner
			s.Reset(DialectChat, FormatSSE)
			for range 2 {
				s.Write([]byte("data: " + body + "\n\n"))
			}
			s.Finish()
		},
		"answer in small pieces": func(body string) {
			var s Scanner
			s.Reset(DialectChat, FormatJSON)
			for i := 0; i < len(body); i += 7 {
				s.Write([]byte(body[i:min(i+7, len(body))]))
			}
			s.Finish()
		},
	}
	for name, d := range map[string]Dialect{"chat": DialectChat, "responses": DialectResponses, "messages": DialectMessages} {
		parsers["conversation of "+name] = func(body string) {
			var c Conversation
			if c.Read(text(body), d, testMark) == nil {
				b := NewBody(text(body), c.Insert([]byte("BLOCK"), true)...)
				_ = b.Len()
			}
		}
	}
	for what, make := range nasty {
		var h Head
		if err := ReadHead(text(make(4000)), &h); err != nil {
			t.Errorf("%s: no body that is let in: %v", what, err)
			continue
		}
		for name, parse := range parsers {
			t.Run(name+"/"+what, func(t *testing.T) {
				linear.Check(t, 1<<14, func(n int) func() {
					body := make(n)
					return func() { parse(body) }
				})
			})
		}
	}
}

// TestNoMarkerIsLeft: whatever is taken out, what is left has no marker that
// opens.
func TestNoMarkerIsLeft(t *testing.T) {
	for _, said := range []string{
		"<mem<memory-k>x</memory-k>ory-k>y</memory-k>",
		"<<memory-k>x</memory-k>memory-k>y",
		"</mem<memory-k>x</memory-k>ory-k>",
		strings.Repeat("<mem", 5) + strings.Repeat("<memory-k></memory-k>ory-k>", 5),
		"<memory-k>a<memory-k>b</memory-k>c</memory-k>d",
	} {
		c := Conversation{mark: testMark}
		left := string(c.withoutBlocks([]byte(said)))
		if strings.Contains(left, string(testMark.Open)) {
			t.Errorf("%q leaves %q", said, left)
		}
	}
}
