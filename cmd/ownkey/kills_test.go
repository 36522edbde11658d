package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver"
	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// plant is a gateway in production's way, on an engine of ClickHouse's that
// does not end with it.
type plant struct {
	*process
	engine   *clickhouseserver.Server
	provider *fakeprovider.Server
	dir      string
	config   string
	token    string
}

// newPlant sets a gateway up and starts it. limits is added to the
// configuration's section meter.
func newPlant(t *testing.T, limits string) *plant {
	t.Helper()
	p := &plant{process: &process{t: t}, dir: t.TempDir()}
	var err error
	if p.engine, err = clickhouseserver.Start(context.Background(), clickhouseserver.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.engine.Kill() })
	if p.provider, err = fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{goodKey}, Journal: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.provider.Close() })
	p.config = filepath.Join(p.dir, "ownkey.yaml")
	text := fmt.Sprintf(`listen: %s
admin: {listen: '%s', token: '${OWNKEY_ADMIN_TOKEN}'}
data: %s
keyring: {master_key_file: %s}
providers:
  openai: {base_url: '%s'}
meter:
  %s
  clickhouse: {url: '%s', timeout: 20s}
log: {level: warn}
`, freePort(t), freePort(t), filepath.Join(p.dir, "data"), filepath.Join(p.dir, "master.key"), p.provider.URL(), limits, p.engine.URL)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ready = readiness{AdminToken: "oka_test_0123456789"}
	for line := range strings.Lines(text) {
		if address, ok := strings.CutPrefix(line, "listen: "); ok {
			p.ready.BaseURL = "http://" + strings.TrimSpace(address) + "/v1"
		}
		if _, rest, ok := strings.Cut(line, "admin: {listen: '"); ok {
			address, _, _ := strings.Cut(rest, "'")
			p.ready.AdminURL = "http://" + address
		}
	}
	p.want("", "keygen", filepath.Join(p.dir, "master.key"))
	p.want("", "migrate", "--config", p.config)
	p.serve()
	p.want("", "tenant", "create", "acme")
	p.want(goodKey, "credential", "put", "--tenant", "acme", "--provider", "openai")
	p.token = strings.TrimSpace(p.want("", "token", "create", "--tenant", "acme"))
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve starts the gateway and waits until it answers.
func (p *plant) serve() {
	p.t.Helper()
	p.cmd = exec.Command(binary, "serve", "--config", p.config)
	p.cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+p.ready.AdminToken)
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd := p.cmd
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	health := strings.TrimSuffix(p.ready.BaseURL, "/v1") + "/healthz"
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if response, err := http.Get(health); err == nil {
			response.Body.Close()
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("not serving: %s", p.stderr.String())
		}
	}
}

func (p *plant) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// ask runs a query on the engine.
func (p *plant) ask(query string) string {
	p.t.Helper()
	u, err := url.Parse(p.engine.URL + "/?database=ownkey")
	if err != nil {
		p.t.Fatal(err)
	}
	return clickhousetest.Run(p.t, u, query)
}

func (p *plant) number(query string) int64 {
	p.t.Helper()
	n, err := strconv.ParseInt(p.ask(query), 10, 64)
	if err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// book is what clients have seen.
type book struct {
	mu       sync.Mutex
	received map[string]bool // request ids of answers that came whole
	failed   int64           // calls without a whole answer
	statuses map[int]int64
}

// clients makes at least n calls, half of them streams, from several
// connections, and goes on until stop.
func (p *plant) clients(n int64, stop <-chan struct{}) *book {
	b := &book{received: map[string]bool{}, statuses: map[int]int64{}}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 30 * time.Second}
	var left atomic.Int64
	left.Store(n)
	more := func() bool {
		select {
		case <-stop:
			return left.Add(-1) >= 0
		default:
			left.Add(-1)
			return true
		}
	}
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for more() {
				p.call(client, b)
			}
		})
	}
	all.Wait()
	return b
}

func (p *plant) call(client *http.Client, b *book) {
	stream := rand.IntN(2) == 0
	body := fmt.Sprintf(`{"model":"fake:chunks=3","stream":%t,"stream_options":{"include_usage":true},"messages":[]}`, stream)
	if !stream {
		body = `{"model":"fake","messages":[]}`
	}
	request, err := http.NewRequest("POST", p.ready.BaseURL+"/chat/completions", strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return
	}
	request.Header.Set("Authorization", "Bearer "+p.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || stream && response.StatusCode == 200 && !bytes.Contains(answer, []byte("[DONE]")) {
		b.failed++
		b.mu.Unlock()
		time.Sleep(2 * time.Millisecond) // nobody listens for a moment
		b.mu.Lock()
		return
	}
	b.statuses[response.StatusCode]++
	if response.Header.Get("Ownkey-Error") == "ledger_full" {
		return // it has no record: there is no room for one
	}
	b.received[response.Header.Get("Ownkey-Request-Id")] = true
}

// settle waits until everything that a gateway has is in ClickHouse.
func (p *plant) settle() {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, status := p.verb("", "records", "--to", "2026-01-01T00:00:00Z"); status == 0 && out == "" {
			return // it waits for the newest rows
		}
	}
	p.t.Fatalf("records do not get through: %s", p.stderr.String())
}

