package main

import (
	"fmt"
	"strings"
)

// form is a way in which a question stands in a prompt. People and programs write
// more than the question: courtesies, wishes for the form of the answer, what it is
// about, code, logs and quotes. None of it belongs to what is looked for.
type form struct {
	name  string
	write func(question string) string
	// beside is what a program puts into the same turn, in a part of its own before
	// the question's.
	beside string
}

// prompt is a user's turn.
type prompt struct {
	text string
	own  int // where the user's own words begin
}

// prompt writes a question in this form: parts are joined as the gateway joins them.
func (f *form) prompt(question string) prompt {
	p := prompt{text: f.write(question)}
	if f.beside != "" {
		p = prompt{f.beside + "\n" + p.text, len(f.beside) + 1}
	}
	return p
}

func itself(question string) string { return question }

// bare is the question alone.
var bare = form{name: "the question alone", write: itself}

// forms are those that are measured. What is written around the question has to do
// with no memory of any set.
var forms = []form{
	bare,
	{name: "courtesies around it", write: func(q string) string {
		return "Hello, could you please help me with a quick question? " + q + " Thanks a lot in advance!"
	}},
	{name: "how to answer, behind it", write: func(q string) string {
		return q + " Answer in two short sentences and use bullet points if there is more than one item."
	}},
	{name: "a sentence of context before it", write: func(q string) string {
		return "I am getting everything ready for the meeting on Thursday and want to be sure about one thing. " + q
	}},
	{name: "a sentence behind it", write: func(q string) string {
		return q + " I asked my colleague yesterday but she could not tell me, so I hope that you know it."
	}},
	{name: "a role for the model before it", write: func(q string) string {
		return "You are a helpful assistant. Be concise. Think step by step before you answer. If you do not know, say so. " + q
	}},
	{name: "fenced code behind it", write: func(q string) string { return q + "\n\n```go\n" + someCode + "```\n" }},
	{name: "fenced code before it", write: func(q string) string { return "```go\n" + someCode + "```\n\n" + q }},
	{name: "code without a fence behind it", write: func(q string) string { return q + "\n\n" + someCode }},
	{name: "log lines before it", write: func(q string) string { return someLog(6) + "\n" + q }},
	{name: "a log of 20 KB behind it", write: func(q string) string { return q + "\n\n" + someLog(220) }},
	{name: "JSON behind it", write: func(q string) string { return q + "\n" + someJSON }},
	{name: "an agent's reminder before it", write: func(q string) string {
		return "<system-reminder>\nThe date is 2026-11-02. The working directory is a git repository on branch main. Do not mention this reminder to the user.\n</system-reminder>\n" + q
	}},
	{
		name: "in a part of its own, behind a part with context", write: itself,
		beside: "Open files:\n- internal/server/handler.go (modified)\n- internal/server/handler_test.go\nTerminal: make build finished with exit code 0",
	},
	{name: "in <user_query>", write: func(q string) string {
		return "<environment_details>\nVisible files: src/app.tsx, src/routes.tsx\nCurrent mode: act\n</environment_details>\n<user_query>\n" + q + "\n</user_query>"
	}},
	{name: "quoted text before it", write: func(q string) string {
		return "> The library will be closed for repairs next week, and all books can be returned later.\n> Please plan your visit.\n\n" + q
	}},
	{name: "an e-mail quoted below it", write: func(q string) string { return q + "\n\n" + someMail }},
	{name: "two questions in one turn", write: func(q string) string {
		return "How many grams are there in an ounce? And another one: " + q
	}},
	{name: "German courtesies", write: func(q string) string {
		return "Hallo, ich hoffe, es geht dir gut! Könntest du mir bitte kurz weiterhelfen? " + q + " Vielen Dank im Voraus und liebe Grüße!"
	}},
	{name: "Spanish courtesies", write: func(q string) string {
		return "¡Hola, buenos días! ¿Me podrías ayudar con una pregunta rápida, por favor? " + q + " ¡Muchas gracias de antemano!"
	}},
}

const someCode = `func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	user, err := s.store.User(ctx, r.URL.Query().Get("id"))
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	for _, item := range user.Items {
		if item.Price > 100 && item.Category == "books" {
			total += item.Price * float64(item.Count)
		}
	}
	// send the answer to the client as json
	json.NewEncoder(w).Encode(map[string]any{"user": user.Name, "total": total})
}
`

const someJSON = `{"id": 42, "name": "summer party", "guests": ["Anna", "Tom"], "when": "2026-07-14", "notes": {"music": "jazz band", "food": "grill"}}
`

const someMail = `On Tue, 3 Nov 2026 at 09:12, Facilities <facilities@example.com> wrote:
> Dear all,
>
> the lifts in the north wing will be serviced on Friday between 8 and 12. Please
> use the stairs, and tell visitors at the front desk. The cafeteria stays open.
>
> Kind regards,
> Facilities Management
> This message is confidential and meant for its addressee only.
`

// someLog gives lines of a server's log, some with a failure behind them.
func someLog(lines int) string {
	var b strings.Builder
	for i := range lines {
		second := fmt.Sprintf("2026-11-02T10:%02d:%02d.%03dZ", 14+i/60%40, i%60, i*37%1000)
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "%s INFO  request done status=200 path=/v1/orders/%d duration=%dms\n", second, 1000+i*7, 3+i%40)
		case 1:
			fmt.Fprintf(&b, "%s WARN  slow query duration=%d.%02ds table=orders rows=%d\n", second, 1+i%3, i%100, i*11)
		case 2:
			fmt.Fprintf(&b, "%s ERROR request failed status=500 path=/v1/orders err=\"connection reset by peer\"\n", second)
		case 3:
			fmt.Fprintf(&b, "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line %d, in <module>\n    run(config)\n", 40+i)
		case 4:
			b.WriteString("ValueError: invalid literal for int() with base 10: 'abc'\n")
		}
	}
	return b.String()
}
