package vaultbridge

import (
	"fmt"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
)

// meters are the key path's metrics. Their labels are words from fixed lists.
type meters struct {
	set     *metrics.Set
	name    string
	away    atomic.Bool
	reason  atomic.Value // Reason: the last failure's
	seconds *metrics.Histogram
	hedges  *metrics.Counter
	shed    *metrics.Counter
	calls   *metrics.Counter
}

func (m *meters) init(set *metrics.Set, name string) {
	m.set, m.name = set, name
	m.reason.Store(ReasonLogin)
	m.seconds = set.NewHistogram(fmt.Sprintf(`ownkey_vault_unseal_seconds{keyring=%q}`, name))
	m.hedges = set.NewCounter(fmt.Sprintf(`ownkey_vault_hedges_total{keyring=%q}`, name))
	m.shed = set.NewCounter(fmt.Sprintf(`ownkey_vault_shed_total{keyring=%q}`, name))
	m.calls = set.NewCounter(fmt.Sprintf(`ownkey_vault_batches_total{keyring=%q}`, name))
	set.NewGauge(fmt.Sprintf(`ownkey_vault_available{keyring=%q}`, name), func() float64 {
		if m.away.Load() {
			return 0
		}
		return 1
	})
}

// unseals counts a batch.
func (m *meters) unseals(batch []*pending, err error) {
	m.calls.Inc()
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.set.GetOrCreateCounter(fmt.Sprintf(`ownkey_vault_unseals_total{keyring=%q,result=%q}`, m.name, result)).Add(len(batch))
}

// failure counts a decrypt call that was of no use, and remembers why.
func (m *meters) failure(r Reason) {
	m.reason.Store(r)
	m.set.GetOrCreateCounter(fmt.Sprintf(`ownkey_vault_failures_total{keyring=%q,identity="data",reason=%q}`, m.name, string(r))).Inc()
}

func (m *meters) adminFailures(r Reason) {
	m.set.GetOrCreateCounter(fmt.Sprintf(`ownkey_vault_failures_total{keyring=%q,identity="admin",reason=%q}`, m.name, string(r))).Inc()
}

func (m *meters) lastReason() Reason {
	r, _ := m.reason.Load().(Reason)
	return r
}
