package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// How many rows a page has, where nothing else is asked for, and at most.
const (
	pageRows     = 1000
	mostPageRows = 10_000
)

// pageLimit reads limit.
func pageLimit(values url.Values) (int, error) {
	s := values.Get("limit")
	if s == "" {
		return pageRows, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > mostPageRows {
		return 0, &failure{http.StatusBadRequest, "invalid_request", "limit", "limit: want a number from 1 to " + strconv.Itoa(mostPageRows)}
	}
	return n, nil
}

// A cursor is opaque to clients: what ended a page, as JSON in base64.
func writeCursor(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a cursor cannot be encoded: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readCursor reads cursor into v; false if there is none.
func readCursor(values url.Values, v any) (given bool, err error) {
	s := values.Get("cursor")
	if s == "" {
		return false, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return false, &failure{http.StatusBadRequest, "invalid_request", "cursor", "cursor: want the member next of the page before, unchanged"}
	}
	return true, nil
}

// Questions bounds how many questions of tenants are answered at once: each may
// read for seconds, and the store has few readers. The zero value is ready; it is
// safe for concurrent use.
type Questions struct {
	mu    sync.Mutex
	asked map[string]int // by tenant, only those above zero
	all   chan struct{}
}

const (
	questionsOfTenant = 2 // waiting ones included
	questionsAtOnce   = 3 // SQLite has four readers
	questionWait      = 5 * time.Second
)

// enter waits for a place, for a while. Each enter without an error has its
// leave.
func (q *Questions) enter(ctx context.Context, tenant string) error {
	tooMany := &failure{http.StatusTooManyRequests, "too_many_requests_in_flight", "", "too many questions about usage are being answered; try again"}
	q.mu.Lock()
	if q.all == nil {
		q.all, q.asked = make(chan struct{}, questionsAtOnce), map[string]int{}
	}
	if q.asked[tenant] >= questionsOfTenant {
		q.mu.Unlock()
		return tooMany
	}
	q.asked[tenant]++
	q.mu.Unlock()
	ctx, done := context.WithTimeout(ctx, questionWait)
	defer done()
	select {
	case q.all <- struct{}{}:
		return nil
	case <-ctx.Done():
		q.forget(tenant)
		return tooMany
	}
}

func (q *Questions) leave(tenant string) {
	<-q.all
	q.forget(tenant)
}

func (q *Questions) forget(tenant string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asked[tenant]--; q.asked[tenant] == 0 {
		delete(q.asked, tenant)
	}
}