// judge compares ClickHouse with what clients have seen.
func (p *plant) judge(b *book) {
	p.t.Helper()
	rows := p.number("SELECT count() FROM requests")
	if distinct := p.number("SELECT uniqExact(request_id) FROM requests"); distinct != rows {
		p.t.Errorf("%d rows of %d requests: some are doubled", rows, distinct)
	}
	for _, table := range []string{"requests_1h", "requests_1d"} {
		if n := p.number("SELECT sum(s_requests) FROM " + table); n != rows {
			p.t.Errorf("%s has %d requests of %d", table, n, rows)
		}
	}
	raw, sum := p.number("SELECT sum(ifNull(output_tokens, 0)) FROM requests"), p.number("SELECT sum(s_output_tokens) FROM requests_1h")
	if raw != sum {
		p.t.Errorf("%d output tokens in rows, %d in sums", raw, sum)
	}
	there := map[string]bool{}
	for id := range strings.Lines(p.ask("SELECT request_id FROM requests")) {
		there[strings.TrimSpace(id)] = true
	}
	lost := 0
	for id := range b.received {
		if !there[id] {
			lost++
		}
	}
	if lost > 0 {
		p.t.Errorf("%d of %d answers that came whole have no row", lost, len(b.received))
	}
	if extra := rows - int64(len(b.received)); extra < 0 || extra > b.failed {
		p.t.Errorf("%d rows for %d whole answers and %d failed calls", rows, len(b.received), b.failed)
	}
	if holes := p.number("SELECT count() FROM (SELECT max(seq) - uniqExact(seq) AS missing FROM batches GROUP BY gateway) WHERE missing > 0"); holes != 0 {
		p.t.Errorf("%d gateways have a hole in their segments", holes)
	}
	p.t.Logf("%d whole answers %v, %d failed calls; %d rows, %s of them interrupted, in %s segments", len(b.received), b.statuses, b.failed, rows,
		p.ask("SELECT countIf(outcome = 'interrupted') FROM requests"), p.ask("SELECT uniqExact(seq) FROM batches"))
}

// TestKills kills the gateway and the engine at random moments under load. Each
// answer that a client received whole has exactly one row, whatever died. In
// its long form (OWNKEY_KILLS=long) it is 200,000 requests, 20 kills of the
// gateway and 5 of the engine.
func TestKills(t *testing.T) {
	calls, gateways, engines := int64(20_000), 4, 2
	if os.Getenv("OWNKEY_KILLS") == "long" {
		calls, gateways, engines = 200_000, 20, 5
	}
	p := newPlant(t, "max_bytes: 1073741824")
	stop, done := make(chan struct{}), make(chan *book, 1)
	go func() { done <- p.clients(calls, stop) }()
	for engineKills, gatewayKills := 0, 0; engineKills < engines || gatewayKills < gateways; {
		time.Sleep(time.Duration(200+rand.IntN(1200)) * time.Millisecond)
		if rand.IntN(gateways+engines) < engines && engineKills < engines || gatewayKills == gateways {
			engineKills++
			if err := p.engine.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := p.engine.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		gatewayKills++
		p.kill()
		p.serve()
	}
	close(stop)
	b := <-done
	p.settle()
	p.judge(b)
	p.stop()
}

// TestOutage takes ClickHouse away until this machine's room for records is
// full: then requests are refused before the provider hears of them, and when
// ClickHouse is back everything goes there by itself. In its long form
// (OWNKEY_OUTAGE=long) it is away for ten minutes.
func TestOutage(t *testing.T) {
	away := 5 * time.Second
	if os.Getenv("OWNKEY_OUTAGE") == "long" {
		away = 10 * time.Minute
	}
	p := newPlant(t, "max_bytes: 16777216")
	stop, done := make(chan struct{}), make(chan *book, 1)
	if err := p.engine.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	go func() { done <- p.clients(0, stop) }()
	full := func() bool { // for good: a disk that is slow to make room refuses now and then
		for range 20 {
			if p.status() != http.StatusServiceUnavailable {
				return false
			}
			time.Sleep(20 * time.Millisecond)
		}
		return true
	}
	for end := time.Now().Add(3 * time.Minute); !full(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the room for records does not become full")
		}
	}
	time.Sleep(time.Until(killed.Add(away)))
	close(stop)
	b := <-done
	if !full() {
		t.Error("requests are taken although there is no room")
	}
	if err := p.engine.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); p.status() != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("requests are refused although ClickHouse is back")
		}
	}
	p.settle()
	rows, asked := p.number("SELECT count() FROM requests WHERE attempt > 0"), int64(len(p.provider.Requests()))
	whole := b.statuses[200]
	if rows != asked || rows < whole || b.statuses[503] == 0 || b.failed > 0 || len(b.statuses) != 2 {
		t.Errorf("%d rows of %d requests at the provider, %d failed calls, %v", rows, asked, b.failed, b.statuses)
	}
	if n := p.number("SELECT sum(s_requests) FROM requests_1h"); n != p.number("SELECT count() FROM requests") {
		t.Errorf("%d requests in sums", n)
	}
	t.Logf("away for %v: %d requests answered, %d refused, all %d at the provider have their row", time.Since(killed).Round(time.Second), whole, b.statuses[503], asked)
	p.stop()
}

// status makes one call.
func (p *plant) status() int {
	p.t.Helper()
	status, body := p.chat(p.token, "fake", "Hello")
	if status == http.StatusServiceUnavailable && !strings.Contains(body, "ledger_full") {
		p.t.Fatalf("%d %s", status, body)
	}
	return status
}
