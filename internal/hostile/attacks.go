package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// attack is one thing that a hostile tenant does over and over.
type attack struct {
	name    string
	workers int
	pause   time.Duration // between two attempts of a worker
	do      func(ctx context.Context, t *Tenant) int
}

// attacks are what a tenant can do with its provider, its tokens, names of its
// choice, its memories and connections.
var attacks = []attack{
	{"absurd numbers", 3, time.Millisecond, func(ctx context.Context, t *Tenant) int { return t.chat(ctx, name(), false, "x") }},
	{"absurd numbers in streams", 2, time.Millisecond, func(ctx context.Context, t *Tenant) int { return t.chat(ctx, name(), true, "x") }},
	{"absurd numbers in a budget", 1, time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.call(ctx, http.MethodPost, "/chat/completions", t.Budgeted, chat(name(), false, "x"))
	}},
	{"absurd numbers elsewhere", 1, time.Millisecond, elsewhere},
	{"absurd limits", 1, time.Millisecond, absurdLimits},
	{"a provider that hangs", 4, time.Millisecond, acts("hang", true)},
	{"a provider that is no provider", 1, 5 * time.Millisecond, acts("garbage", false)},
	{"headers without an end", 1, 5 * time.Millisecond, acts("headers", false)},
	{"interim responses without an end", 1, 20 * time.Millisecond, acts("interim", false)},
	{"a line without an end", 1, 20 * time.Millisecond, acts("line", true)},
	{"events without an end", 1, 20 * time.Millisecond, acts("events", true)},
	{"nesting without an end", 1, 20 * time.Millisecond, acts("nested", false)},
	{"names of models, refused", 1, time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.call(ctx, http.MethodPost, "/chat/completions", t.Listed, chat(name(), false, "x"))
	}},
	{"names of everything", 1, time.Millisecond, names},
	{"names of buckets", 1, time.Millisecond, buckets},
	{"spellings of paths", 1, time.Millisecond, spellings},
	{"giant turns", 1, 20 * time.Millisecond, giantTurns},
	{"captured turns", 1, 20 * time.Millisecond, capturedTurns},
	{"deep bodies", 1, 20 * time.Millisecond, deepBodies},
	{"memories", 1, 5 * time.Millisecond, memories},
	{"disk", 1, time.Millisecond, disk},
	{"memories that change", 1, 5 * time.Millisecond, changes},
	{"memories that go", 1, 500 * time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.call(ctx, http.MethodDelete, "/buckets/flood/memories", t.Token, "")
	}},
	{"questions about usage", 3, time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.call(ctx, http.MethodGet, "/usage?by=model&from=2020-01-01T00:00:00Z", t.Token, "")
	}},
	{"questions that nobody reads", 1, 10 * time.Millisecond, unread("GET /v1/usage?by=model&from=2020-01-01T00:00:00Z HTTP/1.1")},
	{"slow readers", 20, time.Millisecond, slowReader},
	{"slow writers", 20, time.Millisecond, slowWriter},
	{"bodies that are held", 60, time.Millisecond, heldBody},
	{"idle connections", 200, time.Millisecond, idle},
	{"strangers", 4, time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.call(ctx, http.MethodPost, "/chat/completions", "ok_"+name(), chat("m", false, "x"))
	}},
	{"strangers with bodies", 1, 20 * time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.call(ctx, http.MethodPost, "/chat/completions", "ok_"+name(), chat("m", false, strings.Repeat("x", 4<<20)))
	}},
	{"clients that leave", 2, 2 * time.Millisecond, func(ctx context.Context, t *Tenant) int {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.N(30))*time.Millisecond)
		defer cancel()
		return t.chat(ctx, "act-events-", true, "x")
	}},
	{"captured turns without a pause", 8, 0, func(ctx context.Context, t *Tenant) int {
		return t.chat(ctx, name(), false, name()+strings.Repeat(" pin", 7_000), "Ownkey-Memory", "capture", "Ownkey-Bucket", "backlog")
	}},
	{"captured turns that are too long", 1, 20 * time.Millisecond, func(ctx context.Context, t *Tenant) int {
		return t.chat(ctx, name(), false, name()+strings.Repeat(" x", 4<<20), "Ownkey-Memory", "capture", "Ownkey-Bucket", "backlog")
	}},
	{"exports that nobody reads", 40, 10 * time.Millisecond, unread("GET /v1/buckets/flood/export HTTP/1.1")},
}

