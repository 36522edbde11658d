package upstream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// forward is a forward proxy: it notes what it is asked for, and takes every
// host to one address.
type forward struct {
	mu    sync.Mutex
	asked []string
	to    string
	deny  int // a status, in place of a connection
	user  string
}

func (f *forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.RequestURI)
	deny := f.deny
	f.mu.Unlock()
	if user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); f.user != "" && user+":"+password != f.user {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	switch {
	case deny != 0:
		w.WriteHeader(deny)
	case r.Method == http.MethodConnect:
		there, err := net.Dial("tcp", f.to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	default:
		_, _ = fmt.Fprint(w, "of the proxy, for ", r.Header.Get("Authorization"))
	}
}

func (f *forward) requests() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := strings.Join(f.asked, ", ")
	f.asked = nil
	return all
}

func TestProxy(t *testing.T) {
	tunneled := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Host, " for ", r.Header.Get("Authorization"), r.Header.Get("Proxy-Authorization"))
	}))
	defer tunneled.Close()
	roots := x509.NewCertPool()
	roots.AddCert(tunneled.Certificate()) // of example.com, among others
	f := &forward{to: tunneled.Listener.Addr().String(), user: "me:p@ss"}
	server := httptest.NewServer(f)
	defer server.Close()
	target := func(c httpproxy.Config, base string, egress *Egress) *Target {
		t.Helper()
		proxies, err := NewProxies(&c)
		if err != nil {
			t.Fatal(err)
		}
		client := NewClient()
		t.Cleanup(client.Close)
		client.Through(proxies)
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		return client.NewTarget(u, roots, egress, testLimits)
	}
	address := strings.Replace(server.URL, "http://", "http://me:p%40ss@", 1)
	both := httpproxy.Config{HTTPSProxy: address, HTTPProxy: address, NoProxy: "direct.example.com"}

	secure := target(both, "https://api.example.com/v1", nil)
	for range 2 {
		if _, body, err := exchange(t, secure, newRequest("{}")); err != nil || body != "api.example.com for Bearer sk-secret" {
			t.Errorf("%q, %v", body, err)
		}
	}
	if got := f.requests(); got != "CONNECT api.example.com:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
	plain := target(both, "http://api.example.com/v1", nil)
	if _, body, err := exchange(t, plain, newRequest("{}")); err != nil || body != "of the proxy, for Bearer sk-secret" {
		t.Errorf("%q, %v", body, err)
	}
	if got := f.requests(); got != "POST http://api.example.com/v1/chat/completions" {
		t.Errorf("the proxy was asked for %s", got)
	}
	fails := func(what string, target *Target, cause Cause) {
		t.Helper()
		if _, _, err := exchange(t, target, newRequest("{}")); !errors.Is(err, ErrUnreachable) || CauseOf(err) != cause {
			t.Errorf("%s: %v", what, err)
		}
	}
	direct := target(both, "https://direct.example.com:1/v1", nil)
	direct.place.resolver = (&zone{a: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}).serve(t)
	fails("past the proxy", direct, CauseRefused)
	other := httpproxy.Config{HTTPSProxy: strings.Replace(server.URL, "http://", "http://me:wrong@", 1)}
	fails("a wrong password", target(other, "https://api.example.com/v1", nil), CauseProxyAuth)
	f.mu.Lock()
	f.deny = http.StatusForbidden
	f.mu.Unlock()
	fails("a proxy that refuses", target(both, "https://api.example.com/v1", nil), CauseProxy)
	fails("a proxy that is not there", target(httpproxy.Config{HTTPSProxy: "http://127.0.0.1:1"}, "https://api.example.com/v1", nil), CauseProxy)
	f.requests()
}

