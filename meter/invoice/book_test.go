package invoice

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
)

// ledger is a book of events in memory.
type ledger struct {
	mu   sync.Mutex
	rows []taken
	read int // rows that were given
}

type taken struct {
	meter.MemoryEvent
	in time.Time
}

// MemoryEvents is Events'.
func (l *ledger) MemoryEvents(_ context.Context, tenant string, since, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error {
	l.mu.Lock()
	rows := slices.Clone(l.rows)
	l.mu.Unlock()
	slices.SortFunc(rows, func(a, b taken) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.EventID.String(), b.EventID.String()))
	})
	for _, r := range rows {
		late := r.in.After(watermark) || !r.At.Before(until) || r.At.Before(since) || r.Op == meter.MemoryRetrieved && r.At.Before(from)
		if r.TenantID != tenant || late {
			continue
		}
		l.mu.Lock()
		l.read++
		l.mu.Unlock()
		if err := each(&r.MemoryEvent); err != nil {
			return err
		}
	}
	return nil
}

// EarliestLate is Events'.
func (l *ledger) EarliestLate(_ context.Context, tenant string, until, after, watermark time.Time) (earliest time.Time, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		if r.TenantID == tenant && r.At.Before(until) && r.in.After(after) && !r.in.After(watermark) && (!found || r.At.Before(earliest)) {
			earliest, found = r.At, true
		}
	}
	return earliest, found, nil
}

// CountTaken is Events'.
func (l *ledger) CountTaken(_ context.Context, tenant string, watermark time.Time) (n int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		if r.TenantID == tenant && !r.in.After(watermark) {
			n++
		}
	}
	return n, nil
}

// add takes an event in at a time.
func (l *ledger) add(in time.Time, e meter.MemoryEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	binary.BigEndian.PutUint64(e.EventID[8:], uint64(len(l.rows)+1))
	e.RequestID, e.TokenID, e.Bytes = e.EventID, "tok-1", 100*e.Count
	e.TenantID = cmp.Or(e.TenantID, "acme")
	l.rows = append(l.rows, taken{e, in})
}

// lifetimes are tenants; those it does not have were created in January 2026.
type lifetimes map[string][2]time.Time

var errNoTenant = errors.New("no such tenant")

// Lifetime is Tenants'.
func (l lifetimes) Lifetime(_ context.Context, tenant string) (created, deleted time.Time, err error) {
	if tenant == "nobody" {
		return created, deleted, errNoTenant
	}
	if t, ok := l[tenant]; ok {
		return t[0], t[1], nil
	}
	return at("2026-01-10T00:00:00Z"), deleted, nil
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func month(s string) Month {
	m, err := ParseMonth(s)
	if err != nil {
		panic(err)
	}
	return m
}

// standard is 1 USD per 1,000 memory-months and 0.50 USD per 1,000 retrievals.
var standard = Plan{Name: "standard", MemoryMonths: 1_000_000, Retrievals: 500_000}

// desk is a book over a ledger, with a clock and prices to turn.
type desk struct {
	*testing.T
	*ledger
	book *Book
	path string
	now  time.Time
	plan Plan
	life lifetimes
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{
		T: t, ledger: &ledger{}, now: at("2026-01-15T00:00:00Z"), plan: standard, life: lifetimes{},
		path: filepath.Join(t.TempDir(), "usage.db"),
	}
	d.book = d.another()
	return d
}

// another is a second process on the same database.
func (d *desk) another() *Book {
	d.Helper()
	database, err := db.Open(d.Context(), d.path)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = database.Close() })
	b, err := New(d.Context(), Options{
		Events: d.ledger, Tenants: d.life, DB: database,
		Plan: func(string) Plan { return d.plan }, Now: func() time.Time { return d.now },
	})
	if err != nil {
		d.Fatal(err)
	}
	return b
}

// event takes an event in at once.
func (d *desk) event(when, bucket string, op meter.MemoryOp, count int64) {
	d.late(when, when, bucket, op, count)
}

// late takes an event in at another time than its own.
func (d *desk) late(in, when, bucket string, op meter.MemoryOp, count int64) {
	d.add(at(in), meter.MemoryEvent{At: at(when), BucketID: bucket, Op: op, Count: count})
}

func (d *desk) invoice(m string) *Document {
	d.Helper()
	got, err := d.book.Invoice(d.Context(), "acme", month(m))
	if err != nil {
		d.Fatal(err)
	}
	return got
}

