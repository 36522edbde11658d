package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write golden files")

func env(name string) (string, bool) {
	v, ok := map[string]string{"OWNKEY_ADMIN_TOKEN": "oka_test_0123456789", "CLICKHOUSE_PASSWORD": "x", "PROXY_PASSWORD": "z", "OWNKEY_WEBHOOK_SECRET": "y", "PORT": "9000", "EMPTY": ""}[name]
	return v, ok
}

func TestExampleIsComplete(t *testing.T) {
	data, err := os.ReadFile("../docs/ownkey.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("example", data, env)
	if err != nil {
		t.Fatal(err)
	}
	token := ""
	c.Admin.Token.Use(func(b []byte) { token = string(b) })
	if token != "oka_test_0123456789" || !slices.Equal(c.Listen, Addresses{"0.0.0.0:8080"}) || c.Keyring.CacheTTL != 30*time.Second || c.Providers["local"].BaseURL != "http://127.0.0.1:9999/v1" {
		t.Errorf("got %+v", c)
	}
	// Every key is shown.
	for _, name := range allKeys() {
		if !strings.Contains(string(data), name+":") {
			t.Errorf("the example does not show %s", name)
		}
	}
}

func TestDefaultsFillWhatIsMissing(t *testing.T) {
	c, err := Parse("f", []byte("admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}\nlisten: 127.0.0.1:${PORT}\nproviders: {openai: {idle_timeout: 5m}}"), env)
	if err != nil {
		t.Fatal(err)
	}
	openai := c.AllProviders()["openai"]
	if !slices.Equal(c.Listen, Addresses{"127.0.0.1:9000"}) || c.Limits != Default().Limits || openai.IdleTimeout != 5*time.Minute || openai.BaseURL != "https://api.openai.com/v1" || openai.Auth != AuthBearer {
		t.Errorf("got %+v, %+v", c, openai)
	}
	if c.AllProviders()["anthropic"].Auth != AuthXAPIKey || len(c.AllProviders()) != 10 {
		t.Errorf("providers %v", c.AllProviders())
	}
}

func TestProxySettings(t *testing.T) {
	f := func(egress, want string) {
		t.Helper()
		_, err := Parse("f", []byte("admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}\negress: {"+egress+"}"), env)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != "f:3: "+want {
			t.Errorf("%s: %v", egress, err)
		}
	}
	f("proxy: 'http://proxy:3128', no_proxy: [10.0.0.0/8, .internal]", "")
	f("proxy: 'https://me@proxy', proxy_password: '${PROXY_PASSWORD}'", "")
	f("proxy: none", "")
	f("proxy: 'socks5://proxy:1080'", "egress.proxy: want http://HOST:PORT or https://HOST:PORT, or none")
	f("proxy: 'proxy:3128'", "egress.proxy: want http://HOST:PORT or https://HOST:PORT, or none")
	f("proxy: 'http://proxy/path'", "egress.proxy: want http://HOST:PORT or https://HOST:PORT, or none")
	f("proxy: 'http://me:secret@proxy'", "egress.proxy: must not hold a password; write it as egress.proxy_password")
	f("proxy: 'http://proxy', proxy_password: '${PROXY_PASSWORD}'", "egress.proxy_password: needs a user name in egress.proxy: http://USER@HOST:PORT")
	f("proxy_password: '${PROXY_PASSWORD}'", "egress.proxy_password: is of no use without a URL in egress.proxy")
	f("proxy: none, no_proxy: [a]", "egress.no_proxy: is of no use without a URL in egress.proxy")
}

// TestBadFiles pairs each testdata/bad.*.yml with its exact message.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad.*.yml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(filepath.Base(f), data, env)
		if _, ok := errors.AsType[Problems](err); !ok {
			t.Errorf("%s: got %v", f, err)
			continue
		}
		golden := strings.TrimSuffix(f, ".yml") + ".txt"
		if *update {
			if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := os.ReadFile(golden)
		if err.Error()+"\n" != string(want) {
			t.Errorf("%s:\n%s\nwant:\n%s", f, err, want)
		}
	}
}

