package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ownkey/ownkey/gateway"
	"github.com/ownkey/ownkey/internal/fakeprovider"
	"github.com/ownkey/ownkey/upstream"
)

// without gives the settings of the start without a provider.
func (h *house) without(name string) *gateway.Settings {
	s := h.settings
	s.Providers = slices.DeleteFunc(slices.Clone(s.Providers), func(p *gateway.Provider) bool { return p.Name == name })
	return &s
}

// TestStreamsOutliveApply: a stream that began goes on to its end although its
// provider is gone from the settings, new calls go by the new settings, and
// nothing stays open for the provider that is gone.
func TestStreamsOutliveApply(t *testing.T) {
	h := newHouse(t)
	_, stream := h.dial(h.raw("/main/v1/chat/completions", chatBody("fake:chunks=20,gap=20ms", true)))
	response, err := http.ReadResponse(stream, nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", response, err)
	}
	events := bufio.NewReader(response.Body)
	if _, err := events.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	h.gateway.Apply(h.without("main"))
	if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false)); a.status == http.StatusOK {
		t.Errorf("a provider that is gone answers %d", a.status)
	}
	rest, err := io.ReadAll(events)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(rest)), "data: [DONE]") {
		t.Errorf("%v; the stream ended with %.80q", err, rest[max(0, len(rest)-80):])
	}
	h.eventually("no connection is left", func() bool { return h.client.Idle() == 0 })
	h.gateway.Apply(&h.settings)
	if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false)); a.status != http.StatusOK {
		t.Errorf("after it came back: %d %s", a.status, a.body)
	}
}

// TestApplyKeepsConnections of targets that go on, those of credentials' own
// base URLs among them; with other rules of egress the latter are new.
func TestApplyKeepsConnections(t *testing.T) {
	h := newHouse(t, func(o *options) { o.egress = []string{"127.0.0.0/8"} })
	other, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{"sk-other"}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	h.storeAt("own", other.URL(), "sk-other")
	call := func() {
		t.Helper()
		for _, label := range []string{"default", "own"} {
			if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false), "Ownkey-Credential", label); a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", label, a.status, a.body)
			}
		}
	}
	idle := func(want int) {
		t.Helper()
		h.eventually("idle connections", func() bool { return h.client.Idle() == want })
	}
	call()
	idle(2)
	h.gateway.Apply(h.without("second"))
	idle(2)
	call()
	idle(2)
	stricter := h.settings
	stricter.Egress = upstream.NewEgress(nil)
	h.gateway.Apply(&stricter)
	idle(1)
	if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false), "Ownkey-Credential", "own"); a.code() != "credential_unusable" {
		t.Errorf("where egress no longer leads: %d %s", a.status, a.body)
	}
	for range 50 { // nothing is left of the tables that were
		h.gateway.Apply(&h.settings)
		h.gateway.Apply(h.without("main"))
	}
	idle(0)
}

// TestApplyUnderLoad: no call fails while settings change all the time.
func TestApplyUnderLoad(t *testing.T) {
	h := newHouse(t)
	base, err := url.Parse(h.provider.URL())
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 50 {
				if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false)); a.status != http.StatusOK {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
		}
		s := *h.without("main")
		s.Providers = append(s.Providers, &gateway.Provider{
			Name: "main", Target: h.client.NewTarget(base, nil, nil, h.settings.Providers[0].Target.Limits), CredentialHeader: "Authorization: Bearer ", MaxBodyBytes: 1 << 20,
		})
		h.gateway.Apply(&s)
	}
}
