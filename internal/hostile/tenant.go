package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Tenant is what the attacker has been given: an account like any other.
type Tenant struct {
	// BaseURL of the data plane, with /v1.
	BaseURL string
	// Token may do all that a tenant's token can; Budgeted has a budget, as large
	// as they come; Listed may use one model.
	Token, Budgeted, Listed string
	// Only is the beginning of the names of the attacks to make; empty for all.
	Only string

	once   sync.Once
	client *http.Client
	mu     sync.Mutex
	counts map[string]map[int]int
}

// callTime bounds one call of an attack. Attacks that hold a connection do it
// for as long.
const callTime = 8 * time.Second

// refusedPause is how long a worker waits that got no response: a gateway that
// is being restarted refuses connections faster than anybody needs.
const refusedPause = 50 * time.Millisecond

// Run makes the attacks, each by its own workers over and over, until ctx ends,
// and returns how often each got which status (0: no response).
func (t *Tenant) Run(ctx context.Context) map[string]map[int]int {
	t.setUp()
	var all sync.WaitGroup
	for _, a := range attacks {
		if !strings.HasPrefix(a.name, t.Only) {
			continue
		}
		for range a.workers {
			all.Go(func() {
				for ctx.Err() == nil {
					pause := a.pause
					if t.attempt(ctx, a) == 0 {
						pause = max(pause, refusedPause)
					}
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			})
		}
	}
	all.Wait()
	t.client.CloseIdleConnections()
	return t.counts
}

func (t *Tenant) setUp() {
	t.once.Do(func() {
		t.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
		t.counts = map[string]map[int]int{}
	})
}

func (t *Tenant) attempt(ctx context.Context, a attack) (status int) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	status = a.do(ctx, t)
	if ctx.Err() != nil && status == 0 {
		return 0 // ended by us
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[a.name] == nil {
		t.counts[a.name] = map[int]int{}
	}
	t.counts[a.name][status]++
	return status
}

// call makes one request below /v1 and reads its response, at most 64 MiB of
// it. It returns the status, 0 for none.
func (t *Tenant) call(ctx context.Context, method, path, token, body string, header ...string) int {
	r, err := http.NewRequestWithContext(ctx, method, t.BaseURL+path, strings.NewReader(body))
	if err != nil {
		panic(fmt.Sprintf("hostile: %s: %v", path, err)) // our own spelling
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := t.client.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<20))
	return response.StatusCode
}

// connect opens a connection to the data plane that ends with ctx.
func (t *Tenant) connect(ctx context.Context) (net.Conn, error) {
	address := strings.TrimSuffix(strings.TrimPrefix(t.BaseURL, "http://"), "/v1")
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = c.Close() })
	return c, nil
}
