package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/linear"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/wire"
)

// do makes a call of a body.
func (a *API) do(t *testing.T, method, path, query, body string) (status int, said string) {
	t.Helper()
	b := []byte(body)
	answer := a.Answer(t.Context(), &Call{
		Caller: memory.Caller{Tenant: "acme"}, Method: method, Path: path, Query: query, Bucket: "b", Access: everyBucket{}, Body: wire.NewText(&b), Room: &room{},
	})
	var out strings.Builder
	if _, err := answer.Body.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return answer.Status, out.String()
}

// TestBodiesTakeWhatTheyAreLong: reading a body of very many very small things takes
// a few times its bytes, in each place where a call takes a list.
func TestBodiesTakeWhatTheyAreLong(t *testing.T) {
	const size = 4 << 20
	a := New(openKeeper(t, nil), func(string) string { return "" })
	many := func(before, piece, after string) string {
		return before + strings.Repeat(piece, size/len(piece)) + strings.TrimLeft(piece, ",") + after
	}
	named := func(before, after string) string { // members of different names
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < size; i++ {
			b.WriteString(`"` + strconv.Itoa(i) + `":1,`)
		}
		return b.String() + after
	}
	for name, c := range map[string]struct{ method, path, query, body string }{
		"memories":                {http.MethodPost, "buckets/b/memories", "", many(`{"memories":[`, "{},", `{}]}`)},
		"facts":                   {http.MethodPost, "buckets/b/memories", "", many(`{"content":"x","facts":[`, `"",`, `""]}`)},
		"facts in a batch":        {http.MethodPost, "buckets/b/memories", "", many(`{"memories":[{"content":"x","facts":[`, `"",`, `""]}]}`)},
		"buckets":                 {http.MethodPost, "query", "", many(`{"query":"x","buckets":[`, `"",`, `""]}`)},
		"numbers by bucket":       {http.MethodPost, "query", "", named(`{"query":"x","options":{"top_k_per_bucket":{`, `"b":1}}}`)},
		"texts of an import":      {http.MethodPost, "buckets/b/import", "format=mem0", many(`["",`, `"",`, `""]`)},
		"numbers of an import":    {http.MethodPost, "buckets/b/import", "format=mem0", many(`[`, `1,`, `1]`)},
		"nulls of an import":      {http.MethodPost, "buckets/b/import", "format=mem0", many(`[`, `null,`, `null]`)},
		"lists of an import":      {http.MethodPost, "buckets/b/import", "format=zep", many(`[`, `[],`, `[]]`)},
		"members of an import":    {http.MethodPost, "buckets/b/import", "format=mem0", named(`[{"memory":"x",`, `"b":1}]`)},
		"a payload":               {http.MethodPost, "buckets/b/import", "format=mem0", named(`[{"payload":{"memory":"x",`, `"b":1}}]`)},
		"metadata of an import":   {http.MethodPost, "buckets/b/import", "format=mem0", named(`[{"memory":"x","metadata":{`, `"b":1}}, 7]`)},
		"a list beside a memory":  {http.MethodPost, "buckets/b/import", "format=mem0", many(`[{"memory":"x","categories":[`, `"",`, `""]}, 7]`)},
		"facts of a line":         {http.MethodPost, "buckets/b/import", "", many(`{"content":"x","facts":[`, `"",`, `""]}`)},
		"lines that end in wrong": {http.MethodPost, "buckets/b/import", "", many("", "{\"content\":\"x\"}\n", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			var status int
			var said string
			held := linear.Held(func() { status, said = a.do(t, c.method, c.path, c.query, c.body) })
			if status != http.StatusBadRequest || len(said) > 300 {
				t.Errorf("%d %.300s", status, said)
			}
			if held > 10*size {
				t.Errorf("a body of %d bytes took %d", len(c.body), held)
			}
		})
	}
}

