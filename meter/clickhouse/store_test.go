package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/rs/zerolog"
)

// bed is a store on a database of its own.
type bed struct {
	*Store
	t       testing.TB
	engine  *url.URL
	name    string
	options Options
	log     *bytes.Buffer
}

func newBed(t testing.TB) *bed {
	t.Helper()
	engine, name := clickhousetest.Database(t)
	b := &bed{t: t, engine: engine, name: name, log: &bytes.Buffer{}}
	log := zerolog.New(zerolog.SyncWriter(b.log))
	aside, err := quarantine.Open(filepath.Join(t.TempDir(), quarantine.FileName), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.options = Options{Server: server(engine, name), Dir: t.TempDir(), MaxBytes: 64 << 20, Quarantine: aside, Claim: anybody, Log: &log}
	if err := Migrate(t.Context(), b.options.Server, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return b
}

// anybody uses whatever database is there.
func anybody(context.Context, *Store) error { return nil }

// server says how to reach a database of the engine.
func server(engine *url.URL, name string) Server {
	base := *engine
	user, password := "default", ""
	if base.User != nil {
		user = base.User.Username()
		password, _ = base.User.Password()
		base.User = nil
	}
	return Server{Addresses: []*url.URL{&base}, Database: name, User: user, Password: func() string { return password }, Timeout: 30 * time.Second}
}

func (b *bed) open() *bed {
	b.t.Helper()
	s, err := Open(b.t.Context(), b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
	return b
}

func (b *bed) flush() {
	b.t.Helper()
	ctx, done := context.WithTimeout(b.t.Context(), 60*time.Second)
	defer done()
	if err := b.Flush(ctx); err != nil {
		b.t.Fatalf("%v\n%s", err, b.log)
	}
}

func (b *bed) take(batch *drain.Batch) {
	b.t.Helper()
	if err := b.Take(b.t.Context(), batch); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) close() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// ask runs a query in the bed's database.
func (b *bed) ask(query string) string {
	b.t.Helper()
	return clickhousetest.Run(b.t, b.engine, strings.ReplaceAll(query, "$", b.name+"."))
}

func (b *bed) want(want, query string) {
	b.t.Helper()
	if got := b.ask(query); got != want {
		b.t.Errorf("%s: %s, want %s\n%s", query, got, want, b.log)
	}
}

var start = time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)

// request is one of many that differ.
func request(i int) *meter.Record {
	r := &meter.Record{
		EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: start.Add(time.Duration(i%3600) * time.Second),
		TenantID: fmt.Sprint("tenant-", i%5), TokenID: fmt.Sprint("token-", i%7), CredentialID: fmt.Sprint("c", i%5), KeyVersion: 3, Fingerprint: "f",
		UnsealID: fmt.Sprint("u", i/10), Provider: "openai", Endpoint: "chat_completions", ModelAsked: "asked", ModelServed: fmt.Sprint("model-", i%2),
		ProviderOrganization: "org-tenant", Outcome: meter.OutcomeCompleted, Status: 200, Streamed: i%2 == 0, Attempt: 1, Events: 10,
		UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: 100, Set: true}, OutputTokens: meter.Count{N: 20, Set: true},
		FirstByteTime: 100 * time.Millisecond, TotalTime: time.Duration(1+i%100) * 10 * time.Millisecond, CacheHit: true,
	}
	switch i % 10 {
	case 8:
		r.Outcome, r.Status, r.ErrorCode, r.Attempt, r.UsageSource = meter.OutcomeRefused, 401, "invalid_token", 0, meter.UsageNone
		r.InputTokens, r.OutputTokens, r.ModelServed, r.Streamed = meter.Count{}, meter.Count{}, "", false
	case 9:
		r.Outcome, r.UsageSource, r.InputTokens, r.OutputTokens, r.Events = meter.OutcomeClientCancelled, meter.UsageNone, meter.Count{}, meter.Count{}, 4
		r.Streamed = true
	}
	return r
}

var gateway = ledger.Identity{Gateway: uuid.MustParse("01a20a41-99f0-72e1-bdc1-58e62a2cb6d0"), Epoch: 7}

func batch(from, to int) *drain.Batch {
	b := &drain.Batch{Gateway: gateway, Checkpoint: drain.Checkpoint{Next: ledger.Position{File: 1, Offset: int64(to)}}}
	for i := from; i < to; i++ {
		b.Requests = append(b.Requests, request(i))
		if i%4 == 0 {
			b.Unseals = append(b.Unseals, &meter.Unseal{EventID: meter.NewEventID(), ID: fmt.Sprint("u", i), At: start.Add(time.Duration(i%3600) * time.Second), TenantID: "tenant-0", CredentialID: "c0", Keyring: "vault", Hedge: i%8 == 4})
			b.Memory = append(b.Memory, &meter.MemoryEvent{EventID: meter.NewEventID(), At: start.Add(time.Duration(i%3600) * time.Second), TenantID: "tenant-0", BucketID: "b", Op: meter.MemoryDeleted, Count: 2, Bytes: 7})
		}
	}
	return b
}

func TestRowsArrive(t *testing.T) {
	b := newBed(t).open()
	b.take(batch(0, 1000))
	b.take(batch(1000, 1500))
	b.flush()
	b.want("1500", "SELECT count() FROM $requests")
	b.want("375\t375", "SELECT (SELECT count() FROM $unseals), (SELECT count() FROM $memory_events)")
	b.want("1500\t1500", "SELECT (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")
	b.want("2", "SELECT uniqExact(seq) FROM $batches WHERE rejected = 0")
	b.want("2250", "SELECT sum(rows) FROM $batches")
	if s := b.State(); s.Rows != 2250 || s.Segments != 0 || s.Bytes != 0 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
	at, err := b.Checkpoint(t.Context(), gateway.Gateway)
	if err != nil || at.Next.Offset != 1500 {
		t.Errorf("%+v %v", at, err)
	}
	b.close()
	left, _ := filepath.Glob(filepath.Join(b.options.Dir, "*"+segmentSuffix))
	if len(left) > 0 {
		t.Errorf("%v", left)
	}
	b.open()
	if at, err := b.Checkpoint(t.Context(), gateway.Gateway); err != nil || at.Next.Offset != 1500 {
		t.Errorf("after a restart: %+v %v", at, err)
	}
	b.take(batch(0, 10))
	b.flush()
	b.want("3", "SELECT max(seq) FROM $batches")
	b.close()
}

// TestSegmentSentAgain: the same bytes under the same token change nothing,
// neither in the books nor in the sums.
func TestSegmentSentAgain(t *testing.T) {
	b := newBed(t).open()
	b.close()
	m, head, bodies, err := (&packer{}).pack(segmentID{gateway.Gateway, gateway.Epoch, 1}, batch(0, 700), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := os.Remove(filepath.Join(b.options.Dir, markFile)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.options.Dir, fmt.Sprintf("%016x%s", m.Seq, segmentSuffix)), append(head, bodies...), 0o600); err != nil {
			t.Fatal(err)
		}
		b.open().flush()
		b.close()
	}
	b.want("700\t700\t700", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")
	b.want("175\t3", "SELECT (SELECT count() FROM $unseals), (SELECT count() FROM $batches FINAL)")
}

// TestSegmentThatIsPutBackUndoesADeletion: a segment in the directory after a
// start may have been sent, so its rows are looked for; those that were deleted
// are taken for lost, and come back.
func TestSegmentThatIsPutBackUndoesADeletion(t *testing.T) {
	for _, deletion := range []string{"ALTER TABLE $requests DELETE WHERE 1 SETTINGS mutations_sync = 2", "DELETE FROM $requests WHERE 1", "TRUNCATE TABLE $requests"} {
		t.Run(deletion, func(t *testing.T) {
			b := newBed(t).open()
			b.close()
			m, head, bodies, err := (&packer{}).pack(segmentID{gateway.Gateway, gateway.Epoch, 1}, batch(0, 300), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := os.Remove(filepath.Join(b.options.Dir, markFile)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(b.options.Dir, fmt.Sprintf("%016x%s", m.Seq, segmentSuffix)), append(head, bodies...), 0o600); err != nil {
					t.Fatal(err)
				}
				b.open().flush()
				b.close()
				b.want("300\t300", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h)")
				b.ask(deletion)
				b.want("0\t300", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h)")
			}
		})
	}
}
