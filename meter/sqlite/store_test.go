package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/usage"
)

func open(t testing.TB) *Store {
	t.Helper()
	d, err := db.Open(context.Background(), filepath.Join(t.TempDir(), "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	s, err := Open(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var noon = time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)

// request is one of many that differ.
func request(i int) *meter.Record {
	r := &meter.Record{
		EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: noon.Add(time.Duration(i) * time.Minute),
		TenantID: fmt.Sprint("tenant-", i%2), TokenID: fmt.Sprint("token-", i%3), CredentialID: "c", KeyVersion: 3, Fingerprint: "f", UnsealID: "u",
		Provider: "openai", Endpoint: "chat_completions", ModelAsked: "asked", ModelServed: fmt.Sprint("model-", i%2),
		Outcome: meter.OutcomeCompleted, Status: 200, Streamed: i%2 == 0, Attempt: 1, Events: 10, UsageSource: meter.UsageProvider,
		InputTokens: meter.Count{N: 100, Set: true}, OutputTokens: meter.Count{N: 20, Set: true},
		FirstByteTime: 100 * time.Millisecond, TotalTime: time.Duration(1+i%100) * 10 * time.Millisecond, CacheHit: true,
	}
	if i%10 == 9 {
		r.Outcome, r.UsageSource, r.InputTokens, r.OutputTokens, r.Events = meter.OutcomeClientCancelled, meter.UsageNone, meter.Count{}, meter.Count{}, 4
		r.Streamed = true
	}
	return r
}

func batch(n int) *drain.Batch {
	b := &drain.Batch{Gateway: ledger.Identity{Gateway: uuid.New(), Epoch: 1}, Checkpoint: drain.Checkpoint{Next: ledger.Position{File: 3, Offset: int64(n)}, Open: [][]byte{[]byte("open")}}}
	for i := range n {
		b.Requests = append(b.Requests, request(i))
		b.Unseals = append(b.Unseals, &meter.Unseal{EventID: meter.NewEventID(), ID: "u", At: noon.Add(time.Duration(i) * time.Minute), TenantID: "tenant-0", CredentialID: "c", Keyring: "vault", Hedge: i%2 == 1})
		b.Memory = append(b.Memory, &meter.MemoryEvent{EventID: meter.NewEventID(), At: noon.Add(time.Duration(i) * time.Minute), TenantID: "tenant-0", BucketID: "b", Op: meter.MemoryDeleted, Count: 2, Bytes: 7})
	}
	return b
}

// TestRowsComeBack: every column, so that one which is only in the schema or only
// in the row fails here and not at a user's.
func TestRowsComeBack(t *testing.T) {
	s := open(t)
	b := batch(50)
	if err := s.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var requests []*meter.Record
	var unseals []*meter.Unseal
	var memory []*meter.MemoryEvent
	to := noon.Add(time.Hour)
	if err := s.ListRequests(t.Context(), "", noon, to, func(r *meter.Record) error { requests = append(requests, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.ListUnseals(t.Context(), "tenant-0", noon, to, func(r *meter.Unseal) error { unseals = append(unseals, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.ListMemoryEvents(t.Context(), "tenant-0", noon, to, func(r *meter.MemoryEvent) error { memory = append(memory, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(requests, b.Requests) || !reflect.DeepEqual(unseals, b.Unseals) || !reflect.DeepEqual(memory, b.Memory) {
		t.Errorf("%+v\n%+v", requests[0], b.Requests[0])
	}
}

func TestCheckpointComesWithItsRows(t *testing.T) {
	s := open(t)
	b := batch(20)
	if c, err := s.Checkpoint(t.Context(), b.Gateway.Gateway); err != nil || c.Next.File != 0 {
		t.Errorf("%+v %v", c, err)
	}
	for range 2 { // a batch that comes again changes nothing
		if err := s.Take(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := s.Checkpoint(t.Context(), b.Gateway.Gateway); err != nil || !reflect.DeepEqual(c, b.Checkpoint) {
		t.Errorf("%+v %v", c, err)
	}
	rows, err := s.Usage(t.Context(), usage.Question{From: noon, To: noon.Add(time.Hour), By: usage.ByDay})
	if err != nil || len(rows) != 1 || rows[0].Requests != 20 {
		t.Errorf("%+v %v", rows, err)
	}
}

// TestSomeRowsAreThereAlready: a statement of several rows cannot say which were
// there, and no sum has any of them twice.
func TestSomeRowsAreThereAlready(t *testing.T) {
	s := open(t)
	all := batch(3*together + 1)
	known := *all
	known.Requests, known.Unseals, known.Memory = all.Requests[together+3:together+5], all.Unseals[:1], all.Memory[3*together:]
	for i, b := range []*drain.Batch{&known, all, all} {
		if err := s.Take(t.Context(), b); err != nil {
			t.Fatal(i, err)
		}
	}
	var requests, unseals, events int
	from, to := noon, noon.Add(24*time.Hour)
	err := errors.Join(s.ListRequests(t.Context(), "", from, to, func(*meter.Record) error { requests++; return nil }),
		s.ListUnseals(t.Context(), "", from, to, func(*meter.Unseal) error { unseals++; return nil }),
		s.ListMemoryEvents(t.Context(), "", from, to, func(*meter.MemoryEvent) error { events++; return nil }))
	want := len(all.Requests)
	if err != nil || requests != want || unseals != want || events != want {
		t.Errorf("%d requests, %d unseals, %d events of %d, %v", requests, unseals, events, want, err)
	}
	rows, err := s.Usage(t.Context(), usage.Question{From: from, To: to, By: usage.ByDay})
	if err != nil || len(rows) != 1 || rows[0].Requests != int64(want) {
		t.Errorf("sums: %+v, %v", rows, err)
	}
}

func TestUsage(t *testing.T) {
	s := open(t)
	const n = 600
	b := batch(n)
	if err := s.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ask := func(q usage.Question) []usage.Row {
		t.Helper()
		rows, err := s.Usage(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	all := usage.Question{From: noon, To: noon.Add(10 * time.Hour)}
	for by, want := range map[usage.By][]string{
		usage.ByModel: {"model-0", "model-1"}, usage.ByToken: {"token-0", "token-1", "token-2", "token-0", "token-1", "token-2"}, usage.ByCredential: {"c", "c"},
		usage.ByDay: {noon.Truncate(24 * time.Hour).Format(time.RFC3339)},
	} {
		q := all
		q.By = by
		rows, total := ask(q), usage.Sums{}
		var keys []string
		for i := range rows {
			keys = append(keys, rows[i].Key)
			total.Add(&rows[i].Sums)
		}
		if !slices.Equal(keys, want) || total.Requests != n || total.InputTokens != n*9/10*100 || total.Cancelled != n/10 || total.UnknownUsage != n/10 {
			t.Errorf("by %s: %v %+v", by, keys, total)
		}
	}
	one := ask(usage.Question{Tenant: "tenant-1", From: noon, To: noon.Add(time.Hour), By: usage.ByHour})
	if len(one) != 1 || one[0].Requests != 30 || one[0].Key != noon.Format(time.RFC3339) {
		t.Errorf("%+v", one)
	}
	// 10 ms to 1 s, evenly.
	day := all
	day.By = usage.ByDay
	got := ask(day)[0].Total
	for q, want := range map[float64]float64{got.P50: 500, got.P95: 950, got.P99: 990} {
		if math.Abs(q-want) > want*0.05 {
			t.Errorf("latency %+v", got)
		}
	}
	if none := ask(usage.Question{Tenant: "nobody", From: noon, To: noon.Add(time.Hour), By: usage.ByDay}); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}

// TestPagesOfUsage: pages of any size, one after the other, are the whole answer.
func TestPagesOfUsage(t *testing.T) {
	s := open(t)
	if err := s.Take(t.Context(), batch(200)); err != nil {
		t.Fatal(err)
	}
	for by := range keys {
		for _, tenant := range []string{"", "tenant-1"} {
			q := usage.Question{Tenant: tenant, From: noon, To: noon.Add(10 * time.Hour), By: by}
			whole, err := s.Usage(t.Context(), q)
			if err != nil || len(whole) == 0 {
				t.Fatal(err)
			}
			for q.Limit = 1; q.Limit < 4; q.Limit++ {
				var all []usage.Row
				for q.After = (usage.Cursor{}); ; {
					rows, err := s.Usage(t.Context(), q)
					if err != nil || len(rows) > q.Limit {
						t.Fatal(len(rows), err)
					}
					if len(rows) == 0 {
						break
					}
					all = append(all, rows...)
					last := rows[len(rows)-1]
					q.After = usage.Cursor{Set: true, Tenant: last.Tenant, Key: last.Key}
				}
				if !reflect.DeepEqual(all, whole) {
					t.Errorf("by %s, pages of %d:\n%+v\n%+v", by, q.Limit, all, whole)
				}
			}
		}
	}
}

// TestRefusedCallsNameNoModels: calls that no provider was asked for are one row
// of sums an hour, whatever they named.
func TestRefusedCallsNameNoModels(t *testing.T) {
	s := open(t)
	b := &drain.Batch{}
	for i := range 500 {
		b.Requests = append(b.Requests, &meter.Record{EventID: meter.NewEventID(), Start: noon, TenantID: "t", ModelAsked: fmt.Sprint("made-up-", i), Outcome: meter.OutcomeRefused})
	}
	if err := s.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Usage(t.Context(), usage.Question{From: noon, To: noon.Add(time.Hour), By: usage.ByModel})
	if err != nil || len(rows) != 1 || rows[0].Key != "" || rows[0].Refused != 500 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestModelsOfAnHourAreBounded: a tenant that owns its provider can have any
// names served; beyond a number in an hour they are counted together.
func TestModelsOfAnHourAreBounded(t *testing.T) {
	s := open(t)
	for round := range 4 {
		b := &drain.Batch{}
		for i := range maxModels {
			for _, tenant := range []string{"hostile", "honest"} {
				r := &meter.Record{EventID: meter.NewEventID(), Start: noon, TenantID: tenant, ModelServed: "gpt", Outcome: meter.OutcomeCompleted, Attempt: 1, TotalTime: time.Second}
				if tenant == "hostile" {
					r.ModelServed = fmt.Sprint(round, "-", i)
				}
				b.Requests = append(b.Requests, r)
			}
		}
		if round == 2 {
			s.models = modelNames{} // as after a restart
		}
		if err := s.Take(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for tenant, want := range map[string]int{"hostile": maxModels + 1, "honest": 1} {
		rows, err := s.Usage(t.Context(), usage.Question{Tenant: tenant, From: noon, To: noon.Add(time.Hour), By: usage.ByModel})
		sum := int64(0)
		for _, r := range rows {
			sum += r.Requests
		}
		if err != nil || len(rows) != want || sum != 4*maxModels {
			t.Errorf("%s: %d rows of %d requests, %v", tenant, len(rows), sum, err)
		}
	}
}

func TestOldRowsAreForgottenAndTheirSumsKept(t *testing.T) {
	s := open(t)
	b := batch(10)
	for _, r := range b.Requests[:5] {
		r.Start = noon.Add(-keep - 48*time.Hour)
	}
	if err := s.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.ListRequests(t.Context(), "", time.Unix(0, 0), time.Now(), func(*meter.Record) error { n++; return nil }); err != nil || n != 5 {
		t.Errorf("%d rows, %v", n, err)
	}
	rows, err := s.Usage(t.Context(), usage.Question{From: time.Unix(0, 0), To: time.Now(), By: usage.ByModel})
	if err != nil || rows[0].Requests+rows[1].Requests != 10 {
		t.Errorf("%+v %v", rows, err)
	}
}

func BenchmarkTake(b *testing.B) {
	s := open(b)
	const n = 5000
	for b.Loop() {
		b.StopTimer()
		rows := batch(n)
		rows.Unseals, rows.Memory = nil, nil
		b.StartTimer()
		if err := s.Take(b.Context(), rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// TestColumnsAreThoseOfTheRow: evidence lists every column that a stored row has.
func TestColumnsAreThoseOfTheRow(t *testing.T) {
	s := open(t)
	columns, err := s.Columns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	r := request(1)
	r.Counted = meter.Count{N: 7, Set: true}
	meter.NewPrinter(&printed).Print(r)
	var row map[string]any
	if err := json.Unmarshal(printed.Bytes(), &row); err != nil {
		t.Fatal(err)
	}
	for _, c := range columns {
		delete(row, c.Name)
	}
	for name := range row {
		if name != "message" && name != "level" && name != "time" {
			t.Errorf("a row has %s, which evidence does not list", name)
		}
	}
}

// TestLatelyIsBounded: the second row of a hedged unseal is not counted again, and
// a month of unseals is not held.
func TestLatelyIsBounded(t *testing.T) {
	var ids lately
	unseals := 0
	for i := range 20 * maxLately {
		for _, id := range []string{fmt.Sprint(i), fmt.Sprint(i - 100)} { // the second row comes a hundred rows later
			if ids.isNew(id) {
				unseals++
			}
		}
		if held := len(ids.now) + len(ids.before); held > 2*maxLately {
			t.Fatalf("%d ids are held", held)
		}
	}
	if want := 20*maxLately + 100; unseals != want {
		t.Errorf("%d unseals, want %d", unseals, want)
	}
}

// TestQuestionsLeaveCores: while as many questions are answered as may be, another
// one waits, and leaves with who asked it.
func TestQuestionsLeaveCores(t *testing.T) {
	s := open(t)
	for range cap(s.asking) {
		s.asking <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	q := usage.Question{Tenant: "acme", By: usage.ByDay, From: noon, To: noon.Add(time.Hour)}
	if _, err := s.Usage(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a question beyond the bound: %v", err)
	}
	<-s.asking
	if _, err := s.Usage(t.Context(), q); err != nil {
		t.Error(err)
	}
}