// name is a new one each time.
func name() string { return fmt.Sprintf("n%016x", rand.Uint64()) }

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}

func chat(model string, stream bool, text string) string {
	return fmt.Sprintf(`{"model":"%s","stream":%t,"messages":[{"role":"user","content":%s}]}`, model, stream, quoted(text))
}

func (t *Tenant) chat(ctx context.Context, model string, stream bool, text string, header ...string) int {
	return t.call(ctx, http.MethodPost, "/chat/completions", t.Token, chat(model, stream, text), header...)
}

// acts asks the provider to misbehave.
func acts(how string, stream bool) func(context.Context, *Tenant) int {
	return func(ctx context.Context, t *Tenant) int { return t.chat(ctx, "act-"+how+"-", stream, "x") }
}

func elsewhere(ctx context.Context, t *Tenant) int {
	body := fmt.Sprintf(`{"model":"%s","input":"x","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, name())
	path := []string{"/responses", "/embeddings", "/completions", "/messages", "/moderations"}[rand.N(5)]
	return t.call(ctx, http.MethodPost, path, t.Token, body)
}

func absurdLimits(ctx context.Context, t *Tenant) int {
	body := fmt.Sprintf(`{"model":"%s","max_tokens":%s,"n":%s,"max_completion_tokens":%s,"messages":[{"role":"user","content":"x"}]}`, name(), number(), number(), number())
	return t.call(ctx, http.MethodPost, "/chat/completions", t.Token, body, "Ownkey-Memory", "on", "Ownkey-Memory-Top-K", "9223372036854775807",
		"Ownkey-Memory-Max-Tokens", "9223372036854775807")
}

func names(ctx context.Context, t *Tenant) int {
	return t.chat(ctx, name(), false, "x", "Ownkey-Session", name(), "User-Agent", name(), "X-Stainless-Lang", name(), "X-Stainless-Package-Version", name(),
		"Ownkey-Credential", []string{"default", name()}[rand.N(2)], "Idempotency-Key", name())
}

// buckets names as many as a header has room for.
func buckets(ctx context.Context, t *Tenant) int {
	var all []string
	for range 1 + rand.N(300) {
		all = append(all, name())
	}
	return t.chat(ctx, "m", false, "who is x", "Ownkey-Memory", "on", "Ownkey-Bucket", strings.Join(all, ","))
}

func spellings(ctx context.Context, t *Tenant) int {
	path := []string{
		"/%63hat/completions", "//chat/completions", "/chat//completions/", "/./chat/completions", "/chat/%2e%2e/chat/completions",
		"//buckets/flood/memories", "/%62uckets/flood/memories", "/chat/completions?" + name(), "/" + url.PathEscape(name()) + "/" + name(),
	}[rand.N(9)]
	return t.call(ctx, http.MethodPost, path, t.Token, chat(name(), true, "x"))
}

// giantTurns hold what readers of turns have trouble with.
func giantTurns(ctx context.Context, t *Tenant) int {
	piece := []string{"<memory-9f2c6b1a40d7>", "</memory-9f2c6b1a40d7>", "<system-reminder>", "\\u003c", "\u202e", "a. ", "?", "```\n", "密码", "{\"a\":", "&lt;"}[rand.N(11)]
	return t.chat(ctx, "m", false, strings.Repeat(piece, (2<<20)/len(piece)), "Ownkey-Memory", "on", "Ownkey-Bucket", "flood")
}

// capturedTurns hold what the search for secrets in them has trouble with.
func capturedTurns(ctx context.Context, t *Tenant) int {
	piece := []string{"-pin:", "-pin:!!!!!!!!", "-pwd:[secret", "password ", "api_key-", "密码是", "4111 ", "Bearer ", "-----BEGIN RSA PRIVATE KEY-----", "https://a:b@"}[rand.N(10)]
	return t.chat(ctx, "m", false, name()+strings.Repeat(piece, (99<<10)/len(piece)), "Ownkey-Memory", "capture", "Ownkey-Bucket", "flood")
}

func deepBodies(ctx context.Context, t *Tenant) int {
	n := 500_000
	body := []string{
		strings.Repeat("[", n), `{"messages":` + strings.Repeat(`[{"content":`, n/8), strings.Repeat(`{"model":"m",`, n/8),
		`{"model":"m","messages":[` + strings.Repeat(`{"role":"user","content":[{"type":"text","text":"x"}]},`, n/64) + `{}]}`,
		`{"model":"` + strings.Repeat("m", n) + `","messages":[]}`, `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(`\u00e9\"`, n/8) + `"}]}`,
	}[rand.N(6)]
	return t.call(ctx, http.MethodPost, "/chat/completions", t.Token, body, "Ownkey-Memory", "on")
}

func memories(ctx context.Context, t *Tenant) int {
	var all []string
	for range 100 {
		all = append(all, fmt.Sprintf(`{"content":%s,"session":"%s"}`, quoted(strings.Repeat(name()+" ", 1+rand.N(60))), name()))
	}
	bucket := []string{"flood", name()}[rand.N(2)]
	return t.call(ctx, http.MethodPost, "/buckets/"+bucket+"/memories", t.Token, `{"memories":[`+strings.Join(all, ",")+`]}`)
}

// disk stores as much as one call takes, as often as it can.
func disk(ctx context.Context, t *Tenant) int {
	var all []string
	for range 80 {
		all = append(all, fmt.Sprintf(`{"content":%s}`, quoted(name()+strings.Repeat(" x", 50_000))))
	}
	return t.call(ctx, http.MethodPost, "/buckets/"+name()+"/memories", t.Token, `{"memories":[`+strings.Join(all, ",")+`]}`)
}

// changes rewrites one memory until it is all history.
func changes(ctx context.Context, t *Tenant) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.BaseURL+"/buckets/changing/memories", strings.NewReader(`{"content":"first"}`))
	if err != nil {
		panic(err) // our own spelling
	}
	r.Header.Set("Authorization", "Bearer "+t.Token)
	response, err := t.client.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	var made struct{ ID string }
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&made); err != nil || made.ID == "" {
		return response.StatusCode
	}
	return t.call(ctx, http.MethodPatch, "/buckets/changing/memories/"+made.ID, t.Token, `{"content":`+quoted(strings.Repeat(name(), 2000))+`}`)
}

// unread asks and never reads the answer.
func unread(line string) func(context.Context, *Tenant) int {
	return func(ctx context.Context, t *Tenant) int {
		c, err := t.connect(ctx)
		if err != nil {
			return 0
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "%s\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", line, t.Token)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		return 0
	}
}

// slowReader asks for a long stream and reads a byte of it now and then.
func slowReader(ctx context.Context, t *Tenant) int {
	c, err := t.connect(ctx)
	if err != nil {
		return 0
	}
	defer c.Close()
	body := chat("act-events-", true, "x")
	_, _ = fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", t.Token, len(body), body)
	for one := make([]byte, 1); ; {
		if _, err := c.Read(one); err != nil {
			return 0
		}
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// slowWriter sends a body that never comes to its end.
func slowWriter(ctx context.Context, t *Tenant) int {
	c, err := t.connect(ctx)
	if err != nil {
		return 0
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{", t.Token)
	for ctx.Err() == nil {
		if _, err := c.Write([]byte(" ")); err != nil {
			return 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	return 0
}

// heldBody announces a body of 60 MB, sends a third of it and is silent: each of
// them holds a buffer of 64 MiB.
func heldBody(ctx context.Context, t *Tenant) int {
	c, err := t.connect(ctx)
	if err != nil {
		return 0
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n", t.Token)
	for block, left := bytes.Repeat([]byte(" "), 1<<20), 20; left > 0; left-- {
		if _, err := c.Write(block); err != nil {
			break // refused, perhaps: the status is below
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// idle opens a connection and waits until the other side closes it.
func idle(ctx context.Context, t *Tenant) int {
	c, err := t.connect(ctx)
	if err != nil {
		return 0
	}
	defer c.Close()
	_, _ = bufio.NewReader(c).ReadByte()
	return 0
}
