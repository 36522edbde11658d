package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/gateway"
)

// neverPass are headers that no list lets through, in either direction, whatever
// families it has.
var neverPass = []string{
	"Cookie", "Set-Cookie", "Proxy-Authorization", "Api-Key", "X-Goog-Api-Key", "Xi-Api-Key", "X-Amz-Security-Token", "X-Acme-Api-Key", "X-Acme-Token",
	"X-Codex-Authorization", "X-Stainless-Secret", "Openai-Ephemeral-Token", "Ownkey-Bucket", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-Ip",
	"X-Http-Method-Override", "X-Original-Url", "X-Accel-Redirect", "X-Sendfile", "Access-Control-Allow-Origin", "Alt-Svc", "Refresh", "X-Unknown", "Server",
}

// headerEcho is a provider that notes what it gets and answers with headers.
type headerEcho struct {
	mu     sync.Mutex
	got    http.Header
	answer []string
}

// ServeHTTP answers.
func (e *headerEcho) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = r.Header.Clone()
	for _, name := range e.answer {
		w.Header().Set(name, "v")
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
}

// instances gives headers that the names of lists mean.
func instances(lists ...[]string) (all []string) {
	for _, name := range slices.Concat(lists...) {
		if begin, family := strings.CutSuffix(name, "*"); family {
			all = append(all, begin+"One", begin+"Some-More")
		} else {
			all = append(all, name)
		}
	}
	return all
}

// means reports whether a list has a header, however it is spelled.
func means(list []string, name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(list, func(one string) bool {
		begin, family := strings.CutSuffix(strings.ToLower(one), "*")
		return begin == name || family && strings.HasPrefix(name, begin)
	})
}

