package clickhouse

import (
	"net/url"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/meter/usage"
)

// TestNativeProtocol does all of it over the native protocol: schema, checks,
// insertions that come twice, rows that are refused, questions.
func TestNativeProtocol(t *testing.T) {
	b := newBed(t)
	b.options.Server.Addresses = []*url.URL{clickhousetest.Native(t)}
	if err := Migrate(t.Context(), b.options.Server, func(int) { t.Error("it is there already") }); err != nil {
		t.Fatal(err)
	}
	b.open()
	rows := batch(0, 2000)
	rows.Requests[700].Start = time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)
	b.take(rows)
	b.flush()
	b.want("1999\t1999\t500\t500", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h), (SELECT count() FROM $unseals), (SELECT count() FROM $memory_events)")
	b.want("VIOLATED_CONSTRAINT", "SELECT reason FROM $rejects")
	b.want("3\t1", "SELECT count(), sum(rejected) FROM $batches")

	// The same segment over the other protocol is the same segment.
	_, head, rest, err := (&packer{}).pack(segmentID{gateway.Gateway, gateway.Epoch, 2}, batch(2000, 2300), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m, bodies, err := unpack(append(head, rest...))
	if err != nil {
		t.Fatal(err)
	}
	over := newBed(t)
	over.options.Server.Database = b.name
	over.open()
	for range 2 {
		for i, p := range m.Parts {
			for _, s := range []*Store{b.Store, over.Store} {
				if err := s.insert(t.Context(), bookOf(p.Book), m.token(), p.Rows, bodies[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	over.close()
	b.want("2299\t2299", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h)")

	answer, err := b.Usage(t.Context(), usage.Question{From: start, To: start.Add(time.Hour), By: usage.ByModel})
	if err != nil || len(answer) < 2 || answer[1].Total.P50 == 0 {
		t.Errorf("%+v %v", answer, err)
	}
	if calls, err := b.Calls(t.Context(), "tenant-1", start, start.Add(time.Hour)); err != nil || len(calls) == 0 {
		t.Errorf("%+v %v", calls, err)
	}
	b.close()
}
