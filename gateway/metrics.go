package gateway

import (
	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/meter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/puzpuzpuz/xsync/v4"
)

// metrics count requests as they end. Each label is a word from a table of
// ours: a provider's name is the configured one, "none" where no provider was
// chosen. A request costs a look-up in a map without a lock and a few atomic
// additions.
type metrics struct {
	requests   *prometheus.CounterVec
	own        *prometheus.CounterVec // without a client that waits
	duration   *prometheus.HistogramVec
	firstByte  *prometheus.HistogramVec
	overhead   prometheus.Histogram
	errors     map[string]prometheus.Counter
	refused    map[code]prometheus.Counter // before authentication
	handshake  map[string]prometheus.Counter
	turned     prometheus.Counter // connections beyond the limit
	introduced prometheus.Counter // those of proxies, badly
	failures   *prometheus.CounterVec
	known      *xsync.Map[series, *children]
}

// series are the labels of one request.
type series struct {
	provider string
	dialect  string
	outcome  meter.Outcome
	class    string // of the status
}

// children are what counts a request with these labels.
type children struct {
	requests  prometheus.Counter
	duration  prometheus.Observer
	firstByte prometheus.Observer // nil where no provider was chosen
}

// classes of statuses by their first digit; the first where the client got none.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

func classOf(status int64) string {
	if c := status / 100; c > 0 && c < int64(len(classes)) {
		return classes[c]
	}
	return classes[0] // also a number that is no status
}

// Upper bounds in seconds. A response takes from some milliseconds, for an
// embedding, to minutes, for a long stream; what we add is below a millisecond
// while the credential is in memory, and the time of Vault where it is not.
var (
	responseBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	overheadBuckets = []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
)

func newMetrics(to prometheus.Registerer) *metrics {
	with := promauto.With(to)
	m := &metrics{
		requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: "ownkey_requests_total",
			Help: "Requests that ended, by provider, dialect, outcome (completed, refused, upstream_error, …) and class of the status.",
		}, []string{"provider", "dialect", "outcome", "status"}),
		own: with.NewCounterVec(prometheus.CounterOpts{
			Name: "ownkey_own_requests_total",
			Help: "Calls that memory made to tenants' models itself (vectors, facts), by provider, dialect, outcome and class of the status. They are not in ownkey_requests_total.",
		}, []string{"provider", "dialect", "outcome", "status"}),
		duration: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ownkey_request_duration_seconds", Help: "Time from a request's headers to the end of its response.", Buckets: responseBuckets,
		}, []string{"provider", "dialect"}),
		firstByte: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ownkey_first_byte_seconds", Help: "Time from sending a request to the provider until its response's headers.", Buckets: responseBuckets,
		}, []string{"provider", "dialect"}),
		overhead: with.NewHistogram(prometheus.HistogramOpts{
			Name: "ownkey_overhead_seconds", Help: "Time that the gateway itself took before it asked a provider: token, credential, recall.", Buckets: overheadBuckets,
		}),
		errors:  map[string]prometheus.Counter{},
		refused: map[code]prometheus.Counter{}, handshake: map[string]prometheus.Counter{},
		known: xsync.NewMap[series, *children](),
	}
	m.failures = with.NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_upstream_failures_total", Help: "Requests whose provider gave no whole response, by provider and cause (docs/errors.md).",
	}, []string{"provider", "cause"})
	errors := with.NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_errors_total", Help: "Errors that the gateway answered with, by code (docs/errors.md).",
	}, []string{"code"})
	refused := with.NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_refused_before_authentication_total",
		Help: "Requests refused before their caller was known, by code: counted here and recorded nowhere.",
	}, []string{"code"})
	m.turned = with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_turned_away_connections_total", Help: "Connections of clients that were refused because limits.max_connections were open.",
	})
	m.introduced = with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_proxy_header_failures_total", Help: "Connections of trusted proxies that were closed because their PROXY header was missing or broken (proxy_protocol).",
	})
	handshakes := with.NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_tls_handshake_failures_total", Help: "Connections of clients whose TLS handshake failed, by cause.",
	}, []string{"cause"})
	for _, cause := range front.HandshakeCauses {
		m.handshake[cause] = handshakes.WithLabelValues(cause)
	}
	for code := range answers {
		m.errors[string(code)], m.refused[code] = errors.WithLabelValues(string(code)), refused.WithLabelValues(string(code))
	}
	return m
}

// ended counts a request.
func (m *metrics) ended(r *meter.Record) {
	c := m.of(r)
	c.requests.Inc()
	c.duration.Observe(r.TotalTime.Seconds())
	if r.Attempt > 0 {
		m.overhead.Observe((r.AuthTime + r.UnsealTime + r.RecallTime).Seconds())
		if r.FirstByteTime > 0 && c.firstByte != nil {
			c.firstByte.Observe(r.FirstByteTime.Seconds())
		}
	}
	if code := m.errors[r.ErrorCode]; code != nil {
		code.Inc()
	}
}

// ownEnded counts a call of the gateway's own. No client waits for it, so it is
// in no measure of what clients see.
func (m *metrics) ownEnded(r *meter.Record) {
	provider, dialect, class := words(r)
	m.own.WithLabelValues(provider, dialect, r.Outcome.String(), class).Inc()
}

func (m *metrics) of(r *meter.Record) *children {
	key := series{provider: r.Provider, dialect: r.Endpoint, outcome: r.Outcome, class: classOf(r.Status)}
	if c, ok := m.known.Load(key); ok {
		return c
	}
	provider, dialect, class := words(r)
	c := &children{
		requests: m.requests.WithLabelValues(provider, dialect, key.outcome.String(), class),
		duration: m.duration.WithLabelValues(provider, dialect),
	}
	if key.provider != "" {
		c.firstByte = m.firstByte.WithLabelValues(provider, dialect)
	}
	c, _ = m.known.LoadOrStore(key, c)
	return c
}

// words are a record's labels.
func words(r *meter.Record) (provider, dialect, class string) {
	provider, dialect, class = "none", "none", classOf(r.Status)
	if r.Provider != "" {
		provider = r.Provider
	}
	if r.Endpoint != "" {
		dialect = r.Endpoint
	}
	return provider, dialect, class
}
