package invoice

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
)

// TestQuantitiesByHand has examples that were computed on paper.
func TestQuantitiesByHand(t *testing.T) {
	type event struct {
		when  string
		op    meter.MemoryOp
		count int64
	}
	const stored, deleted, retrieved = meter.MemoryStored, meter.MemoryDeleted, meter.MemoryRetrieved
	f := func(m, hours, months string, retrievals int64, events ...event) {
		t.Helper()
		d := newDesk(t)
		d.now = at("2029-01-01T00:00:00Z")
		d.life["acme"] = [2]time.Time{month(m).Start(), {}}
		for _, e := range events {
			d.event(e.when, "b", e.op, e.count)
		}
		got := d.invoice(m).Usage
		if got.MemoryHours != hours || got.MemoryMonths != months || got.Retrievals != retrievals {
			t.Errorf("%s %v: %+v", m, events, got)
		}
	}
	// A memory held for the whole month is one memory-month, whatever the month.
	f("2026-05", "744.000000", "1.000000", 0, event{"2026-05-01T00:00:00Z", stored, 1})
	f("2026-02", "672.000000", "1.000000", 0, event{"2025-11-20T17:00:00Z", stored, 1})
	f("2028-02", "696.000000", "1.000000", 0, event{"2025-11-20T17:00:00Z", stored, 1})
	// Fifteen of thirty days.
	f("2026-06", "3600.000000", "5.000000", 0, event{"2026-06-16T00:00:00Z", stored, 10})
	// Stored for two hours.
	f("2026-06", "6.000000", "0.008333", 0, event{"2026-06-16T00:00:00Z", stored, 3}, event{"2026-06-16T02:00:00Z", deleted, 3})
	// Deleted before the month began, and stored after it ended.
	f("2026-06", "0.000000", "0.000000", 0, event{"2026-05-01T00:00:00Z", stored, 3}, event{"2026-05-31T23:59:59.999Z", deleted, 3}, event{"2026-07-01T00:00:00Z", stored, 5})
	// One millisecond on each side of the month's bounds.
	f("2026-06", "0.000000", "0.000000", 0, event{"2026-05-31T00:00:00Z", stored, 1}, event{"2026-06-01T00:00:00.001Z", deleted, 1})
	f("2026-06", "0.000278", "0.000000", 0, event{"2026-06-30T23:59:59Z", stored, 1})
	// Microseconds count from the millisecond that they are in.
	f("2026-06", "0.000001", "0.000000", 0, event{"2026-06-10T00:00:00.000999Z", stored, 3}, event{"2026-06-10T00:00:00.001Z", deleted, 3})
	// More deleted than there are: the balance is zero, and no debt remains.
	f("2026-06", "720.000000", "1.000000", 0, event{"2026-05-01T00:00:00Z", stored, 2}, event{"2026-05-02T00:00:00Z", deleted, 5}, event{"2026-06-01T00:00:00Z", stored, 1})
	// Retrievals of this month only.
	f("2026-06", "0.000000", "0.000000", 12, event{"2026-05-31T23:59:59.999999Z", retrieved, 100}, event{"2026-06-01T00:00:00Z", retrieved, 5}, event{"2026-06-30T23:59:59.999999Z", retrieved, 7}, event{"2026-07-01T00:00:00Z", retrieved, 1000})
}

