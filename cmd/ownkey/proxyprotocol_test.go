package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestProxyProtocolOnBothPlanes: each plane takes the header from a trusted
// proxy where its own key says so, and the admin plane's log has the client's
// address; without the header the proxy gets no answer, and others are served as
// ever.
func TestProxyProtocolOnBothPlanes(t *testing.T) {
	s := newStand(t, "trusted_proxies: [127.0.0.9]\nlog: {level: debug}\n")
	ask := func(url, path, header string) (status int) {
		t.Helper()
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/v1"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, header+"GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+s.ready.AdminToken+"\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	const header = "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443\r\n"
	for _, x := range []struct {
		change                                           [2]string
		data, dataIntroduced, control, controlIntroduced int
	}{
		{[2]string{"log:", "log:"}, 200, 400, 200, 400},
		{[2]string{"trusted_proxies:", "proxy_protocol: true\ntrusted_proxies:"}, 0, 200, 200, 400},
		{[2]string{"admin: {", "admin: {proxy_protocol: true, "}, 0, 200, 0, 200},
	} {
		s.kill()
		s.change(x.change[0], x.change[1])
		s.serve()
		got := [4]int{ask(s.ready.BaseURL, "/readyz", ""), ask(s.ready.BaseURL, "/readyz", header), ask(s.ready.AdminURL, "/admin/v1/tenants", ""), ask(s.ready.AdminURL, "/admin/v1/tenants", header)}
		if want := [4]int{x.data, x.dataIntroduced, x.control, x.controlIntroduced}; got != want {
			t.Errorf("%s: %v, want %v", x.change[1], got, want)
		}
	}
	if got := s.metric("ownkey_proxy_header_failures_total"); got != "2" {
		t.Errorf("%s connections without a header, want one to each plane", got)
	}
	s.eventually("the log has the address", func() bool { return strings.Contains(s.stderr.String(), `"from":"203.0.113.9"`) })
}
