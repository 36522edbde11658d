package gateway_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
	"github.com/ownkey/ownkey/vaultbridge"
)

// newVaultHouse is a house whose credentials are sealed by a real Vault.
func newVaultHouse(t *testing.T, change ...func(*options)) (*house, *vaulttest.Vault) {
	t.Helper()
	v := vaulttest.Start(t, vaultbridge.SetupScript("transit", "unused"), false)
	return newHouse(t, append([]func(*options){onVault(v)}, change...)...), v
}

func onVault(v *vaulttest.Vault) func(*options) {
	return func(o *options) {
		login := func(identity string) vaultbridge.Login {
			return vaultbridge.Login{
				Method: vaultbridge.MethodAppRole, RoleIDFile: v.File("ownkey-" + identity + ".role-id"), SecretIDFile: v.File("ownkey-" + identity + ".secret-id"),
			}
		}
		o.vault = &vaultbridge.TransitOptions{
			Name: "vault", Address: v.URL, Mount: "transit", Timeout: 250 * time.Millisecond, Data: login("data"), Admin: login("admin"),
		}
	}
}

func cacheFor(ttl, grace time.Duration) func(*options) {
	return func(o *options) { o.cache.TTL, o.cache.Grace = ttl, grace }
}

// as makes a call with another token.
func (h *house) as(token string) answer {
	h.t.Helper()
	return h.chat("gpt-4o", "Authorization", "Bearer "+token)
}

func TestRecordSaysWhichUnsealItUsed(t *testing.T) {
	h, _ := newVaultHouse(t)
	n := 0
	h.eventually("a credential in memory is used", func() bool { // the cache may take it a moment later
		if a := h.chat("gpt-4o"); a.status != 200 || a.header.Get("Ownkey-Credential") != "default;v=1" {
			t.Fatalf("%d %s %v", a.status, a.body, a.header)
		}
		n++
		return h.records(n)[n-1]["cache_hit"] == true
	})
	unseals := map[any]int{}
	for _, r := range h.records(n) {
		unseals[r["unseal"]]++
		if r["unseal"] == nil || r["key_version"] != 1.0 || len(r["fingerprint"].(string)) != 16 {
			t.Errorf("got %v", r)
		}
	}
	if last := h.records(n)[n-1]; unseals[last["unseal"]] < 2 {
		t.Errorf("the unseal that was in memory is nobody's: %v", unseals)
	}
}

// TestMovedCiphertextsDoNotOpen swaps the ciphertexts of two rows that differ
// in their id and one thing more: nothing is sent to a provider.
func TestMovedCiphertextsDoNotOpen(t *testing.T) {
	h, _ := newVaultHouse(t, cacheFor(0, 0))
	h.tenant("other")
	main := "main"
	if _, err := h.directory.UpdateTenant(context.Background(), "other", directory.TenantChange{DefaultProvider: &main}); err != nil {
		t.Fatal(err)
	}
	h.store("other", "main", "default", "sk-other")
	h.store("acme", "main", "second", secondKey)
	other := h.mint("other", directory.NewToken{})
	calls := map[string]func() [2]answer{
		"tenant":     func() [2]answer { return [2]answer{h.chat("gpt-4o"), h.as(other)} },
		"credential": func() [2]answer { return [2]answer{h.chat("gpt-4o"), h.chat("gpt-4o", "Ownkey-Credential", "second")} },
		"host":       func() [2]answer { return [2]answer{h.chat("gpt-4o"), h.chat("dead/gpt-4o")} },
		"provider":   func() [2]answer { return [2]answer{h.chat("gpt-4o"), h.chat("second/gpt-4o")} },
	}
	for what, where := range map[string]string{
		"tenant": "tenant_id = 'other'", "credential": "label = 'second'", "host": "provider = 'dead'", "provider": "provider = 'second'",
	} {
		for _, a := range calls[what]() {
			if a.code() == "credential_unusable" {
				t.Fatalf("%s: before: %s", what, a.body)
			}
		}
		h.swap("tenant_id = 'acme' AND provider = 'main' AND label = 'default'", where)
		h.provider.Forget()
		for i, a := range calls[what]() {
			if a.status != 412 || a.code() != "credential_unusable" {
				t.Errorf("%s, call %d: %d %s", what, i, a.status, a.body)
			}
		}
		if n := len(h.provider.Requests()); n != 0 {
			t.Errorf("%s: %d requests were sent", what, n)
		}
		h.swap("tenant_id = 'acme' AND provider = 'main' AND label = 'default'", where)
	}
	// The other way to another host: the row says so, the ciphertext does not.
	h.exec("UPDATE credentials SET base_url = 'http://127.0.0.1:1/v1', host = '127.0.0.1:1'", "tenant_id = 'acme' AND provider = 'main' AND label = 'default'")
	if a := h.chat("gpt-4o"); a.status != 412 || a.code() != "credential_unusable" {
		t.Errorf("repointed: %d %s", a.status, a.body)
	}
}