// TestEgressHoldsBehindAProxy: where a tenant has chosen the host, each address
// is judged before the proxy hears of it, and the proxy gets the address.
func TestEgressHoldsBehindAProxy(t *testing.T) {
	f := &forward{deny: http.StatusTeapot}
	server := httptest.NewServer(f)
	defer server.Close()
	proxies, err := NewProxies(&httpproxy.Config{HTTPSProxy: server.URL, HTTPProxy: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient()
	defer client.Close()
	client.Through(proxies)
	z := &zone{}
	resolver := z.serve(t)
	ask := func(base string, e *Egress, addresses ...string) (string, error) {
		t.Helper()
		z.set(func() {
			z.a = nil
			for _, a := range addresses {
				z.a = append(z.a, netip.MustParseAddr(a))
			}
		})
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		target := client.NewTarget(u, nil, e, testLimits)
		target.place.resolver = resolver
		_, _, err = exchange(t, target, newRequest("{}"))
		return f.requests(), err
	}
	for _, x := range []struct {
		base      string
		allow     []string
		addresses []string
		asked     string // of the proxy; empty: it hears nothing
	}{
		{"https://chosen.example./v1", nil, []string{"127.0.0.1"}, ""},
		{"https://chosen.example./v1", nil, []string{"10.0.0.7", "169.254.169.254"}, ""},
		{"https://169.254.169.254/v1", nil, nil, ""},
		{"https://[::1]/v1", nil, nil, ""},
		{"https://chosen.example./v1", nil, nil, ""}, // does not resolve here
		{"http://chosen.example./v1", nil, []string{"1.1.1.1"}, ""},
		{"https://chosen.example./v1", nil, []string{"1.1.1.1"}, "CONNECT 1.1.1.1:443"},
		{"https://chosen.example./v1", nil, []string{"10.0.0.7", "1.1.1.1"}, "CONNECT 1.1.1.1:443"},
		{"https://1.1.1.1/v1", nil, nil, "CONNECT 1.1.1.1:443"},
		{"http://chosen.example./v1", []string{"10.0.0.0/8"}, []string{"10.0.0.7"}, "CONNECT 10.0.0.7:80"},
		{"https://chosen.example./v1", []string{"chosen.example."}, nil, "CONNECT chosen.example.:443"},
	} {
		asked, err := ask(x.base, NewEgress(x.allow), x.addresses...)
		if asked != x.asked || err == nil {
			t.Errorf("%s at %v: the proxy was asked for %q, %v", x.base, x.addresses, asked, err)
		}
		if x.asked == "" && len(x.addresses) > 0 && (!errors.Is(err, ErrForbidden) || CauseOf(err) != CauseEgressDenied) {
			t.Errorf("%s at %v: %v", x.base, x.addresses, err)
		}
	}
}

func TestProxyURLs(t *testing.T) {
	f := func(text string, ok bool) {
		t.Helper()
		_, err := NewProxies(&httpproxy.Config{HTTPSProxy: text})
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	f("http://proxy:3128", true)
	f("proxy:3128", true)
	f("https://me:secret@proxy", true)
	f("socks5://me:secret@proxy:1080", false)
	f("http://", false)
	f("http://me:secret@[::1", false)
	if p, err := NewProxies(&httpproxy.Config{HTTPSProxy: "proxy:3128"}); err != nil || p.to(&url.URL{Scheme: "https", Host: "api.example.com"}) == nil {
		t.Errorf("a proxy without a scheme is not used: %v", err)
	}
}

// TestProxyThatHangs: the connect limit holds, and so does Cancel.
func TestProxyThatHangs(t *testing.T) {
	base := provider(t, silent)
	proxies, err := NewProxies(&httpproxy.Config{HTTPSProxy: "http://" + base.Host})
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient()
	defer client.Close()
	client.Through(proxies)
	limits := testLimits
	limits.Connect = 50 * time.Millisecond
	api := &url.URL{Scheme: "https", Host: "api.example.com"}
	if _, _, err := exchange(t, client.NewTarget(api, nil, nil, limits), newRequest("{}")); !errors.Is(err, ErrTimeout) || CauseOf(err) != CauseTimeout {
		t.Errorf("%v", err)
	}
	limits.Connect = time.Minute
	var a Attempt
	a.Begin(client.NewTarget(api, nil, nil, limits), time.Now())
	time.AfterFunc(20*time.Millisecond, a.Cancel)
	if err := a.Send(newRequest("{}")); !errors.Is(err, ErrCanceled) {
		t.Errorf("%v", err)
	}
	a.End(time.Now())
}
