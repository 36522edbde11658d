package config

import (
	"bytes"
	"fmt"
	"net/textproto"
	"strings"
)

// Headers pass by allow-list: one list for every provider, the table's for the
// provider, and the operator's own. A name with a star at its end is a family:
// every name that begins so.

// RequestHeaders pass to every provider.
var RequestHeaders = []string{
	"Accept", "Content-Type", "User-Agent", // what and who
	"OpenAI-Beta", "Anthropic-Version", "Anthropic-Beta", // API versions
	"X-Client-Request-Id", "Idempotency-Key", // the client's own correlation
	"HTTP-Referer", "X-Title", // attribution to an application
	"Range",         // parts of a file's content
	"X-Stainless-*", // telemetry of SDKs
}

// ResponseHeaders pass to clients from every provider: what describes the body,
// and what providers document for their callers.
var ResponseHeaders = []string{
	"Content-Encoding", "Content-Disposition", "Content-Range", "Accept-Ranges", "Cache-Control", "ETag",
	"X-Request-Id", "Request-Id", "CF-Ray", // what a provider's support asks for
	"Retry-After", "Retry-After-Ms", "X-Should-Retry",
	"OpenAI-*", "X-RateLimit-*", "Anthropic-*",
}

const (
	// maxHeaders bounds a list of the operator's. The longest of the table has ten
	// names.
	maxHeaders = 32
	// MaxHeaderName is the longest name that a list can have, in bytes.
	MaxHeaderName = 64
)

// withheld are the headers that no list may name, and why. Each is in lower
// case; a star makes it a family.
var withheld = []struct {
	why   string
	names []string
}{
	{"it can carry a credential, and the gateway sends the tenant's own; leave it out, and store the credential: ownkey credential put", []string{
		"authorization", "proxy-*", "www-authenticate", "authentication-info", "x-api-key", "api-key", "x-goog-api-key", "xi-api-key",
		"x-amz-*", "ocp-apim-subscription-key", "cf-access-*",
	}},
	{"cookies stay where they are; leave it out", []string{"cookie*", "set-cookie*"}},
	{"it says whose account pays, which the stored credential says (ownkey credential put --organization, --project); leave it out", []string{
		"openai-organization", "openai-project", "anthropic-workspace-id", "x-goog-user-project", "chatgpt-account-id",
	}},
	{"it belongs to one connection or frames a message; leave it out", []string{
		"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect", "host", "content-length",
		"content-encoding", "accept-encoding", "sec-websocket-*", "date", "via", "alt-svc",
	}},
	{"it says where a call comes from, which the gateway finds out itself (trusted_proxies) and passes to nobody; leave it out", []string{
		"forwarded", "x-forwarded-*", "x-real-ip", "x-client-ip", "client-ip", "true-client-ip", "x-cluster-client-ip", "cf-connecting-*", "fastly-client-ip",
	}},
	{"it can change which call is made after the gateway has judged it; leave it out", []string{
		"x-http-method*", "x-method-override", "x-original-*", "x-rewrite-url",
	}},
	{"the gateway sets it itself; leave it out", []string{
		"ownkey-*", "location", "server-timing", "strict-transport-security", "x-content-type-options",
	}},
	{"it commands a proxy or a browser between the gateway and the client; leave it out", []string{
		"x-accel-*", "x-sendfile", "x-lighttpd-*", "refresh", "clear-site-data", "service-worker-allowed", "access-control-*",
	}},
}

// headers checks a list of the operator's.
func (d *decoder) headers(path string, names []string) {
	if len(names) > maxHeaders {
		d.add(nil, path, fmt.Sprintf("has %d names, and may have %d; a star at the end stands for a family, such as x-codex-*", len(names), maxHeaders))
	}
	for i, name := range names {
		if why := headerProblem(name); why != "" {
			d.add(nil, fmt.Sprintf("%s[%d]", path, i), why)
		}
	}
}

// headerProblem says why a list may not have a name; empty where it may.
func headerProblem(name string) string {
	begin, family := strings.CutSuffix(name, "*")
	switch {
	case len(name) > MaxHeaderName:
		return fmt.Sprintf("a name may have %d characters", MaxHeaderName)
	case !isToken(begin):
		return "want a header's name, such as x-session-id, or a family with a star at its end, such as x-codex-*"
	case family && !strings.HasSuffix(begin, "-"):
		return "a family ends with -*, such as x-codex-*"
	case !family && Credential([]byte(textproto.CanonicalMIMEHeaderKey(name))):
		return name + " cannot pass: " + withheld[0].why
	}
	for _, group := range withheld {
		for _, one := range group.names {
			if overlap(strings.ToLower(name), one) {
				return refusal(name, one, family) + group.why
			}
		}
	}
	return ""
}

func refusal(name, one string, family bool) string {
	if family {
		return name + " would pass " + one + " as well; name the headers one by one: "
	}
	return name + " cannot pass: "
}

// overlap reports whether there is a header that both names mean.
func overlap(a, b string) bool {
	beginA, familyA := strings.CutSuffix(a, "*")
	beginB, familyB := strings.CutSuffix(b, "*")
	switch {
	case familyA && familyB:
		return strings.HasPrefix(beginA, beginB) || strings.HasPrefix(beginB, beginA)
	case familyA:
		return strings.HasPrefix(b, beginA)
	case familyB:
		return strings.HasPrefix(a, beginB)
	}
	return a == b
}

// Credential reports whether a header's name, in canonical form, ends as those
// of credentials do. A family passes none of them.
func Credential(name []byte) bool {
	last := name[bytes.LastIndexByte(name, '-')+1:]
	switch string(last) {
	case "Authorization", "Auth", "Token", "Secret", "Password", "Cookie", "Credential", "Credentials", "Jwt", "Signature", "Apikey":
		return true
	case "Key":
		before := bytes.TrimSuffix(name[:len(name)-len(last)], []byte("-"))
		switch string(before[bytes.LastIndexByte(before, '-')+1:]) {
		case "Api", "Auth", "Access", "Secret", "Private", "Subscription":
			return true
		}
	}
	return false
}

// isToken reports whether a text is a token of HTTP (RFC 9110, section 5.6.2)
// without a star.
func isToken(text string) bool {
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return text != ""
}
