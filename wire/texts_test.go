package wire

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTexts: a request's texts are given newest first, without ids, kinds and pictures,
// and no more than wanted.
func TestTexts(t *testing.T) {
	texts := func(d Dialect, body string, most int) (all []string) {
		t.Helper()
		b := []byte(body)
		var c Conversation
		if err := c.Read(NewText(&b), d, Marker{}); err != nil {
			t.Fatal(err)
		}
		for text := range c.Texts(most) {
			all = append(all, string(text.Reveal()))
		}
		return all
	}
	const chat = `{"model":"m","tools":[{"description":"no"}],"messages":[{"role":"system","content":"s\n1"},{"role":"user","name":"no","content":[{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"data:no"}},{ "type" : "text" , "text" : "tw\u006f" }]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"no","type":"function","function":{"name":"no","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"no","content":"out"}]}`
	for _, f := range []struct {
		dialect Dialect
		body    string
		most    int
		want    []string
	}{
		{DialectChat, chat, 1000, []string{"out", `{"a":1}`, "one", "two", "s\n1"}},
		{DialectChat, chat, 4, []string{"out", "{"}},
		{DialectChat, chat, 0, nil},
		{DialectMessages, `{"system":[{"type":"text","text":"be kind"}],"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"no","content":[{"type":"text","text":"b"}]},{"type":"text","text":"c"}]}]}`, 99, []string{"be kind", "b", "c", "a"}},
		{DialectResponses, `{"instructions":"be kind","input":"a\"b"}`, 99, []string{"be kind", `a"b`}},
		{DialectResponses, `{"input":[{"role":"user","content":["x",{"type":"no","text":"y"}]},{"type":"reasoning","encrypted_content":"no","summary":[]}]}`, 99, []string{"x", "y"}},
	} {
		if got := texts(f.dialect, f.body, f.most); !slices.Equal(got, f.want) {
			t.Errorf("%.60s, %d: %q, want %q", f.body, f.most, got, f.want)
		}
	}
	many := `{"messages":[{"role":"user","content":"old"}` + strings.Repeat(`,{"role":"user","content":"x"}`, newestMessages-1) + `,{"role":"user","content":"new"}]}`
	if got := texts(DialectChat, many, 1<<20); len(got) != newestMessages || got[0] != "new" || slices.Contains(got, "old") {
		t.Errorf("%d texts, first %q", len(got), got[0])
	}
	began := time.Now()
	deep := `{"messages":[{"role":"user","content":[` + strings.Repeat(`{"a":[`, 100) + strings.Repeat(`"x",`, 100_000) + `"x"` + strings.Repeat(`]}`, 100) + `]}]}`
	if got := texts(DialectChat, deep, 1<<20); len(got) != 100_001 || time.Since(began) > 5*time.Second {
		t.Errorf("%d texts after %v", len(got), time.Since(began))
	}
}
