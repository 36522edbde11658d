package gateway_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// storeLarge stores n memories of 100 kB in the bucket large.
func (h *house) storeLarge(token string, n int) {
	h.t.Helper()
	for done := 0; done < n; done += 20 {
		var all []string
		for i := range 20 {
			all = append(all, fmt.Sprintf(`{"content":"%d%s"}`, done+i, strings.Repeat(" ", 100_000)+"x"))
		}
		if a := h.do("POST", "/v1/buckets/large/memories", `{"dedup":"off","memories":[`+strings.Join(all, ",")+`]}`, "Authorization", "Bearer "+token); a.status != 200 {
			h.t.Fatalf("%d %.300s", a.status, a.body)
		}
	}
	h.eventually("nothing is held", func() bool { return h.gateway.HeldBytes() == 0 })
}

const exportCall = "GET /v1/buckets/large/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "

// TestLargeBucketsAreExported: a bucket that is larger than the memory of all
// tenants together comes whole, also while exports that nobody reads are open;
// those are two of a tenant at most, and hold 2 MiB each.
func TestLargeBucketsAreExported(t *testing.T) {
	const house = 10 << 20
	h := newHouse(t, func(o *options) {
		o.admit.MaxBufferedBytes, o.timeouts.ClientWrite = house, time.Minute
	})
	h.tenant("quiet")
	quiet := h.mint("quiet", directory.NewToken{})
	const memories = 120
	h.storeLarge(h.token, memories)
	h.storeLarge(quiet, memories)
	var open []io.Closer
	for range 2 {
		c, r := h.dial(exportCall + h.token + "\r\n\r\n")
		open = append(open, c)
		if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%+v %v", response, err)
		}
	}
	a := h.do("GET", "/v1/buckets/large/export", "")
	if a.status != http.StatusTooManyRequests || !strings.Contains(a.body, `"code":"too_many_requests_in_flight"`) || a.header.Get("Retry-After") == "" {
		t.Errorf("a third export: %d %.300s", a.status, a.body)
	}
	if held := h.gateway.HeldBytes(); held != 4<<20 {
		t.Errorf("%d bytes are held for two exports", held)
	}
	whole := func(who, token string) {
		t.Helper()
		a := h.do("GET", "/v1/buckets/large/export", "", "Authorization", "Bearer "+token)
		if a.err != nil || a.status != 200 || strings.Count(a.body, "\n") != memories || len(a.body) < house {
			t.Errorf("%s: %d, %d bytes, %v", who, a.status, len(a.body), a.err)
		}
		for line := range strings.Lines(a.body) {
			if !json.Valid([]byte(line)) {
				t.Fatalf("%.100s", line)
			}
		}
	}
	whole("another tenant", quiet)
	for _, c := range open {
		_ = c.Close()
	}
	h.eventually("all is given back", func() bool { return h.gateway.HeldBytes() == 0 })
	whole("afterwards", h.token)
}

// TestBrokenExportsAreCut: when the store fails amid an export, its client sees
// that it is not whole, the record says why, and nothing stays held.
func TestBrokenExportsAreCut(t *testing.T) {
	h := newHouse(t, func(o *options) { o.timeouts.ClientWrite = time.Minute })
	h.storeLarge(h.token, 120)
	_, r := h.dial(exportCall + h.token + "\r\n\r\n")
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%+v %v", response, err)
	}
	lines := bufio.NewReader(response.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := h.memories.Write.ExecContext(t.Context(), "ALTER TABLE memories RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	h.eventually("all is given back", func() bool { return h.gateway.HeldBytes() == 0 })
	all := h.records(7)
	if last := all[len(all)-1]; last["error_code"] != "store_unavailable" {
		t.Errorf("%+v", last)
	}
	if _, err := h.memories.Write.ExecContext(t.Context(), "ALTER TABLE away RENAME TO memories"); err != nil {
		t.Fatal(err)
	}
	if a := h.do("GET", "/v1/buckets/large/export", ""); a.status != 200 || strings.Count(a.body, "\n") != 120 {
		t.Errorf("afterwards: %d, %d lines", a.status, strings.Count(a.body, "\n"))
	}
}
