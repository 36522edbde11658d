package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// results are the latencies of good answers, and how many of each status came.
type results struct {
	mu        sync.Mutex
	Latencies []time.Duration
	Statuses  map[int]int
}

func (r *results) add(status int, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Statuses == nil {
		r.Statuses = map[int]int{}
	}
	r.Statuses[status]++
	if status == http.StatusOK {
		r.Latencies = append(r.Latencies, took)
	}
}

// at gives a quantile.
func (r *results) at(q float64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.Latencies) == 0 {
		return 0
	}
	slices.Sort(r.Latencies)
	return r.Latencies[min(len(r.Latencies)-1, int(q*float64(len(r.Latencies))))]
}

func (r *results) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, by status %v", ms(r.at(.5)), ms(r.at(.99)), r.Statuses)
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

// The environment of a process that makes a load.
const (
	loadURL   = "OWNKEY_LOAD_URL"
	loadToken = "OWNKEY_LOAD_TOKEN"
	loadTime  = "OWNKEY_LOAD_TIME"
)

// loadApart begins a load by a process of its own: a client in the attacker's would
// wait for the attacker's goroutines, too. wait gives its results.
func (b *bed) loadApart(during time.Duration) (wait func() (*results, error), err error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	child := first(own, "load")
	child.Env = append(os.Environ(), loadURL+"="+b.ready.BaseURL, loadToken+"="+b.ready.Token, loadTime+"="+during.String())
	child.Stdout, child.Stderr = &out, os.Stderr
	if err := child.Start(); err != nil {
		return nil, err
	}
	return func() (*results, error) {
		if err := child.Wait(); err != nil {
			return nil, fmt.Errorf("the second tenant's client: %w", err)
		}
		r := &results{}
		return r, json.Unmarshal(out.Bytes(), r)
	}, nil
}

// lowest gives this process the lowest priority, with what it starts from now on:
// an attacker's clients and its provider have machines of their own.
func lowest() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		const nice = 19
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// loadHere is the other side of loadApart.
func loadHere() error {
	during, err := time.ParseDuration(os.Getenv(loadTime))
	if err != nil {
		return err
	}
	b := &bed{}
	b.ready.BaseURL = os.Getenv(loadURL)
	return json.NewEncoder(os.Stdout).Encode(b.load(minuteRate, during, os.Getenv(loadToken)))
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
