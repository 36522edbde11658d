package gateway_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// TestOnlyStatementsAreMemories: a turn that only asks, orders or greets is kept beside
// the others and is no memory: not in a list, a block, an export, a count or on the bill.
func TestOnlyStatementsAreMemories(t *testing.T) {
	h := newHouse(t)
	turns := []string{"What is the name of my cat?", "Explain photosynthesis.", "Thanks!", "My cat is called Momo.", "Wie heißt meine Katze?", "I live in Oslo. What is the weather like?"}
	for i, turn := range turns {
		h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":`+quoted(turn)+`}]}`, "Ownkey-Memory", "capture", "Ownkey-Session", fmt.Sprint("talk-", i))
		h.eventually(turn, func() bool { return len(h.keptWithContext("default")) == i+1 })
	}
	h.keeps("default", "user: My cat is called Momo.", "user: I live in Oslo. What is the weather like?")
	stored := 0
	for _, e := range h.memoryEvents() {
		var n int
		if _, err := fmt.Sscanf(e, "stored %d", &n); err == nil {
			stored += n
		}
	}
	if holdings, err := h.keeper.Holdings(t.Context(), "acme"); err != nil || holdings.Memories != 2 || holdings.Bytes != int64(len(turns[3])+len(turns[5])) || stored != 2 {
		t.Errorf("%+v %v, %d billed", holdings, err, stored)
	}
	if a := h.do("GET", "/v1/buckets/default/export", ""); strings.Count(a.body, "\n") != 2 {
		t.Errorf("exported %s", a.body)
	}
	if a := h.do("GET", "/v1/buckets", ""); !strings.Contains(a.body, `"memory_count":2`) {
		t.Errorf("%s", a.body)
	}
	a := h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"So, what is the name of my cat?"}]}`, "Ownkey-Memory", "recall")
	if sent := h.sentBody(); a.header.Get("Ownkey-Memory") != "hit" || !strings.Contains(sent, "called Momo") || strings.Contains(sent, turns[0]) {
		t.Errorf("%v, sent %s", a.header, sent)
	}
	if a := h.do("POST", "/v1/query", `{"query":"name of my cat","options":{"skip_synthesis":true}}`); strings.Contains(a.body, turns[0]) || !strings.Contains(a.body, "Momo") {
		t.Errorf("%s", a.body)
	}
	// What asks is no copy of what a client stores, may not be changed, and goes with the rest.
	h.remembers(turns[0])
	var all struct {
		Memories []struct {
			ID      string
			Context bool
		}
	}
	if err := json.Unmarshal([]byte(h.do("GET", "/v1/buckets/default/memories?context=true", "").body), &all); err != nil || len(all.Memories) != 7 {
		t.Fatalf("%v %+v", err, all)
	}
	asked := all.Memories[6]
	if a := h.do("PATCH", "/v1/buckets/default/memories/"+asked.ID, `{"pinned":true}`); a.status != 400 || !asked.Context {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.do("DELETE", "/v1/buckets/default/memories", ""); !strings.Contains(a.body, "3") || len(h.keptWithContext("default")) != 0 {
		t.Errorf("%s, left %q", a.body, h.keptWithContext("default"))
	}
	if last := h.memoryEvents(); last[len(last)-1] != "deleted 3" {
		t.Errorf("%q", last)
	}
}

// TestWhatClientsWriteIsNotKept: requests as published clients send them. Of calls that
// they make for themselves nothing is kept, and of a turn only what the user wrote.
func TestWhatClientsWriteIsNotKept(t *testing.T) {
	h := newHouse(t)
	h.captureAssistant()
	const said, told = "I live in Oslo.", "assistant: Hello from the fake provider: you are connected."
	version := map[string][]string{"/v1/messages": {"Anthropic-Version", "2023-06-01"}}
	user := func(text string) string { return `{"role":"user","content":` + quoted(text) + `}` }
	for i, f := range []struct {
		client, path, body string
		want               []string
	}{
		{"Claude Code, a title", "/v1/messages", `"system":[{"type":"text","text":"You are Claude Code, Anthropic's official CLI for Claude."},{"type":"text","text":"Analyze if this message indicates a new conversation topic. If it does, extract a 2-3 word title that captures the new topic. Format your response as a JSON object"}],"messages":[` + user(said) + `]`, nil},
		{"Claude Code, a title by the turn", "/v1/messages", `"messages":[` + user("Please write a 5-10 word title for the following conversation:\n\nUser: "+said) + `]`, nil},
		{"Claude Code, warming up", "/v1/messages", `"messages":[` + user("quota") + `]`, nil},
		{"Claude Code, /compact", "/v1/messages", `"messages":[` + user(said) + `,{"role":"assistant","content":"Nice."},` + user("Your task is to create a detailed summary of the conversation so far, paying close attention to the user's explicit requests and your previous actions.\nI live in Rome.") + `]`, nil},
		{"Claude Code, after it", "/v1/messages", `"messages":[` + user("This session is being continued from a previous conversation that ran out of context. The summary below covers the earlier portion of the conversation.\n\nSummary: the user lives in Oslo.") + `]`, []string{told}},
		{"Claude Code, a turn", "/v1/messages", `"messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>\nThe user lives in Rome.\n</system-reminder>\n"},{"type":"text","text":` + quoted(said) + `}]}]`, []string{"user: " + said, told}},
		{"opencode, a title", "/v1/chat/completions", `"messages":[{"role":"system","content":"You are a title generator. You output ONLY a thread title. Nothing else."},` + user("Generate a title for this conversation:\n") + "," + user(said) + `]`, nil},
		{"Codex, compaction", "/v1/responses", `"instructions":"You are Codex","input":[` + strings.ReplaceAll(user(said), `"content":`, `"type":"message","content":`) + "," + user("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM that will resume the task.") + `]`, nil},
		{"Codex, where it runs", "/v1/responses", `"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>\n  <cwd>/home/ada</cwd>\n</environment_context>"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":` + quoted(said) + `}]}]`, []string{"user: " + said, told}},
		{"Cline, a task", "/v1/chat/completions", `"messages":[{"role":"user","content":[{"type":"text","text":"<task>\nI live in Oslo.\n</task>"},{"type":"text","text":"<environment_details>\n# VSCode Open Tabs\nI live in Rome.\n</environment_details>"}]}]`, []string{"user: " + said, told}},
		{"Cline, no tool", "/v1/chat/completions", `"messages":[` + user(said) + `,{"role":"assistant","content":"Nice."},` + user("[ERROR] You did not use a tool in your previous response! Please retry with a tool use.\n\n# Reminder: Instructions for Tool Use\n\nTool uses are formatted using XML-style tags.") + `]`, []string{told}},
		{"Cline, a tool's answer", "/v1/chat/completions", `"messages":[` + user("[read_file for 'notes.md'] Result:\nI live in Rome.") + `]`, []string{told}},
		{"Cline, a summary", "/v1/chat/completions", `"messages":[` + user(said) + `,{"role":"assistant","content":"Nice."},` + user("<explicit_instructions type=\"summarize_task\">\nThe current conversation is rapidly running out of context. Now, your urgent task is to create a comprehensive detailed summary of the conversation so far.\n</explicit_instructions>") + `]`, nil},
		{"Aider, a summary", "/v1/chat/completions", `"messages":[{"role":"system","content":"*Briefly* summarize this partial conversation about programming."},` + user("# USER\nI live in Oslo.") + `]`, nil},
		{"Continue, a title", "/v1/chat/completions", `"messages":[` + user("Given the following... please reply with a title for the chat that is 3-4 words in length, all words used should be directly related to the content of the chat.\n\nI live in Oslo.") + `]`, nil},
		{"Open WebUI, tags", "/v1/chat/completions", `"messages":[` + user("### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history.\n### Chat History:\n<chat_history>\nUSER: I live in Oslo.\n</chat_history>") + `]`, nil},
	} {
		bucket := fmt.Sprint("client-", i)
		if a := h.do("POST", f.path, `{"model":"m","max_tokens":99,`+f.body+`}`, append(version[f.path], "Ownkey-Memory", "capture", "Ownkey-Bucket", bucket)...); a.status != 200 {
			t.Fatalf("%s: %d %s", f.client, a.status, a.body)
		}
		h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[`+user("The last.")+`]}`, "Ownkey-Memory", "capture", "Ownkey-Bucket", bucket)
		h.eventually("the last turn", func() bool { return slices.Contains(h.kept(bucket), "user: The last.") })
		if got := h.keptWithContext(bucket); !slices.Equal(got, append(slices.Clone(f.want), "user: The last.", told)) {
			t.Errorf("%s: kept %q, want %q", f.client, got, f.want)
		}
	}
}

// TestCapturedTurnsExpire: by the setting of their bucket, else of their token, else of
// the gateway; what a client stores is kept.
func TestCapturedTurnsExpire(t *testing.T) {
	h := newHouse(t)
	const day = 24 * time.Hour
	week := h.mint("acme", directory.NewToken{MemoryTTL: "7d"})
	ever := h.mint("acme", directory.NewToken{MemoryTTL: "never"})
	for bucket, ttl := range map[string]string{"hours": "12h", "kept": "never"} {
		if a := h.do("POST", "/v1/buckets", fmt.Sprintf(`{"name":%q,"memory_ttl":%q}`, bucket, ttl)); a.status != 201 || !strings.Contains(a.body, `"memory_ttl":"`+ttl+`"`) {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for i, f := range []struct {
		bucket, token string
		want          time.Duration
	}{
		{"plain", h.token, 90 * day}, {"of-a-week", week, 7 * day}, {"of-ever", ever, 0}, {"hours", h.token, 12 * time.Hour}, {"hours", week, 12 * time.Hour}, {"kept", week, 0},
	} {
		text := fmt.Sprintf("I live in house %d.", i)
		h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"`+text+`"}]}`, "Authorization", "Bearer "+f.token, "Ownkey-Memory", "capture", "Ownkey-Bucket", f.bucket)
		h.eventually(text, func() bool { return slices.Contains(h.kept(f.bucket), "user: "+text) })
		var out struct {
			Memories []struct {
				ExpiresAt  time.Time `json:"expires_at"`
				ObservedAt time.Time `json:"observed_at"`
			}
		}
		if err := json.Unmarshal([]byte(h.do("GET", "/v1/buckets/"+f.bucket+"/memories?limit=1", "").body), &out); err != nil {
			t.Fatal(err)
		}
		got := time.Duration(0)
		if m := out.Memories[0]; !m.ExpiresAt.IsZero() {
			got = m.ExpiresAt.Sub(m.ObservedAt)
		}
		if got != f.want {
			t.Errorf("%d, %s: kept for %v, want %v", i, f.bucket, got, f.want)
		}
	}
	if a := h.do("POST", "/v1/buckets/hours/memories", `{"content":"Ada keeps bees."}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := h.do("GET", "/v1/buckets/hours/memories?limit=1", ""); strings.Contains(a.body, "expires_at") {
		t.Errorf("what a client has stored ends: %s", a.body)
	}
	if a := h.do("POST", "/v1/buckets", `{"name":"odd","memory_ttl":"soon"}`); a.status != 400 || !strings.Contains(a.body, "memory_ttl") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.do("POST", "/v1/buckets", `{"name":"hours","memory_ttl":""}`); a.status != 201 || strings.Contains(a.body, "memory_ttl") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestQuestionsOnceAskedAreNoKnowledge: a question that was captured does not make its
// bucket know of what it asks.
func TestQuestionsOnceAskedAreNoKnowledge(t *testing.T) {
	h := newHouse(t)
	for _, fact := range []string{"My cat is called Momo.", "I live in Oslo.", "My sister Ines plays the cello.", "I work on the night train to Bergen.", "We paint the kitchen green in May."} {
		h.remembers(fact)
	}
	for i, question := range []string{"What is my blood type?", "Which museum did my aunt recommend?", "How many marathons did I run?"} {
		body := `{"model":"m","messages":[{"role":"user","content":` + quoted(question) + `}]}`
		if a := h.do("POST", "/v1/chat/completions", body, "Ownkey-Memory", "on", "Ownkey-Session", "first"); a.header.Get("Ownkey-Memory") != "empty" {
			t.Fatalf("%s: %v", question, a.header)
		}
		h.eventually(question, func() bool { return len(h.keptWithContext("default")) == 5+i+1 })
		if a := h.do("POST", "/v1/chat/completions", body, "Ownkey-Memory", "recall", "Ownkey-Session", "next"); a.header.Get("Ownkey-Memory") != "empty" {
			t.Errorf("%s, asked again: %v, sent %s", question, a.header, h.sentBody())
		}
	}
}
