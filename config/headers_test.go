package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestHeaderNames: what no list may name is refused with the field, the reason
// and the way out, however it is spelled, alone and as part of a family.
func TestHeaderNames(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		text := fmt.Sprintf("admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}\nproviders:\n  groq:\n    FIELD: [x-team, %q]\n", name)
		for _, field := range []string{"request_headers", "response_headers"} {
			_, err := Parse("f", []byte(strings.Replace(text, "FIELD", field, 1)), env)
			switch {
			case want == "" && err != nil:
				t.Errorf("%s: %v", name, err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), ": providers.groq."+field+"[1]: ") || !strings.Contains(err.Error(), want)):
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
	for _, fine := range []string{
		"x-team", "X-TEAM", "x_team", "Idempotency-Key", "X-Cache-Key", "X-Prompt-Cache-Isolation-Key", "fireworks-cached-prompt-tokens", "x-acme-*", "X-Codex-*", "a",
		strings.Repeat("x", 64),
	} {
		f(fine, "")
	}
	for _, name := range []string{
		"Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "Proxy-Connection", "X-Api-Key", "api-key", "x-goog-api-key", "xi-api-key", "X-Amz-Date",
		"X-Amz-Security-Token", "X-Acme-Token", "x-acme-secret", "X-Vault-Token", "Private-Token", "Ocp-Apim-Subscription-Key", "X-Auth-Key", "x-access-key", "CF-Access-Client-Id",
		"X-Amz-*", "X-Api-*", "Www-*",
	} {
		f(name, "credential put")
	}
	for want, names := range map[string][]string{
		"cookies stay":       {"Cookie2", "set-cookie2", "cookie-*"},
		"whose account pays": {"OpenAI-Organization", "openai-project", "openai-*", "anthropic-workspace-id"},
		"one connection": {
			"Connection", "keep-alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Host", "Content-Length", "Content-Encoding", "content-*", "Via",
			"Sec-WebSocket-Protocol", "Date", "Alt-Svc", "accept-encoding",
		},
		"where a call comes from": {"Forwarded", "X-Forwarded-For", "x-forwarded-anything", "X-Forwarded-*", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "x-client-ip"},
		"which call is made":      {"X-HTTP-Method-Override", "x-original-url", "X-Rewrite-URL"},
		"sets it itself":          {"Ownkey-Memory", "ownkey-*", "OWNKEY-X", "Location", "Server-Timing"},
		"commands a proxy":        {"X-Accel-Redirect", "X-Sendfile", "Refresh", "Access-Control-Allow-Origin"},
		"one by one":              {"x-*", "X-Forwarded-*", "cf-*"},
		"with a star at its end":  {"", "*", "x team", "x-team:", "x-*-y", "x**", "é", "x\r\ny", "a\x00"},
		"ends with -*":            {"x*", "op*"},
		"64 characters":           {strings.Repeat("x", 65)},
	} {
		for _, name := range names {
			f(name, want)
		}
	}
	many := "admin: {token: '${OWNKEY_ADMIN_TOKEN}'}\nkeyring: {master_key_file: /etc/k}\nproviders: {groq: {request_headers: [x" + strings.Repeat(", x", maxHeaders) + "]}}"
	if _, err := Parse("f", []byte(many), env); err == nil || !strings.Contains(err.Error(), "providers.groq.request_headers: has 33 names, and may have 32") {
		t.Errorf("too many names: %v", err)
	}
}

