package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// facts are a bucket about one person; the first is asked for below.
var facts = []string{
	"My daughter Mia goes to the Lindenhof school.", "I am allergic to hazelnuts.", "The spare key lies with our neighbour Paul.", "Our car is a green Skoda from 2014.",
	"I play the cello in the town orchestra.", "My brother moved to Porto last autumn.", "The dentist is Dr. Weber in Mill Street.", "We have two cats, Momo and Felix.",
	"I work as a nurse at night.", "Every Tuesday I swim before breakfast.",
}

// TestQuestionsInsidePrompts: a memory is recalled however its question is written, in
// each dialect, with what clients put around it.
func TestQuestionsInsidePrompts(t *testing.T) {
	h := newHouse(t)
	for _, f := range facts {
		h.remembers(f)
	}
	const q = "Which school does Mia go to?"
	code := "```go\nfunc main() {\n\tfor _, item := range user.Items {\n\t\ttotal += item.Price * float64(item.Count)\n\t}\n}\n```"
	chat := func(text string) string { return `{"role":"user","content":` + quoted(text) + `}` }
	for name, messages := range map[string]string{
		"bare":                  chat(q),
		"greeting and thanks":   chat("Hello, could you please help me with a quick question? " + q + " Thanks a lot in advance!"),
		"a wish for the form":   chat(q + " Answer in two short sentences and use bullet points if there is more than one item."),
		"context before":        chat("I am getting everything ready for the meeting on Thursday. " + q),
		"code behind":           chat(q + "\n\n" + strings.Repeat(code+"\n", 8)),
		"code before":           chat(strings.Repeat(code+"\n", 8) + q),
		"a reminder before it":  `{"role":"user","content":[{"type":"text","text":"<system-reminder>The tree is clean.</system-reminder>"},{"type":"text","text":` + quoted(q) + `}]}`,
		"a file before it":      `{"role":"user","content":[{"type":"text","text":"Minutes of the board. The orchestra plays on Tuesday. Did the dentist call?"},{"type":"text","text":` + quoted(q) + `}]}`,
		"a trailing system":     chat(q) + `,{"role":"system","content":"Reply in English. Do not use tables."}`,
		"it points to the turn": chat("Tell me something about Mia.") + `,{"role":"assistant","content":"Gladly."},` + chat("Which school is hers?"),
	} {
		a := h.do("POST", "/v1/chat/completions", fmt.Sprintf(`{"model":"gpt-4o","messages":[%s]}`, messages), "Ownkey-Memory", "recall")
		if a.status != 200 || a.header.Get("Ownkey-Memory") != "hit" || !strings.Contains(h.sentBody(), facts[0]) {
			t.Errorf("%s: %d %s %s: %s", name, a.status, a.header.Get("Ownkey-Memory"), a.header.Get("Ownkey-Memory-Reason"), h.sentBody())
		}
	}
	a := h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[`+chat("Which school does Mia go to? And who has our spare key?")+`]}`, "Ownkey-Memory", "recall")
	if body := h.sentBody(); a.status != 200 || !strings.Contains(body, facts[0]) || !strings.Contains(body, facts[2]) {
		t.Errorf("two questions: %d: %s", a.status, body)
	}
}

// TestWhyNothingIsRecalled: an empty recall says why, and what failed by a bound of
// ours is not billed.
func TestWhyNothingIsRecalled(t *testing.T) {
	h := newHouse(t)
	for _, f := range facts {
		h.remembers(f)
	}
	h.remembers("The wine cellar has " + strings.Repeat("a barrel of red wine and another one, ", 12) + "and a door.")
	for _, c := range []struct{ question, budget, reason, billed string }{
		{"Hello!", "800", "no-match", "true"},
		{"What is the capital of Peru?", "800", "no-match", "true"},
		{"Which mushrooms grow near an old wooden street lamp in winter?", "800", "below-threshold", "true"},
		{"Which barrel of red wine lies in the wine cellar?", "100", "budget", "false"},
	} {
		a := h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":`+quoted(c.question)+`}]}`, "Ownkey-Memory", "recall", "Ownkey-Memory-Max-Tokens", c.budget)
		if got := a.header.Get("Ownkey-Memory"); a.status != 200 || got != "empty" || a.header.Get("Ownkey-Memory-Reason") != c.reason || a.header.Get("Ownkey-Memory-Billed") != c.billed {
			t.Errorf("%s: %d %s %q billed %s, want %q", c.question, a.status, got, a.header.Get("Ownkey-Memory-Reason"), a.header.Get("Ownkey-Memory-Billed"), c.reason)
		}
		again := h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":`+quoted(c.question)+`}]}`, "Ownkey-Memory", "recall", "Ownkey-Memory-Max-Tokens", c.budget)
		if again.header.Get("Ownkey-Memory-Billed") != "false" {
			t.Errorf("%s: the same again is billed", c.question)
		}
	}
	a := h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"Which school does Mia go to?"}]}`, "Ownkey-Memory", "recall")
	if a.header.Get("Ownkey-Memory") != "hit" || a.header.Get("Ownkey-Memory-Reason") != "" {
		t.Errorf("%v", a.header)
	}
}

// TestLongMemoriesAreRecalledByPassage: a memory of 100 KiB is found by the sentence
// that bears on the question, and that is what goes into the call.
func TestLongMemoriesAreRecalledByPassage(t *testing.T) {
	h := newHouse(t)
	for _, f := range facts {
		h.remembers(f)
	}
	var text strings.Builder
	for i := 0; text.Len() < 100<<10-200; i++ {
		fmt.Fprintf(&text, "Paragraph %d of the handbook is about the care of machine number %d and its bearings.\n", i, i*7)
		if i == 700 {
			text.WriteString("The password of the coffee machine is written under its water tank.\n")
		}
	}
	id := h.remembers(text.String())
	a := h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"Hi! Where is the password of the coffee machine? Thanks!"}]}`, "Ownkey-Memory", "recall")
	body := h.sentBody()
	if a.status != 200 || !strings.Contains(body, "under its water tank") || !strings.Contains(a.header.Get("Ownkey-Memory-Ids"), id) || len(body) > 4000 {
		t.Errorf("%d %s %s, %d bytes", a.status, a.header.Get("Ownkey-Memory"), a.header.Get("Ownkey-Memory-Reason"), len(body))
	}
}