func TestAmountsByHand(t *testing.T) {
	f := func(p Plan, memories, retrievals []int64, lines string, memory, asked MicroUSD) {
		t.Helper()
		m, used := month("2026-05"), usage{}
		for i := range memories {
			ms := new(big.Int).Mul(big.NewInt(memories[i]), big.NewInt(m.Milliseconds()))
			used[fmt.Sprint(i)] = quantity{MemoryTime{ms}, retrievals[i]}
		}
		c, err := price(p, m, used)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range c.lines {
			got = append(got, fmt.Sprintf("%d %d", l.MemoryAmount, l.RetrievalsAmount))
		}
		n := c.net()
		if strings.Join(got, ", ") != lines || n.MemoryAmount != memory || n.RetrievalsAmount != asked {
			t.Errorf("%v, %d and %d; want %s, %d and %d", got, n.MemoryAmount, n.RetrievalsAmount, lines, memory, asked)
		}
	}
	// Half up: 0.5 is 1, 0.499 is 0.
	f(Plan{MemoryMonths: 500, Retrievals: 499}, []int64{1}, []int64{1}, "1 0", 1, 0)
	// Each line for itself.
	f(Plan{MemoryMonths: 500, Retrievals: 500}, []int64{1, 1, 1}, []int64{3, 3, 3}, "1 2, 1 2, 1 2", 3, 6)
	// All is free: nothing is left, whatever the lines were rounded to.
	f(Plan{MemoryMonths: 500, Retrievals: 500, FreeMemoryMonths: 3, FreeRetrievals: 9}, []int64{1, 1, 1}, []int64{3, 3, 3}, "1 2, 1 2, 1 2", 0, 0)
	// Two of five are free, over both buckets.
	f(Plan{MemoryMonths: 1_000_000, Retrievals: 2000, FreeMemoryMonths: 2, FreeRetrievals: 4}, []int64{1, 4}, []int64{2, 8}, "1000 4, 4000 16", 3000, 12)
	// Lines that were rounded down are less than their allowance: zero, not -1.
	f(Plan{MemoryMonths: 400, FreeMemoryMonths: 2}, []int64{1, 1, 1}, []int64{0, 0, 0}, "0 0, 0 0, 0 0", 0, 0)
	// An allowance that is far beyond what is used does not overflow.
	f(Plan{MemoryMonths: 1e12, Retrievals: 1e12, FreeMemoryMonths: 1e12, FreeRetrievals: 1e12}, []int64{1}, []int64{1}, "1000000000 1000000000", 0, 0)
}

func TestTooLargeIsAnError(t *testing.T) {
	m := month("2026-05")
	whole := func(n int64) MemoryTime {
		return MemoryTime{new(big.Int).Mul(big.NewInt(n), big.NewInt(m.Milliseconds()))}
	}
	f := func(p Plan, used usage, text string) {
		t.Helper()
		if c, err := price(p, m, used); err == nil || !strings.Contains(err.Error(), text+" is too large to be billed") {
			t.Errorf("%+v, %v", c, err)
		}
	}
	dear := Plan{MemoryMonths: math.MaxInt64, Retrievals: math.MaxInt64}
	f(dear, usage{"b": {whole(1001), 0}}, "charge for bucket b")
	f(dear, usage{"b": {whole(0), 1001}}, "charge for bucket b")
	f(dear, usage{"a": {whole(600), 0}, "b": {whole(600), 0}}, "sum of buckets")
	f(Plan{}, usage{"a": {whole(0), math.MaxInt64}, "b": {whole(0), 1}}, "sum of buckets")
	d := &Document{Usage: Charge{MemoryAmount: math.MaxInt64}, FlatFee: 1}
	if err := d.sum(); err == nil {
		t.Error("the total wrapped around")
	}
	desk := newDesk(t)
	desk.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, math.MaxInt64)
	desk.event("2026-01-02T00:00:00Z", "b", meter.MemoryStored, 1)
	if _, err := desk.book.Invoice(t.Context(), "acme", month("2026-01")); err == nil || !strings.Contains(err.Error(), "count of bucket b") {
		t.Errorf("got %v", err)
	}
	desk.rows = desk.rows[:1] // 2^63 memories for half a month: exact
	want := new(big.Int).Mul(big.NewInt(math.MaxInt64), big.NewInt(14*86_400_000))
	desk.plan = Plan{}
	if got := desk.invoice("2026-01").Usage.Memory; got.String() != want.String() {
		t.Errorf("got %s", got)
	}
}