// TestHeadersOfTheTable: what is built in keeps the rules for operators. The
// common lists name what the gateway handles itself, and families of responses
// that say whose account was used, which is the client's to know.
func TestHeadersOfTheTable(t *testing.T) {
	for name, d := range builtin {
		for _, list := range [][]string{d.RequestHeaders, d.ResponseHeaders} {
			if len(list) > maxHeaders {
				t.Errorf("%s: %d names", name, len(list))
			}
			for _, header := range list {
				if why := headerProblem(header); why != "" {
					t.Errorf("%s: %s: %s", name, header, why)
				}
			}
		}
	}
	for _, header := range RequestHeaders {
		if why := headerProblem(header); why != "" {
			t.Errorf("%s: %s", header, why)
		}
	}
	for _, header := range ResponseHeaders {
		if why := headerProblem(header); why != "" && !slices.Contains([]string{"Content-Encoding", "OpenAI-*", "Anthropic-*"}, header) {
			t.Errorf("%s: %s", header, why)
		}
	}
}

// TestHeadersPageIsCurrent compares docs/headers.md with the table.
func TestHeadersPageIsCurrent(t *testing.T) {
	const path = "../docs/headers.md"
	want := headersPage()
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

// headersPage makes docs/headers.md of the table.
func headersPage() string {
	var b strings.Builder
	b.WriteString(`<!-- Generated from config/headers.go and config/builtin.go by ` + "`make docs`" + `; change it there. -->
# Headers that pass

Headers pass by allow-list, in both directions. What no list names stays at the gateway. A name with a star at its end is a family: every name
that begins so. Letters have no case.

| provider | from clients to it | from it to clients |
| --- | --- | --- |
`)
	row := func(name string, requests, responses []string) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, inCode(requests), inCode(responses))
	}
	row("every one", RequestHeaders, slices.Concat(ResponseHeaders, []string{"Content-Type", "Location"}))
	for _, name := range slices.Sorted(maps.Keys(builtin)) {
		if d := builtin[name]; len(d.RequestHeaders)+len(d.ResponseHeaders) > 0 {
			row("`"+name+"`", d.RequestHeaders, d.ResponseHeaders)
		}
	}
	b.WriteString(`
The lists go by the provider's name, wherever its ` + "`base_url`" + ` leads. A provider that you add has the first row, and what you name.
` + "`Content-Encoding`" + ` passes with uploads, and ` + "`OpenAI-Organization`" + ` and ` + "`OpenAI-Project`" + ` come from the stored credential.

## More of them

` + "```yaml" + `
providers:
  openai: # beside those above
    request_headers: [x-team, x-acme-*]
    response_headers: [x-served-by]
` + "```" + `

At most 32 names of at most 64 characters each. SIGHUP takes changes; requests that are running go on with the lists that they began with.
` + "`ownkey check`" + ` refuses names that must not pass, and families that contain one, and says which:

| never | such as |
| --- | --- |
`)
	for _, group := range withheld {
		why, _, _ := strings.Cut(group.why, ";")
		fmt.Fprintf(&b, "| %s | %s |\n", why, inCode(group.names))
	}
	b.WriteString(`
Nor does a name pass that ends as those of credentials do: ` + "`-Token`, `-Secret`, `-Password`, `-Authorization`, `-Api-Key`, `-Access-Key`" + ` and their like. A family
passes none of these, whoever wrote it. Whatever its name, a response header whose value contains the tenant's credential is dropped.

## Redirects

The gateway follows no redirect: it passes it on. ` + "`Location`" + ` says where to go, or where something was created.

- Below the provider's base URL, it becomes a path of the gateway, pinned to the provider: ` + "`https://api.openai.com/v1/realtime/calls/rtc_1`" + ` is
  ` + "`/openai/v1/realtime/calls/rtc_1`" + `. A client that goes there comes through the gateway, with its token.
- Anywhere else, another host, scheme or port, or another path of the provider, it stays as it is; a relative one becomes absolute. Together's
  addresses for uploads are such. Whether to go there is the client's decision, and nobody there needs its token: do not send it. HTTP clients
  leave ` + "`Authorization`" + ` out when the host changes; some keep headers of another name, such as ` + "`x-api-key`" + `.
- One that is no ` + "`http`" + ` or ` + "`https`" + ` address is dropped.
`)
	return b.String()
}

func inCode(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