// exec changes rows of the database behind the directory's back, as somebody
// with access to it could.
func (h *house) exec(change, where string, args ...any) {
	h.t.Helper()
	h.tx(func(tx *sql.Tx) error {
		_, err := tx.Exec(change+", revision = (SELECT revision FROM counter) WHERE "+where, args...)
		return err
	})
}

func (h *house) tx(change func(tx *sql.Tx) error) {
	h.t.Helper()
	tx, err := h.database.Write.Begin()
	if err == nil {
		_, err = tx.Exec("UPDATE counter SET revision = revision + 1")
	}
	if err == nil {
		err = change(tx)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	// Any write brings the replica up.
	if _, _, err := h.directory.CreateToken(context.Background(), "acme", directory.NewToken{Label: "x"}); err != nil {
		h.t.Fatal(err)
	}
}

// swap exchanges the ciphertexts of two rows.
func (h *house) swap(one, two string) {
	h.t.Helper()
	h.tx(func(tx *sql.Tx) error {
		var a, b string
		if err := tx.QueryRow("SELECT sealed FROM credentials WHERE " + one).Scan(&a); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT sealed FROM credentials WHERE " + two).Scan(&b); err != nil {
			return err
		}
		for where, sealed := range map[string]string{one: b, two: a} {
			if _, err := tx.Exec("UPDATE credentials SET revision = (SELECT revision FROM counter), sealed = ? WHERE "+where, sealed); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestReadyMeansThatCallsSucceed: while Vault is sealed, as long as a credential
// in memory serves calls; not beyond that; and again when it is open.
func TestReadyMeansThatCallsSucceed(t *testing.T) {
	h, v := newVaultHouse(t, cacheFor(3*time.Second, 3*time.Second))
	ready := func() (int, string) { a := h.do("GET", "/readyz", "", "Authorization", ""); return a.status, a.body }
	if status, body := ready(); status != 200 || !strings.Contains(body, `{"status":"ok","store":"ok","keyring":"ok"`) {
		t.Errorf("before: %d %s", status, body)
	}
	if a := h.chat("gpt-4o"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := v.Call(context.Background(), v.RootToken, "PUT", "sys/seal", nil); err != nil {
		t.Fatal(err)
	}
	h.eventually("readyz knows that Vault is sealed", func() bool { _, body := ready(); return strings.Contains(body, `"keyring":"degraded"`) })
	if !strings.Contains(h.metricsText(), `ownkey_vault_available{keyring="vault"} 0`) {
		t.Error("the gauge does not know")
	}
	for failed := false; ; { // for the time of the cache and its grace
		status, body := ready()
		a := h.chat("gpt-4o")
		if status == 200 && a.status == 200 {
			continue
		}
		if after, _ := ready(); status == 200 && after == 200 && failed { // it ended between the two questions, once at most
			t.Fatalf("readyz says %d %s, and a call gets %d %s", status, body, a.status, a.body)
		}
		if failed = a.status != 200; status == 503 {
			if !strings.Contains(body, `{"status":"unavailable","store":"ok","keyring":"down"`) || a.status != 503 {
				t.Errorf("at the end: readyz says %d %s, and a call gets %d %s", status, body, a.status, a.body)
			}
			break
		}
	}
}

// TestVaultThatHangs stops the server's process under load: who is cached goes
// on, who is not gets a 503 soon, and it ends when the process goes on.
func TestVaultThatHangs(t *testing.T) {
	h, v := newVaultHouse(t, cacheFor(time.Minute, 0))
	h.tenant("cold")
	h.store("cold", "main", "default", "sk-other")
	cold := h.mint("cold", directory.NewToken{})
	if a := h.chat("gpt-4o"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := v.Pause(context.Background()); err != nil {
		t.Fatal(err)
	}
	var worst atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if a := h.chat("gpt-4o"); a.status != 200 {
					t.Errorf("cached: %d %s", a.status, a.body)
				}
			}
		})
		all.Go(func() {
			for range 50 {
				began := time.Now()
				a := h.as(cold)
				took := time.Since(began)
				for held := worst.Load(); int64(took) > held && !worst.CompareAndSwap(held, int64(took)); held = worst.Load() {
				}
				if a.status != 503 || a.code() != "vault_unavailable" || a.header.Get("Retry-After") == "" {
					t.Errorf("cold: %d %s", a.status, a.body)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	all.Wait()
	t.Logf("without a credential in memory: 503 after %v at worst", time.Duration(worst.Load()))
	if limit := time.Second; time.Duration(worst.Load()) > limit { // 0.3 s on an idle machine
		t.Errorf("a 503 took %v", time.Duration(worst.Load()))
	}
	if a := h.do("GET", "/readyz", "", "Authorization", ""); a.status != 200 || !strings.Contains(a.body, `{"status":"degraded","store":"ok","keyring":"degraded"`) {
		t.Errorf("calls go on with what is in memory, and readyz says %d %s", a.status, a.body)
	}
	if err := v.Resume(); err != nil {
		t.Fatal(err)
	}
	h.eventually("service by itself", func() bool { return h.as(cold).status == 200 })
	metrics := h.metricsText()
	for _, want := range []string{`ownkey_vault_available{keyring="vault"} 1`, `ownkey_vault_failures_total{identity="data",keyring="vault",reason="timeout"}`, "ownkey_vault_hedges_total", "ownkey_vault_shed_total"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s:\n%s", want, metrics)
		}
	}
	if n := strings.Count(h.logText(), "event of vault"); n != 2 {
		t.Errorf("%d lines for one outage, want 2:\n%s", n, h.logText())
	}
}

// TestVaultOutages goes through what a Vault that runs can refuse with.
func TestVaultOutages(t *testing.T) {
	h, v := newVaultHouse(t, cacheFor(0, 0))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	root := func(method, path string, in any) {
		t.Helper()
		_, err := v.Call(ctx, v.RootToken, method, path, in)
		must(err)
	}
	policy := func(text string) { root("PUT", "sys/policies/acl/ownkey-data", map[string]string{"policy": text}) }
	for _, outage := range []struct {
		name         string
		begin, after func()
	}{
		{"sealed", func() { must(v.Seal(ctx)) }, func() { must(v.Unseal(ctx)) }},
		{"unreachable", func() { must(v.Kill()) }, func() { must(v.Restart(ctx)) }},
		{"denied", func() { policy("path \"sys/nothing\" {}") }, func() { policy(vaultbridge.DataPolicy("transit")) }},
		{
			"throttled", func() {
				root("POST", "sys/quotas/rate-limit/all", map[string]any{"path": "transit/", "rate": 1, "interval": "60s"})
			},
			func() { root("DELETE", "sys/quotas/rate-limit/all", nil) },
		},
		{"failing", func() { root("DELETE", "sys/mounts/elsewhere", nil); must(h.moveMount(v, "transit", "elsewhere")) }, func() { must(h.moveMount(v, "elsewhere", "transit")) }},
	} {
		if a := h.chat("gpt-4o"); a.status != 200 {
			t.Fatalf("before %s: %d %s", outage.name, a.status, a.body)
		}
		outage.begin()
		h.eventually(outage.name, func() bool {
			a := h.chat("gpt-4o")
			return a.status == 503 && a.code() == "vault_unavailable" && a.header.Get("Retry-After") == "2"
		})
		outage.after()
		h.eventually("an end of "+outage.name, func() bool { return h.chat("gpt-4o").status == 200 })
		metrics := h.metricsText()
		if !strings.Contains(metrics, `reason="`+outage.name+`"`) {
			t.Errorf("the metrics lack the reason %s:\n%s", outage.name, metrics)
		}
	}
}

func (h *house) moveMount(v *vaulttest.Vault, from, to string) error {
	if _, err := v.Call(context.Background(), v.RootToken, "POST", "sys/remount", map[string]string{"from": from, "to": to}); err != nil {
		return err
	}
	h.eventually("the mount's move", func() bool {
		_, err := v.Call(context.Background(), v.RootToken, "GET", to+"/keys/ownkey-acme", nil)
		return err == nil
	})
	return nil
}

// TestGraceOutlivesTheTTLInAnOutage: the configured grace, on the real thing.
func TestGraceOutlivesTheTTLInAnOutage(t *testing.T) {
	h, v := newVaultHouse(t, cacheFor(200*time.Millisecond, 2*time.Second))
	if a := h.chat("gpt-4o"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := v.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	last := began
	for time.Since(began) < 4*time.Second {
		a := h.chat("gpt-4o")
		if a.status == 200 {
			last = time.Now()
		}
		time.Sleep(20 * time.Millisecond)
	}
	if after := last.Sub(began); after < 1500*time.Millisecond || after > 3*time.Second {
		t.Errorf("calls went on for %v, want TTL and grace: about 2.2s", after)
	}
}

// load makes rate calls a second on many connections until it is stopped, and
// counts what did not go well.
type load struct {
	done, failed atomic.Int64
	example      atomic.Value // string: of a failure
	stop         func()
}

func (h *house) load(rate int, tokens ...string) *load {
	l := &load{}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	l.stop = func() { cancel(); all.Wait() }
	const clients = 20
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for i := range clients {
		all.Go(func() {
			tick := time.NewTicker(time.Second * clients / time.Duration(rate))
			defer tick.Stop()
			for n := i; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if status, err := h.quickChat(client, tokens[n%len(tokens)]); status != 200 {
					l.failed.Add(1)
					l.example.Store(fmt.Sprint(status, err))
				}
				l.done.Add(1)
			}
		})
	}
	return l
}

func (h *house) quickChat(client *http.Client, token string) (int, error) {
	request, _ := http.NewRequest("POST", "http://"+h.addr+"/v1/chat/completions", strings.NewReader(chatBody("gpt-4o", false)))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	return response.StatusCode, fmt.Errorf("%w %s", err, body.String())
}

// rotationTime is how long the keys are rotated under load.
func rotationTime() time.Duration {
	if testing.Short() {
		return 5 * time.Second
	}
	return 60 * time.Second
}

// TestRotationUnderLoad rotates, rewraps and shuts old versions over and over
// while 500 calls a second go through, unsealed twice a second: none fails.
func TestRotationUnderLoad(t *testing.T) {
	h, _ := newVaultHouse(t, cacheFor(500*time.Millisecond, 0), func(o *options) { o.vault.Timeout = 2 * time.Second })
	ctx := context.Background()
	tokens := []string{h.token}
	tenants := []string{"acme"}
	main := "main"
	for i := range 9 {
		id := fmt.Sprint("tenant-", i)
		h.tenant(id)
		h.store(id, "main", "default", "sk-other")
		if _, err := h.directory.UpdateTenant(ctx, id, directory.TenantChange{DefaultProvider: &main}); err != nil {
			t.Fatal(err)
		}
		tokens, tenants = append(tokens, h.mint(id, directory.NewToken{})), append(tenants, id)
	}
	began := time.Now()
	l := h.load(500, tokens...)
	version := 1
	for time.Since(began) < rotationTime() {
		for _, id := range tenants {
			if _, err := h.ring.Current().Rotate(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		version++
		h.rewrap("")
	}
	l.stop()
	t.Logf("%d calls in %v, %d rotations of %d keys, %d errors %v", l.done.Load(), time.Since(began).Round(time.Second), version-1, len(tenants), l.failed.Load(), l.example.Load())
	if l.failed.Load() > 0 || l.done.Load() < 100 {
		t.Errorf("%d of %d calls failed: %v", l.failed.Load(), l.done.Load(), l.example.Load())
	}
	for _, id := range tenants {
		rows, err := h.directory.SealedRows(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.KeyVersion != version || !strings.HasPrefix(r.Sealed, fmt.Sprintf("vault:v%d:", version)) {
				t.Errorf("%s: %.20s, version %d, want %d", id, r.Sealed, r.KeyVersion, version)
			}
		}
	}
}

// TestMoveToVaultUnderLoad moves rows from the local keyring to Vault while
// calls go through.
func TestMoveToVaultUnderLoad(t *testing.T) {
	h, _ := newVaultHouse(t, cacheFor(200*time.Millisecond, 0), func(o *options) { o.vault.Timeout = 2 * time.Second })
	ctx := context.Background()
	tokens := []string{}
	main := "main"
	for i := range 50 {
		id := fmt.Sprint("tenant-", i)
		h.tenant(id)
		h.storeWith(h.keyring, id, "main", "default", "sk-other")
		if _, err := h.directory.UpdateTenant(ctx, id, directory.TenantChange{DefaultProvider: &main}); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, h.mint(id, directory.NewToken{}))
	}
	l := h.load(500, tokens...)
	time.Sleep(500 * time.Millisecond)
	job := h.rewrap("")
	time.Sleep(500 * time.Millisecond)
	l.stop()
	if l.failed.Load() > 0 || l.done.Load() < 100 || job.RowsDone != 50 || job.RowsFailed != 0 {
		t.Errorf("%d of %d calls failed (%v), %+v", l.failed.Load(), l.done.Load(), l.example.Load(), job)
	}
	for _, token := range tokens {
		if a := h.as(token); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// rewrap runs a walk to its end.
func (h *house) rewrap(tenant string) *directory.Rewrap {
	h.t.Helper()
	ctx := context.Background()
	job, err := h.directory.StartRewrap(ctx, tenant)
	if err != nil {
		h.t.Fatal(err)
	}
	h.walker.Wake()
	for end := time.Now().Add(time.Minute); job.State != directory.RewrapDone; time.Sleep(20 * time.Millisecond) {
		if job, err = h.directory.LastRewrap(ctx); err != nil {
			h.t.Fatal(err)
		}
		if time.Now().After(end) {
			h.t.Fatalf("the rewrap does not end: %+v", job)
		}
	}
	return job
}

// TestKeyIsGoneFromTheHeapProfile writes a heap profile five seconds after the
// key's time in memory is over, and looks for it in every spelling.
func TestKeyIsGoneFromTheHeapProfile(t *testing.T) {
	h, _ := newVaultHouse(t, cacheFor(time.Second, 0))
	for range 20 {
		if a := h.chat("gpt-4o"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	time.Sleep(6 * time.Second)
	var profile bytes.Buffer
	if err := pprof.Lookup("heap").WriteTo(&profile, 2); err != nil {
		t.Fatal(err)
	}
	for _, spelled := range []string{mainKey, base64.StdEncoding.EncodeToString([]byte(mainKey)), hex.EncodeToString([]byte(mainKey)), url.QueryEscape(mainKey)} {
		if bytes.Contains(profile.Bytes(), []byte(spelled)) {
			t.Errorf("the profile holds %s", spelled)
		}
	}
}
