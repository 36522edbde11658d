package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCallsToEndlessNames: a credential whose base URL changes with each call
// leaves few connections open, and a call in flight to one of them goes on.
func TestCallsToEndlessNames(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.egress = []string{"127.0.0.0/8"}
		o.limits.FirstByte, o.limits.Idle = time.Minute, time.Minute // for the call in flight
	})
	goOn := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(r.URL.Path, "/slow/") {
			w.(http.Flusher).Flush()
			<-goOn
		}
		fmt.Fprint(w, `{"object":"chat.completion","choices":[]}`)
	}))
	defer provider.Close() // waits for the call in flight
	finish := sync.OnceFunc(func() { close(goOn) })
	defer finish()
	slow := make(chan answer, 1)
	h.storeAt("slow", provider.URL+"/slow/v1", "sk-own")
	go func() {
		slow <- h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false), "Ownkey-Credential", "slow")
	}()
	h.storeAt("kept", provider.URL+"/kept/v1", "sk-own")
	before := h.client.Targets() // of the providers
	for i := range 160 {
		h.storeAt("own", fmt.Sprintf("%s/%d/v1", provider.URL, i), "sk-own")
		labels := []string{"own"}
		if i%20 == 0 {
			labels = append(labels, "kept")
		}
		for _, label := range labels {
			if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false), "Ownkey-Credential", label); a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", label, a.status, a.body)
			}
		}
	}
	h.eventually("connections of the targets that went are closed", func() bool { return h.client.Idle() <= 130 })
	if n := h.client.Targets(); n > before+128 {
		t.Errorf("%d targets are held", n)
	}
	finish()
	if a := <-slow; a.status != http.StatusOK || !strings.Contains(a.body, "chat.completion") {
		t.Errorf("the call in flight: %d %s", a.status, a.body)
	}
}

// TestIdleConnectionsOfOneTenant: calls that come many at a time to many base
// URLs of a tenant leave no more connections open than those to one provider may:
// descriptors are for everybody.
func TestIdleConnectionsOfOneTenant(t *testing.T) {
	const atOnce, names, kept = 128, 10, 1024
	h := newHouse(t, func(o *options) {
		o.egress = []string{"127.0.0.0/8"}
		o.limits.FirstByte = time.Minute
	})
	var all sync.WaitGroup // have come
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		all.Done()
		all.Wait()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"chat.completion","choices":[]}`)
	}))
	defer provider.Close()
	for i := range names {
		h.storeAt("own", fmt.Sprintf("%s/%d/v1", provider.URL, i), "sk-own")
		all.Add(atOnce)
		var calls sync.WaitGroup
		for range atOnce {
			calls.Go(func() {
				if a := h.do("POST", "/main/v1/chat/completions", chatBody("gpt-4o", false), "Ownkey-Credential", "own"); a.status != http.StatusOK {
					t.Errorf("%d %s %v", a.status, a.body, a.err)
				}
			})
		}
		calls.Wait()
		if t.Failed() {
			return
		}
	}
	if n := h.client.Idle(); n > kept || n < kept/2 {
		t.Errorf("%d connections are kept, want up to %d", n, kept)
	}
}