// TestHeadersOfEachProvider sends each header that any list has, and those that
// none may let through, to every built-in provider, and gets each back from it:
// those of the common list, the provider's and the operator's own pass, and no
// other.
func TestHeadersOfEachProvider(t *testing.T) {
	echo := &headerEcho{}
	server := httptest.NewServer(echo)
	defer server.Close()
	h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
	own := []string{"X-Team", "x-acme-*"} // the operator's
	c := config.Default()
	known := slices.Sorted(maps.Keys(c.AllProviders()))
	requests, responses := [][]string{config.RequestHeaders, own}, [][]string{config.ResponseHeaders, own}
	for _, name := range known {
		d := config.DefinitionOf(name)
		requests, responses = append(requests, d.RequestHeaders), append(responses, d.ResponseHeaders)
	}
	// A partial answer or an encoded one is another matter, and the call's own are set below.
	apart := []string{"Content-Type", "Content-Encoding", "Content-Range", "Accept", "User-Agent", "Range", "Anthropic-Version"}
	drop := func(name string) bool { return slices.Contains(apart, name) }
	asked := slices.DeleteFunc(append(instances(requests...), neverPass...), drop)
	echo.answer = slices.DeleteFunc(append(instances(responses...), neverPass...), drop)
	for i, spell := range []func(string) string{strings.ToLower, strings.ToUpper, func(s string) string { return s }} {
		for _, name := range known {
			d, extra := config.DefinitionOf(name), own
			if i == 0 {
				extra = nil
			}
			settings := h.settings
			main := *settings.Providers[0]
			main.RequestHeaders, main.ResponseHeaders = gateway.RequestHeaders(d.RequestHeaders, extra), gateway.ResponseHeaders(d.ResponseHeaders, extra)
			settings.Providers = append([]*gateway.Provider{&main}, settings.Providers[1:]...)
			h.gateway.Apply(&settings)
			var lines strings.Builder
			for _, header := range asked {
				fmt.Fprintf(&lines, "%s: v\r\n", spell(header))
			}
			_, r := h.dial("GET /main/v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.token + "\r\nConnection: close\r\n" + lines.String() + "\r\n")
			response, err := http.ReadResponse(r, nil)
			if err != nil || response.StatusCode != 200 {
				t.Fatalf("%s: %v %v", name, response, err)
			}
			_ = response.Body.Close()
			echo.mu.Lock()
			got := echo.got
			echo.mu.Unlock()
			judge := func(direction, header string, passed bool, lists ...[]string) {
				t.Helper()
				want := means(slices.Concat(append(lists, extra)...), header) && !slices.Contains(neverPass, header)
				if passed != want {
					t.Errorf("%s, %s: %s passes: %v, want %v", name, direction, spell(header), passed, want)
				}
			}
			for _, header := range asked {
				judge("to the provider", header, got.Get(header) != "", config.RequestHeaders, d.RequestHeaders)
			}
			for _, header := range echo.answer {
				judge("to the client", header, response.Header.Get(header) != "", config.ResponseHeaders, d.ResponseHeaders)
			}
		}
	}
}

// TestRedirectsComeBack: a client that follows a provider's redirect to the
// provider's own API comes through the gateway again, with its token.
func TestRedirectsComeBack(t *testing.T) {
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/base/v1/absolute":
			http.Redirect(w, r, "http://"+r.Host+"/base/v1/there?x=1", http.StatusTemporaryRedirect)
		case "/base/v1/relative":
			w.Header().Set("Location", "there?x=1")
			w.WriteHeader(http.StatusFound)
		case "/base/v1/calls":
			w.Header().Set("Location", "/base/v1/calls/rtc_1")
			w.WriteHeader(http.StatusCreated)
		case "/base/v1/there":
			_, _ = w.Write([]byte(r.URL.RawQuery))
		}
	}))
	defer server.Close()
	h := newHouse(t, func(o *options) { o.provider = server.URL + "/base/v1" })
	for _, path := range []string{"/v1/absolute", "/main/v1/relative", "/second/v1/absolute"} {
		request, err := http.NewRequest("GET", "http://"+h.addr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+h.token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		provider := "main"
		if strings.HasPrefix(path, "/second/") {
			provider = "second"
		}
		if at := response.Request.URL; response.StatusCode != 200 || at.Host != h.addr || at.RequestURI() != "/"+provider+"/v1/there?x=1" || response.Header.Get("Ownkey-Provider") != provider {
			t.Errorf("%s: %d at %s", path, response.StatusCode, at)
		}
	}
	if want := []string{"Bearer " + mainKey, "Bearer " + mainKey, "Bearer " + mainKey, "Bearer " + mainKey, "Bearer " + secondKey, "Bearer " + secondKey}; !slices.Equal(keys, want) {
		t.Errorf("the provider got %v", keys)
	}
	if a := h.do("POST", "/v1/calls", ""); a.status != 201 || a.header.Get("Location") != "/main/v1/calls/rtc_1" {
		t.Errorf("what was created: %d %v", a.status, a.header)
	}
}

// TestHeadersForUsAlone: what Connection names stays here, in both directions
// (RFC 9110, section 7.6.1), in any case and on any of its lines.
func TestHeadersForUsAlone(t *testing.T) {
	got := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Clone()
		w.Header()["Connection"] = []string{"keep-alive, OPENAI-model", "x-Request-Id"}
		for _, name := range []string{"Openai-Model", "X-Request-Id", "Openai-Version"} {
			w.Header().Set(name, "v")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
	_, r := h.dial("GET /main/v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.token +
		"\r\nConnection: keep-alive, idempotency-KEY\r\nIdempotency-Key: v\r\nConnection: close\r\nOpenai-Beta: v\r\n\r\n")
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	sent := <-got
	if sent.Get("Idempotency-Key") != "" || sent.Get("Openai-Beta") != "v" {
		t.Errorf("to the provider: %v", sent)
	}
	back := response.Header
	if back.Get("Openai-Model") != "" || back.Get("X-Request-Id") != "" || back.Get("Openai-Version") != "v" {
		t.Errorf("to the client: %v", back)
	}
}
