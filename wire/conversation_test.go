package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

var testMark = Marker{[]byte("<memory-k>"), []byte("</memory-k>")}

// inserted gives the body with a block, and the edits.
func inserted(t testing.TB, c *Conversation, body string, block string, breakpoint bool) (string, []Edit) {
	t.Helper()
	edits := c.Insert([]byte(block), breakpoint)
	out := NewBody(text(body), edits...)
	var b bytes.Buffer
	if _, err := out.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), edits
}

func TestConversation(t *testing.T) {
	const mark = `,"prompt_cache_breakpoint":{"mode":"explicit"}`
	for _, f := range []struct {
		name             string
		dialect          Dialect
		body             string
		question, opened string
		breakpoint       bool
		want             string
	}{
		{
			"a string", DialectChat, `{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi \u00e9\n"}],"x":1}`, "hi é", "hi é", false,
			`{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi \u00e9\n\n\nBLOCK"}],"x":1}`,
		},
		{
			"content before role", DialectChat, `{"messages": [ {"content" : "a" , "role":"\u0075ser"} ] }`, "a", "a", false,
			`{"messages": [ {"content" : "a\n\nBLOCK" , "role":"\u0075ser"} ] }`,
		},
		{
			"parts with a picture", DialectChat, `{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":"ok"},{"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:x"}}]}]}`, "what is it?", "first", false,
			`{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":"ok"},{"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"no parts", DialectChat, `{"messages":[{"role":"user","content":"q"},{"role":"user","content":[ ]}]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":"q"},{"role":"user","content":[ {"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"behind a tool's answer", DialectChat, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":"42"} ]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":"42\n\nBLOCK"} ]}`,
		},
		{
			"before a prefill", DialectChat, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"Sure,"}]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":"q\n\nBLOCK"},{"role":"assistant","content":"Sure,"}]}`,
		},
		{
			"a breakpoint on a string", DialectChat, `{"messages":[{"role":"user","content":"q"}]}`, "q", "q", true,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"q"` + mark + `},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"a breakpoint on a part", DialectChat, `{"messages":[{"role":"user","content":[{"type":"text","text":"q"}]}]}`, "q", "q", true,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"q"` + mark + `},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"the client's own breakpoint", DialectChat, `{"messages":[{"role":"user","content":[{"type":"text","text":"q"` + mark + `}]}]}`, "q", "q", true,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"q"` + mark + `},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"blocks of ours", DialectChat, `{"messages":[{"role":"user","content":"a <memory-k>x</memory-k> b<memory-k>y"}]}`, "a  b", "a  b", false,
			`{"messages":[{"role":"user","content":"a <memory-k>x</memory-k> b<memory-k>y\n\nBLOCK"}]}`,
		},
		{
			"input as a string", DialectResponses, `{"input":"q","model":"m"}`, "q", "q", false, `{"input":"q\n\nBLOCK","model":"m"}`,
		},
		{
			"input as a string with a breakpoint", DialectResponses, `{"input":"q"}`, "q", "q", true,
			`{"input":[{"type":"input_text","text":"q"` + mark + `},{"type":"input_text","text":"BLOCK"}]}`,
		},
		{
			"items", DialectResponses, `{"input":[{"role":"user","content":[{"type":"input_text","text":"q"}]}]}`, "q", "q", false,
			`{"input":[{"role":"user","content":[{"type":"input_text","text":"q"},{"type":"input_text","text":"BLOCK"}]}]}`,
		},
		{
			"a function's output", DialectResponses, `{"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f"},{"type":"function_call_output","output":"1"}]}`, "q", "q", true,
			`{"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f"},{"type":"function_call_output","output":"1\n\nBLOCK"}]}`,
		},
		{
			"a function's output in parts", DialectResponses, `{"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f"},{"type":"function_call_output","output":[{"type":"input_text","text":"1"}]}]}`, "q", "q", true,
			`{"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f"},{"type":"function_call_output","output":[{"type":"input_text","text":"1"` + mark + `},{"type":"input_text","text":"BLOCK"}]}]}`,
		},
		{
			"a custom tool's output", DialectResponses, `{"input":[{"role":"user","content":"q"},{"type":"custom_tool_call","name":"f"},{"output":"","type":"custom_tool_call_output"}]}`, "q", "q", false,
			`{"input":[{"role":"user","content":"q"},{"type":"custom_tool_call","name":"f"},{"output":"\n\nBLOCK","type":"custom_tool_call_output"}]}`,
		},
		{
			"a screenshot", DialectResponses, `{"input":[{"role":"user","content":"q"},{"type":"computer_call_output","output":{"type":"computer_screenshot"}}]}`, "q", "q", false,
			`{"input":[{"role":"user","content":"q"},{"type":"computer_call_output","output":{"type":"computer_screenshot"}},{"type":"message","role":"user","content":[{"type":"input_text","text":"BLOCK"}]}]}`,
		},
		{
			"behind a tool's answer, with a breakpoint", DialectChat, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":"42"}]}`, "q", "q", true,
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":"42\n\nBLOCK"}]}`,
		},
		{
			"behind a tool's answer in parts", DialectChat, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":[{"type":"text","text":"42"}]}]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":[{"type":"text","text":"42"},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"several tools' answers", DialectChat, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"},{"id":"2"}]},{"role":"tool","content":"1"},{"role":"tool","content":"2"}]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"},{"id":"2"}]},{"role":"tool","content":"1"},{"role":"tool","content":"2\n\nBLOCK"}]}`,
		},
		{
			"behind a cached block", DialectMessages, `{"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"behind a tool's result", DialectMessages, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use"}]},{"role":"user","content":[{"type":"tool_result","content":"not a question"}]}]}`, "q", "q", false,
			`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use"}]},{"role":"user","content":[{"type":"tool_result","content":"not a question"},{"type":"text","text":"BLOCK"}]}]}`,
		},
		{
			"automatic caching", DialectMessages, `{"cache_control":{"type":"ephemeral","ttl":"1h"},"messages":[{"role":"user","content":"q"}]}`, "q", "q", false,
			`{"cache_control":{"type":"ephemeral","ttl":"1h"},"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"BLOCK"}]}]}`,
		},
	} {
		var c Conversation
		if err := c.Read(text(f.body), f.dialect, testMark); err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if q, o := string(c.Question().Reveal()), string(c.Opening().Reveal()); q != f.question || o != f.opened {
			t.Errorf("%s: question %q, opening %q", f.name, q, o)
		}
		if got, _ := inserted(t, &c, f.body, "BLOCK", f.breakpoint); got != f.want {
			t.Errorf("%s:\n got %s\nwant %s", f.name, got, f.want)
		}
		if p := string(c.Prefix().Reveal()); !strings.HasPrefix(f.body, p) || len(p) == 0 {
			t.Errorf("%s: prefix %q", f.name, p)
		}
	}
}

