package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/clickhouseserver"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/clickhouse"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/meter/usage"
	"github.com/rs/zerolog"
)

const (
	meterRows  = 1_000_000
	meterBatch = 20_000
)

// meterCosts measures what a record costs on the request's path, and how fast
// stores take records and answer questions about them.
func meterCosts(b *bed) error {
	if err := ledgerCost(filepath.Join(b.dir, "meter-ledger")); err != nil {
		return err
	}
	fmt.Println("| store | rows | rows/s | bytes/row on the disk | slowest usage question, ms |\n| --- | ---: | ---: | ---: | ---: |")
	if err := sqliteRate(filepath.Join(b.dir, "meter-sqlite", "usage.db")); err != nil {
		return err
	}
	if err := clickHouseRate(filepath.Join(b.dir, "meter-clickhouse")); err != nil {
		return err
	}
	fmt.Println()
	return nil
}

// ledgerCost opens and closes requests in the ledger, as a request does.
func ledgerCost(dir string) error {
	fmt.Println("| ledger: admit, open, close, leave | ns/request | allocations | bytes/request |\n| --- | ---: | ---: | ---: |")
	for _, goroutines := range []int{1, 2, 64} {
		j, err := meter.OpenJournal(meter.JournalOptions{Dir: filepath.Join(dir, fmt.Sprint(goroutines)), MaxBytes: 8 << 30, Alarm: func(ledger.Trouble) {}})
		if err != nil {
			return err
		}
		const n = 1_000_000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				r := meterRecord(rand.New(rand.NewPCG(1, 2)), time.Now())
				for range n / goroutines {
					for j.Admit() != nil {
						time.Sleep(50 * time.Microsecond) // the disk makes room more slowly than this writes
					}
					_ = j.Open(r)
					_ = j.Close(r)
					j.Leave()
				}
			})
		}
		all.Wait()
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		held, _ := j.Bytes()
		fmt.Printf("| %d goroutines | %d | %.2f | %d |\n", goroutines, took.Nanoseconds()/n, float64(after.Mallocs-before.Mallocs)/n, held/n)
		if err := errors.Join(j.Trim(j.End()), j.Shut()); err != nil {
			return err
		}
	}
	fmt.Println()
	return nil
}

// meterRecord is a usual one, of one of 200 tenants.
func meterRecord(random *rand.Rand, at time.Time) *meter.Record {
	tenant := random.IntN(200)
	return &meter.Record{
		EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: at, TenantID: fmt.Sprint("tenant-", tenant), TokenID: fmt.Sprint("token-", tenant, "-", random.IntN(3)),
		CredentialID: fmt.Sprint("credential-", tenant), KeyVersion: 3, Fingerprint: "e8d32a20e8c7ea41", UnsealID: "01a20bc7-7a44-772a-977c-9e4674eadbe3",
		Provider: "openai", Endpoint: "chat_completions", ModelAsked: "gpt-4o-mini", ModelServed: fmt.Sprint("model-", random.IntN(6)),
		ProviderRequestID: fmt.Sprintf("req_%016x", random.Uint64()), ProviderOrganization: fmt.Sprint("org-", tenant), SDK: "python",
		Outcome: meter.OutcomeCompleted, Status: 200, Streamed: random.IntN(2) == 0, Attempt: 1, RequestBytes: 1000 + random.Int64N(5000), ResponseBytes: 800 + random.Int64N(4000),
		Events: random.Int64N(200), UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: random.Int64N(4000), Set: true}, OutputTokens: meter.Count{N: random.Int64N(900), Set: true},
		AuthTime: 9 * time.Microsecond, UnsealTime: 4 * time.Microsecond, FirstByteTime: time.Duration(random.IntN(800)) * time.Millisecond, TotalTime: time.Duration(1+random.IntN(9000)) * time.Millisecond,
		CacheHit: true,
	}
}

// meterDays is over how many days the rows are spread.
const meterDays = 30

