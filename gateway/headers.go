package gateway

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// appendRequestHeader appends the lines that go to the provider: those that pass.
// Everything else stays here: whatever could authenticate (Authorization,
// X-Api-Key, Cookie, …), our own Ownkey-*, OpenAI-Organization and -Project (they
// come from the stored credential), and whatever describes the client's
// connection. What Connection names was meant for us alone (RFC 9110, section
// 7.6.1).
func appendRequestHeader(dst []byte, h *fasthttp.RequestHeader, pass *HeaderList, json bool) []byte {
	hops := hopNames(h.PeekAll(fasthttp.HeaderConnection))
	for name, value := range h.All() {
		if _, hop := hops[string(name)]; hop {
			continue
		}
		if pass.has(name) {
			dst = appendLine(dst, name, value)
		} else if !json && string(name) == fasthttp.HeaderContentEncoding {
			dst = appendLine(dst, name, value) // of an upload, which passes as it is
		}
	}
	// Usage is read from the answer as it passes, so it must come uncompressed.
	return append(dst, "Accept-Encoding: identity\r\n"...)
}

// ownRequestHeader stands before a question that we ask ourselves, for a tenant.
// The version is the one that Anthropic's API reference names (2026-11);
// others pass over it.
const ownRequestHeader = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nAnthropic-Version: 2023-06-01\r\nAccept-Encoding: identity\r\n"

// hopNames gives the headers that Connection names, in canonical form; nil where
// it says only whether the connection stays open, as nearly always. They are
// looked up by each header of a head that may hold thousands of both.
func hopNames(values [][]byte) (names map[string]struct{}) {
	for _, value := range values {
		for one := range bytes.SplitSeq(value, []byte(",")) {
			one = bytes.TrimSpace(one)
			if len(one) == 0 || strings.EqualFold(string(one), "keep-alive") || strings.EqualFold(string(one), "close") {
				continue
			}
			if names == nil {
				names = map[string]struct{}{}
			}
			names[string(fasthttp.AppendNormalizedHeaderKeyBytes(nil, one))] = struct{}{}
		}
	}
	return names
}

func appendLine(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendField appends a line of our own; nothing when the value is empty.
func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// copyAnswerHeader copies the provider's headers that pass: never Set-Cookie,
// never anything unknown, and nothing that Connection names, which was meant for us
// alone. A value that contains the credential is dropped, whatever its name. Content-Type and the framing are handled apart, and so is
// location, which needs more thought.
func copyAnswerHeader(dst, src *fasthttp.ResponseHeader, pass *HeaderList, holds func(value []byte) bool) (location []byte) {
	if ct := src.ContentType(); len(ct) > 0 && !holds(ct) {
		dst.SetContentTypeBytes(ct)
	}
	hops := hopNames(src.PeekAll(fasthttp.HeaderConnection))
	for name, value := range src.All() {
		if _, hop := hops[string(name)]; hop || holds(value) {
			continue
		}
		if pass.has(name) {
			dst.SetCanonical(name, value) // as it was parsed; of two with one name the last counts
		} else if string(name) == fasthttp.HeaderLocation {
			location = value
		}
	}
	return location
}

// bearer gives the tenant token that a request presents: Authorization: Bearer
// (OpenAI's SDKs) or x-api-key (Anthropic's). Some clients send a placeholder
// in one of them; it does not hide the token in the other.
func bearer(h *fasthttp.RequestHeader) []byte {
	const scheme = "bearer "
	a := h.Peek(fasthttp.HeaderAuthorization)
	if len(a) > len(scheme) && strings.EqualFold(string(a[:len(scheme)]), scheme) {
		if a = bytes.TrimSpace(a[len(scheme):]); bytes.HasPrefix(a, []byte("ok_")) {
			return a
		}
	}
	return h.Peek("X-Api-Key")
}

const headerShouldRetry = "X-Should-Retry"

// Names of our headers, in canonical form: set without looking for it again.
var (
	headerRequestID  = []byte("Ownkey-Request-Id")
	headerMemory     = []byte("Ownkey-Memory")
	headerProvider   = []byte("Ownkey-Provider")
	headerCredential = []byte("Ownkey-Credential")
	headerTiming     = []byte("Server-Timing")
	headerHSTS       = []byte("Strict-Transport-Security")
	headerNoSniff    = []byte("X-Content-Type-Options")
	noSniff          = []byte("nosniff")
	memoryOff        = []byte("off")
)

// ownHeaders sets the headers of ours that every answer carries.
func (r *request) ownHeaders(h *fasthttp.ResponseHeader) {
	if len(r.g.hsts) > 0 {
		h.SetCanonical(headerHSTS, r.g.hsts)
	}
	b := r.header[:0]
	b = appendUUID(b, r.record.RequestID)
	h.SetCanonical(headerRequestID, b)
	if r.memory == nil {
		h.SetCanonical(headerMemory, memoryOff)
	} else {
		r.memory.headers(h)
	}
	if r.provider != nil {
		b = append(b[:0], r.provider.Name...)
		h.SetCanonical(headerProvider, b)
	}
	b = b[:0]
	if r.record.CredentialID != "" {
		b = append(b, r.stored.Label...)
		b = append(b, ";v="...)
		b = strconv.AppendInt(b, r.record.KeyVersion, 10)
		h.SetCanonical(headerCredential, b)
		b = b[:0]
	}
	if all := r.pass.Standings(); len(all) > 0 {
		b = appendStandings(b, all)
		h.SetCanonical(headerLimits, b)
		b = b[:0]
	}
	b = appendTiming(b, "auth", r.record.AuthTime)
	b = appendTiming(append(b, ", "...), "unseal", r.record.UnsealTime)
	b = appendTiming(append(b, ", "...), "recall", r.record.RecallTime)
	b = appendTiming(append(b, ", "...), "upstream", r.record.FirstByteTime)
	h.SetCanonical(headerTiming, b)
	r.header = b
}

// appendTiming appends one metric of Server-Timing, in milliseconds with three
// digits behind the point.
func appendTiming(dst []byte, name string, d time.Duration) []byte {
	dst = append(dst, name...)
	dst = append(dst, ";dur="...)
	micros := max(0, d.Microseconds())
	dst = strconv.AppendInt(dst, micros/1000, 10)
	rest := micros % 1000
	return append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// appendUUID appends an id's text without making a string of it.
func appendUUID(dst []byte, id uuid.UUID) []byte {
	n := len(dst)
	dst = append(dst, "00000000-0000-0000-0000-000000000000"...)
	for i, at := 0, n; i < len(id); i, at = i+1, at+2 {
		if dst[at] == '-' {
			at++
		}
		hex.Encode(dst[at:], id[i:i+1])
	}
	return dst
}