func (d *desk) written(m string, f Format) string {
	d.Helper()
	var b bytes.Buffer
	if err := d.invoice(m).Write(&b, f); err != nil {
		d.Fatal(err)
	}
	return b.String()
}

// all are the four forms of an invoice.
func (d *desk) all(m string) (forms string) {
	d.Helper()
	for _, f := range Formats {
		forms += d.written(m, f)
	}
	return forms
}

func TestDraftUntilTheGraceIsOver(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	f := func(now string, want State, total MicroUSD) {
		t.Helper()
		d.now = at(now)
		if got := d.invoice("2026-01"); got.State != want || got.Total != total {
			t.Errorf("at %s: %s, %s", now, got.State, got.Total)
		}
	}
	// A draft counts up to now: half of 31 days.
	f("2026-01-16T12:00:00Z", Draft, 500_000)
	f("2026-02-01T00:00:00Z", Draft, 1_000_000)
	f("2026-02-03T23:59:59.999999Z", Draft, 1_000_000)
	f("2026-02-04T00:00:00Z", Closed, 1_000_000)
	// Also for a clock that goes back.
	f("2026-02-01T00:00:00Z", Closed, 1_000_000)
}

func TestClosedInvoiceStaysAsItIs(t *testing.T) {
	d := newDesk(t)
	d.plan.FlatFee = 5_000_000
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.event("2026-01-20T00:00:00Z", "b", meter.MemoryRetrieved, 10)
	d.now = at("2026-02-05T00:00:00Z")
	before := d.all("2026-01")
	// Late events, other prices, a later clock, another process, a new name.
	d.late("2026-02-06T00:00:00Z", "2026-01-02T00:00:00Z", "b", meter.MemoryStored, 7)
	d.plan = Plan{Name: "dear", MemoryMonths: 9_000_000, FlatFee: 1}
	d.now = at("2026-09-01T00:00:00Z")
	d.book = d.another()
	if after := d.all("2026-01"); after != before {
		t.Errorf("the closed invoice was\n%s\nand is\n%s", before, after)
	}
	for _, change := range []string{"UPDATE invoices SET json = ''", "DELETE FROM invoices"} {
		if _, err := d.book.DB.Write.ExecContext(t.Context(), change); err == nil {
			t.Errorf("%s was done", change)
		}
	}
}

func TestLateEventsBecomeAdjustments(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.now = at("2026-03-04T00:00:00Z")
	for _, m := range []string{"2026-01", "2026-02"} {
		if got := d.invoice(m); got.Total != 1_000_000 || got.State != Closed || len(got.Adjustments) != 0 {
			t.Fatalf("%s: %+v", m, got)
		}
	}
	// For January: 500 memories from its middle on, taken in on 10 March. They
	// count for half of January, all of February, and March itself.
	d.late("2026-03-10T00:00:00Z", "2026-01-16T12:00:00Z", "late", meter.MemoryStored, 500)
	d.late("2026-03-10T00:00:00Z", "2026-02-02T00:00:00Z", "b", meter.MemoryRetrieved, 4)
	d.plan.MemoryMonths, d.plan.FlatFee = 2_000_000, 3_000_000 // March's prices
	d.now = at("2026-03-20T00:00:00Z")
	if got := d.invoice("2026-03"); got.State != Draft || len(got.Adjustments) != 2 {
		t.Errorf("draft: %+v", got)
	}
	d.now = at("2026-04-05T00:00:00Z")
	march := d.invoice("2026-03")
	if march.State != Closed || march.Total != 1500*2000+3_000_000+250_000+502_000 {
		t.Errorf("March: %+v", march)
	}
	january, february := march.Adjustments[0], march.Adjustments[1]
	if january.Month != month("2026-01") || january.MemoryMonths != "250.000000" || january.Amount != 250_000 || january.Invoiced != 1_000_000 || january.Recomputed != 1_250_000 || january.Events != 2 {
		t.Errorf("January: %+v", january)
	}
	if february.Month != month("2026-02") || february.MemoryMonths != "500.000000" || february.Retrievals != 4 || february.RetrievalsAmount != 2000 || february.Amount != 502_000 || february.Events != 3 {
		t.Errorf("February: %+v", february)
	}
	// Nothing comes twice.
	d.now = at("2026-04-20T00:00:00Z")
	if got := d.invoice("2026-04"); len(got.Adjustments) != 0 {
		t.Errorf("April: %+v", got.Adjustments)
	}
	// A second late event, for January again: a deletion. It takes back.
	d.late("2026-04-21T00:00:00Z", "2026-01-16T12:00:00Z", "b", meter.MemoryDeleted, 1000)
	d.now = at("2026-05-05T00:00:00Z")
	april := d.invoice("2026-04")
	if len(april.Adjustments) != 3 || april.Adjustments[0].Amount != -500_000 || april.Adjustments[0].Invoiced != 1_250_000 ||
		april.Adjustments[1].Amount != -1_000_000 || april.Adjustments[2].Amount != -2_000_000 || april.Total != 500*2000+3_000_000-3_500_000 {
		t.Errorf("April: %+v", april)
	}
	if got := d.invoice("2026-05"); len(got.Adjustments) != 0 {
		t.Errorf("May: %+v", got.Adjustments)
	}
}

