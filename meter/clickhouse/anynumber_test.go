package clickhouse

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fill"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/ownkey/ownkey/meter/usage"
)

// TestAnyNumberPassesToClickHouse: whatever int64 stood in any field of any row
// when it came to the ledger, the rows beside and behind it arrive.
func TestAnyNumberPassesToClickHouse(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	b := newBed(t).open()
	for i := range 6 {
		rows := batch(i*100, i*100+100)
		for range 100 {
			addAbsurd(t, rows, fill.Absurd(random, "hostile"))
		}
		b.take(rows)
	}
	b.flush()
	b.close()
	b.want("600\t600", "SELECT (SELECT count() FROM $requests WHERE tenant != 'hostile'), (SELECT sum(s_requests) FROM $requests_1h WHERE tenant != 'hostile')")
	if s := b.State(); s.Segments != 0 || s.Rejected == 0 {
		t.Errorf("%+v: rows of 1970 and of 9999 are refused by a constraint", s)
	}
}

// addAbsurd takes a row through the ledger's encoding, as a program without
// bounds has written it, and puts it into a batch.
func addAbsurd(t *testing.T, to *drain.Batch, r meter.Row) {
	t.Helper()
	encoded := fill.Unbounded(r)
	var err error
	switch r.(type) {
	case *meter.Record:
		row := &meter.Record{}
		err = meter.Decode(encoded, row)
		to.Requests = append(to.Requests, row)
	case *meter.Unseal:
		row := &meter.Unseal{}
		err = meter.Decode(encoded, row)
		to.Unseals = append(to.Unseals, row)
	case *meter.MemoryEvent:
		row := &meter.MemoryEvent{}
		err = meter.Decode(encoded, row)
		to.Memory = append(to.Memory, row)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSegmentWithAnUnclearAnswer: an error that is in none of the lists, given
// for each block with one row, keeps nobody else out, and no row is doubled. The
// row is in the quarantine if the table of rejects refuses it as well.
func TestSegmentWithAnUnclearAnswer(t *testing.T) {
	b := newBed(t)
	bad := batch(0, 50)
	bad.Requests[20].Endpoint = "poisonous"
	b.proxy(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if !strings.Contains(string(body), "poisonous") {
			return false
		}
		w.Header().Set("X-ClickHouse-Exception-Code", "4321")
		http.Error(w, "Code: 4321. DB::Exception: Something new. (SOMETHING_NEW)", 500)
		return true
	})
	b.open()
	b.ask("ALTER TABLE $rejects ADD CONSTRAINT none CHECK book = ''") // the table of rejects refuses it, too
	b.take(bad)
	for b.State().Failures == 0 { // it has been tried before there is another
		time.Sleep(5 * time.Millisecond)
	}
	b.take(batch(50, 100))
	b.flush()
	b.close()
	b.want("99\t99", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h)")
	var aside []string
	if err := b.options.Quarantine.Each(func(r *quarantine.Row) error { aside = append(aside, r.EventID.String()); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(aside) != fmt.Sprint([]string{bad.Requests[20].EventID.String()}) {
		t.Errorf("set aside: %v", aside)
	}
}

// TestSumsOfUsageStayInTheirRange: sums beyond what an int64 holds are answered as
// the largest one.
func TestSumsOfUsageStayInTheirRange(t *testing.T) {
	b := newBed(t).open()
	defer b.close()
	rows := batch(0, 40)
	for _, r := range rows.Requests {
		r.InputTokens = meter.Count{}
	}
	for i := range 2 { // of one tenant and hour
		rows.Requests[5*i].InputTokens = meter.Count{N: math.MaxInt64 - 45, Set: true}
	}
	b.take(rows)
	b.flush()
	for _, by := range []usage.By{usage.ByHour, usage.ByDay, usage.ByModel, usage.ByTenant} {
		most := int64(0)
		all, err := b.Usage(t.Context(), usage.Question{From: start, To: start.Add(time.Hour), By: by})
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if n := all[i].InputTokens; n < 0 {
				t.Errorf("by %s: %d input tokens", by, n)
			} else {
				most = max(most, n)
			}
		}
		if by != usage.ByModel && most != math.MaxInt64 {
			t.Errorf("by %s: %d input tokens at most, want %d", by, most, int64(math.MaxInt64))
		}
	}
}