func TestNoPlaceForABlock(t *testing.T) {
	for body, d := range map[string]Dialect{
		`{"messages":[{"role":"user","content":"q"}]}`: DialectEmbeddings,
		`{"model":"m"}`:    DialectChat,
		`{"messages":"q"}`: DialectChat,
		`{"messages":[]}`:  DialectChat,
		`{"messages":[1]}`: DialectChat,
		`{"messages":[{"role":"system","content":"q"}]}`:                                                                 DialectChat,
		`{"messages":[{"role":"user","content":"q"}],"messages":[]}`:                                                     DialectChat,
		`{"messages":[{"role":"user","role":"tool","content":"q"}]}`:                                                     DialectChat,
		`{"messages":[{"role":"user","content":null}]}`:                                                                  DialectChat,
		`{"messages":[{"role":"user"}]}`:                                                                                 DialectMessages,
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]}]}`:                    DialectChat,
		`{"messages":[{"role":"user","content":"q"},{"role":"tool","content":"1"},{"role":"assistant","content":"so"}]}`: DialectChat,
		`{"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f"}]}`:                                  DialectResponses,
		`{"input":7}`: DialectResponses,
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":null}]}`: DialectChat,
	} {
		var c Conversation
		if err := c.Read(text(body), d, testMark); !errors.Is(err, ErrNoConversation) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzInsert: whatever body ReadHead accepts and whatever the block holds, the
// outcome is JSON that differs from the body by insertions only, and everything
// that the client wrote is still there.
func FuzzInsert(f *testing.F) {
	for _, body := range []string{
		`{"messages":[{"role":"user","content":"a"}]}`, `{"input":"x"}`, `{"input":[{"role":"user","content":[{"type":"input_text","text":"q"}]}]}`,
		`{"cache_control":{},"messages":[{"role":"user","content":[{"type":"text","text":"q"},{}]}]}`,
		`{"messages":[{"role":"user","content":"q"},{"role":"tool","content":["x",{}]}]}`,
	} {
		for d := range DialectMessages + 1 {
			f.Add([]byte(body), uint8(d), []byte("\"}\n\\u0000</x>\xff\u2028"), d%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, dialect uint8, block []byte, breakpoint bool) {
		var h Head
		var c Conversation
		if dialect > uint8(DialectMessages) || ReadHead(NewText(&body), &h) != nil || c.Read(NewText(&body), Dialect(dialect), testMark) != nil {
			return
		}
		got, edits := inserted(t, &c, string(body), string(block), breakpoint)
		if !json.Valid([]byte(got)) {
			t.Fatalf("%s became %s", body, got)
		}
		for _, e := range edits {
			if e.Start != e.End {
				t.Fatalf("%+v is no insertion", e)
			}
		}
		if bytes.Contains(block, []byte("MARK")) || strings.Contains(got, "MARK") {
			return
		}
		if _, again := inserted(t, &c, string(body), "MARK", breakpoint); !reflect.DeepEqual(len(again), len(edits)) {
			t.Fatalf("%d edits, then %d", len(edits), len(again))
		}
	})
}

// FuzzQuestion: white space between the values of a body changes nothing of what
// is read from it, and nothing that is said holds the beginning of a block.
func FuzzQuestion(f *testing.F) {
	for _, body := range []string{
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c <memory-k>x</memory-k> d"}]}`,
		`{"input":"x<mem<memory-k></memory-k>ory-k>y","model":"m"}`,
		`{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"q"},{"type":"input_text","text":"\u0072"}]},{"type":"function_call_output","output":"1"}]}`,
		`{"cache_control":{},"messages":[{"content":[{"text":"q","type":"text"},{"type":"image"}],"role":"\u0075ser"}]}`,
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[ ],"content":null}]}`,
	} {
		for d := range DialectMessages + 1 {
			f.Add([]byte(body), uint8(d))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, dialect uint8) {
		var h Head
		if dialect > uint8(DialectMessages) || ReadHead(NewText(&body), &h) != nil {
			return
		}
		var wide, narrow bytes.Buffer
		if json.Indent(&wide, body, " ", "\t") != nil || json.Compact(&narrow, body) != nil {
			t.Fatalf("%q is no JSON", body)
		}
		var c, other Conversation
		err := c.Read(NewText(&body), Dialect(dialect), testMark)
		for _, same := range [][]byte{wide.Bytes(), narrow.Bytes()} {
			if err2 := other.Read(NewText(&same), Dialect(dialect), testMark); !errors.Is(err2, err) {
				t.Fatalf("%q: %v, %q: %v", body, err, same, err2)
			}
			if !bytes.Equal(c.question, other.question) || !bytes.Equal(c.opening, other.opening) || c.UserTurn() != other.UserTurn() || c.place.how != other.place.how {
				t.Fatalf("%q asks %q, %q asks %q", body, c.question, same, other.question)
			}
		}
		if bytes.Contains(c.question, testMark.Open) || bytes.Contains(c.opening, testMark.Open) {
			t.Fatalf("%q asks %q", body, c.question)
		}
	})
}

func BenchmarkConversation(b *testing.B) {
	for name, n := range map[string]int{"1KB": 1, "200KB": 200} {
		b.Run(name, func(b *testing.B) {
			body := text(`{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("lorem ipsum dol ", 64*n-5) + `"},{"role":"user","content":"what then?"}]}`)
			b.SetBytes(int64(body.Len()))
			b.ReportAllocs()
			var c Conversation
			for b.Loop() {
				if err := c.Read(body, DialectChat, testMark); err != nil {
					b.Fatal(err)
				}
				c.Insert([]byte("BLOCK"), false)
			}
		})
	}
}
