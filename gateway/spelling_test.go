package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// send makes a call whose target is written as it is.
func (h *house) send(method, target, body string) answer {
	h.t.Helper()
	c, r := h.dial(strings.Replace(h.raw(target, body), "POST", method, 1))
	defer c.Close()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	b := make([]byte, 1<<20)
	n := 0
	for err == nil {
		var more int
		more, err = response.Body.Read(b[n:])
		n += more
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(b[:n])}
}

// TestSpellingsAreJudgedAlike: however a path is written, its tokens are
// counted, and the provider gets the spelling that was judged.
func TestSpellingsAreJudgedAlike(t *testing.T) {
	h := newHouse(t)
	n := 0
	for _, target := range []string{
		"/v1/chat/completions", "/v1/%63hat/completions", "/v1//chat/completions", "//v1/chat//completions", "/v1/./chat/completions", "/v1/x/../chat/completions",
		"/v1/ch%61t/completion%73", "/%76%31/chat/completions", "/main//v1/%63hat/completions?x=%63",
	} {
		for _, stream := range []bool{false, true} {
			n++
			if a := h.send("POST", target, chatBody("gpt-4o", stream)); a.status != 200 {
				t.Errorf("%s: %d %s", target, a.status, a.body)
			}
			all := h.provider.Requests()
			if last := all[len(all)-1]; last.Path != "/v1/chat/completions" || strings.HasSuffix(target, "?x=%63") != (last.RawQuery == "x=%63") {
				t.Errorf("%s: arrived as %s?%s", target, last.Path, last.RawQuery)
			}
			records := h.records(n)
			last := records[len(records)-1]
			if last["endpoint"] != "chat_completions" || last["output_tokens"] == nil && last["events"] == nil {
				t.Errorf("%s: record %v", target, last)
			}
		}
	}
	// These are another path to the double, and the same to some providers.
	for _, target := range []string{"/v1/Chat/completions", "/v1/chat/completions/", "/v1/chat%2Fcompletions", "/v1/chat;x=y/completions", "/v1/chat%3bx=y/completions", "/v1/v1/chat/completions"} {
		n++
		h.send("POST", target, chatBody("gpt-4o", true))
		records := h.records(n)
		if last := records[len(records)-1]; last["endpoint"] != "chat_completions" || last["model"] != "gpt-4o" {
			t.Errorf("%s: record %v", target, last)
		}
	}
	before := len(h.provider.Requests())
	for _, target := range []string{"/v1/chat\\completions", "/v1/%zz", "/v1/a%5Cb", "/v1/a%2F..%2Fb", "/v1/..%3Bx/a", "/v1/.%3B/a", "/v1/chat/completions#x", "/v1/a%00"} {
		if a := h.send("POST", target, chatBody("gpt-4o", false)); a.status != 400 || a.code() != "invalid_request" || !strings.Contains(a.body, "path") {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	if got := len(h.provider.Requests()); got != before {
		t.Errorf("%d calls without a spelling were forwarded", got-before)
	}
}

// TestMemoryIsNotForwarded: the memory API's paths stay here, however they are
// spelled.
func TestMemoryIsNotForwarded(t *testing.T) {
	h := newHouse(t)
	const memory = `{"content":"Ada keeps bees on the roof."}`
	for _, target := range []string{
		"/v1//buckets/default/memories", "/v1/%62uckets/default//memories", "//v1/./buckets/x/../default/memories", "/v1/buckets/team%2Fa/memories",
		"/v1/buckets/proj%2Fv1/memories", "/v1/buckets/team%2Fv1%2Fnotes/memories", "/v1/buckets/v1%2Fchat%2Fcompletions/memories",
	} {
		if a := h.send("POST", target, memory); a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	if a := h.send("GET", "/v1/buckets/team%2fa/memories", ""); a.status != 200 || !strings.Contains(a.body, `"bucket_name":"team/a"`) {
		t.Errorf("a bucket with a slash in its name: %d %s", a.status, a.body)
	}
	for _, target := range []string{
		"/v1/v1/buckets/default/memories", "/v1/Buckets/default/memories", "/v1/buckets%2Fdefault%2Fmemories", "/v1/buckets;x/default/memories", "/v1/buckets%3Bx/default/memories",
		"/v1/buckets/x/v1/memories", "/v1/buckets/x/v1/chat/completions", "/v1/query/v1/chat/completions",
	} {
		if a := h.send("POST", target, memory); a.status != 404 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	for _, target := range []string{"/v1/usage", "/v1//usage?by=model", "/v1/%75sage", "/v1/x/../usage", "/v1/Usage", "/v1/usage/"} {
		if a := h.send("GET", target, ""); a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	if all := h.provider.Requests(); len(all) > 0 {
		t.Errorf("the provider got %s %s", all[0].Method, all[0].Path)
	}
}

// TestEncodedSlashIsTheClients: a name with a slash reaches the provider as it
// was written.
func TestEncodedSlashIsTheClients(t *testing.T) {
	h := newHouse(t)
	for target, want := range map[string]string{
		"/v1/models/openai%2Fgpt-oss-120b":     "/v1/models/openai%2Fgpt-oss-120b",
		"/main/v1/models/a%2fb%3Ac":            "/v1/models/a%2Fb%3Ac",
		"/v1/models/ft%3Agpt-4o%3Aacme%3A%3A1": "/v1/models/ft%3Agpt-4o%3Aacme%3A%3A1",
	} {
		if a := h.send("GET", target, ""); a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
		all := h.provider.Requests()
		if got := all[len(all)-1].Path; got != want {
			t.Errorf("%s: arrived as %s", target, got)
		}
	}
}
