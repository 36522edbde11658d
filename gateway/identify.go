package gateway

import (
	"github.com/valyala/fasthttp"
)

// This file reads the few names that a record may keep from what clients and
// providers send. Each must look like an identifier, or it is left out: a
// record has no room for text.

// maxIdentifierBytes is longer than any model name or request id of the
// providers in the table, and shorter than a sentence worth hiding.
const maxIdentifierBytes = 128

// identifier gives a copy of b if it is a plain name, else "".
func identifier(b []byte) string {
	if len(b) > maxIdentifierBytes {
		return ""
	}
	for _, c := range b {
		if !identifierByte(c) {
			return ""
		}
	}
	return string(b)
}

func identifierByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '.', '_', ':', '/', '@', '+', '-':
		return true
	}
	return false
}

func providerRequestID(h *fasthttp.ResponseHeader) string {
	if id := h.Peek("X-Request-Id"); len(id) > 0 {
		return identifier(id)
	}
	return identifier(h.Peek("Request-Id"))
}

// providerOrganization is whose account the provider says it used.
func providerOrganization(h *fasthttp.ResponseHeader) string {
	if org := h.Peek("Openai-Organization"); len(org) > 0 {
		return identifier(org)
	}
	return identifier(h.Peek("Anthropic-Organization-Id"))
}

// sdk reads what the official SDKs say of themselves: the language, and how
// often this call was tried before.
func sdk(h *fasthttp.RequestHeader) (lang string, retries int64) {
	switch string(h.Peek("X-Stainless-Lang")) {
	case "":
		return "", 0
	case "python":
		lang = "python"
	case "js":
		lang = "js"
	case "go":
		lang = "go"
	case "java":
		lang = "java"
	case "ruby":
		lang = "ruby"
	default:
		lang = "other"
	}
	if n := h.Peek("X-Stainless-Retry-Count"); len(n) == 1 && '0' <= n[0] && n[0] <= '9' {
		retries = int64(n[0] - '0')
	}
	return lang, retries
}
