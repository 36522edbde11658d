package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/vaultserver"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

const (
	vaultTenants  = 10_000
	vaultRateTime = 8 * time.Second
	connections   = 32
	rewrapRate    = 500 // rows per second that the walk may take
	rewrapLoad    = 500 // requests per second meanwhile
)

// vaultBed is a real Vault, a database with tenants whose credentials it has
// sealed, and the gateway's binary to serve them.
type vaultBed struct {
	*bed
	server  *vaultserver.Server
	keyring *vaultbridge.Transit
	data    string
	tokens  []string
	host    string
}

// vault measures the key path on a real Vault.
func vault(b *bed) error {
	v := &vaultBed{bed: b, data: filepath.Join(b.dir, "vault-data"), host: b.provider}
	ctx := context.Background()
	if err := v.start(ctx); err != nil {
		return err
	}
	defer v.server.Stop()
	defer v.keyring.Close()
	if err := v.unseals(ctx); err != nil {
		return err
	}
	if err := v.seed(ctx); err != nil {
		return err
	}
	if err := v.rates(); err != nil {
		return err
	}
	if err := v.revocations(); err != nil {
		return err
	}
	return v.rewrap(ctx)
}

func (v *vaultBed) start(ctx context.Context) error {
	binary, err := vaultserver.Binary()
	if err != nil {
		return err
	}
	dir := filepath.Join(v.dir, "vault")
	if v.server, err = vaultserver.Start(ctx, vaultserver.Options{Binary: binary, Dir: dir}); err != nil {
		return err
	}
	if _, err := v.server.Run(ctx, dir, vaultbridge.SetupScript("transit", "unused")); err != nil {
		return err
	}
	v.keyring, err = vaultbridge.NewTransit(ctx, vaultbridge.TransitOptions{
		Name: "vault", Address: v.server.URL, Mount: "transit", Timeout: 5 * time.Second, Data: v.login("data"), Admin: v.login("admin"),
		Journal: func(vaultbridge.Unsealing) {}, Notify: func(vaultbridge.Event) {}, Metrics: prometheus.NewRegistry(),
	})
	return err
}

func (v *vaultBed) login(identity string) vaultbridge.Login {
	file := filepath.Join(v.dir, "vault", "ownkey-"+identity)
	return vaultbridge.Login{Method: vaultbridge.MethodAppRole, RoleIDFile: file + ".role-id", SecretIDFile: file + ".secret-id"}
}

