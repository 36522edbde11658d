package upstream

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestTLSIsVerified(t *testing.T) {
	provider := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	defer provider.Close()
	roots := x509.NewCertPool()
	roots.AddCert(provider.Certificate())
	base, err := url.Parse(provider.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient()
	defer client.Close()
	trusted := client.NewTarget(base, roots, nil, testLimits)
	for range 3 {
		if _, body, err := exchange(t, trusted, newRequest(strings.Repeat("x", 100_000))); err != nil || len(body) != 100_000 {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
	}
	if n := trusted.pool.len(); n != 1 {
		t.Errorf("%d connections kept, want 1", n)
	}
	f := func(name string, target *Target) {
		t.Helper()
		_, _, err := exchange(t, target, newRequest("{}"))
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrUnreachable", name, err)
		}
		if target.pool.len() != 0 {
			t.Errorf("%s: the connection was kept", name)
		}
	}
	f("unknown authority", client.NewTarget(base, nil, nil, testLimits))
	other := *base
	other.Host = "localhost:" + base.Port() // not in the certificate
	f("another name", client.NewTarget(&other, roots, nil, testLimits))
}

func TestTLSHandshakeHasALimitAndCanBeCanceled(t *testing.T) {
	base := provider(t, silent)
	base.Scheme = "https"
	limits := testLimits
	limits.Connect = 50 * time.Millisecond
	if _, _, err := exchange(t, newTarget(t, base, limits), newRequest("{}")); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
	limits.Connect = time.Minute
	var a Attempt
	a.Begin(newTarget(t, base, limits), time.Now())
	time.AfterFunc(20*time.Millisecond, a.Cancel)
	if err := a.Send(newRequest("{}")); !errors.Is(err, ErrCanceled) {
		t.Errorf("got %v, want ErrCanceled", err)
	}
	a.End(time.Now())
}
