package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Limits bound what clients can make the gateway hold.
type Limits struct {
	// Largest JSON body, in bytes. Such a body is held in memory to read its
	// model; uploads of other types stream through without a limit of ours.
	MaxBodyBytes int64 `yaml:"max_body_bytes" reload:"yes"`
	// Memory for all bodies that are held at once, in bytes, with heads above 6 KiB
	// and answers that are held. A tenant may hold at most as much as stays free:
	// half of it alone, a third beside another that does the same. For bodies of
	// max_body_bytes it should be six times as much as that.
	MaxBufferedBytes int64 `yaml:"max_buffered_bytes"`
	// Requests that may be in flight at once. The last quarter is kept from
	// tenants that have their share: as many as there are for each, if one more
	// tenant came.
	MaxRequestsInFlight int64 `yaml:"max_requests_in_flight" reload:"yes"`
	// How long a request waits for another to end when so many are in flight;
	// tenants take turns. 0s refuses it at once.
	QueueTime time.Duration `yaml:"queue_time" reload:"yes"`
	// Connections of clients that may be open. The next one gets a 503. The
	// number is lowered, with a line in the log, where the process may not open
	// twice as many files (ulimit -n).
	MaxConnections int64 `yaml:"max_connections"`
	// Largest head of a request, in bytes. Each connection has a buffer of 6 KiB;
	// a larger head borrows one of this size, which counts as a held body.
	MaxHeaderBytes int64 `yaml:"max_header_bytes"`
	// What a token may use that has no limit of its own.
	Token CallerLimits `yaml:"token" reload:"yes"`
	// What the calls of a tenant may use together, for tenants that have no
	// limit of their own.
	Tenant CallerLimits `yaml:"tenant" reload:"yes"`
}

// CallerLimits bound what a token or a tenant uses. 0 is no limit.
type CallerLimits struct {
	// Requests in a second; a fraction is allowed, and as many as those of one
	// second may come at once.
	RequestsPerSecond float64 `yaml:"requests_per_second"`
	// Tokens in a minute, input and output, as providers report them: reserved
	// by an estimate when a call begins, settled when it ends.
	TokensPerMinute int64 `yaml:"tokens_per_minute"`
	// Requests in flight at once.
	RequestsInFlight int64 `yaml:"requests_in_flight"`
	// Streamed answers that are open at once.
	Streams int64 `yaml:"streams"`
	// Largest body of a request, in bytes, uploads with it.
	BodyBytes int64 `yaml:"body_bytes"`
	// Budget of tokens for a calendar day in UTC.
	TokensPerDay int64 `yaml:"tokens_per_day"`
	// Budget of tokens for a calendar month in UTC.
	TokensPerMonth int64 `yaml:"tokens_per_month"`
}

// Runaway is the guard against tokens whose spending runs away.
type Runaway struct {
	// Tokens in a minute that are too many for any token; 0 is no such bound.
	TokensPerMinute int64 `yaml:"tokens_per_minute" reload:"yes"`
	// How many times what is usual for a token in a minute is too much; 0 is no
	// such bound. It counts once the token has spent something in ten minutes.
	Factor float64 `yaml:"factor" reload:"yes"`
	// Tokens in a minute below which factor does not count.
	LeastTokensPerMinute int64 `yaml:"least_tokens_per_minute" reload:"yes"`
	// Stop the token, until `ownkey token resume`.
	Stop bool `yaml:"stop" reload:"yes"`
	// Address that gets a POST for each alarm, besides the line in the log.
	Webhook string `yaml:"webhook" reload:"yes"`
	// Key of the header Ownkey-Signature of that POST.
	WebhookSecret Secret `yaml:"webhook_secret" reload:"yes"`
}

// Egress says where base URLs of credentials may lead, which tenants choose.
// Providers of this file are the operator's and may lie anywhere.
type Egress struct {
	// Addresses besides public ones: HOST, HOST:PORT or an IP range such as
	// 10.1.0.0/16.
	Allow []string `yaml:"allow" reload:"yes"`
	// Forward proxy that providers are reached through: http://HOST:PORT or
	// https://HOST:PORT, with a user name if it wants one (http://USER@HOST:PORT).
	// Empty: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment say;
	// none: no proxy, whatever they say.
	Proxy string `yaml:"proxy"`
	// Password for the proxy, sent as basic authentication.
	ProxyPassword Secret `yaml:"proxy_password"`
	// Hosts that are reached without the proxy: HOST (with all below it),
	// HOST:PORT, an IP address or range. Loopback addresses always are.
	NoProxy []string `yaml:"no_proxy"`
}

// NoProxyAtAll is the value of egress.proxy that ignores the environment.
const NoProxyAtAll = "none"

// TLS is what the data plane's listener shows to clients.
type TLS struct {
	// Certificate chain, PEM. It is read again when it has changed. Without one
	// the listener speaks plain HTTP, for a TLS proxy before it.
	CertFile string `yaml:"cert_file"`
	// Its key, PEM.
	KeyFile string `yaml:"key_file"`
	// Certificate authorities, PEM: clients must show a certificate of one.
	ClientCAFile string `yaml:"client_ca_file"`
	// max-age of Strict-Transport-Security; 0s sends no such header.
	HSTS time.Duration `yaml:"hsts"`
}