// history makes random events: several buckets, all operations, deletions of
// more than there is, equal times, times around the bounds of months.
func history(random *rand.Rand, l *ledger, n int) {
	edges := []time.Time{at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z")}
	when := edges[0]
	for range n {
		switch random.IntN(8) {
		case 0: // at the same time as the last
		case 1:
			when = edges[random.IntN(len(edges))].Add(time.Duration(random.IntN(5)-2) * time.Microsecond)
		case 2:
			when = edges[random.IntN(len(edges))].Add(time.Duration(random.IntN(5)-2) * time.Millisecond)
		default:
			when = at("2026-01-10T00:00:00Z").Add(time.Duration(random.Int64N(int64(100*24*time.Hour))) / 1000 * 1000)
		}
		l.add(when.Add(time.Duration(random.IntN(100))*24*time.Hour), meter.MemoryEvent{
			At: when, TenantID: []string{"acme", "acme", "acme", "other"}[random.IntN(4)], BucketID: fmt.Sprintf("bucket-%d", random.IntN(4)),
			Op: meter.MemoryOp(random.IntN(3)), Count: random.Int64N(2000),
		})
	}
}

// naive computes quantities in another way: the balance of each bucket between
// each two of its events, with fractions.
func naive(rows []taken, bucket string, m Month, watermark time.Time) (memoryMonths *big.Rat, retrievals int64) {
	var mine []taken
	for _, r := range rows {
		if r.TenantID == "acme" && r.BucketID == bucket && !r.in.After(watermark) {
			mine = append(mine, r)
		}
	}
	slices.SortStableFunc(mine, func(a, b taken) int { return a.At.Compare(b.At) }) // ids ascend as they were added
	memoryMonths = new(big.Rat)
	balance := int64(0)
	for i, r := range mine {
		switch r.Op {
		case meter.MemoryStored:
			balance += r.Count
		case meter.MemoryDeleted:
			if balance -= r.Count; balance < 0 {
				balance = 0
			}
		case meter.MemoryRetrieved:
			if MonthOf(r.At) == m {
				retrievals += r.Count
			}
		}
		from, to := r.At.Truncate(time.Millisecond), m.End()
		if i+1 < len(mine) && mine[i+1].At.Before(to) {
			to = mine[i+1].At.Truncate(time.Millisecond)
		}
		if from.Before(m.Start()) {
			from = m.Start()
		}
		if to.After(from) {
			share := big.NewRat(to.Sub(from).Milliseconds(), m.End().Sub(m.Start()).Milliseconds())
			memoryMonths.Add(memoryMonths, share.Mul(share, new(big.Rat).SetInt64(balance)))
		}
	}
	return memoryMonths, retrievals
}

// amount is quantity × price ÷ 1,000, rounded half up, with fractions.
func amount(quantity *big.Rat, price MicroUSD) int64 {
	exact := new(big.Rat).Mul(quantity, big.NewRat(int64(price), 1000))
	exact.Add(exact, big.NewRat(1, 2))
	return new(big.Int).Div(exact.Num(), exact.Denom()).Int64()
}

// bill is the naive sum of all buckets, less the allowance.
func bill(rows []taken, p Plan, m Month, watermark time.Time) int64 {
	var memory, asked [2]int64 // lines, free
	allMonths, allAsked := new(big.Rat), int64(0)
	for i := range 4 {
		months, retrievals := naive(rows, fmt.Sprintf("bucket-%d", i), m, watermark)
		memory[0] += amount(months, p.MemoryMonths)
		asked[0] += amount(new(big.Rat).SetInt64(retrievals), p.Retrievals)
		allMonths.Add(allMonths, months)
		allAsked += retrievals
	}
	memory[1] = min(memory[0], amount(new(big.Rat).SetInt64(p.FreeMemoryMonths), p.MemoryMonths))
	if allMonths.Cmp(new(big.Rat).SetInt64(p.FreeMemoryMonths)) <= 0 {
		memory[1] = memory[0]
	}
	asked[1] = min(asked[0], amount(new(big.Rat).SetInt64(p.FreeRetrievals), p.Retrievals))
	if allAsked <= p.FreeRetrievals {
		asked[1] = asked[0]
	}
	return memory[0] - memory[1] + asked[0] - asked[1]
}

// TestInvoicesAgreeWithANaiveCount compares random histories, closed month by
// month with events that come late, with the naive count: in the end each month
// was charged what it is, by its own prices.
func TestInvoicesAgreeWithANaiveCount(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 4))
		d := newDesk(t)
		history(random, d.ledger, 1+random.IntN(120))
		charged, plans := map[Month]MicroUSD{}, map[Month]Plan{}
		var watermark time.Time
		for m := month("2026-01"); m.Before(month("2027-01")); m = m.Next() {
			d.plan = Plan{
				MemoryMonths: MicroUSD(random.IntN(3_000_000)), Retrievals: MicroUSD(random.IntN(500_000)),
				FreeMemoryMonths: random.Int64N(3000), FreeRetrievals: random.Int64N(3000), FlatFee: 11,
			}
			d.now = m.End().Add(Grace + time.Duration(random.Int64N(int64(9*24*time.Hour))))
			got := d.invoice(m.String())
			watermark, plans[m] = got.Watermark, d.plan
			net := got.net()
			charged[m] = net.MemoryAmount + net.RetrievalsAmount
			if want := bill(d.rows, d.plan, m, watermark); int64(charged[m]) != want {
				t.Fatalf("seed %d, %s: charged %d, naive %d", seed, m, charged[m], want)
			}
			total := charged[m] + 11
			for _, a := range got.Adjustments {
				charged[a.Month] += a.Amount
				total += a.Amount
			}
			if total != got.Total {
				t.Fatalf("seed %d, %s: total %d of %d", seed, m, got.Total, total)
			}
			for earlier, amount := range charged {
				if want := bill(d.rows, plans[earlier], earlier, watermark); int64(amount) != want {
					t.Fatalf("seed %d, %s as of %s: charged %d, naive %d", seed, earlier, m, amount, want)
				}
			}
		}
	}
}

