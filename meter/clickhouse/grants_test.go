package clickhouse

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/reconcile"
	"github.com/ownkey/ownkey/meter/usage"
)

var (
	grants     = regexp.MustCompile(`(?m)^GRANT ([A-Z, ]+) ON ownkey\.(\S+) TO ownkey;`)
	systemSaid = regexp.MustCompile("`system\\.(\\w+)`")
	systemSent = regexp.MustCompile(`\bsystem\.(\w+)`)
	deletes    = regexp.MustCompile("^(?:ALTER TABLE|DELETE FROM) `([^`]+)`\\.`([^`]+)`(.*)")
	reads      = regexp.MustCompile(`^(SELECT|INSERT|WITH)\b`)
)

// TestGrantsCoverWhatIsSent: the engine of the tests knows no users, so what the
// gateway sends is compared with the grants that docs/metering.md gives its user.
func TestGrantsCoverWhatIsSent(t *testing.T) {
	page, err := os.ReadFile("../../docs/metering.md")
	if err != nil {
		t.Fatal(err)
	}
	granted := map[string]bool{} // right and table
	for _, m := range grants.FindAllStringSubmatch(string(page), -1) {
		for right := range strings.SplitSeq(m[1], ", ") {
			granted[right+" "+m[2]] = false
		}
	}
	for _, m := range systemSaid.FindAllStringSubmatch(string(page), -1) {
		granted["SELECT system."+m[1]] = false
	}
	b := newBed(t)
	use := func(right, statement string) {
		if _, ok := granted[right]; !ok {
			t.Errorf("docs/metering.md does not grant %s, for %.200s", right, statement)
			return
		}
		granted[right] = true
	}
	for _, sent := range everythingSent(b) {
		for _, m := range systemSent.FindAllStringSubmatch(sent, -1) {
			use("SELECT system."+m[1], sent)
		}
		switch m := deletes.FindStringSubmatch(sent); {
		case strings.HasPrefix(sent, "CHECK GRANT"): // asks about oneself
		case m != nil && m[1] == b.name && strings.Contains(sent, "DELETE"):
			use("ALTER DELETE "+m[2], sent)
		case reads.MatchString(sent):
			if strings.HasPrefix(sent, "INSERT") {
				use("INSERT *", sent)
			}
			if strings.Contains(sent, "SELECT") && strings.Contains(sent, b.name) {
				use("SELECT *", sent)
			}
		default:
			t.Errorf("nothing is granted for %.200s", sent)
		}
	}
	for right, used := range granted {
		if !used {
			t.Errorf("docs/metering.md grants %s, which nothing has used", right)
		}
	}
}

// everythingSent has the store do all that it does, and gives the statements
// that the server got.
func everythingSent(b *bed) []string {
	t := b.t
	var mu sync.Mutex
	all := map[string]bool{}
	cut := false
	engine := httputil.NewSingleHostReverseProxy(b.engine)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := strings.Join(strings.Fields(statement(r)), " ")
		mu.Lock()
		all[text] = true
		harm := !cut && strings.HasPrefix(text, "INSERT INTO") && strings.Contains(text, "`requests` ")
		cut = cut || harm
		mu.Unlock()
		if !harm {
			engine.ServeHTTP(w, r)
			return
		}
		engine.ServeHTTP(httptest.NewRecorder(), r)
		for _, table := range []string{"requests_1h", "requests_1d"} {
			b.ask("DELETE FROM $" + table + " WHERE 1")
		}
		panic(http.ErrAbortHandler) // so that the sums are looked at and made again
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.options.Server.Addresses = []*url.URL{u}
	b.open()
	defer b.close()
	b.take(batch(0, 200))
	b.flush()
	ctx, from, to := t.Context(), start.Add(-48*time.Hour), start.Add(48*time.Hour)
	for what, ask := range map[string]func() error{
		"Look":         func() error { _, err := b.Look(ctx, uuid.New()); return err },
		"Own":          func() error { return b.Own(ctx, "an-installation") },
		"Calls":        func() error { _, err := b.Calls(ctx, "tenant-1", from, to); return err },
		"UnsealCounts": func() error { _, err := b.UnsealCounts(ctx, "tenant-1", from, to); return err },
		"Daily": func() error {
			_, err := b.Daily(ctx, reconcile.Question{Provider: "openai", From: from, To: to, Limit: 10})
			return err
		},
		"Columns": func() error { _, err := b.Columns(ctx); return err },
		"ListRequests": func() error {
			return b.ListRequests(ctx, "tenant-1", from, to, func(*meter.Record) error { return nil })
		},
		"ListUnseals": func() error { return b.ListUnseals(ctx, "", from, to, func(*meter.Unseal) error { return nil }) },
		"ListMemoryEvents": func() error {
			return b.ListMemoryEvents(ctx, "", from, to, func(*meter.MemoryEvent) error { return nil })
		},
		"MemoryEvents": func() error {
			return b.MemoryEvents(ctx, "tenant-1", from, from, to, to, func(*meter.MemoryEvent) error { return nil })
		},
		"EarliestLate": func() error { _, _, err := b.EarliestLate(ctx, "tenant-1", from, from, to); return err },
		"CountTaken":   func() error { _, err := b.CountTaken(ctx, "tenant-1", to); return err },
		"Usage by hour": func() error {
			_, err := b.Usage(ctx, usage.Question{Tenant: "tenant-1", From: from, To: to, By: usage.ByHour})
			return err
		},
		"Usage by model": func() error {
			_, err := b.Usage(ctx, usage.Question{From: from, To: to, By: usage.ByModel})
			return err
		},
	} {
		if err := ask(); err != nil {
			t.Error(fmt.Errorf("%s: %w", what, err))
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Sorted(maps.Keys(all))
}