// TestAWrongFileImportsNothing: what is wrong anywhere is found before the first
// memory is stored, and said by its line.
func TestAWrongFileImportsNothing(t *testing.T) {
	k := openKeeper(t, nil)
	a := New(k, func(string) string { return "" })
	for name, last := range map[string]string{
		"a long speaker": `{"content":"x","speaker":"` + strings.Repeat("x", 201) + `"}`,
		"metadata":       `{"content":"x","metadata":[]}`,
		"an id":          `{"content":"x","id":"a b"}`,
		"times":          `{"content":"x","valid_from":"2026-01-02T00:00:00Z","valid_to":"2026-01-01T00:00:00Z"}`,
		"a year":         `{"content":"x","observed_at":"9999-12-31T23:59:59-12:00"}`,
	} {
		var file strings.Builder
		for i := range memory.MaxBatch + 5 {
			file.WriteString(`{"content":"` + strings.Repeat("x", i%50+1) + ` bees","session":"s"}` + "\n")
		}
		status, said := a.do(t, http.MethodPost, "buckets/b/import", "", file.String()+last)
		if status != http.StatusBadRequest || !strings.Contains(said, "line 1006: ") || !strings.Contains(said, "nothing was imported") {
			t.Errorf("%s: %d %s", name, status, said)
		}
		if h, err := k.Holdings(t.Context(), "acme"); err != nil || h.Memories != 0 {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// TestWrongElementsAreNamed: what is wrong in a list says where.
func TestWrongElementsAreNamed(t *testing.T) {
	a := New(openKeeper(t, nil), func(string) string { return "" })
	for body, want := range map[string]string{
		`{"memories":[{"content":"x"},{"content":7}]}`: "memories[1].content: must be a string",
		`{"memories":[{"content":"x"},{"colour":7}]}`:  "memories[1].colour: there is no such member",
		`{"memories":[7]}`: "memories[0]: must be a JSON object",
		`{"memories":{}}`:  "memories: must be a list",
		`{"memories":[{"content":"x","facts":["a",7]}]}`:            "memories[0].facts[1]: must be a string",
		`{"content":"x","facts":"a"}`:                               "facts: must be a list",
		`{"memories":[]}`:                                           "memories: must not be empty",
		`{"memories":[{"content":"x"}],"memories":[{"content":7}]}`: "memories[0].content: must be a string",
	} {
		if status, said := a.do(t, http.MethodPost, "buckets/b/memories", "", body); status != http.StatusBadRequest || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", body, status, said)
		}
	}
	if status, said := a.do(t, http.MethodPost, "buckets/b/memories", "", `{"content":"x","memories":null,"facts":null}`); status != http.StatusOK {
		t.Errorf("nulls: %d %s", status, said)
	}
}

// TestParametersAreKnown: no call passes over a parameter, least of all a deletion
// that was meant to be tried.
func TestParametersAreKnown(t *testing.T) {
	k := openKeeper(t, nil)
	a := New(k, func(string) string { return "" })
	got, err := k.Store(t.Context(), &memory.Caller{Tenant: "acme"}, &memory.Write{Bucket: "b", Memories: []memory.Memory{{Content: "bees", Session: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	one := "buckets/b/memories/" + got[0].ID
	for _, c := range []struct{ method, path, query, says string }{
		{http.MethodDelete, one, "dry_run=true", "dry_run: there is no such parameter; this call has none"},
		{http.MethodDelete, "buckets/b", "dry_run=true", "dry_run: there is no such parameter"},
		{http.MethodDelete, "buckets/b/memories", "dry_run=false&dry_run=true", "dry_run: must be given once"},
		{http.MethodDelete, "buckets/b/memories", "session=s&session=t", "session: must be given once"},
		{http.MethodDelete, "buckets/b/memories", "Session=t", "Session: there is no such parameter"},
		{http.MethodDelete, "buckets/b/memories", "session=%ff", "UTF-8"},
		{http.MethodDelete, "buckets/b/memories", "metadata.%ff=a", "UTF-8"},
		{http.MethodDelete, "buckets/b/memories/%ff", "", "UTF-8"},
		{http.MethodPost, "buckets/b/memories", "dedup=strict", "dedup: there is no such parameter"},
		{http.MethodPost, "query", "dry_run=true", "dry_run: there is no such parameter"},
		{http.MethodPatch, one, "pinned=true", "pinned: there is no such parameter"},
		{http.MethodGet, one, "version=1", "version: there is no such parameter"},
		{http.MethodGet, one + "/history", "limit=1", "limit: there is no such parameter"},
		{http.MethodGet, "buckets/b/memories", "cursor=1", "cursor: there is no such parameter"},
	} {
		if status, said := a.do(t, c.method, c.path, c.query, "{}"); status != http.StatusBadRequest || !strings.Contains(said, c.says) {
			t.Errorf("%s %s?%s: %d %s", c.method, c.path, c.query, status, said)
		}
	}
	if h, err := k.Holdings(t.Context(), "acme"); err != nil || h.Memories != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestAnswersTakeRoom: a list or a query of long memories takes room for what it
// holds while it is made, gives it back, and is refused where there is none.
func TestAnswersTakeRoom(t *testing.T) {
	k := openKeeper(t, nil)
	a := New(k, func(string) string { return "" })
	w := memory.Write{Bucket: "b", Dedup: memory.DedupOff}
	for range 60 {
		w.Memories = append(w.Memories, memory.Memory{Content: "bees " + strings.Repeat("\x01", 50<<10)})
	}
	if _, err := k.Store(t.Context(), &memory.Caller{Tenant: "acme"}, &w); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ method, path, query, body string }{
		"a list":  {http.MethodGet, "buckets/b/memories", "limit=%", ""},
		"a query": {http.MethodPost, "query", "", `{"query":"bees","options":{"skip_synthesis":true,"top_k":%}}`},
	} {
		for n, want := range map[string]int{"3": http.StatusOK, "10": http.StatusOK, "60": http.StatusTooManyRequests} {
			body, r := []byte(strings.Replace(c.body, "%", n, 1)), &room{}
			answer := a.Answer(t.Context(), &Call{
				Caller: memory.Caller{Tenant: "acme"}, Method: c.method, Path: c.path, Query: strings.Replace(c.query, "%", n, 1), Bucket: "b", Access: everyBucket{}, Body: wire.NewText(&body), Room: r,
			})
			if answer.Status != want || want == http.StatusTooManyRequests && answer.Code != "too_many_requests_in_flight" {
				t.Errorf("%s of %s: %d %s", name, n, answer.Status, answer.Code)
			}
			if n == "10" && r.most < 10*50<<10 || n != "60" && r.taken != 0 {
				t.Errorf("%s of %s: took %d, has %d still", name, n, r.most, r.taken)
			}
		}
	}
}

// pattern is a caller who may use some buckets.
type pattern func(name string) bool

func (p pattern) ReadsBucket(name string) bool  { return p(name) }
func (p pattern) WritesBucket(name string) bool { return p(name) }

// TestBucketsOfAConfinedCallerAreListed: whatever page is asked for, it has those
// that the caller may use, in order, and no other is counted.
func TestBucketsOfAConfinedCallerAreListed(t *testing.T) {
	k := openKeeper(t, nil)
	a := New(k, func(string) string { return "" })
	for _, name := range []string{"b", "a", "team/2", "team/10", "team/3", "z"} {
		if _, err := k.CreateBucket(t.Context(), "acme", name, "of "+name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"": "team/10 team/2 team/3", "limit=2": "team/10 team/2 of 3", "limit=2&offset=2": "team/3 of 3", "offset=3": " of 3", "offset=1099511627776": " of 3",
	} {
		answer := a.Answer(t.Context(), &Call{
			Caller: memory.Caller{Tenant: "acme"}, Method: http.MethodGet, Path: "buckets", Query: query, Room: &room{},
			Access: pattern(func(name string) bool { return strings.HasPrefix(name, "team/") }),
		})
		var out strings.Builder
		if _, err := answer.Body.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		var said struct {
			Buckets []struct{ Name, Description string }
			Total   *int
		}
		if err := json.Unmarshal([]byte(out.String()), &said); err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, b := range said.Buckets {
			if names = append(names, b.Name); b.Description != "of "+b.Name {
				t.Errorf("%+v", b)
			}
		}
		got := strings.Join(names, " ")
		if said.Total != nil {
			got += " of " + strconv.Itoa(*said.Total)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