// TestWhatWasSoOnce: a memory whose time is over is recalled with its time, behind the
// one that is so now; as of a time, what was so then is.
func TestWhatWasSoOnce(t *testing.T) {
	h := newHouse(t)
	for _, f := range facts {
		h.remembers(f)
	}
	old := h.remembers("I live in Hamburg.", `"observed_at":"2023-02-01T00:00:00Z","valid_from":"2023-02-01T00:00:00Z","valid_to":"2025-06-30T00:00:00Z"`)
	now := h.remembers("I live in Lisbon.", `"observed_at":"2025-07-01T00:00:00Z","valid_from":"2025-07-01T00:00:00Z"`)
	ask := func(question string, more ...string) (string, string) {
		a := h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":`+quoted(question)+`}]}`, append(more, "Ownkey-Memory", "recall")...)
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.header.Get("Ownkey-Memory-Ids"), h.sentBody()
	}
	ids, body := ask("Where do I live now?")
	if !strings.HasPrefix(ids, now+","+old) || !strings.Contains(body, old+", 2023-02-01 until 2025-06-30]") || !strings.Contains(body, now+", 2025-07-01]") {
		t.Errorf("now: %s: %s", ids, body)
	}
	if ids, _ = ask("Where did I live in Hamburg?"); !strings.HasPrefix(ids, old) {
		t.Errorf("then: %s, want %s first", ids, old)
	}
	for _, at := range []string{"2024-05-01", "2024-05-01T10:00:00Z"} {
		if ids, body = ask("Where do I live?", "Ownkey-Memory-As-Of", at); ids != old {
			t.Errorf("as of %s: %s: %s", at, ids, body)
		}
	}
	a := h.do("POST", "/v1/chat/completions", question, "Ownkey-Memory", "recall", "Ownkey-Memory-As-Of", "yesterday")
	if a.status != 400 || !strings.Contains(a.body, "Ownkey-Memory-As-Of") {
		t.Errorf("a wrong time: %d %s", a.status, a.body)
	}
}
