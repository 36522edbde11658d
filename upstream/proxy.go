package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http/httpproxy"
)

// Proxies say which forward proxy leads to which host. The zero value leads to
// none.
type Proxies struct {
	rule  func(*url.URL) (*url.URL, error)
	known map[string]*proxy // by URL
}

// NewProxies makes the proxies of a rule such as the environment's
// (httpproxy.FromEnvironment). A proxy is http:// or https:// with a host, and
// may have a user and a password, which are sent to it as basic authentication.
// The error names no secret.
func NewProxies(c *httpproxy.Config) (*Proxies, error) {
	p := &Proxies{known: map[string]*proxy{}}
	for _, x := range []struct{ of, text string }{{"HTTPS", c.HTTPSProxy}, {"HTTP", c.HTTPProxy}} {
		if x.text == "" {
			continue
		}
		u, err := parseProxy(x.text)
		if err != nil {
			return nil, errors.New("the proxy for " + x.of + " " + err.Error())
		}
		p.known[u.String()] = newProxy(u)
	}
	p.rule = c.ProxyFunc()
	return p, nil
}

// parseProxy reads a proxy's URL as curl and Go do: without a scheme it is
// http.
func parseProxy(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("is not a URL: want http://HOST:PORT or https://HOST:PORT")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with http:// or https://")
	}
	return u, nil
}

// to is the proxy that leads to base; nil for none.
func (p *Proxies) to(base *url.URL) *proxy {
	if p == nil || p.rule == nil {
		return nil
	}
	u, err := p.rule(base)
	if err != nil || u == nil { // NewProxies has parsed them
		return nil
	}
	return p.known[u.String()]
}

// proxy is a forward proxy (RFC 9110, section 9.3.6).
type proxy struct {
	place         place
	tls           *tls.Config // nil: it is spoken to in clear
	authorization string      // a whole header line; empty for none
}

func newProxy(u *url.URL) *proxy {
	p := &proxy{place: newPlace(HostPort(u))}
	if u.Scheme == "https" {
		p.tls = tlsConfig(u.Hostname(), nil)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		p.authorization = "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n"
	}
	return p
}

// reach connects to the proxy and, if tunnel, through it to a host:port.
func (p *proxy) reach(ctx context.Context, to string, tunnel bool, within time.Duration) (stream, tcp net.Conn, err error) {
	if tcp, err = p.place.connect(ctx, nil, within); err != nil {
		return nil, nil, p.failed(ctx, err)
	}
	stream = tcp
	if p.tls != nil {
		secure := tls.Client(tcp, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = tcp.Close()
			return nil, nil, p.failed(ctx, err)
		}
		stream = secure
	}
	if tunnel {
		if err := p.tunnel(ctx, stream, to); err != nil {
			_ = tcp.Close()
			return nil, nil, p.failed(ctx, err)
		}
	}
	return stream, tcp, nil
}

// failed keeps what is ours, and else says that it was the proxy.
func (p *proxy) failed(ctx context.Context, err error) error {
	var known *failure
	if ctx.Err() != nil || exhausted(err) || errors.As(err, &known) {
		return err
	}
	return fail(ErrUnreachable, CauseProxy)
}

// tunnel asks for a connection to a host:port and waits for it.
func (p *proxy) tunnel(ctx context.Context, stream net.Conn, to string) error {
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(past) })
	defer stop()
	var b strings.Builder
	b.WriteString("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n" + p.authorization + "\r\n")
	if _, err := stream.Write([]byte(b.String())); err != nil {
		return err
	}
	var h fasthttp.ResponseHeader
	h.SetNoDefaultContentType(true)
	r := bufio.NewReaderSize(stream, readBufferBytes)
	if err := h.Read(r); err != nil {
		return err
	}
	switch status := h.StatusCode(); {
	case status == fasthttp.StatusProxyAuthRequired:
		return fail(ErrUnreachable, CauseProxyAuth)
	case status < 200 || status > 299, r.Buffered() > 0: // the provider speaks second
		return fail(ErrUnreachable, CauseProxy)
	}
	if !stop() {
		return ctx.Err()
	}
	return stream.SetDeadline(time.Time{})
}