// TestEveryMillisecond counts a short history millisecond by millisecond.
func TestEveryMillisecond(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	start := month("2026-05").Start()
	for range 50 {
		d := newDesk(t)
		d.life["acme"] = [2]time.Time{start, {}}
		step := map[int64]int64{} // change of the balance, by millisecond
		for range random.IntN(30) {
			ms, count := random.Int64N(2000), random.Int64N(50)
			when := start.Add(time.Duration(ms)*time.Millisecond + time.Duration(random.IntN(1000))*time.Microsecond)
			d.add(start, meter.MemoryEvent{At: when, BucketID: "b", Op: meter.MemoryStored, Count: count})
			step[ms] += count
		}
		d.now = start.Add(2 * time.Second)
		balance, want := int64(0), int64(0)
		for ms := range int64(2000) {
			balance += step[ms]
			want += balance
		}
		if got := d.invoice("2026-05").Usage.Memory; got.String() != fmt.Sprint(want) {
			t.Errorf("got %s, want %d", got, want)
		}
	}
}

func TestEventsThatCanNotBeCounted(t *testing.T) {
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	first := meter.MemoryEvent{EventID: id(5), At: at("2026-05-02T00:00:00Z"), TenantID: "acme", Count: 1}
	f := func(want string, change func(e *meter.MemoryEvent)) {
		t.Helper()
		tally, err := newTally("acme", nil, month("2026-05"), month("2026-05"), month("2026-06").Start())
		if err != nil {
			t.Fatal(err)
		}
		if err := tally.add(&first); err != nil {
			t.Fatal(err)
		}
		next := first
		next.EventID = id(6)
		change(&next)
		err = tally.add(&next)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("", func(*meter.MemoryEvent) {})
	f("comes twice", func(e *meter.MemoryEvent) { e.EventID = id(5) })
	f("out of order", func(e *meter.MemoryEvent) { e.EventID = id(4) })
	f("out of order", func(e *meter.MemoryEvent) { e.At = e.At.Add(-time.Microsecond) })
	f("is of tenant other", func(e *meter.MemoryEvent) { e.TenantID = "other" })
	f("has a count of -1", func(e *meter.MemoryEvent) { e.Count = -1 })
	f("unknown operation, 3", func(e *meter.MemoryEvent) { e.Op = 3 })
	f("after the time that was asked for", func(e *meter.MemoryEvent) { e.At = at("2026-06-01T00:00:00Z") })
}

func TestDecimals(t *testing.T) {
	f := func(n, d int64, want string) {
		t.Helper()
		if got := decimal(big.NewInt(n), big.NewInt(d)); got != want {
			t.Errorf("%d/%d: %s, want %s", n, d, got, want)
		}
	}
	f(0, 1, "0.000000")
	f(1, 3, "0.333333")
	f(2, 3, "0.666667")
	f(1, 2_000_000, "0.000001")
	f(-1, 2_000_000, "-0.000001")
	f(-1, 2_000_001, "0.000000")
	f(-5, 2, "-2.500000")
	f(math.MaxInt64, 1, "9223372036854775807.000000")
}
