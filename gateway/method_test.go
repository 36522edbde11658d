package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestMethodsHaveOneSpelling: some servers take a method in any case, so one that is
// not in capitals is refused: what is judged as no GET must not be one for the
// provider.
func TestMethodsHaveOneSpelling(t *testing.T) {
	h := newHouse(t)
	for _, method := range []string{"get", "Post", "post", "dELETE", "G\tET", "P%4FST", "PO_ST", "po\xc5\xbft"} {
		before := len(h.provider.Requests())
		_, r := h.dial(fmt.Sprintf("%s /v1/responses/resp_1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", method, h.token))
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			continue // or it is closed without a word
		}
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != 400 || !strings.Contains(string(body), "invalid_request") || len(h.provider.Requests()) > before {
			t.Errorf("%q: %d %s, %d requests at the provider", method, response.StatusCode, body, len(h.provider.Requests())-before)
		}
	}
	for _, method := range []string{"GET", "OPTIONS", "QUERY", "M-SEARCH"} {
		if a := h.do(method, "/v1/responses/resp_1", ""); a.code() == "invalid_request" {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

// TestMethodsThatReflectAreRefused: a server that answers TRACE sends back the head
// that it got, with the credential in it.
func TestMethodsThatReflectAreRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "message/http")
		_ = r.Header.Write(w)
	}))
	defer server.Close()
	h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
	for _, method := range []string{"TRACE", "TRACK", "CONNECT", "DEBUG"} {
		_, r := h.dial(fmt.Sprintf("%s /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", method, h.token))
		response, err := http.ReadResponse(r, &http.Request{Method: "GET"})
		if err != nil {
			t.Fatal(method, err)
		}
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != 501 || response.Header.Get("Ownkey-Error") != "not_supported" || strings.Contains(string(body), mainKey) {
			t.Errorf("%s: %d %s", method, response.StatusCode, body)
		}
	}
}
