package vaultbridge

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// meters are the key path's metrics. Their labels are words from fixed lists.
type meters struct {
	reason   atomic.Value // Reason: the last failure's
	seconds  prometheus.Histogram
	hedges   prometheus.Counter
	shed     prometheus.Counter
	calls    prometheus.Counter
	opened   prometheus.Counter
	unopened prometheus.Counter
	failures *prometheus.CounterVec // by identity and reason
	ends     *prometheus.GaugeVec   // by identity
}

// vaultBuckets are the upper bounds of Vault's times, in seconds: a decrypt in
// the same network takes about a millisecond, and the longest limit that makes
// sense for a client that waits is some seconds.
var vaultBuckets = []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func (m *meters) init(to prometheus.Registerer, name string, s *state) {
	m.reason.Store(ReasonLogin)
	with := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"keyring": name}, to))
	m.seconds = with.NewHistogram(prometheus.HistogramOpts{
		Name: "ownkey_vault_decrypt_seconds", Help: "Time of a decrypt call to Vault, with its hedge.", Buckets: vaultBuckets,
	})
	m.hedges = with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_vault_hedges_total", Help: "Decrypt calls that were slow and were sent a second time.",
	})
	m.shed = with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_vault_shed_total", Help: "Decrypts that were refused without a call, since Vault had failed repeatedly.",
	})
	m.calls = with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_vault_batches_total", Help: "Decrypt calls; one carries the decrypts of a tenant that wait at that moment.",
	})
	decrypts := with.NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_vault_decrypts_total", Help: "Decrypts of credentials by result: ok or failed.",
	}, []string{"result"})
	m.opened, m.unopened = decrypts.WithLabelValues("ok"), decrypts.WithLabelValues("failed")
	m.failures = with.NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_vault_failures_total", Help: "Calls to Vault that failed, by our identity there and reason.",
	}, []string{"identity", "reason"})
	m.ends = with.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ownkey_vault_secret_id_not_after_timestamp_seconds", Help: "When the secret id of our identity at Vault ends; absent where that is not known.",
	}, []string{"identity"})
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_vault_available", Help: "1 while the keyring's Vault can be used, 0 otherwise.",
	}, func() float64 {
		if s.now() != "" {
			return 0
		}
		return 1
	})
}

// decrypts counts a batch.
func (m *meters) decrypts(batch []*pending, err error) {
	m.calls.Inc()
	if err != nil {
		m.unopened.Add(float64(len(batch)))
		return
	}
	m.opened.Add(float64(len(batch)))
}

// failure counts a decrypt call that was of no use, and remembers why.
func (m *meters) failure(r Reason) {
	m.reason.Store(r)
	m.failures.WithLabelValues("data", string(r)).Inc()
}

func (m *meters) adminFailures(r Reason) {
	m.failures.WithLabelValues("admin", string(r)).Inc()
}

func (m *meters) lastReason() Reason {
	r, _ := m.reason.Load().(Reason)
	return r
}
