package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
)

// holding is how a tenant fills memory: a request whose rest never comes, or
// whose answer nobody reads.
type holding struct {
	name string
	raw  func(token string) string
	// most is how many of them a house of 16 MiB may need to be full for a tenant.
	most int
}

var holdings = []holding{
	{"bodies that stop half-way", func(token string) string {
		return fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n%s", token, strings.Repeat(" ", 1_100_000))
	}, 20},
	{"bodies in chunks that stop", func(token string) string {
		return fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n110000\r\n%s", token, strings.Repeat(" ", 0x100000))
	}, 20},
	{"memories that stop half-way", func(token string) string {
		return fmt.Sprintf("POST /v1/buckets/b/memories HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n%s", token, strings.Repeat(" ", 1_100_000))
	}, 20},
	{"large heads of calls that hang", func(token string) string {
		const body = `{"model":"fake:stall","messages":[]}`
		return fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", strings.Repeat("v", 10_000), token, len(body), body)
	}, 300},
}

// TestWhatIsHeldIsShared: one tenant holds all it can, until it is refused with
// the limit's name; another one's calls go through meanwhile, with bodies and
// heads that need room; when the first has left, all is given back.
func TestWhatIsHeldIsShared(t *testing.T) {
	for _, holding := range holdings {
		t.Run(holding.name, func(t *testing.T) {
			h := newHouse(t, func(o *options) {
				o.admit.MaxBufferedBytes, o.maxBody = 16<<20, 4<<20
				o.limits.FirstByte, o.timeouts.ClientSilence = time.Minute, time.Minute
			})
			h.tenant("quiet")
			h.store("quiet", "main", "default", mainKey)
			quiet := h.mint("quiet", directory.NewToken{})
			var open []net.Conn
			refused := make(chan string, 2*holding.most)
			for len(refused) == 0 && len(open) < holding.most {
				before := h.gateway.HeldBytes()
				c, r := h.dial(holding.raw(h.token))
				open = append(open, c)
				go func() {
					response, err := http.ReadResponse(r, nil)
					if err != nil {
						return // closed below
					}
					defer response.Body.Close()
					b, _ := io.ReadAll(response.Body)
					refused <- fmt.Sprintf("%d %s", response.StatusCode, b)
				}()
				h.eventually("it is held, or refused", func() bool { return h.gateway.HeldBytes() > before || len(refused) > 0 })
			}
			select {
			case got := <-refused:
				if !strings.HasPrefix(got, "429 ") || !strings.Contains(got, "limits.max_buffered_bytes") {
					t.Errorf("the first beyond its part: %s", got)
				}
			default:
				t.Fatalf("%d of them and none was refused", len(open))
			}
			if held := h.gateway.HeldBytes(); held > 9<<20 {
				t.Errorf("one tenant holds %d of %d bytes", held, 16<<20)
			}
			for range 3 {
				body := `{"model":"main/gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("x", 900_000) + `"}]}`
				if a := h.do("POST", "/v1/chat/completions", body, "Authorization", "Bearer "+quiet, "X-Large", strings.Repeat("v", 20_000)); a.status != 200 {
					t.Errorf("another tenant: %d %.300s", a.status, a.body)
				}
			}
			for _, c := range open {
				_ = c.Close()
			}
			h.eventually("all is given back", func() bool { return h.gateway.HeldBytes() == 0 })
			if a := h.chat("gpt-4o-mini", "X-Large", strings.Repeat("v", 20_000)); a.status != 200 {
				t.Errorf("the first tenant afterwards: %d %s", a.status, a.body)
			}
		})
	}
}

// TestAnswersOfAFullTenant: where a tenant's part is full, its answers are passed
// on without being held, and what is answered from memory is refused.
func TestAnswersOfAFullTenant(t *testing.T) {
	h := newHouse(t, func(o *options) { o.admit.MaxBufferedBytes, o.maxBody = 16<<20, 4<<20 })
	var p admission.Pass
	if why := h.limiter.Enter(&p, &directory.Caller{Tenant: &directory.Tenant{ID: "acme"}, Token: &directory.Token{ID: "x"}}, time.Now()); why != nil {
		t.Fatal(why)
	}
	defer p.Leave(0, time.Now())
	held := 0
	for p.Holder().Take(1 << 10) {
		held += 1 << 10
	}
	before := h.gateway.HeldBytes()
	for range 20 {
		if a := h.chat("fake:big=30000"); a.status != 200 || len(a.body) < 30_000 || a.err != nil {
			t.Fatalf("a call: %d, %d bytes, %v", a.status, len(a.body), a.err)
		}
	}
	for _, path := range []string{"/v1/usage", "/v1/buckets", "/v1/buckets/b/memories"} {
		if a := h.do("GET", path, ""); a.status != 429 || !strings.Contains(a.body, "limits.max_buffered_bytes") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	h.eventually("nothing more is held", func() bool { return h.gateway.HeldBytes() == before })
	p.Holder().Give(held)
	for _, path := range []string{"/v1/usage", "/v1/buckets"} {
		if a := h.do("GET", path, ""); a.status != 200 {
			t.Errorf("%s afterwards: %d %s", path, a.status, a.body)
		}
	}
	if a := h.chat("fake:big=30000"); a.status != 200 {
		t.Errorf("a call afterwards: %d", a.status)
	}
	h.eventually("all is given back", func() bool { return h.gateway.HeldBytes() == 0 })
}