// unseals measures the time of one unseal, straight at the keyring: tenants at
// once with one credential each (nothing to share), and with eight each, which
// go to Vault together.
func (v *vaultBed) unseals(ctx context.Context) error {
	const most, each = 256, 8
	var blobs [most][each]vaultbridge.Bound
	var group errgroup.Group
	group.SetLimit(8)
	for i := range most {
		group.Go(func() error {
			for j := range each {
				c := vaultbridge.Context{Tenant: fmt.Sprint("cold-", i), CredentialID: fmt.Sprint(j), Provider: "bench", Address: "http://" + v.host + "/v1"}
				s, err := v.keyring.Seal(ctx, c, []byte(providerKey))
				if err != nil {
					return err
				}
				blobs[i][j] = vaultbridge.Bound{Context: c, Blob: s.Blob}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Println("Unseals at the keyring, all at once, over and over (Vault, gateway's code and this program share the cores)")
	fmt.Println()
	fmt.Println("| tenants at once | credentials each | p50 ms | p99 ms | unseals/s |")
	fmt.Println("| ---: | ---: | ---: | ---: | ---: |")
	for _, tenants := range []int{1, 32, 256} {
		for _, credentials := range []int{1, each} {
			var mu sync.Mutex
			var times []time.Duration
			began := time.Now()
			var all errgroup.Group
			for i := range tenants {
				for j := range credentials {
					all.Go(func() error {
						for time.Since(began) < 5*time.Second {
							from := time.Now()
							c, err := v.keyring.Unseal(ctx, blobs[i][j])
							if err != nil {
								return err
							}
							c.Wipe()
							took := time.Since(from)
							mu.Lock()
							times = append(times, took)
							mu.Unlock()
						}
						return nil
					})
				}
			}
			if err := all.Wait(); err != nil {
				return err
			}
			fmt.Printf("| %d | %d | %.1f | %.1f | %.0f |\n", tenants, credentials, ms(quantile(times, 0.5)), ms(quantile(times, 0.99)),
				float64(len(times))/time.Since(began).Seconds())
		}
	}
	fmt.Println()
	return nil
}

// seed makes the tenants, sealed by Vault, in the database of the gateway.
func (v *vaultBed) seed(ctx context.Context) error {
	database, err := db.Open(ctx, filepath.Join(v.data, "ownkey.db"))
	if err != nil {
		return err
	}
	defer database.Close()
	d, err := directory.Open(ctx, database, directory.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	v.tokens = make([]string, vaultTenants)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range vaultTenants {
		group.Go(func() error {
			id := fmt.Sprintf("tenant-%05d", i)
			if _, err := d.CreateTenant(ctx, id, ""); err != nil {
				return err
			}
			credential, err := d.CredentialID(id, "bench", "default")
			if err != nil {
				return err
			}
			s, err := v.keyring.Seal(ctx, vaultbridge.Context{Tenant: id, CredentialID: credential, Provider: "bench", Address: "http://" + v.host + "/v1"}, []byte(providerKey))
			if err != nil {
				return err
			}
			_, err = d.PutCredential(ctx, directory.Credential{
				ID: credential, TenantID: id, Provider: "bench", Label: "default", Host: v.host, Address: "http://" + v.host + "/v1",
				Keyring: s.Keyring, Sealed: s.Blob, KeyVersion: s.KeyVersion, Fingerprint: s.Fingerprint,
			})
			if err != nil {
				return err
			}
			v.tokens[i], _, err = d.CreateToken(ctx, id, directory.NewToken{Label: "bench"})
			return err
		})
	}
	return group.Wait()
}

// gateway is a running `ownkey serve`.
type gateway struct {
	data, admin string // host:port
	cmd         *exec.Cmd
}

// chatBody is a chat call of 1 KB.
var chatBody = []byte(`{"model":"gpt-4o-mini","temperature":0.7,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"` +
	strings.Repeat("Tell me about Paris. ", 42) + `"}]}`)

const benchAdminToken = "oka_benchmark_0123456789"

// serve starts the gateway on the seeded database.
func (v *vaultBed) serve(cacheTTL string) (*gateway, error) {
	data, err := freePort()
	if err != nil {
		return nil, err
	}
	admin, err := freePort()
	if err != nil {
		return nil, err
	}
	file := func(identity, what string) string {
		return filepath.Join(v.dir, "vault", "ownkey-"+identity+"."+what)
	}
	config := filepath.Join(v.dir, "serve.yaml")
	text := fmt.Sprintf(`listen: %s
admin: {listen: '%s', token: '${OWNKEY_ADMIN_TOKEN}'}
data: %s
log: {level: warn}
keyring:
  cache_ttl: %s
  rewrap_rate: %d
  vault:
    address: %s
    timeout: 2s
    data: {method: approle, role_id_file: %s, secret_id_file: %s}
    admin: {method: approle, role_id_file: %s, secret_id_file: %s}
providers:
  bench: {base_url: 'http://%s/v1'}
`, data, admin, v.data, cacheTTL, rewrapRate, v.server.URL, file("data", "role-id"), file("data", "secret-id"), file("admin", "role-id"), file("admin", "secret-id"), v.host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c, err := v.bed.start(filepath.Join(v.dir, "ownkey"), []string{"OWNKEY_ADMIN_TOKEN=" + benchAdminToken}, "serve", "--config", config)
	if err != nil {
		return nil, err
	}
	return &gateway{data, admin, c}, errors.Join(waitFor(data), waitFor(admin))
}

func (g *gateway) stop() {
	_ = g.cmd.Process.Signal(os.Interrupt)
	_ = g.cmd.Wait()
}

// chat makes one call with a tenant's token.
func (g *gateway) chat(client *fasthttp.HostClient, token string) (status int, err error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + g.data + "/bench/v1/chat/completions")
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType("application/json")
	request.SetBodyRaw(chatBody)
	request.Header.Set("Authorization", "Bearer "+token)
	err = client.Do(request, response)
	return response.StatusCode(), err
}

// rates measures requests per second, tenants drawn at random.
func (v *vaultBed) rates() error {
	fmt.Printf("Requests per second through the gateway, %d connections, tenants drawn at random (gateway, Vault, provider and load share %d cores)\n\n", connections, runtime.NumCPU())
	fmt.Println("| cache_ttl | 1 tenant | 1,000 tenants | 10,000 tenants |")
	fmt.Println("| --- | ---: | ---: | ---: |")
	for _, ttl := range []string{"0s", "5s", "30s"} {
		fmt.Printf("| %s |", ttl)
		for _, tenants := range []int{1, 1_000, vaultTenants} {
			g, err := v.serve(ttl)
			if err != nil {
				return err
			}
			rate, failed, err := g.rate(v.tokens[:tenants])
			g.stop()
			if err != nil {
				return err
			}
			fmt.Printf(" %.0f", rate)
			if failed > 0 {
				fmt.Printf(" (%d refused)", failed)
			}
			fmt.Print(" |")
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

func (g *gateway) rate(tokens []string) (perSecond float64, failed int64, err error) {
	client := &fasthttp.HostClient{Addr: g.data, MaxConns: connections}
	defer client.CloseIdleConnections()
	var n, bad atomic.Int64
	began := time.Now()
	var all errgroup.Group
	for range connections {
		all.Go(func() error {
			for time.Since(began) < vaultRateTime {
				status, err := g.chat(client, tokens[rand.IntN(len(tokens))])
				if err != nil {
					return err
				}
				if status != fasthttp.StatusOK {
					bad.Add(1)
				}
				n.Add(1)
			}
			return nil
		})
	}
	err = all.Wait()
	return float64(n.Load()-bad.Load()) / time.Since(began).Seconds(), bad.Load(), err
}

// adminCall makes a call of the admin plane.
func (g *gateway) adminCall(method, path, body string, into any) error {
	request, err := http.NewRequest(method, "http://"+g.admin+"/admin/v1"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+benchAdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d", method, path, response.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// revocations measures the time from an admin call that takes something away to
// the first call that is refused for it, on this gateway and by another process
// that follows the same database.
func (v *vaultBed) revocations() error {
	g, err := v.serve("30s")
	if err != nil {
		return err
	}
	defer g.stop()
	client := &fasthttp.HostClient{Addr: g.data}
	other, err := v.follower()
	if err != nil {
		return err
	}
	defer other.close()
	var token, credential, elsewhere []time.Duration
	for i := range 20 {
		tenant := fmt.Sprintf("tenant-%05d", i)
		if status, err := g.chat(client, v.tokens[i]); err != nil || status != fasthttp.StatusOK {
			return fmt.Errorf("%d %w", status, err)
		}
		refused := func(want int) (time.Duration, error) {
			for began := time.Now(); ; {
				status, err := g.chat(client, v.tokens[i])
				if err != nil || status == want {
					return time.Since(began), err
				}
			}
		}
		if err := g.adminCall("DELETE", "/tenants/"+tenant+"/credentials/bench/default", "", nil); err != nil {
			return err
		}
		took, err := refused(fasthttp.StatusPreconditionFailed)
		if err != nil {
			return err
		}
		credential = append(credential, took)
		id := strings.Split(v.tokens[i], "_")[1][:12]
		if err := g.adminCall("DELETE", "/tenants/"+tenant+"/tokens/"+id, "", nil); err != nil {
			return err
		}
		began := time.Now()
		if took, err = refused(fasthttp.StatusUnauthorized); err != nil {
			return err
		}
		token = append(token, took)
		elsewhere = append(elsewhere, other.refuses(v.tokens[i], began))
	}
	v.tokens = v.tokens[20:]
	fmt.Println("From the answer of the admin call to the first refusal, p50 and worst of 20")
	fmt.Println()
	fmt.Printf("| credential deleted, same gateway | token revoked, same gateway | token revoked, another process on the database |\n| ---: | ---: | ---: |\n")
	fmt.Printf("| %.1f / %.1f ms | %.1f / %.1f ms | %.0f / %.0f ms |\n\n", ms(quantile(credential, 0.5)), ms(quantile(credential, 1)),
		ms(quantile(token, 0.5)), ms(quantile(token, 1)), ms(quantile(elsewhere, 0.5)), ms(quantile(elsewhere, 1)))
	return nil
}

// follower is another process's directory on the same database.
type follower struct {
	database  *db.DB
	directory *directory.Directory
}

func (v *vaultBed) follower() (*follower, error) {
	ctx := context.Background()
	database, err := db.Open(ctx, filepath.Join(v.data, "ownkey.db"))
	if err != nil {
		return nil, err
	}
	d, err := directory.Open(ctx, database, directory.Options{})
	return &follower{database, d}, err
}

func (f *follower) close() {
	f.directory.Close()
	_ = f.database.Close()
}

func (f *follower) refuses(token string, began time.Time) time.Duration {
	for {
		if _, err := f.directory.Authenticate([]byte(token), time.Now()); err != nil {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
}

// rewrap rotates every key and walks over all rows while calls go through.
func (v *vaultBed) rewrap(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(8)
	for i := range vaultTenants {
		group.Go(func() error {
			_, err := v.keyring.Rotate(ctx, fmt.Sprintf("tenant-%05d", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	g, err := v.serve("5s")
	if err != nil {
		return err
	}
	defer g.stop()
	l := g.steady(v.tokens, rewrapLoad)
	began := time.Now()
	if err := g.adminCall("POST", "/rewrap", "", nil); err != nil {
		return err
	}
	var job struct {
		State      string `json:"state"`
		RowsDone   int    `json:"rows_done"`
		RowsFailed int    `json:"rows_failed"`
	}
	var rewrapped time.Duration
	for job.State != "done" {
		time.Sleep(100 * time.Millisecond)
		if err := g.adminCall("GET", "/rewrap", "", &job); err != nil {
			return err
		}
		if rewrapped == 0 && job.State != "rewrapping" {
			rewrapped = time.Since(began)
		}
	}
	whole := time.Since(began)
	calls, failed := l.stop()
	fmt.Printf("Rewrap of one row each of %d tenants, allowed %d rows/s, under %d requests/s\n\n", vaultTenants, rewrapRate, rewrapLoad)
	fmt.Println("| rows | failed | all rewrapped after | per minute | old versions shut after | requests meanwhile | of them failed |")
	fmt.Println("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	fmt.Printf("| %d | %d | %.0f s | %.0f | %.0f s | %d | %d |\n\n", job.RowsDone, job.RowsFailed, rewrapped.Seconds(), float64(job.RowsDone)/rewrapped.Minutes(), whole.Seconds(), calls, failed)
	return nil
}

// steadyLoad makes calls at a rate.
type steadyLoad struct {
	calls, failed atomic.Int64
	cancel        context.CancelFunc
	all           sync.WaitGroup
}

func (g *gateway) steady(tokens []string, rate int) *steadyLoad {
	ctx, cancel := context.WithCancel(context.Background())
	l := &steadyLoad{cancel: cancel}
	client := &fasthttp.HostClient{Addr: g.data, MaxConns: connections}
	for range connections {
		l.all.Go(func() {
			tick := time.NewTicker(time.Second * connections / time.Duration(rate))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if status, err := g.chat(client, tokens[rand.IntN(len(tokens))]); err != nil || status != fasthttp.StatusOK {
					l.failed.Add(1)
				}
				l.calls.Add(1)
			}
		})
	}
	return l
}

func (l *steadyLoad) stop() (calls, failed int64) {
	l.cancel()
	l.all.Wait()
	return l.calls.Load(), l.failed.Load()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quantile(d []time.Duration, q float64) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[int(q*float64(len(s)-1))]
}
