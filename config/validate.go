package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// providerName is what a provider may be called: it stands in paths and before
// models.
var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// ValidProviderName reports whether a provider may be called so. v1 is taken:
// it begins the paths that name no provider.
func ValidProviderName(name string) bool { return providerName.MatchString(name) && name != "v1" }

// validate checks the values. It changes nothing.
func (d *decoder) validate(c *Config) {
	d.addresses("listen", c.Listen)
	d.addresses("admin.listen", c.Admin.Listen)
	d.required("data", c.Data)
	d.admin(&c.Admin)
	d.keyring(c)
	d.limits(&c.Limits)
	d.runaway(&c.Runaway)
	d.tls(&c.TLS)
	d.egress(&c.Egress)
	for i, text := range c.TrustedProxies {
		if !isRange(text) {
			d.add(nil, fmt.Sprintf("trusted_proxies[%d]", i), "want an IP range such as 10.1.0.0/16, without bits beyond its mask, or an address, not "+text)
		}
	}
	d.proxyProtocol("proxy_protocol", c.ProxyProtocol, c)
	d.proxyProtocol("admin.proxy_protocol", c.Admin.ProxyProtocol, c)
	d.positive("timeouts.client_header", c.Timeouts.ClientHeader)
	d.positive("timeouts.client_idle", c.Timeouts.ClientIdle)
	d.positive("timeouts.client_silence", c.Timeouts.ClientSilence)
	d.positive("timeouts.client_write", c.Timeouts.ClientWrite)
	d.positive("timeouts.drain", c.Timeouts.Drain)
	d.meter(&c.Meter)
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		d.add(nil, "log.level", "must be debug, info, warn or error")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		d.provider(name, c.Providers[name])
	}
	d.billing(&c.Billing)
	d.memory(&c.Memory)
}

func (d *decoder) proxyProtocol(path string, on bool, c *Config) {
	if on && len(c.TrustedProxies) == 0 {
		d.add(nil, path, "is taken from trusted_proxies only, and there are none; name the proxies there")
	}
}

// isRange reports whether text is an IP range without bits beyond its mask, or
// an address.
func isRange(text string) bool {
	p, err := netip.ParsePrefix(text)
	a := p.Addr()
	if err != nil {
		a, err = netip.ParseAddr(text)
		return err == nil && a.Zone() == "" && !a.Is4In6()
	}
	return p == p.Masked() && !a.Is4In6()
}

// Bounds of the admin token: whatever it is made of, nobody guesses it at the
// few tries a second that the admin plane allows.
const (
	minAdminToken    = 16 // characters
	minTokenAlphabet = 6  // different ones among them
)

func (d *decoder) admin(a *Admin) {
	a.Token.Use(func(token []byte) {
		alphabet := map[byte]bool{}
		for _, c := range token {
			alphabet[c] = true
		}
		switch {
		case len(token) == 0:
			d.add(nil, "admin.token", "missing; write ${NAME} for an environment variable, or {file: PATH}")
		case len(token) < minAdminToken || len(alphabet) < minTokenAlphabet:
			d.add(nil, "admin.token", fmt.Sprintf("is too easy to guess: it needs at least %d characters, %d of them different; make one with: openssl rand -hex 32",
				minAdminToken, minTokenAlphabet))
		}
	})
	switch {
	case a.TLS.CertFile == "" && a.TLS.KeyFile != "":
		d.add(nil, "admin.tls.cert_file", "missing; key_file needs it")
	case a.TLS.CertFile != "" && a.TLS.KeyFile == "":
		d.add(nil, "admin.tls.key_file", "missing")
	}
}

func (d *decoder) provider(name string, p Provider) {
	at := "providers." + name
	if !ValidProviderName(name) {
		d.add(nil, at, "a provider's name must match "+providerName.String()+" and not be v1")
	}
	if p.BaseURL == "" {
		d.add(nil, at+".base_url", "missing; only the built-in providers have one of their own")
	} else if base, err := ParseBaseURL(p.BaseURL); err != nil {
		d.add(nil, at+".base_url", err.Error())
	} else if base.Scheme == "http" && !loopback(base.Hostname()) && !p.AllowPlainHTTP {
		d.add(nil, at+".base_url", "would send credentials in clear; use https, or set allow_plain_http: true")
	}
	if p.Auth != AuthBearer && p.Auth != AuthXAPIKey {
		d.add(nil, at+".auth", "must be bearer or x-api-key")
	}
	if p.MaxBodyBytes < 0 || p.MaxBodyBytes > 1<<30 {
		d.add(nil, at+".max_body_bytes", "must be between 0 and 1073741824")
	}
	d.headers(at+".request_headers", p.RequestHeaders)
	d.headers(at+".response_headers", p.ResponseHeaders)
	d.positive(at+".connect_timeout", p.ConnectTimeout)
	d.positive(at+".first_byte_timeout", p.FirstByteTimeout)
	d.positive(at+".idle_timeout", p.IdleTimeout)
	d.positive(at+".total_timeout", p.TotalTimeout)
}

func (d *decoder) addresses(path string, all Addresses) {
	if len(all) == 0 {
		d.add(nil, path, "want HOST:PORT, or a list of them")
	}
	for _, value := range all {
		_, port, err := net.SplitHostPort(value)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			d.add(nil, path, "want HOST:PORT, or a list of them")
		}
	}
}

func (d *decoder) required(path, value string) {
	if value == "" {
		d.add(nil, path, "missing")
	}
}

func (d *decoder) between(path string, value, low, high int64) {
	if value < low || value > high {
		d.add(nil, path, fmt.Sprintf("must be between %d and %d", low, high))
	}
}

func (d *decoder) positive(path string, value time.Duration) {
	if value <= 0 {
		d.add(nil, path, "must be longer than 0s")
	}
}

// ParseBaseURL checks that a base URL is one that requests can be sent to:
// http or https, a host, maybe a path; nothing else.
func ParseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with https:// or http://")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("must not hold a user or password; store a credential")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("must not have a query or fragment")
	case strings.HasSuffix(u.Path, "/"):
		return nil, errors.New("must not end with a slash")
	}
	return u, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
