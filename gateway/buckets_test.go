package gateway_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestBucketNamesOfACallAreBounded: a call names at most 32 buckets, each by the
// rules of names; whatever it names, nothing is kept of buckets that do not
// exist.
func TestBucketNamesOfACallAreBounded(t *testing.T) {
	h := newHouse(t)
	names := func(n, from int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprint("bucket-", from+i))
		}
		return strings.Join(all, ",")
	}
	ask := func(buckets string) answer {
		t.Helper()
		return h.do("POST", "/v1/chat/completions", question, "Ownkey-Memory", "recall", "Ownkey-Bucket", buckets)
	}
	before := h.keeper.ResidentBytes()
	for i := range 30 {
		if a := ask(names(32, 32*i)); a.status != 200 || a.header.Get("Ownkey-Memory") != "empty" {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
	}
	if held := h.keeper.ResidentBytes(); held != before {
		t.Errorf("%d bytes are held, before %d", held, before)
	}
	for what, buckets := range map[string]string{
		"33 names": names(33, 0), "hundreds": names(250, 0), "many commas": strings.Repeat(",", 3000),
	} {
		if a := ask(buckets); a.status != 400 || !strings.Contains(a.body, "Ownkey-Bucket") || !strings.Contains(a.body, "32") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	for _, buckets := range []string{"a,,b", "a b%", "..", strings.Repeat("x", 129), "a%00b", "a\"b", "%zz"} {
		if a := ask(buckets); a.status != 400 || !strings.Contains(a.body, "Ownkey-Bucket") || strings.Contains(a.body, buckets) {
			t.Errorf("%q: %d %s", buckets, a.status, a.body)
		}
	}
	const odd = "bücher/記憶:2@x.y_z-1"
	if a := h.do("POST", "/v1/buckets/"+url.PathEscape(odd)+"/memories", `{"content":"Ada keeps bees on the roof."}`); a.status != 200 || !strings.Contains(a.body, odd) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, buckets := range []string{url.PathEscape(odd), "no-such, " + url.PathEscape(odd), url.PathEscape(odd) + "," + url.PathEscape(odd)} {
		if a := ask(buckets); a.status != 200 || a.header.Get("Ownkey-Memory") != "hit" || strings.Count(h.sentBody(), "on the roof") != 1 {
			t.Errorf("%q: %d %v", buckets, a.status, a.header)
		}
	}
}

// TestBucketsAreListedInPages: a client that names no page gets the first
// thousand, and is told of pages only if there are more.
func TestBucketsAreListedInPages(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"c", "a", "b"} {
		if a := h.do("POST", "/v1/buckets", `{"name":"`+name+`","description":"of `+name+`"}`); a.status != 201 || !strings.Contains(a.body, `"name":"`+name+`"`) || !strings.Contains(a.body, `"memory_count":0`) {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	h.remembers("x")
	for query, want := range map[string]string{
		"":                  `a b c default`,
		"?limit=2":          `a b total 4 limit 2 offset 0`,
		"?limit=2&offset=3": `default total 4 limit 2 offset 3`,
		"?offset=9":         `total 4 limit 1000 offset 9`,
	} {
		a := h.do("GET", "/v1/buckets"+query, "")
		var got []string
		for _, part := range strings.Split(a.body, `"name":"`)[1:] {
			got = append(got, part[:strings.IndexByte(part, '"')])
		}
		for _, name := range []string{"total", "limit", "offset"} {
			_, rest, there := strings.Cut(a.body, `"`+name+`":`)
			if !there {
				continue
			}
			got = append(got, name, strings.TrimRight(rest[:strings.IndexAny(rest+"}", ",}")], "}"))
		}
		if s := strings.Join(got, " "); a.status != 200 || s != want {
			t.Errorf("%s: %d %q, want %q", query, a.status, s, want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?offset=-1", "?page=2"} {
		if a := h.do("GET", "/v1/buckets"+query, ""); a.status != 400 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

// TestABlockBehindAToolsAnswer: it is part of that answer, so that no provider
// sees a turn of the user where the model's has to be.
func TestABlockBehindAToolsAnswer(t *testing.T) {
	h := newHouse(t)
	h.remembers("Ada keeps bees on the roof.")
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"gpt-4o","messages":[{"role":"user","content":"Who keeps bees?"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"42"}]}`,
		"/v1/responses":        `{"model":"gpt-4o","input":[{"role":"user","content":"Who keeps bees?"},{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"42"}]}`,
	} {
		a := h.do("POST", path, body, "Ownkey-Memory", "recall")
		sent := h.sentBody()
		if a.status != 200 || a.header.Get("Ownkey-Memory") != "hit" || strings.Count(sent, `"role"`) != strings.Count(body, `"role"`) || !strings.Contains(sent, `"42\n\n<memory-`) {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, sent)
		}
	}
}

// TestPagesAndQueriesAreBounded: pages of memories and buckets of a query have
// their bounds, and what is beyond is refused by name.
func TestPagesAndQueriesAreBounded(t *testing.T) {
	h := newHouse(t)
	h.remembers("Ada keeps bees.")
	names := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = "default"
			if i > 0 {
				all[i] = fmt.Sprintf("b%d", i)
			}
		}
		return `["` + strings.Join(all, `","`) + `"]`
	}
	f := func(method, path, body string, status int, named string) {
		t.Helper()
		if a := h.do(method, path, body); a.status != status || status == 400 && !strings.Contains(a.body, named) {
			t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
	f("GET", "/v1/buckets/default/memories?limit=500", "", 200, "")
	f("GET", "/v1/buckets/default/memories?limit=501", "", 400, "limit")
	f("GET", "/v1/buckets?limit=1000", "", 200, "")
	f("GET", "/v1/buckets?limit=1001", "", 400, "limit")
	f("POST", "/v1/query", `{"query":"bees","options":{"skip_synthesis":true},"buckets":`+names(17)+`}`, 400, "buckets")
	f("POST", "/v1/query", `{"query":"bees","options":{"skip_synthesis":true},"buckets":["default"]}`, 200, "")
}
