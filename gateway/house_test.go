package gateway_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/gateway/rotation"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fakeprovider"
	"github.com/ownkey/ownkey/internal/origin"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/api"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/deferred"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// house is a whole gateway on real sockets and files, with one tenant acme and
// the providers main (the default) and second at one fake provider.
type house struct {
	asked, askerLeft chan struct{} // of the question that takes long
	t                testing.TB
	dir              string
	addr             string
	token            string
	provider         *fakeprovider.Server
	settings         gateway.Settings
	journal          *meter.Journal
	directory        *directory.Directory
	database         *db.DB
	memories         *db.DB
	keyring          *vaultbridge.Local
	ring             *vaultbridge.Ring // of keyring, unless the test has a Vault
	walker           *rotation.Walker
	limiter          *admission.Limiter
	metrics          *prometheus.Registry
	client           *upstream.Client
	keeper           *memory.Keeper
	gateway          *gateway.Gateway
	logged           sync.Mutex
	log              bytes.Buffer        // guarded by logged
	bases            map[string]*url.URL // of each provider
}

const (
	mainKey   = "sk-main-0123456789"
	secondKey = "sk-second-0123456789"
)

var limits = upstream.Limits{Connect: 2 * time.Second, FirstByte: 5 * time.Second, Idle: 5 * time.Second}

// options change a house before it is built.
type options struct {
	limits   upstream.Limits
	timeouts gateway.Timeouts
	maxBody  int64
	recall   time.Duration // deadline of recall
	caching  bool          // the provider caches prompts
	cache    vaultbridge.CacheOptions
	admit    admission.Options
	provider string // base URL of one in another process, in place of our own
	egress   []string
	tls      *tls.Config
	// connections bounds those of clients; 0 is no bound.
	connections int
	proxies     []string // trusted
	introduced  bool     // their connections begin with a PROXY header
	addresses   bool     // are logged
	// vault makes the ring one of this Vault, with the local keyring before it.
	vault *vaultbridge.TransitOptions
}

func newHouse(t testing.TB, change ...func(*options)) *house {
	t.Helper()
	o := options{
		limits:   limits,
		timeouts: gateway.Timeouts{ClientHeader: 5 * time.Second, ClientIdle: 5 * time.Second, ClientSilence: 5 * time.Second, ClientWrite: 5 * time.Second},
		maxBody:  32 << 20,
		recall:   20 * time.Second, // longer than in life: the machine may be slow
		cache:    vaultbridge.CacheOptions{TTL: 30 * time.Second, OnGrace: func() {}},
		admit:    admission.Options{Settings: admission.Settings{MaxInFlight: 5000, QueueTime: time.Second}},
	}
	for _, c := range change {
		c(&o)
	}
	h := &house{asked: make(chan struct{}), askerLeft: make(chan struct{}), t: t, dir: t.TempDir(), bases: map[string]*url.URL{}}
	ctx := context.Background()
	var err error
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h.provider, err = fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{mainKey, secondKey, "sk-other"}, Journal: true, PromptCache: o.caching})
	check(err)
	h.database, err = db.Open(ctx, filepath.Join(h.dir, "ownkey.db"))
	check(err)
	h.directory, err = directory.Open(ctx, h.database, directory.Options{Providers: []string{"main", "second", "anthropic", "openai", "dead"}})
	check(err)
	h.keyring, err = vaultbridge.CreateLocal(filepath.Join(t.TempDir(), "master.key"))
	check(err)
	h.journal, err = meter.OpenJournal(meter.JournalOptions{Dir: h.path("ledger"), Alarm: func(x ledger.Trouble) { t.Errorf("%+v", x) }})
	check(err)
	log := zerolog.New(h)
	h.metrics = prometheus.NewRegistry()
	h.ring = h.makeRing(o.vault, &log)
	cache, err := vaultbridge.NewCache(h.ring, o.cache)
	check(err)
	h.client = upstream.NewClient()
	base, err := url.Parse(cmp.Or(o.provider, h.provider.URL()))
	check(err)
	dead := &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/v1"}
	provider := func(name string, u *url.URL, header string) *gateway.Provider {
		target := h.client.NewTarget(u, nil, nil, o.limits)
		h.bases[name] = u
		return &gateway.Provider{Name: name, Target: target, CredentialHeader: header, MaxBodyBytes: o.maxBody}
	}
	h.settings = gateway.Settings{
		Providers: []*gateway.Provider{
			provider("main", base, "Authorization: Bearer "), provider("second", base, "Authorization: Bearer "),
			provider("anthropic", base, "x-api-key: "), provider("openai", base, "Authorization: Bearer "), provider("dead", dead, "Authorization: Bearer "),
		},
		Egress: upstream.NewEgress(o.egress), MaxBodyBytes: o.maxBody, Recall: gateway.Recall{MaxTokens: 800, TopK: 8, Timeout: o.recall, TTL: 90 * 24 * time.Hour},
	}
	h.openMemory(&o)
	o.admit.UsableToken, o.admit.UsableTenant = h.directory.Usable, func(string) bool { return true }
	o.admit.MaxBufferedBytes = cmp.Or(o.admit.MaxBufferedBytes, 256<<20)
	h.limiter = admission.New(o.admit)
	h.limiter.Restore(nil, time.Now())
	proxies, _ := origin.ParseAll(o.proxies)
	started, err := deferred.Open(ctx, h.database)
	check(err)
	h.gateway = gateway.New(gateway.Options{
		Directory: h.directory, Credentials: cache, Ring: h.ring, Upstream: h.client, Proxies: proxies, ProxyProtocol: o.introduced, LogAddresses: o.addresses, Journal: h.journal, Admission: h.limiter, Deferred: started, Usage: h.usage, Records: func() string { return "ok" }, Metrics: h.metrics, Log: &log,
		Memory: &gateway.Memory{
			Keeper: h.keeper, API: api.New(h.keeper, func(tenant string) string {
				t, err := h.directory.Tenant(tenant)
				if err != nil {
					return ""
				}
				return cmp.Or(t.Memory.Synthesis, "gpt-4o-mini")
			}),
		},
		Settings: h.settings,
		Limits:   gateway.Limits{MaxHeaderBytes: 64 << 10, MaxConnections: o.connections},
		TLS:      o.tls,
		Timeouts: o.timeouts,
	})
	h.walker = rotation.New(ctx, rotation.Options{Directory: h.directory, Ring: h.ring, Log: &log, Rate: 2000, Rebind: h.gateway.Rebind, Settle: time.Second})
	h.keeper.Start(h.gateway)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	h.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.gateway.Serve(l) }()
	t.Cleanup(func() {
		stop, done := context.WithTimeout(ctx, 5*time.Second)
		defer done()
		if err := h.gateway.Shutdown(stop); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		h.keeper.Close()
		_ = h.memories.Close()
		_ = h.provider.Close()
		h.client.Close()
		h.limiter.Close()
		h.walker.Close()
		cache.Close()
		h.ring.Close()
		if err := h.journal.Shut(); err != nil {
			t.Error(err)
		}
		h.directory.Close()
		_ = h.database.Close()
	})
	h.tenant("acme")
	h.store("acme", "main", "default", mainKey)
	h.store("acme", "second", "default", secondKey)
	h.store("acme", "dead", "default", mainKey)
	main := "main"
	_, err = h.directory.UpdateTenant(ctx, "acme", directory.TenantChange{DefaultProvider: &main})
	check(err)
	h.token = h.mint("acme", directory.NewToken{})
	return h
}