var defaultLimits = Limits{
	MaxBodyBytes:        64 << 20, // above OpenAI's 50 MB and Anthropic's 32 MB: a body that is too large for them gets their own answer
	MaxBufferedBytes:    1 << 30,
	MaxRequestsInFlight: 20_000,
	QueueTime:           time.Second,
	MaxConnections:      50_000,
	MaxHeaderBytes:      64 << 10, // what the providers' own front ends take or less
}

func (d *decoder) limits(l *Limits) {
	d.between("limits.max_body_bytes", l.MaxBodyBytes, 1<<10, 1<<30)
	d.between("limits.max_buffered_bytes", l.MaxBufferedBytes, l.MaxBodyBytes, 1<<40)
	d.between("limits.max_requests_in_flight", l.MaxRequestsInFlight, 1, 1<<20)
	if l.QueueTime < 0 || l.QueueTime > time.Minute {
		d.add(nil, "limits.queue_time", "must be between 0s and 1m")
	}
	d.between("limits.max_connections", l.MaxConnections, 1, 1<<20)
	d.between("limits.max_header_bytes", l.MaxHeaderBytes, 4<<10, 1<<20)
	d.callerLimits("limits.token", &l.Token)
	d.callerLimits("limits.tenant", &l.Tenant)
}

// mostLimit is what the directory takes as well.
const mostLimit = 1e15

func (d *decoder) callerLimits(at string, l *CallerLimits) {
	if l.RequestsPerSecond != 0 && (l.RequestsPerSecond < 0.001 || l.RequestsPerSecond > 1e6) {
		d.add(nil, at+".requests_per_second", "must be 0, or between 0.001 and 1000000")
	}
	d.between(at+".tokens_per_minute", l.TokensPerMinute, 0, mostLimit)
	d.between(at+".requests_in_flight", l.RequestsInFlight, 0, mostLimit)
	d.between(at+".streams", l.Streams, 0, mostLimit)
	d.between(at+".body_bytes", l.BodyBytes, 0, mostLimit)
	d.between(at+".tokens_per_day", l.TokensPerDay, 0, mostLimit)
	d.between(at+".tokens_per_month", l.TokensPerMonth, 0, mostLimit)
}

func (d *decoder) runaway(r *Runaway) {
	d.between("runaway.tokens_per_minute", r.TokensPerMinute, 0, mostLimit)
	d.between("runaway.least_tokens_per_minute", r.LeastTokensPerMinute, 0, mostLimit)
	if r.Factor != 0 && (r.Factor < 1.5 || r.Factor > 1e6) {
		d.add(nil, "runaway.factor", "must be 0, or between 1.5 and 1000000")
	}
	if r.Webhook != "" {
		u, err := url.Parse(r.Webhook)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			d.add(nil, "runaway.webhook", "must be an https:// URL, or http:// on this machine")
		}
	}
	if r.Webhook == "" && !r.WebhookSecret.Empty() {
		d.add(nil, "runaway.webhook_secret", "is of no use without runaway.webhook")
	}
}

func (d *decoder) egress(e *Egress) {
	for _, entry := range e.Allow {
		if _, err := netip.ParsePrefix(entry); err == nil {
			continue
		}
		if u, err := url.Parse("//" + entry); err != nil || u.Hostname() == "" || u.Host != entry || strings.Contains(entry, "/") {
			d.add(nil, "egress.allow", "want HOST, HOST:PORT or an IP range such as 10.1.0.0/16, not "+entry)
		}
	}
	d.proxy(e)
}

func (d *decoder) proxy(e *Egress) {
	if e.Proxy == "" || e.Proxy == NoProxyAtAll {
		if len(e.NoProxy) > 0 {
			d.add(nil, "egress.no_proxy", "is of no use without a URL in egress.proxy")
		}
		if !e.ProxyPassword.Empty() {
			d.add(nil, "egress.proxy_password", "is of no use without a URL in egress.proxy")
		}
		return
	}
	u, err := url.Parse(e.Proxy)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		d.add(nil, "egress.proxy", "want http://HOST:PORT or https://HOST:PORT, or none")
		return
	}
	_, inURL := u.User.Password()
	switch {
	case inURL:
		d.add(nil, "egress.proxy", "must not hold a password; write it as egress.proxy_password")
	case u.User == nil && !e.ProxyPassword.Empty():
		d.add(nil, "egress.proxy_password", "needs a user name in egress.proxy: http://USER@HOST:PORT")
	}
}

func (d *decoder) tls(t *TLS) {
	switch {
	case t.CertFile == "" && (t.KeyFile != "" || t.ClientCAFile != "" || t.HSTS != 0):
		d.add(nil, "tls.cert_file", "missing; the other keys of tls need it")
	case t.CertFile != "" && t.KeyFile == "":
		d.add(nil, "tls.key_file", "missing")
	}
	if t.HSTS < 0 || t.HSTS%time.Second != 0 {
		d.add(nil, "tls.hsts", "must be whole seconds, such as 8760h; 0s sends no header")
	}
}