// TestBrokenFilesAreNotQuoted: whatever a secret looks like, and wherever it was
// put by mistake, no problem repeats it.
func TestBrokenFilesAreNotQuoted(t *testing.T) {
	for _, value := range []string{
		"*s3cretvalue", "&s3cretvalue", "!!int s3cretvalue", "!s3cretvalue x", "@s3cretvalue", "`s3cretvalue", "%s3cretvalue", "s3cretvalue: x: y",
		"[s3cretvalue", "{s3cretvalue", "'s3cretvalue", "\"s3cretvalue", "|s3cretvalue", ">s3cretvalue", "s3cretvalue #", "- s3cretvalue", "\ts3cretvalue", "!!binary s3cretvalue", "!!float s3cretvalue", "!!timestamp s3cretvalue", "!<s3cretvalue> x",
	} {
		for _, file := range []string{
			"admin: {token: %s}", "admin:\n  token: %s", "admin:\n  token: {file: /x, x: %s}", "listen: %s\nadmin:\n  token: %s", "limits: {max_body_bytes: %s}",
			"meter:\n  clickhouse:\n    password: %s", "keyring:\n  cache_ttl: %s", "%s",
		} {
			text := strings.ReplaceAll(file, "%s", value)
			if file == "%s" && strings.Contains(value, ": ") || file == "%s" && strings.HasSuffix(value, " x") {
				continue // a key, which problems name
			}
			_, err := Parse("f", []byte(text), env)
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func TestAdminTokenIsNotGuessed(t *testing.T) {
	for token, ok := range map[string]bool{
		"x": false, "oka_test": false, "0123456789abcde": false, "aaaaaaaaaaaaaaaaaaaaaaaaaaaa": false, "abababababababababab": false, "abcdeabcdeabcdeabcde": false,
		"0123456789abcdef": true, "correct horse battery": true,
	} {
		_, err := Parse("f", []byte("admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}"), func(string) (string, bool) { return token, true })
		if (err == nil) != ok {
			t.Errorf("%q: %v", token, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "admin.token: is too easy to guess") || !strings.Contains(err.Error(), "openssl rand") || len(token) > 8 && strings.Contains(err.Error(), token)) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("oka_file_0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := fmt.Appendf(nil, "admin: {token: {file: %s}}\nkeyring: {master_key_file: /etc/k}", path)
	c, err := Parse("f", file, env)
	if err != nil {
		t.Fatal(err)
	}
	c.Admin.Token.Use(func(b []byte) {
		if string(b) != "oka_file_0123456789" {
			t.Errorf("got %q", b)
		}
	})
	if s := fmt.Sprintf("%v %+v %#v %s %x %d", c, c.Admin, c.Admin.Token, c.Admin.Token, c.Admin.Token, c.Admin.Token); strings.Contains(s, "oka_file_0123456789") || strings.Contains(s, "6f6b61") {
		t.Errorf("the secret prints: %s", s)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("f", file, env); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
}

func TestParseBaseURL(t *testing.T) {
	for _, good := range []string{"https://api.openai.com/v1", "http://127.0.0.1:9999", "https://[::1]:8443/a/b"} {
		if _, err := ParseBaseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "api.openai.com", "ftp://x/v1", "https://", "https://u:p@x/v1", "https://x/v1?key=1", "https://x/v1#f", "https://x/v1/", "https://x:port"} {
		if _, err := ParseBaseURL(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

// TestReferenceIsCurrent compares docs/config.md with the types' comments.
func TestReferenceIsCurrent(t *testing.T) {
	const path = "../docs/config.md"
	want, err := manual()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale; run: make docs (%v)", path, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}"))
	f.Add([]byte("a: &a [*a]\nproviders: {x: *a}"))
	f.Add([]byte("providers: {? [a] : b}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data, env)
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0) || err == nil && c == nil {
			t.Fatalf("%v %v", c, err)
		}
	})
}

func TestPlanOf(t *testing.T) {
	const head = "admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}\n"
	f := func(billing, tenant, want string, flat int64) {
		t.Helper()
		c, err := Parse("f", []byte(head+billing), env)
		if err != nil {
			t.Fatal(err)
		}
		if name, p := c.Billing.PlanOf(tenant); name != want || p != (Plan{FlatFee: flat}) {
			t.Errorf("got %s %+v", name, p)
		}
	}
	// Without a section nothing is charged.
	f("", "acme", "free", 0)
	f("billing:", "acme", "free", 0)
	// Plans that nobody is given charge nothing.
	f("billing: {plans: {a: {flat_fee_micro_usd: 7}}}", "acme", "free", 0)
	f("billing: {default_plan: a, plans: {a: {flat_fee_micro_usd: 7}}}", "acme", "a", 7)
	f("billing: {default_plan: a, plans: {a: {flat_fee_micro_usd: 7}, b: {flat_fee_micro_usd: 9}}, tenants: {acme: b}}", "acme", "b", 9)
	f("billing: {default_plan: a, plans: {a: {flat_fee_micro_usd: 7}}, tenants: {acme: free}}", "acme", "free", 0)
}

// TestBuiltInProvidersAreDocumented: README names the built-in providers, all
// of them and no other.
func TestBuiltInProvidersAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "Built in: ")
	list, _, _ = strings.Cut(list, ".")
	named := strings.Split(list, ", ")
	for _, name := range named {
		if _, ok := BuiltinProvider(name); !ok {
			t.Errorf("README.md names %q, which is not built in", name)
		}
	}
	if len(named) != len(builtin) {
		t.Errorf("README.md names %d providers, %d are built in", len(named), len(builtin))
	}
}

// TestTrustedProxies: what is no range is reported, with its place.
func TestTrustedProxies(t *testing.T) {
	for text, good := range map[string]bool{
		"10.1.0.0/16": true, "10.1.2.3": true, "2001:db8::/32": true, "::1": true,
		"10.1.2.3/16": false, "proxy.internal": false, "10.1": false, "::ffff:10.0.0.1": false, "fe80::1%eth0": false, "*": false,
	} {
		c, err := Parse("f", []byte("admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}\ntrusted_proxies: [127.0.0.1, '"+text+"']"), env)
		if good && (err != nil || len(c.TrustedProxies) != 2) || !good && (err == nil || !strings.Contains(err.Error(), "trusted_proxies[1]: want an IP range")) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