func TestAdjustmentsHaveOnePlace(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.now = at("2026-02-05T00:00:00Z")
	d.invoice("2026-01")
	d.late("2026-02-06T00:00:00Z", "2026-01-05T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
	// In March's first days February is open still: the line is there, and not
	// on March's draft.
	d.now = at("2026-03-02T00:00:00Z")
	if march := d.invoice("2026-03"); len(march.Adjustments) != 0 {
		t.Errorf("March: %+v", march.Adjustments)
	}
	if february := d.invoice("2026-02"); february.State != Draft || len(february.Adjustments) != 1 {
		t.Errorf("February: %+v", february)
	}
	// To ask for July closes what is before it, in order.
	d.now = at("2026-08-05T00:00:00Z")
	if july := d.invoice("2026-07"); july.State != Closed || len(july.Adjustments) != 0 {
		t.Errorf("July: %+v", july)
	}
	if february := d.invoice("2026-02"); february.State != Closed || february.Total != 1_500_000 {
		t.Errorf("February: %+v", february)
	}
	if june := d.invoice("2026-06"); june.State != Closed || june.Total != 1_000_000 {
		t.Errorf("June: %+v", june)
	}
}

func TestAllowanceIsPartOfAnAdjustment(t *testing.T) {
	d := newDesk(t)
	d.plan.FreeRetrievals = 100
	d.event("2026-01-05T00:00:00Z", "b", meter.MemoryRetrieved, 60)
	d.now = at("2026-02-05T00:00:00Z")
	d.invoice("2026-01")
	// 60 + 60 retrievals: 20 above the allowance.
	d.late("2026-02-06T00:00:00Z", "2026-01-06T00:00:00Z", "c", meter.MemoryRetrieved, 60)
	a := d.invoice("2026-02").Adjustments
	if len(a) != 0 {
		t.Errorf("taken in after the watermark, and counted: %+v", a)
	}
	d.now = at("2026-02-07T00:00:00Z")
	a = d.invoice("2026-02").Adjustments
	if len(a) != 1 || a[0].Retrievals != 60 || a[0].Amount != 10_000 || a[0].Recomputed != 10_000 {
		t.Errorf("got %+v", a)
	}
}

func TestClosingAtOnceGivesOneDocument(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.now = at("2026-06-05T00:00:00Z")
	const processes = 8
	books := make([]*Book, processes)
	got := make([]string, processes)
	for i := range books {
		books[i] = d.another()
		o := books[i].Options
		o.Now = func() time.Time { return d.now.Add(time.Duration(i) * time.Minute) } // what a loser would answer differs
		books[i].Options = o
	}
	var wait sync.WaitGroup
	for i, b := range books {
		wait.Go(func() {
			doc, err := b.Invoice(t.Context(), "acme", month("2026-04"))
			if err != nil {
				t.Error(err)
				return
			}
			var all bytes.Buffer
			for _, f := range Formats {
				if err := doc.Write(&all, f); err != nil {
					t.Error(err)
				}
			}
			got[i] = all.String()
		})
	}
	wait.Wait()
	want := d.all("2026-04")
	for i := range got {
		if got[i] != want {
			t.Errorf("process %d answered another document", i)
		}
	}
}

// TestLoserAnswersTheWinner stops one process between computing and storing.
func TestLoserAnswersTheWinner(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.now = at("2026-02-05T00:00:00Z")
	winner := ""
	slow := d.another()
	o := slow.Options
	o.Plan = func(string) Plan {
		winner = d.all("2026-01")
		return Plan{Name: "loser"}
	}
	slow.Options = o
	doc, err := slow.Invoice(t.Context(), "acme", month("2026-01"))
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, f := range Formats {
		if err := doc.Write(&all, f); err != nil {
			t.Fatal(err)
		}
	}
	if all.String() != winner || doc.Plan.Name != "standard" {
		t.Errorf("the loser answered its own: %+v", doc)
	}
}

func TestFlatFeeInTheMonthsOfATenant(t *testing.T) {
	d := newDesk(t)
	d.plan = Plan{FlatFee: 7}
	d.life["acme"] = [2]time.Time{at("2026-02-28T23:00:00Z"), at("2026-04-01T00:00:00Z")}
	d.now = at("2026-06-10T00:00:00Z")
	for m, want := range map[string]MicroUSD{"2026-02": 7, "2026-03": 7, "2026-04": 0, "2026-05": 0} {
		if got := d.invoice(m); got.FlatFee != want || got.Total != want {
			t.Errorf("%s: %+v", m, got)
		}
	}
	if _, err := d.book.Invoice(t.Context(), "acme", month("2026-01")); !errors.Is(err, ErrNoTenantYet) || !strings.Contains(err.Error(), "the first is 2026-02") {
		t.Errorf("before the tenant: %v", err)
	}
}

func TestMonthsWithoutAnInvoice(t *testing.T) {
	d := newDesk(t)
	f := func(tenant, m string, want error, text string) {
		t.Helper()
		_, err := d.book.Invoice(t.Context(), tenant, month(m))
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s %s: %v", tenant, m, err)
		}
	}
	f("acme", "2026-02", ErrNotBegun, "cannot make invoice of acme for 2026-02: it has not begun; the latest is 2026-01")
	f("acme", "2025-12", ErrNoTenantYet, "is before the tenant was created; the first is 2026-01")
	f("nobody", "2026-01", errNoTenant, "no such tenant")
	for _, bad := range []string{"", "2026", "2026-1", "2026-13", "2026-00", "26-01", "2026-01-01", "2026/01", " 2026-01", "may"} {
		if m, err := ParseMonth(bad); !errors.Is(err, ErrMonth) {
			t.Errorf("%q: %s, %v", bad, m, err)
		}
	}
}

