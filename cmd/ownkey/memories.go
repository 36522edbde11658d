package main

import (
	"cmp"
	"context"
	"path/filepath"

	"github.com/ownkey/ownkey/gateway"
	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/api"
	"github.com/ownkey/ownkey/meter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// memories is what tenants have remembered.
type memories struct {
	app      *app
	database *db.DB
	keeper   *memory.Keeper
}

// openMemories opens the store. Its models are asked only after Start.
func openMemories(ctx context.Context, a *app) (m *memories, err error) {
	m = &memories{app: a}
	if m.database, err = db.Open(ctx, filepath.Join(a.cfg.Data, memoryFile)); err != nil {
		return m, err
	}
	m.database.Migrating = a.migrating(memoryFile)
	if err := a.installation.Database(ctx, memoryFile, m.database); err != nil {
		return m, err
	}
	if err := m.database.Migrate(ctx, memory.Migrations(), "memory_migrations"); err != nil {
		return m, err
	}
	c := &a.cfg.Memory
	m.keeper, err = memory.Open(ctx, memory.Options{
		Write: m.database.Write, Read: m.database.Read, Erase: m.database.Erase, Emit: m.emit, Tenants: m.tenant, Settings: m.settings,
		MaxResidentBytes: c.MaxResidentBytes, MaxBucketMemories: c.MaxBucketMemories, MaxTenantBuckets: c.MaxTenantBuckets, MaxTenantBytes: c.MaxTenantBytes,
		QueryEmbedding: c.QueryEmbeddingTimeout, Concurrency: int(c.ModelConcurrency), Trouble: m.trouble,
	})
	if err != nil {
		return m, err
	}
	m.observe()
	return m, nil
}

// options are what the gateway needs of memory.
func (m *memories) options() *gateway.Memory {
	return &gateway.Memory{Keeper: m.keeper, API: api.New(m.keeper, m.synthesisModel)}
}

// ops are the keeper's operations in the meter's words.
var ops = map[memory.Op]meter.MemoryOp{memory.Stored: meter.MemoryStored, memory.Deleted: meter.MemoryDeleted}

// emit hands a billing event to the ledger.
func (m *memories) emit(e memory.Event) error {
	return m.app.meter.journal.Memory(&meter.MemoryEvent{
		EventID: e.ID, At: e.At, TenantID: e.Tenant, TokenID: e.Token, BucketID: e.BucketID, RequestID: e.RequestID,
		Op: ops[e.Op], Count: e.Count, Bytes: e.Bytes,
	})
}

// tenant tells whether a tenant exists. While the directory can not be sure,
// every tenant does: nothing is deleted on a guess.
func (m *memories) tenant(id string) bool {
	if m.app.directory.Ready() != nil {
		return true
	}
	_, err := m.app.directory.Tenant(id)
	return err == nil
}

func (m *memories) settings(tenant string) memory.Settings {
	t, err := m.app.directory.Tenant(tenant)
	if err != nil {
		return memory.Settings{}
	}
	return memory.Settings{Embeddings: t.Memory.Embeddings, Extraction: t.Memory.Extraction}
}

// stored is what a tenant has stored now.
func (m *memories) stored(ctx context.Context, tenant string) (admin.Stored, error) {
	h, err := m.keeper.Holdings(ctx, tenant)
	return admin.Stored{Buckets: h.Buckets, Memories: h.Memories, Bytes: h.Bytes}, err
}

func (m *memories) synthesisModel(tenant string) string {
	byDefault := m.app.now().Memory.SynthesisModel
	t, err := m.app.directory.Tenant(tenant)
	if err != nil {
		return byDefault
	}
	return cmp.Or(t.Memory.Synthesis, byDefault)
}

// trouble tells the operator what no caller hears of. The errors of the room
// hold no text.
func (m *memories) trouble(what string, err error) {
	m.app.log.Error().Err(err).Msg(what)
}

// observe publishes the state of memory.
func (m *memories) observe() {
	with := promauto.With(m.app.metrics)
	c := m.keeper.Counts()
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_memory_resident_bytes", Help: "Bytes of the buckets that are in memory.",
	}, func() float64 { return float64(m.keeper.ResidentBytes()) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_memory_capture_waiting_bytes", Help: "Bytes of captured turns that wait to be stored.",
	}, func() float64 { return float64(m.keeper.WaitingBytes()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_loads_total", Help: "Buckets that were loaded from the store.",
	}, func() float64 { return float64(c.Loads.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_evictions_total", Help: "Buckets that were dropped from memory to make room.",
	}, func() float64 { return float64(c.Evictions.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_erased_late_total", Help: "Deletions that were answered before the write-ahead log was free of what they deleted.",
	}, func() float64 { return float64(c.ErasedLate.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_captured_total", Help: "Memories that were captured from conversations.",
	}, func() float64 { return float64(c.Captured.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_capture_dropped_total", Help: "Turns that were not captured because too much of their tenant waited.",
	}, func() float64 { return float64(c.CaptureDropped.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_capture_refused_total", Help: "Captured memories that the store did not take.",
	}, func() float64 { return float64(c.CaptureRefused.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_embedded_total", Help: "Memories that a model made vectors for.",
	}, func() float64 { return float64(c.Embedded.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_extracted_total", Help: "Memories that a model looked for facts in.",
	}, func() float64 { return float64(c.Extracted.Load()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_memory_jobs_given_up_total", Help: "Jobs of a tenant's models that failed too often.",
	}, func() float64 { return float64(c.JobsGivenUp.Load()) })
}

func (m *memories) close() error {
	if m.keeper != nil {
		m.keeper.Close()
	}
	if m.database != nil {
		return m.database.Close()
	}
	return nil
}