// meterBatches makes the rows, so that they come in the order of time.
func meterBatches(take func(*drain.Batch) error) (time.Duration, error) {
	random := rand.New(rand.NewPCG(3, 4))
	gateway := ledger.Identity{Gateway: uuid.New(), Epoch: 1}
	began := time.Now().Add(-meterDays * 24 * time.Hour)
	var took time.Duration
	for n := 0; n < meterRows; n += meterBatch {
		batch := &drain.Batch{Gateway: gateway, Pace: pace.Pace{Hurry: true}, Checkpoint: drain.Checkpoint{Next: ledger.Position{File: 1, Offset: int64(n)}}}
		for i := range meterBatch {
			batch.Requests = append(batch.Requests, meterRecord(random, began.Add(time.Duration(n+i)*meterDays*24*time.Hour/meterRows)))
		}
		at := time.Now()
		if err := take(batch); err != nil {
			return took, err
		}
		took += time.Since(at)
	}
	return took, nil
}

// asker is a store that is asked about usage.
type asker interface {
	Usage(ctx context.Context, q usage.Question) ([]usage.Row, error)
}

// slowestQuestion asks each question of 30 days, of all tenants and of one.
func slowestQuestion(s asker) (slowest time.Duration, err error) {
	now := time.Now()
	for _, by := range []usage.By{usage.ByHour, usage.ByDay, usage.ByModel, usage.ByToken, usage.ByCredential} {
		for _, tenant := range []string{"", "tenant-7"} {
			began := time.Now()
			rows, err := s.Usage(context.Background(), usage.Question{Tenant: tenant, By: by, From: now.Add(-meterDays * 24 * time.Hour), To: now})
			if err != nil {
				return 0, err
			}
			if len(rows) == 0 {
				return 0, fmt.Errorf("no rows by %s", by)
			}
			slowest = max(slowest, time.Since(began))
		}
	}
	return slowest, nil
}

func meterLine(store string, took time.Duration, bytes int64, slowest time.Duration) {
	fmt.Printf("| %s | %d | %.0f | %d | %.0f |\n", store, meterRows, meterRows/took.Seconds(), bytes/meterRows, float64(slowest.Microseconds())/1000)
}

func sqliteRate(path string) error {
	d, err := db.Open(context.Background(), path)
	if err != nil {
		return err
	}
	defer d.Close()
	s, err := sqlite.Open(context.Background(), d)
	if err != nil {
		return err
	}
	took, err := meterBatches(func(b *drain.Batch) error { return s.Take(context.Background(), b) })
	if err != nil {
		return err
	}
	slowest, err := slowestQuestion(s)
	if err != nil {
		return err
	}
	var bytes int64
	if err := d.Read.QueryRow("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&bytes); err != nil {
		return err
	}
	meterLine("SQLite", took, bytes, slowest)
	return nil
}

func clickHouseRate(dir string) error {
	ctx := context.Background()
	engine, err := clickhouseserver.Start(ctx, clickhouseserver.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer engine.Stop()
	address, err := url.Parse(engine.URL)
	if err != nil {
		return err
	}
	server := clickhouse.Server{Addresses: []*url.URL{address}, Database: "ownkey", User: "default", Password: func() string { return "" }, Timeout: time.Minute}
	if err := clickhouse.Migrate(ctx, server, func(int) {}); err != nil {
		return err
	}
	log := zerolog.Nop()
	s, err := clickhouse.Open(ctx, clickhouse.Options{Server: server, Dir: filepath.Join(dir, "segments"), MaxBytes: 1 << 30, Quarantine: &quarantine.File{}, Log: &log})
	if err != nil {
		return err
	}
	defer s.Close()
	var bytes int64
	took, err := meterBatches(func(b *drain.Batch) error {
		if err := s.Take(ctx, b); err != nil {
			return err
		}
		bytes += s.State().Bytes
		return s.Flush(ctx)
	})
	if err != nil {
		return err
	}
	slowest, err := slowestQuestion(s)
	if err != nil {
		return err
	}
	meterLine("ClickHouse 26.7, over HTTP, to the acknowledgement (bytes of a segment)", took, bytes, slowest)
	return nil
}