func TestNothingIsStoredWhenTheBookFails(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1)
	d.rows = append(d.rows, d.rows[0]) // the store gives it twice
	d.now = at("2026-02-05T00:00:00Z")
	if _, err := d.book.Invoice(t.Context(), "acme", month("2026-01")); !errors.Is(err, ErrEvents) || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "comes twice") {
		t.Errorf("got %v", err)
	}
	d.rows = d.rows[:1]
	if got := d.invoice("2026-01"); got.Events != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestClockThatGoesBack: what an invoice has settled by an earlier watermark is
// not taken back by one that sees less.
func TestClockThatGoesBack(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.now = at("2026-02-05T00:00:00Z")
	d.invoice("2026-01")
	d.late("2026-03-04T10:00:00Z", "2026-01-05T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
	d.now = at("2026-03-04T11:00:00Z")
	if got := d.invoice("2026-02"); len(got.Adjustments) != 1 {
		t.Fatalf("February: %+v", got)
	}
	d.now = at("2026-03-04T09:00:00Z")
	if got := d.invoice("2026-03"); len(got.Adjustments) != 0 {
		t.Errorf("March: %+v", got.Adjustments)
	}
}

// TestTenantThatBeganEarlier: a directory that was restored may say so. The
// months before are closed too, and what is stored stays.
func TestTenantThatBeganEarlier(t *testing.T) {
	d := newDesk(t)
	d.life["acme"] = [2]time.Time{at("2026-03-01T00:00:00Z"), {}}
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.now = at("2026-04-05T00:00:00Z")
	march := d.all("2026-03")
	d.life["acme"] = [2]time.Time{at("2026-01-01T00:00:00Z"), {}}
	d.late("2026-04-06T00:00:00Z", "2026-03-05T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
	d.now = at("2026-05-05T00:00:00Z")
	for m, want := range map[string]int{"2026-01": 0, "2026-02": 0, "2026-04": 1} {
		if got := d.invoice(m); got.State != Closed || got.Usage.MemoryAmount != 1_000_000 || len(got.Adjustments) != want {
			t.Errorf("%s: %+v", m, got)
		}
	}
	if d.all("2026-03") != march {
		t.Error("March has changed")
	}
}

// TestEventIDsAreOrderedAsTheirTexts is what a store may rely on.
func TestEventIDsAreOrderedAsTheirTexts(t *testing.T) {
	for range 1000 {
		a, b := uuid.New(), uuid.New()
		if bytes.Compare(a[:], b[:]) != strings.Compare(a.String(), b.String()) {
			t.Fatalf("%s, %s", a, b)
		}
	}
}
