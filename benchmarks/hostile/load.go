package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// results are the latencies of good answers, and how many of each status came.
type results struct {
	mu        sync.Mutex
	latencies []time.Duration
	statuses  map[int]int
}

func (r *results) add(status int, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.statuses == nil {
		r.statuses = map[int]int{}
	}
	r.statuses[status]++
	if status == http.StatusOK {
		r.latencies = append(r.latencies, took)
	}
}

// at gives a quantile.
func (r *results) at(q float64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.latencies) == 0 {
		return 0
	}
	slices.Sort(r.latencies)
	return r.latencies[min(len(r.latencies)-1, int(q*float64(len(r.latencies))))]
}

func (r *results) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, by status %v", ms(r.at(.5)), ms(r.at(.99)), r.statuses)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

const body = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4000, MaxIdleConns: 8000}, Timeout: 20 * time.Second}

// load sends rate requests a second for a time, at random moments, with the
// tokens in turn.
func (b *bed) load(rate int, during time.Duration, tokens ...string) *results {
	r := &results{}
	var all sync.WaitGroup
	begin := time.Now()
	due := begin
	for i := 0; ; i++ {
		due = due.Add(time.Duration(rand.ExpFloat64() * float64(time.Second) / float64(rate)))
		if due.Sub(begin) > during {
			break
		}
		time.Sleep(time.Until(due))
		token, from := tokens[i%len(tokens)], due
		all.Go(func() { r.add(b.chat(context.Background(), token, body), time.Since(from)) })
	}
	all.Wait()
	return r
}

// chat makes one call and reads its answer; 0 for one that failed.
func (b *bed) chat(ctx context.Context, token, body string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.ready.BaseURL+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}