// metricsText is what GET /metrics would answer with.
func (h *house) metricsText() string {
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}

func (h *house) makeRing(o *vaultbridge.TransitOptions, log *zerolog.Logger) *vaultbridge.Ring {
	h.t.Helper()
	var current, previous vaultbridge.Keyring = h.keyring, nil
	if o != nil {
		o.Metrics = h.metrics
		o.Journal = func(u vaultbridge.Unsealing) {
			_ = h.journal.Unseal(&meter.Unseal{EventID: meter.NewEventID(), ID: u.ID, At: u.At, TenantID: u.Tenant, CredentialID: u.CredentialID, Keyring: u.Keyring, Hedge: u.Hedge})
		}
		o.Notify = func(e vaultbridge.Event) {
			log.Info().Str("identity", e.Identity).Bool("good", e.Good).Str("reason", string(e.Reason)).Msg("event of " + e.What)
		}
		transit, err := vaultbridge.NewTransit(context.Background(), *o)
		if err != nil {
			h.t.Fatal(err)
		}
		current, previous = transit, h.keyring
	}
	ring, err := vaultbridge.NewRing(current, previous)
	if err != nil {
		h.t.Fatal(err)
	}
	return ring
}

func (h *house) openMemory(o *options) {
	h.t.Helper()
	ctx := context.Background()
	var err error
	if h.memories, err = db.Open(ctx, h.path("memory.db")); err == nil {
		err = h.memories.Migrate(ctx, memory.Migrations(), "memory_migrations")
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.keeper, err = memory.Open(ctx, memory.Options{
		Write: h.memories.Write, Read: h.memories.Read, Erase: h.memories.Erase, MaxResidentBytes: 1 << 28, MaxBucketMemories: 10_000, MaxTenantBuckets: 1000, MaxTenantBytes: 1 << 30, Concurrency: 2, QueryEmbedding: o.recall,
		Emit: func(e memory.Event) error {
			return h.journal.Memory(&meter.MemoryEvent{EventID: e.ID, At: e.At, TenantID: e.Tenant, TokenID: e.Token, BucketID: e.BucketID, RequestID: e.RequestID, Op: meter.MemoryOp(e.Op), Count: e.Count, Bytes: e.Bytes})
		},
		Tenants: func(id string) bool { _, err := h.directory.Tenant(id); return err == nil },
		Settings: func(id string) memory.Settings {
			t, err := h.directory.Tenant(id)
			if err != nil {
				return memory.Settings{}
			}
			return memory.Settings{Embeddings: t.Memory.Embeddings, Extraction: t.Memory.Extraction}
		},
		Trouble: func(what string, err error) { h.t.Errorf("%s: %v", what, err) },
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

func (h *house) tenant(id string) {
	h.t.Helper()
	if _, err := h.directory.CreateTenant(context.Background(), id, ""); err != nil {
		h.t.Fatal(err)
	}
}

// store seals a credential as the admin plane does.
func (h *house) store(tenant, provider, label, secret string) *directory.Credential {
	h.t.Helper()
	return h.storeWith(h.ring.Current(), tenant, provider, label, secret)
}

func (h *house) storeWith(k vaultbridge.Keyring, tenant, provider, label, secret string) *directory.Credential {
	h.t.Helper()
	ctx := context.Background()
	id, err := h.directory.CredentialID(tenant, provider, label)
	if err != nil {
		h.t.Fatal(err)
	}
	bound := vaultbridge.Context{Tenant: tenant, CredentialID: id, Provider: provider, Address: upstream.Address(h.bases[provider])}
	sealed, err := k.Seal(ctx, bound, []byte(secret))
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.directory.PutCredential(ctx, directory.Credential{
		ID: id, TenantID: tenant, Provider: provider, Label: label, Host: upstream.HostPort(h.bases[provider]), Address: bound.Address,
		Keyring: sealed.Keyring, Key: sealed.Key, Sealed: sealed.Blob,
		KeyVersion: sealed.KeyVersion, Fingerprint: sealed.Fingerprint,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) mint(tenant string, n directory.NewToken) string {
	h.t.Helper()
	if n.Label == "" {
		n.Label = "test"
	}
	token, _, err := h.directory.CreateToken(context.Background(), tenant, n)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// code is the error code of an answer of the gateway's own.
func (a answer) code() string {
	var e struct {
		Error struct {
			Code    string  `json:"code"`
			Type    string  `json:"type"`
			Message string  `json:"message"`
			Param   *string `json:"param"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(a.body), &e) != nil || e.Error.Code != a.header.Get("Ownkey-Error") {
		return "no code"
	}
	return e.Error.Code
}

// do makes a call with net/http, a client that is not ours. Headers are pairs.
func (h *house) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	request, err := http.NewRequest(method, "http://"+h.addr+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+h.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return answer{err: err, header: http.Header{}}
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(b), err}
}

func (h *house) chat(model string, headers ...string) answer {
	h.t.Helper()
	return h.do("POST", "/v1/chat/completions", chatBody(model, false), headers...)
}

func chatBody(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"a prompt to be kept secret"}]}`, model, stream)
}

// dial opens a connection and writes to it as it is.
func (h *house) dial(raw string) (net.Conn, *bufio.Reader) {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, raw); err != nil {
		h.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

// raw is a request as bytes.
func (h *house) raw(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, h.token, len(body), body)
}

// versionOf gives the headers of a call that are its dialect's: only Anthropic's
// SDKs send a version.
func versionOf(path string) []string {
	if strings.HasSuffix(path, "/messages") {
		return []string{"Anthropic-Version", "2023-06-01"}
	}
	return nil
}

// record is a request's line, as an operator sees it.
type record map[string]any

// records reads the requests in the ledger. It waits until there are at least
// n: the client may have its answer a moment before the request is over.
func (h *house) records(n int) []record {
	h.t.Helper()
	var all []record
	h.eventually(fmt.Sprintf("%d records", n), func() bool {
		all = nil
		var line bytes.Buffer
		printer := meter.NewPrinter(&line)
		err := h.journal.Read(ledger.Position{}, func(_ ledger.Position, kind ledger.Kind, row []byte) bool {
			if kind != meter.FrameRequest {
				return true
			}
			var r meter.Record
			if err := meter.Decode(row, &r); err != nil {
				h.t.Error(err)
			}
			line.Reset()
			printer.Print(&r)
			shown := record{}
			if err := json.Unmarshal(line.Bytes(), &shown); err != nil {
				h.t.Error(err)
			}
			all = append(all, shown)
			return true
		})
		if err != nil {
			h.t.Fatal(err)
		}
		return len(all) >= n
	})
	return all
}

// usage takes the place of the store of records.
func (h *house) usage(ctx context.Context, tenant, rawQuery string) (int, string, []byte) {
	if rawQuery == "slow" { // a question that takes as long as its asker stays
		close(h.asked)
		<-ctx.Done()
		close(h.askerLeft)
	}
	if rawQuery == "away" {
		return 503, "store_unavailable", []byte(`{"error":{"message":"away","type":"ownkey_error","param":null,"code":"store_unavailable"}}`)
	}
	return 200, "", []byte(fmt.Sprintf(`{"tenant":%q,"asked":%q}`, tenant, rawQuery))
}

func (h *house) eventually(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			h.t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// logText is what was logged so far.
func (h *house) logText() string {
	h.logged.Lock()
	defer h.logged.Unlock()
	return h.log.String()
}

// Write takes a line of the log.
func (h *house) Write(line []byte) (int, error) {
	h.logged.Lock()
	defer h.logged.Unlock()
	return h.log.Write(line)
}
