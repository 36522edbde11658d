package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// TestExportsAreHeldInTheTenantsRoom: exports that nobody reads are held in the
// tenant's part of the memory for bodies; the one beyond it is refused, another
// tenant's is not, and all is given back when the clients leave.
func TestExportsAreHeldInTheTenantsRoom(t *testing.T) {
	const house = 64 << 20
	h := newHouse(t, func(o *options) {
		o.admit.MaxBufferedBytes, o.timeouts.ClientWrite = house, time.Minute
	})
	h.tenant("quiet")
	quiet := h.mint("quiet", directory.NewToken{})
	const memories, size = 100, 100_000
	for range memories / 20 {
		var all []string
		for i := range 20 {
			all = append(all, fmt.Sprintf(`{"content":"%d%s"}`, i, strings.Repeat(" ", size)+"x"))
		}
		for _, token := range []string{h.token, quiet} {
			if a := h.do("POST", "/v1/buckets/large/memories", `{"dedup":"off","memories":[`+strings.Join(all, ",")+`]}`, "Authorization", "Bearer "+token); a.status != 200 {
				t.Fatalf("%d %.300s", a.status, a.body)
			}
		}
	}
	h.eventually("nothing is held yet", func() bool { return h.gateway.HeldBytes() == 0 })
	refused := ""
	var open []io.Closer
	for len(open) < 10 && refused == "" {
		c, r := h.dial("GET /v1/buckets/large/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.token + "\r\n\r\n")
		open = append(open, c)
		refused = refusedExport(t, r)
		if held := h.gateway.HeldBytes(); held > house/2 {
			t.Errorf("one tenant's exports hold %d of %d bytes", held, house)
		}
	}
	if !strings.Contains(refused, `"code":"too_many_requests_in_flight"`) || !strings.Contains(refused, "limits.max_buffered_bytes") {
		t.Errorf("after %d exports: %s", len(open), refused)
	}
	if held := h.gateway.HeldBytes(); held < memories*size || held > house/2 {
		t.Errorf("%d bytes are held", held)
	}
	a := h.do("GET", "/v1/buckets/large/export", "", "Authorization", "Bearer "+quiet)
	if a.status != 200 || strings.Count(a.body, "\n") != memories || len(a.body) < memories*size {
		t.Errorf("another tenant: %d, %d bytes", a.status, len(a.body))
	}
	for line := range strings.Lines(a.body) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("%.100s", line)
		}
	}
	for _, c := range open {
		_ = c.Close()
	}
	h.eventually("all is given back", func() bool { return h.gateway.HeldBytes() == 0 })
	if a := h.do("GET", "/v1/buckets/large/export", ""); a.status != 200 || strings.Count(a.body, "\n") != memories {
		t.Errorf("afterwards: %d", a.status)
	}
}

// refusedExport reads the head of an export's answer, and its body if it is an
// error.
func refusedExport(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		return ""
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %v", response.StatusCode, response.Header, err)
	}
	return string(b)
}
