package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// effect is what can be seen of a key that a reload applies.
type effect struct {
	keys string // by spaces
	// with and without are sections of the configuration; openai and others are
	// items of its section providers.
	with, without string
	openai        string
	others        string
	// act does something, and gives what tells whether the effect is there; it may
	// take so long.
	act      func() (seen func() bool)
	patience time.Duration
}

// seenElsewhere are keys whose effect other tests have, or whose effect needs
// more time than a test has.
var seenElsewhere = map[string]string{
	"admin.token":                     "TestReload",
	"providers.NAME.request_headers":  "TestReload",
	"timeouts.drain":                  "TestEveryReloadedKeyHasAnEffect, at its end",
	"runaway.factor":                  "TestApplyReplacesEverySetting of package admission",
	"runaway.least_tokens_per_minute": "TestApplyReplacesEverySetting of package admission",
	"memory.recall_timeout":           "TestRecallTimeoutIsApplied of package gateway",
}

// reloadedKeys are those that docs/config.md says a reload applies.
func reloadedKeys(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*?\\| reload \\|").FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	if len(all) < 45 {
		t.Fatalf("%d keys", len(all))
	}
	return all
}

// ask makes a call and gives its answer, with how long it took.
func (s *stand) ask(token, path, body string, header ...string) (r *http.Response, text string, took time.Duration) {
	s.t.Helper()
	request, err := http.NewRequest("POST", s.ready.BaseURL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	if r, err = http.DefaultClient.Do(request); err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body) // a stream that is cut is an answer, too
	return r, string(b), time.Since(began)
}

