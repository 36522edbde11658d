package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/gateway/rotation"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

type plane struct {
	t         *testing.T
	server    *httptest.Server
	directory *directory.Directory
	keyring   *vaultbridge.Local
	dir       string
	log       *bytes.Buffer
	status    int // what the provider answers to a test
	events    *events
	books     *sqlite.Store
}

// newPlane makes an admin plane over a keyring; without one, over a local one.
func newPlane(t *testing.T, keyrings ...vaultbridge.Keyring) *plane {
	t.Helper()
	return newPlaneWith(t, func(*admin.Options) {}, keyrings...)
}

// newPlaneWith is newPlane with options changed.
func newPlaneWith(t *testing.T, change func(*admin.Options), keyrings ...vaultbridge.Keyring) *plane {
	t.Helper()
	p := &plane{t: t, dir: t.TempDir(), log: &bytes.Buffer{}, status: 200, events: &events{}}
	ctx := context.Background()
	database, err := db.Open(ctx, filepath.Join(p.dir, "ownkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	if p.directory, err = directory.Open(ctx, database, directory.Options{}); err != nil {
		t.Fatal(err)
	}
	if p.keyring, err = vaultbridge.CreateLocal(filepath.Join(p.dir, "master.key")); err != nil {
		t.Fatal(err)
	}
	if p.books, err = sqlite.Open(ctx, database); err != nil {
		t.Fatal(err)
	}
	usage := &admin.UsageAPI{Books: p.books, Directory: p.directory, Flush: func(context.Context) error { return nil }, Now: time.Now}
	log := zerolog.New(zerolog.SyncWriter(p.log))
	ring, err := vaultbridge.NewRing(append(keyrings, p.keyring)[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	walker := rotation.New(ctx, rotation.Options{Directory: p.directory, Ring: ring, Log: &log, Rate: 1000, Rebind: func(_, _, _ string) string { return "" }, Settle: 10 * time.Millisecond})
	o := admin.Options{
		Directory: p.directory, Ring: ring, Walker: walker, Invoices: newBook(t, p, database), Usage: usage, Metrics: prometheus.NewRegistry(), Log: &log, Token: func() config.Secret { return config.NewSecret("oka_test") },
		Address: func(provider, baseURL string) (string, error) {
			switch {
			case provider != "openai":
				return "", admin.ErrUnknownProvider
			case baseURL == "":
				return "https://api.openai.com:443/v1", nil
			case !strings.HasPrefix(baseURL, "https://"):
				return "", errors.New("must begin with https://")
			}
			return "https://example.com:443", nil
		},
		Test:  func(context.Context, *directory.Credential) (int, error) { return p.status, nil },
		Ready: func() (int, string) { return 503, `{"status":"unavailable"}` },
	}
	change(&o)
	p.server = httptest.NewUnstartedServer(admin.New(o))
	p.server.Listener = admin.Listener(p.server.Listener)
	p.server.Start()
	t.Cleanup(func() { p.server.Close(); walker.Close(); p.directory.Close(); _ = database.Close() })
	return p
}

func (p *plane) call(method, path, body string) (status int, answer map[string]any, raw string) {
	p.t.Helper()
	return p.as("Bearer oka_test", method, path, body)
}

func (p *plane) as(authorization, method, path, body string) (status int, answer map[string]any, raw string) {
	p.t.Helper()
	request, err := http.NewRequest(method, p.server.URL+"/admin/v1"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	_ = json.Unmarshal(b, &answer)
	return response.StatusCode, answer, string(b)
}

func (p *plane) want(method, path, body string, status int) map[string]any {
	p.t.Helper()
	got, answer, raw := p.call(method, path, body)
	if got != status {
		p.t.Fatalf("%s %s: %d %s, want %d", method, path, got, raw, status)
	}
	return answer
}

func TestLimitsOfTokensAndTenants(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	made := p.want("POST", "/tenants/acme/tokens", `{"label":"ci","limits":{"requests_per_second":0.5,"tokens_per_day":1000}}`, 201)
	path := "/tenants/acme/tokens/" + made["id"].(string)
	limits := func(answer map[string]any) map[string]any { return answer["limits"].(map[string]any) }
	if got := limits(made); got["requests_per_second"] != 0.5 || got["tokens_per_day"] != 1000.0 || got["streams"] != 0.0 {
		t.Errorf("%v", got)
	}
	if got := limits(p.want("PATCH", path, `{"limits":{"streams":3,"tokens_per_day":0}}`, 200)); got["requests_per_second"] != 0.5 || got["tokens_per_day"] != 0.0 || got["streams"] != 3.0 {
		t.Errorf("what is not named stays: %v", got)
	}
	if got := limits(p.want("PATCH", "/tenants/acme", `{"limits":{"requests_in_flight":9}}`, 200)); got["requests_in_flight"] != 9.0 {
		t.Errorf("%v", got)
	}
	if got := p.want("PATCH", "/tenants/acme", `{"name":"Acme"}`, 200); limits(got)["requests_in_flight"] != 9.0 {
		t.Errorf("another change took the limits away: %v", got)
	}
	for body, param := range map[string]string{
		`{"limits":{"requests_per_second":-1}}`:  "limits.requests_per_second",
		`{"limits":{"requests_per_second":"x"}}`: "limits.requests_per_second",
		`{"limits":{"tokens_per_month":1e300}}`:  "limits.tokens_per_month",
		`{"limits":{"tokens_per_month":-5}}`:     "limits.tokens_per_month",
		`{"limits":{"requests_per_minute":1}}`:   "limits.requests_per_minute",
		`{"limits":7}`:                           "limits",
		`{"scopes":[]}`:                          "scopes",
		`{"models":[]}`:                          "models",
		`{"credentials":[]}`:                     "credentials",
		`{"scopes":["manage"]}`:                  "scopes[0]",
		`{"label":"x"}`:                          "label",
		`{"bucket":"a//b"}`:                      "bucket",
		`{"buckets":{"reed":["a"]}}`:             "buckets.reed",
		`{"buckets":{"read":"a"}}`:               "buckets.read",
		`{"buckets":{"read":["../x"]}}`:          "buckets.read[0]",
		`{"endpoints":["/v1/files"]}`:            "endpoints",
		`{"memory":"always"}`:                    "memory",
	} {
		status, answer, raw := p.call("PATCH", path, body)
		e, _ := answer["error"].(map[string]any)
		if status != 400 || e["param"] != param {
			t.Errorf("%s: %d %s", body, status, raw)
		}
	}
	stopped := p.want("POST", path+"/stop", "", 200)
	if stopped["stopped_at"] == nil || stopped["stop_reason"] != "stopped by an operator" {
		t.Errorf("%v", stopped)
	}
	if resumed := p.want("POST", path+"/resume", "", 200); resumed["stopped_at"] != nil {
		t.Errorf("%v", resumed)
	}
	p.want("PATCH", "/tenants/acme/tokens/nobody", `{"limits":{}}`, 404)
	p.want("DELETE", path, "", 204)
	p.want("POST", path+"/resume", "", 404)
}

func TestLifeOfATenant(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme","name":"Acme"}`, 201)
	p.want("PATCH", "/tenants/acme", `{"default_provider":"openai","routes":[{"model":"gpt-*","provider":"openai"}]}`, 200)
	if got := p.want("GET", "/tenants/acme", "", 200); got["default_provider"] != "openai" || len(got["routes"].([]any)) != 1 {
		t.Errorf("got %v", got)
	}
	token := p.want("POST", "/tenants/acme/tokens", `{"label":"ci","scopes":["inference"],"models":["gpt-*"],"expires_at":"2099-01-01T00:00:00Z"}`, 201)
	plain, _ := token["token"].(string)
	if _, err := p.directory.Authenticate([]byte(plain), time.Now()); err != nil {
		t.Errorf("the token does not work: %v", err)
	}
	_, _, listed := p.call("GET", "/tenants/acme/tokens", "")
	if strings.Contains(listed, plain) || !strings.Contains(listed, `"label":"ci"`) {
		t.Errorf("list of tokens: %s", listed)
	}
	put := p.want("PUT", "/tenants/acme/credentials/openai/default", `{"secret":" sk-secret-1\n","organization":"org-1"}`, 200)
	if len(put["fingerprint"].(string)) != 16 || put["key_version"] != 1.0 || put["id"] == "" {
		t.Errorf("got %v", put)
	}
	tenant, _ := p.directory.Tenant("acme")
	c, err := tenant.Credential("openai", "")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := p.keyring.Unseal(context.Background(), vaultbridge.Bound{
		Context: vaultbridge.Context{Tenant: "acme", CredentialID: c.ID, Provider: "openai", Address: "https://api.openai.com:443/v1"}, Blob: c.Sealed,
	})
	if err != nil {
		t.Fatal(err)
	}
	opened.Use(func(b []byte) {
		if string(b) != "sk-secret-1" {
			t.Errorf("sealed %q", b)
		}
	})
	if got := p.want("POST", "/tenants/acme/credentials/openai/default/test", "", 200); got["ok"] != true {
		t.Errorf("test: %v", got)
	}
	p.status = 401
	if got := p.want("POST", "/tenants/acme/credentials/openai/default/test", "", 200); got["ok"] != false || got["status"] != 401.0 {
		t.Errorf("test: %v", got)
	}
	p.want("GET", "/tenants/acme/credentials", "", 200)
	p.want("DELETE", "/tenants/acme/credentials/openai/default", "", 204)
	p.want("GET", "/tenants/acme/credentials/openai/default", "", 404)
	p.want("DELETE", "/tenants/acme/tokens/"+token["id"].(string), "", 204)
	p.want("DELETE", "/tenants/acme?shred=true", "", 501)
	p.want("DELETE", "/tenants/acme", "", 204)
	p.want("GET", "/tenants/acme", "", 404)
	p.want("POST", "/tenants", `{"id":"acme"}`, 409)

	everything := p.log.String()
	files, _ := filepath.Glob(filepath.Join(p.dir, "ownkey.db*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		everything += string(b)
	}
	for _, secret := range []string{"sk-secret-1", plain} {
		if strings.Contains(everything, secret) {
			t.Errorf("%.6s… is written down", secret)
		}
	}
	if !strings.Contains(everything, "credential stored") {
		t.Error("changes are not logged")
	}
}

func TestOnlyTheAdminTokenIsLetIn(t *testing.T) {
	p := newPlane(t)
	for _, authorization := range []string{"", "oka_test", "Basic oka_test", "Bearer ", "Bearer oka_tes", "Bearer oka_testt"} {
		if status, _, raw := p.as(authorization, "GET", "/tenants", ""); status != 401 || !strings.Contains(raw, `"code":"invalid_token"`) {
			t.Errorf("%q: %d %s", authorization, status, raw)
		}
	}
	p.want("GET", "/tenants", "", 200)
}

func TestBadCallsNameTheField(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	f := func(method, path, body string, status int, code, param string) {
		t.Helper()
		got, answer, raw := p.call(method, path, body)
		e, _ := answer["error"].(map[string]any)
		have, _ := e["param"].(string)
		if got != status || e["code"] != code || have != param || e["type"] != "ownkey_error" || e["message"] == "" {
			t.Errorf("%s %s %s: %d %s", method, path, body, got, raw)
		}
		if strings.Contains(raw, "sk-") {
			t.Errorf("an answer quotes the secret: %s", raw)
		}
	}
	const put = "/tenants/acme/credentials/openai/default"
	f("POST", "/tenants", `{"id":"A B"}`, 400, "invalid_request", "id")
	f("POST", "/tenants", `{"id":"b","nam":"x"}`, 400, "invalid_request", "nam")
	f("POST", "/tenants", `{"id":7}`, 400, "invalid_request", "id")
	f("POST", "/tenants", `hello`, 400, "invalid_request", "")
	f("POST", "/tenants", `{"id":"b"} {"id":"c"}`, 400, "invalid_request", "")
	f("POST", "/tenants", `{"id":"`+strings.Repeat("x", 2<<20)+`"}`, 413, "too_large", "")
	f("POST", "/tenants/acme/tokens", `{"scopes":["root"]}`, 400, "invalid_request", "scopes[0]")
	f("PUT", put, `{}`, 400, "invalid_request", "secret")
	f("PUT", put, `{"secret":""}`, 400, "invalid_request", "secret")
	f("PUT", put, `{"secret":"sk-a b"}`, 400, "invalid_request", "secret")
	f("PUT", put, `{"secret":"sk-a\r\nX-Evil: 1"}`, 400, "invalid_request", "secret")
	f("PUT", put, `{"secret":["sk-a"]}`, 400, "invalid_request", "secret")
	f("PUT", put, `{"secret":"sk-a","base_url":"ftp://x"}`, 400, "invalid_request", "base_url")
	f("PUT", "/tenants/acme/credentials/nobody/default", `{"secret":"sk-a"}`, 400, "unknown_provider", "provider")
	f("PUT", "/tenants/nobody/credentials/openai/default", `{"secret":"sk-a"}`, 404, "not_found", "")
	f("GET", "/nothing", "", 404, "not_found", "")
}

func TestRewrapOverTheAPI(t *testing.T) {
	p := newPlane(t)
	if got := p.want("GET", "/rewrap", "", 200); got["state"] != "none" {
		t.Errorf("before any: %v", got)
	}
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	p.want("PUT", "/tenants/acme/credentials/openai/default", `{"secret":"sk-1"}`, 200)
	p.want("POST", "/rewrap", `{"tenant":"nobody"}`, 404)
	p.want("POST", "/rewrap", `{"tenent":"acme"}`, 400)
	if got := p.want("POST", "/rewrap", `{"tenant":"acme"}`, 202); got["tenant"] != "acme" {
		t.Errorf("got %v", got)
	}
	seen := map[any]bool{}
	for end := time.Now().Add(10 * time.Second); !seen["done"]; time.Sleep(5 * time.Millisecond) {
		seen[p.want("GET", "/rewrap", "", 200)["state"]] = true
		if time.Now().After(end) {
			t.Fatal("the rewrap does not end")
		}
	}
	for state := range seen {
		if !slices.Contains([]any{"rewrapping", "settling", "retiring", "done"}, state) {
			t.Errorf("a state that docs/admin.md does not name: %v", state)
		}
	}
	got := p.want("GET", "/rewrap", "", 200)
	// The only row is of the newest version already.
	for member, want := range map[string]any{"tenants": 1.0, "tenants_done": 1.0, "rows_done": 0.0, "rows_failed": 0.0, "trouble": ""} {
		if got[member] != want {
			t.Errorf("%s is %v, want %v: %v", member, got[member], want, got)
		}
	}
	p.want("POST", "/rewrap", "", 202)
	p.want("POST", "/tenants/acme/rotate", "", 501)
	if got := p.want("GET", "/doctor", "", 200); got["ok"] != true {
		t.Errorf("doctor: %v", got)
	}
}

func TestReplacedCredentialCanComeBack(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	const path = "/tenants/acme/credentials/openai/default"
	first := p.want("PUT", path, `{"secret":"sk-1"}`, 200)
	if first["replaced"] != nil {
		t.Errorf("got %v", first)
	}
	p.want("POST", path+"/rollback", "", 409)
	p.status = 401 // the provider does not know the next one
	p.want("PUT", path, `{"secret":"sk-2","test":true}`, 422)
	if got := p.want("GET", path, "", 200); got["fingerprint"] != first["fingerprint"] {
		t.Errorf("a refused secret was stored: %v", got)
	}
	second := p.want("PUT", path, `{"secret":"sk-2"}`, 200)
	if kept, _ := second["replaced"].(map[string]any); kept["fingerprint"] != first["fingerprint"] {
		t.Errorf("got %v", second)
	}
	if got := p.want("POST", path+"/test", "", 200); got["ok"] != false {
		t.Errorf("got %v", got)
	}
	if back := p.want("POST", path+"/rollback", "", 200); back["fingerprint"] != first["fingerprint"] {
		t.Errorf("got %v", back)
	}
	if again := p.want("POST", path+"/rollback", "", 200); again["fingerprint"] != second["fingerprint"] {
		t.Errorf("a rollback of the rollback: %v", again)
	}
	p.status = 200
	p.want("POST", path+"/test", "", 200)
	p.want("POST", path+"/rollback", "", 409)
	p.want("PUT", path, `{"secret":"sk-3","test":true}`, 200)
	p.want("POST", path+"/rollback", "", 200)
	p.want("DELETE", path, "", 204)
	p.want("POST", path+"/rollback", "", 404)
}

// TestMemoryTTLOfATokenIsShownAndChanged: how long what it has captured is kept.
func TestMemoryTTLOfATokenIsShownAndChanged(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	const tokens = "/tenants/acme/tokens"
	made := p.want("POST", tokens, `{"memory_ttl":"4w"}`, 201)
	path := tokens + "/" + made["id"].(string)
	for _, f := range []struct{ change, want string }{{`{"memory":"on"}`, "28d"}, {`{"memory_ttl":"never"}`, "never"}, {`{"memory_ttl":"12h"}`, "12h"}, {`{"memory_ttl":""}`, ""}} {
		if got := p.want("PATCH", path, f.change, 200); got["memory_ttl"] != f.want {
			t.Errorf("%s: %v", f.change, got)
		}
	}
	for _, odd := range []string{"soon", "0d", "-1d", "1m"} {
		if got := p.want("PATCH", path, `{"memory_ttl":"`+odd+`"}`, 400); !strings.Contains(fmt.Sprint(got), "memory_ttl") {
			t.Errorf("%s: %v", odd, got)
		}
	}
	p.want("POST", tokens, `{"memory_ttl":"soon"}`, 400)
}

// TestPermissionsOfTokens: what a token may use is made, shown and changed over
// the API.
func TestPermissionsOfTokens(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	f := func(got map[string]any, want string) {
		t.Helper()
		shown := map[string]any{}
		for _, name := range []string{"scopes", "models", "endpoints", "credentials", "memory", "bucket", "buckets"} {
			shown[name] = got[name]
		}
		if b, err := json.Marshal(shown); err != nil || string(b) != want {
			t.Errorf("got %s, want %s", b, want)
		}
		if got["unconfined"] != nil {
			t.Error("a new token is not confined")
		}
	}
	const tokens = "/tenants/acme/tokens"
	made := p.want("POST", tokens, `{}`, 201)
	f(made, `{"bucket":"default","buckets":{"read":["*"],"write":["*"]},"credentials":["*"],"endpoints":[],"memory":"off","models":["*"],"scopes":["*"]}`)
	f(p.want("POST", tokens, `{"scopes":["inference"],"memory":"on"}`, 201),
		`{"bucket":"default","buckets":{"read":["default"],"write":["default"]},"credentials":["*"],"endpoints":[],"memory":"on","models":["*"],"scopes":["inference"]}`)
	f(p.want("POST", tokens, `{"bucket":"team-a","models":["gpt-*"],"endpoints":["/v1/files*"],"credentials":["team-*"]}`, 201),
		`{"bucket":"team-a","buckets":{"read":["team-a"],"write":["team-a"]},"credentials":["team-*"],"endpoints":["/v1/files*"],"memory":"off","models":["gpt-*"],"scopes":["*"]}`)
	f(p.want("POST", tokens, `{"buckets":{"read":["*"],"write":[]}}`, 201),
		`{"bucket":"default","buckets":{"read":["*"],"write":[]},"credentials":["*"],"endpoints":[],"memory":"off","models":["*"],"scopes":["*"]}`)
	path := tokens + "/" + made["id"].(string)
	f(p.want("PATCH", path, `{"models":["o3"],"memory":"recall","bucket":"team-*"}`, 200),
		`{"bucket":"","buckets":{"read":["team-*"],"write":["team-*"]},"credentials":["*"],"endpoints":[],"memory":"recall","models":["o3"],"scopes":["*"]}`)
	f(p.want("PATCH", path, `{"buckets":{"write":["team-a"]},"scopes":["memory","inference"],"endpoints":["/v1/batches"],"credentials":["a"]}`, 200),
		`{"bucket":"","buckets":{"read":["team-*"],"write":["team-a"]},"credentials":["a"],"endpoints":["/v1/batches"],"memory":"recall","models":["o3"],"scopes":["memory","inference"]}`)
	p.want("PATCH", path, `{"bucket":""}`, 400) // which would open every bucket, and does not look so
	f(p.want("PATCH", path, `{"models":["*"],"endpoints":[],"buckets":{"read":["*"],"write":["*"]}}`, 200),
		`{"bucket":"default","buckets":{"read":["*"],"write":["*"]},"credentials":["a"],"endpoints":[],"memory":"recall","models":["*"],"scopes":["memory","inference"]}`)
	for body, want := range map[string]string{`{"allow_from":["10.0.0.0/8","::1"]}`: "[10.0.0.0/8 ::1]", `{"models":["*"]}`: "[10.0.0.0/8 ::1]", `{"allow_from":[]}`: "[]"} {
		if body == `{"models":["*"]}` { // leaves it
			p.want("PATCH", path, `{"allow_from":["10.0.0.0/8","::1"]}`, 200)
		}
		if got := fmt.Sprint(p.want("PATCH", path, body, 200)["allow_from"]); got != want {
			t.Errorf("%s: allow_from is %s", body, got)
		}
	}
	for body, param := range map[string]string{`{"expires_at":"0001-01-01T00:00:00Z"}`: "expires_at", `{"expires_at":"1970-01-01T00:00:00Z"}`: "expires_at", `{"allow_from":["x"]}`: "allow_from[0]", `{"scopes":[]}`: "scopes", `{"models":[]}`: "models", `{"credentials":[]}`: "credentials", `{"buckets":{"read":["a"]}}`: "buckets.write"} {
		status, answer, raw := p.call("POST", tokens, body)
		if e, _ := answer["error"].(map[string]any); status != 400 || e["param"] != param {
			t.Errorf("%s: %d %s", body, status, raw)
		}
	}
}