// export gives a bucket's memories as lines.
func (s *stand) export(bucket string) string {
	s.t.Helper()
	request, err := http.NewRequest("GET", s.ready.BaseURL+"/buckets/"+bucket+"/export", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// chatWith is a chat's body.
func chatWith(model, content string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, stream, content)
}

// TestEveryReloadedKeyHasAnEffect: for each key that a reload applies, what it
// does is seen after a reload that sets it, and is not seen after one that takes
// it away again. Keys that wait for a restart are named by the reload: TestMerge
// of package config.
func TestEveryReloadedKeyHasAnEffect(t *testing.T) {
	t.Parallel()
	s := newStand(t, "")
	second, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{goodKey}, Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var key atomic.Value // what a provider was shown last, by header
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key.Store(r.Header.Get("X-Api-Key"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[]}`)
	}))
	defer secure.Close()
	authority := filepath.Join(s.dir, "authority.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // a handshake with it does not come to its end
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	alarms := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte("hook-secret"))
		mac.Write(body)
		if r.Header.Get("Ownkey-Signature") == "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			alarms <- string(body)
		}
	}))
	defer hook.Close()

	secret := filepath.Join(s.dir, "hook-secret")
	if err := os.WriteFile(secret, []byte("hook-secret"), 0o600); err != nil {
		t.Fatal(err)
	}

	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(text, []byte("providers:"))
	base := map[string]string{
		"openai": fmt.Sprintf("base_url: '%s'", s.provider.URL()), "secure": fmt.Sprintf("base_url: '%s'", secure.URL), "trusted": fmt.Sprintf("base_url: '%s', ca_file: %s", secure.URL, authority),
		"mute": fmt.Sprintf("base_url: 'https://%s', connect_timeout: 1500ms", mute.Addr()),
	}
	// put writes the configuration and has it taken. Items of a provider that are
	// given come in place of its own.
	put := func(sections, openai, others string) {
		t.Helper()
		var b bytes.Buffer
		b.Write(head)
		b.WriteString("providers:\n")
		for _, name := range []string{"openai", "secure", "trusted", "mute"} {
			items := base[name]
			if name == "openai" && strings.Contains(openai, "base_url") {
				items = openai
			} else if name == "openai" && openai != "" {
				items += ", " + openai
			}
			if strings.Contains(others, "  "+name+":") {
				continue
			}
			fmt.Fprintf(&b, "  %s: {%s}\n", name, items)
		}
		b.WriteString(others + sections)
		if err := os.WriteFile(s.config, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		s.reload(true)
	}
	put("", "", "")
	for _, name := range []string{"secure", "trusted", "mute"} {
		s.want(goodKey, "credential", "put", "--tenant", "acme", "--provider", name)
	}
	for i := range 20 {
		s.memoryCall("POST", "/buckets/default/memories", fmt.Sprintf(`{"content":"The harbour master of quay %d is called Number%d."}`, i, i))
	}
	s.want("", "tenant", "create", "other")
	s.want(goodKey, "credential", "put", "--tenant", "other", "--provider", "openai")
	other := strings.TrimSpace(s.want("", "token", "create", "--tenant", "other"))
	newToken := func() (token, id string) {
		label := fmt.Sprint("t", time.Now().UnixNano())
		token = strings.TrimSpace(s.want("", "token", "create", "--tenant", "acme", "--label", label))
		return token, s.tokenID(label)
	}
	long := strings.Repeat("x", 2000)

	at := func(ok bool) func() bool { return func() bool { return ok } }
	status := func(model, content string, want int) func() func() bool {
		return func() func() bool {
			r, _, _ := s.ask(s.token, "/chat/completions", chatWith(model, content, false))
			return at(r.StatusCode == want)
		}
	}
	broken := func() func() bool {
		_, text, _ := s.ask(s.token, "/chat/completions", chatWith("openai/fake:chunks=2,gap=400ms", "x", true))
		return at(!strings.Contains(text, "[DONE]"))
	}
	// standing: the answer says how much of the limit there is.
	standing := func(item string) func() func() bool {
		return func() func() bool {
			r, _, _ := s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", "x", true))
			return at(strings.Contains(strings.Join(r.Header.Values("Ownkey-Ratelimit"), ","), item))
		}
	}
	invoiced := func(want string) func() func() bool {
		return func() func() bool {
			return at(strings.Contains(s.adminGet("/admin/v1/invoices/acme/"+time.Now().UTC().Format("2006-01")), want))
		}
	}
	recalled := func(few func(ids, tokens int) bool) func() func() bool {
		return func() func() bool {
			r, _, _ := s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", "Who is the harbour master of the quay?", false), "Ownkey-Memory", "recall")
			tokens, _ := strconv.Atoi(r.Header.Get("Ownkey-Memory-Tokens"))
			return at(few(len(strings.Split(r.Header.Get("Ownkey-Memory-Ids"), ",")), tokens))
		}
	}
	captured := 0
	var effects []effect
	for _, scope := range []string{"token", "tenant"} {
		for _, name := range []string{"requests_per_second", "tokens_per_minute", "tokens_per_day", "tokens_per_month"} {
			effects = append(effects, effect{
				keys: "limits." + scope + "." + name, with: fmt.Sprintf("limits: {%s: {%s: 654321}}\n", scope, name),
				act: standing(fmt.Sprintf("%s;scope=%s;limit=654321", name, scope)),
			})
		}
		for _, name := range []string{"requests_in_flight", "streams"} {
			effects = append(effects, effect{keys: "limits." + scope + "." + name, with: fmt.Sprintf("limits: {%s: {%s: 1}}\n", scope, name), act: func() func() bool {
				return s.besideAStream(s.token, func() bool {
					r, _, _ := s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", "x", true))
					return r.StatusCode == 429
				})
			}})
		}
		effects = append(effects, effect{keys: "limits." + scope + ".body_bytes", with: "limits: {" + scope + ": {body_bytes: 1024}}\n", act: status("openai/gpt-4o", long, 413)})
	}
	for _, item := range []string{"per_1000_memory_months_micro_usd", "per_1000_retrievals_micro_usd", "free_memory_months", "free_retrievals", "flat_fee_micro_usd"} {
		effects = append(effects, effect{
			keys: "billing.plans.NAME." + item, without: "billing: {default_plan: pro, plans: {pro: {}}}\n",
			with: "billing: {default_plan: pro, plans: {pro: {" + item + ": 7654321}}}\n", act: invoiced("7654321"),
		})
	}
	effects = append(effects,
		effect{
			keys: "billing.default_plan", without: "billing: {plans: {pro: {flat_fee_micro_usd: 7654321}}}\n",
			with: "billing: {default_plan: pro, plans: {pro: {flat_fee_micro_usd: 7654321}}}\n", act: invoiced("7654321"),
		},
		effect{
			keys: "billing.tenants", without: "billing: {plans: {pro: {flat_fee_micro_usd: 7654321}}}\n",
			with: "billing: {tenants: {acme: pro}, plans: {pro: {flat_fee_micro_usd: 7654321}}}\n", act: invoiced("7654321"),
		},
		effect{keys: "providers.NAME.base_url", openai: fmt.Sprintf("base_url: '%s'", second.URL()), act: status("openai/gpt-4o", "x", 412)},
		effect{keys: "providers.NAME.max_body_bytes", openai: "max_body_bytes: 1024", act: func() func() bool { // where the path names it
			request := strings.Replace(s.ready.BaseURL, "/v1", "/openai/v1", 1)
			was := s.ready.BaseURL
			s.ready.BaseURL = request
			defer func() { s.ready.BaseURL = was }()
			r, _, _ := s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", long, false))
			return at(r.StatusCode == 413)
		}},
		effect{keys: "providers.NAME.response_headers", openai: "response_headers: [x-unknown]", act: func() func() bool {
			r, _, _ := s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", "x", false))
			return at(r.Header.Get("X-Unknown") == "internal")
		}},
		effect{keys: "providers.NAME.first_byte_timeout", openai: "first_byte_timeout: 50ms", act: status("openai/fake:delay=400ms", "x", 504)},
		effect{keys: "providers.NAME.idle_timeout", openai: "idle_timeout: 50ms", act: broken},
		effect{keys: "providers.NAME.total_timeout", openai: "total_timeout: 50ms", act: broken},
		effect{keys: "providers.NAME.ca_file", others: fmt.Sprintf("  secure: {base_url: '%s', ca_file: %s}\n", secure.URL, authority), act: status("secure/m", "x", 200)},
		effect{keys: "providers.NAME.auth", others: fmt.Sprintf("  trusted: {base_url: '%s', ca_file: %s, auth: x-api-key}\n", secure.URL, authority), act: func() func() bool {
			key.Store("")
			status("trusted/m", "x", 200)()
			return at(key.Load() == goodKey)
		}},
		effect{keys: "providers.NAME.allow_plain_http", others: "  far: {base_url: 'http://192.0.2.1/v1', allow_plain_http: true}\n", act: func() func() bool {
			_, code := s.verb("sk-x", "credential", "put", "--tenant", "acme", "--provider", "far")
			return at(code == 0)
		}},
		effect{keys: "providers.NAME.connect_timeout", others: fmt.Sprintf("  mute: {base_url: 'https://%s', connect_timeout: 20ms}\n", mute.Addr()), act: func() func() bool {
			_, _, took := s.ask(s.token, "/chat/completions", chatWith("mute/m", "x", false))
			return at(took < 1400*time.Millisecond)
		}},
		effect{keys: "limits.max_body_bytes", with: "limits: {max_body_bytes: 1024}\n", act: status("openai/gpt-4o", long, 413)},
		effect{keys: "limits.max_requests_in_flight", with: "limits: {max_requests_in_flight: 1, queue_time: 0s}\n", act: func() func() bool {
			return s.besideAStream(other, func() bool { return status("openai/gpt-4o", "x", 429)()() })
		}},
		effect{keys: "limits.queue_time", without: "limits: {max_requests_in_flight: 1, queue_time: 1500ms}\n", with: "limits: {max_requests_in_flight: 1, queue_time: 0s}\n", act: func() func() bool {
			return s.besideAStream(other, func() bool {
				_, _, took := s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", "x", false))
				return took < 1400*time.Millisecond
			})
		}},
		effect{keys: "egress.allow", with: "egress: {allow: [127.0.0.1]}\n", act: func() func() bool {
			_, code := s.verb(goodKey, "credential", "put", "--tenant", "acme", "--provider", "openai", "--label", "own", "--base-url", second.URL())
			return at(code == 0)
		}},
		effect{keys: "cut_revoked_streams", with: "cut_revoked_streams: true\n", act: func() func() bool {
			token, id := newToken()
			was := s.token
			s.token = token
			events := s.openStream(100)
			s.token = was
			s.want("", "token", "revoke", "--tenant", "acme", id)
			rest, _ := io.ReadAll(events)
			return at(strings.Contains(string(rest), `"revoked"`))
		}},
		effect{keys: "memory.top_k", with: "memory: {top_k: 1}\n", act: recalled(func(ids, tokens int) bool { return ids == 1 && tokens > 0 })},
		effect{keys: "memory.max_tokens", with: "memory: {max_tokens: 120}\n", act: recalled(func(_, tokens int) bool { return tokens > 0 && tokens <= 120 })},
		effect{keys: "memory.ttl", with: "memory: {ttl: 1h}\n", act: func() func() bool {
			captured++
			s.ask(s.token, "/chat/completions", chatWith("openai/gpt-4o", fmt.Sprintf("My boat number %d lies at the quay.", captured), false), "Ownkey-Memory", "capture", "Ownkey-Bucket", "boats")
			var kept struct {
				ExpiresAt time.Time `json:"expires_at"`
			}
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if lines := strings.Split(strings.TrimSpace(s.export("boats")), "\n"); strings.Contains(lines[len(lines)-1], fmt.Sprintf("boat number %d ", captured)) {
					_ = json.Unmarshal([]byte(lines[len(lines)-1]), &kept)
					break
				}
			}
			return at(!kept.ExpiresAt.IsZero() && time.Until(kept.ExpiresAt) <= time.Hour)
		}},
		effect{keys: "memory.synthesis_model", with: "memory: {synthesis_model: openai/another-model}\n", act: func() func() bool {
			s.provider.Forget()
			s.ask(s.token, "/query", `{"query":"Who is the harbour master?"}`)
			return at(s.provider.Has("another-model"))
		}},
		effect{keys: "log.level", patience: 30 * time.Second, with: "log: {level: debug}\n", act: func() func() bool {
			from := len(s.stderr.String())
			s.adminGet("/metrics")
			return func() bool { return strings.Contains(s.stderr.String()[from:], `"call":"GET /metrics"`) }
		}},
		effect{
			keys: "runaway.tokens_per_minute runaway.stop runaway.webhook runaway.webhook_secret", patience: 30 * time.Second,
			with: fmt.Sprintf("runaway: {tokens_per_minute: 1, stop: true, webhook: '%s', webhook_secret: {file: %s}}\n", hook.URL, secret), act: func() func() bool {
				token, id := newToken()
				s.ask(token, "/chat/completions", chatWith("openai/gpt-4o", "x", false))
				return func() bool {
					select {
					case body := <-alarms: // the tokens before spend too much as well
						return strings.Contains(body, id) && strings.Contains(body, `"stopped":true`)
					default:
						return false
					}
				}
			},
		},
	)
	covered := []string{}
	for _, e := range effects {
		covered = append(covered, strings.Fields(e.keys)...)
		put(e.with, e.openai, e.others)
		seen := e.act()
		for end := time.Now().Add(e.patience); !seen(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: its effect is not seen", e.keys)
				break
			}
		}
		put(e.without, "", "")
		if e.act()() {
			t.Errorf("%s: its effect is seen without it", e.keys)
		}
	}
	for _, key := range reloadedKeys(t) {
		if !slices.Contains(covered, key) && seenElsewhere[key] == "" {
			t.Errorf("%s: nobody has seen that a reload applies it", key)
		}
	}

	// The drain is the last that a gateway does.
	put("timeouts: {drain: 100ms}\n", "", "")
	s.token, _ = newToken()      // the one before was stopped
	events := s.openStream(2000) // 40 s
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	began := time.Now()
	_, _ = io.ReadAll(events)
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("drained for %v", took)
	}
	_ = s.cmd.Wait()
}

// besideAStream looks while a stream is open.
func (s *stand) besideAStream(token string, look func() bool) (seen func() bool) {
	s.t.Helper()
	request, err := http.NewRequest("POST", s.ready.BaseURL+"/chat/completions", strings.NewReader(chatWith("openai/fake:chunks=200,gap=20ms", "x", true)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != 200 {
		s.t.Fatalf("%v %v", response, err)
	}
	found := look()
	_ = response.Body.Close()
	return func() bool { return found }
}
