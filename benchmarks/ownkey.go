package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/benchmarks/load"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/vaultbridge"
	"golang.org/x/sync/errgroup"
)

// ownkey is the gateway's own binary as `ownkey serve`, with the parts that it
// is to have. What it never goes without, in production either: the check of
// the token, routing, a sealed credential of each tenant's own, the filter of
// headers, admission, the ledger.
type ownkey struct {
	vault      bool   // Vault transit in place of the local keyring
	cacheTTL   string // of unsealed credentials
	clickHouse bool   // in place of SQLite
	memories   int    // that each call recalls from
	tenants    int
	tokens     int // of each tenant
}

const (
	providerKey = "sk-bench"
	adminToken  = "oka_benchmark_0123456789"
	adminEnv    = "OWNKEY_ADMIN_TOKEN=" + adminToken
)

var serveConfig = template.Must(template.New("").Parse(`listen: {{.Listen}}
admin: {listen: '{{.Admin}}', token: '${OWNKEY_ADMIN_TOKEN}', pprof: true}
data: {{.Data}}
log: {level: warn}
keyring:
  cache_ttl: {{.CacheTTL}}
{{- if .Vault}}
  vault:
    address: {{.Vault}}
    timeout: 2s
    data: {method: approle, role_id_file: {{.VaultDir}}/ownkey-data.role-id, secret_id_file: {{.VaultDir}}/ownkey-data.secret-id}
{{- else}}
  master_key_file: {{.KeyFile}}
{{- end}}
{{- if .ClickHouse}}
meter:
  clickhouse: {url: '{{.ClickHouse}}', database: {{.Database}}}
{{- end}}
memory: {recall_timeout: 200ms}
providers:
  bench: {base_url: 'http://{{.Provider}}/v1'}
`))

// serveValues are what the configuration has in it.
type serveValues struct {
	Listen, Admin, Provider netip.AddrPort
	Data, KeyFile, CacheTTL string
	Vault, VaultDir         string
	ClickHouse, Database    string
}

func (o ownkey) start(ctx context.Context, b *bed, name string) (*instance, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	admin, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	v := serveValues{
		Listen: addr, Admin: admin, Provider: b.ends.Provider(), Data: filepath.Join(dir, "data"), KeyFile: filepath.Join(dir, "master.key"),
		CacheTTL: o.cacheTTL, Database: "bench_" + strings.ReplaceAll(name, "-", "_"),
	}
	var keyring vaultbridge.Keyring
	if o.vault {
		if err := b.startVault(ctx); err != nil {
			return nil, err
		}
		v.Vault, v.VaultDir = b.vault.URL, filepath.Join(b.dir, "vault")
		keyring, err = b.transit(ctx)
	} else {
		keyring, err = vaultbridge.CreateLocal(v.KeyFile)
	}
	if err != nil {
		return nil, err
	}
	defer keyring.Close()
	tokens, err := o.seed(ctx, keyring, filepath.Join(v.Data, "ownkey.db"), v.Provider.String())
	if err != nil {
		return nil, fmt.Errorf("cannot seed tenants: %w", err)
	}
	config := filepath.Join(dir, "ownkey.yaml")
	if o.clickHouse {
		if err := b.startEngine(ctx); err != nil {
			return nil, err
		}
		v.ClickHouse = b.engine.URL
	}
	var text strings.Builder
	if err := serveConfig.Execute(&text, v); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	if o.clickHouse {
		migrate := exec.CommandContext(ctx, b.binary(), "migrate", "--config", config)
		migrate.Env = append(os.Environ(), adminEnv)
		if out, err := migrate.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
	}
	p, err := startProcess(contenderCore, filepath.Join(dir, "log"), []string{adminEnv}, b.binary(), "serve", "--config", config)
	if err != nil {
		return nil, err
	}
	i := &instance{process: p, target: load.Target{Addr: addr, Path: "/bench/v1/chat/completions"}, configuration: text.String()}
	if err := b.await(addr, p); err != nil {
		p.stop()
		return nil, err
	}
	more := ""
	if o.memories > 0 {
		if err := remember(addr, tokens[0], o.memories); err != nil {
			p.stop()
			return nil, err
		}
		more = "Ownkey-Memory: recall\r\n"
	}
	for _, t := range tokens {
		i.target.Header = append(i.target.Header, "Authorization: Bearer "+t+"\r\n"+more)
	}
	i.profile = "http://" + admin.String() + "/debug/pprof/profile"
	i.records = func(ctx context.Context) (records, error) {
		if o.clickHouse {
			return b.countClickHouse(ctx, v.Database)
		}
		return countSQLite(ctx, filepath.Join(v.Data, "usage.db"))
	}
	return i, nil
}

// seed makes the tenants with a credential of their own each, and tokens.
func (o ownkey) seed(ctx context.Context, keyring vaultbridge.Keyring, file, host string) (tokens []string, err error) {
	database, err := db.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer database.Close()
	if _, err := database.Write.ExecContext(ctx, "PRAGMA synchronous = OFF"); err != nil { // 100,000 tenants in a minute
		return nil, err
	}
	d, err := directory.Open(ctx, database, directory.Options{})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	each := max(1, o.tokens)
	tokens = make([]string, max(1, o.tenants)*each)
	var group errgroup.Group
	const atOnce = 8
	group.SetLimit(atOnce)
	for i := range max(1, o.tenants) {
		group.Go(func() error {
			id := fmt.Sprintf("tenant-%06d", i)
			if err := tenant(ctx, d, keyring, id, host); err != nil {
				return err
			}
			for j := range each {
				n := directory.NewToken{Label: uuid.NewString(), Scopes: []string{directory.ScopeInference, directory.ScopeMemory}}
				plain, _, err := d.CreateToken(ctx, id, n)
				if err != nil {
					return err
				}
				tokens[i*each+j] = plain
			}
			return nil
		})
	}
	return tokens, group.Wait()
}

func tenant(ctx context.Context, d *directory.Directory, keyring vaultbridge.Keyring, id, host string) error {
	if _, err := d.CreateTenant(ctx, id, ""); err != nil {
		return err
	}
	credential, err := d.CredentialID(id, "bench", "default")
	if err != nil {
		return err
	}
	at := "http://" + host + "/v1"
	s, err := keyring.Seal(ctx, vaultbridge.Context{Tenant: id, CredentialID: credential, Provider: "bench", Address: at}, []byte(providerKey))
	if err != nil {
		return err
	}
	_, err = d.PutCredential(ctx, directory.Credential{
		ID: credential, TenantID: id, Provider: "bench", Label: "default", Host: host, Address: at,
		Keyring: s.Keyring, Sealed: s.Blob, KeyVersion: s.KeyVersion, Fingerprint: s.Fingerprint,
	})
	return err
}

// records are what the books hold of calls.
type records struct {
	Rows     int64 `json:"rows"`
	Distinct int64 `json:"distinct"`
}

func countSQLite(ctx context.Context, file string) (r records, err error) {
	database, err := db.Open(ctx, file)
	if err != nil {
		return r, err
	}
	defer database.Close()
	err = database.Read.QueryRowContext(ctx, "SELECT count(*), count(DISTINCT event_id) FROM requests").Scan(&r.Rows, &r.Distinct)
	return r, err
}

func (b *bed) countClickHouse(ctx context.Context, database string) (r records, err error) {
	body, err := post(ctx, b.engine.URL, "", "SELECT count(), uniqExact(event_id) FROM "+database+".requests")
	if err != nil {
		return r, err
	}
	if _, err := fmt.Sscan(string(body), &r.Rows, &r.Distinct); err != nil {
		return r, errors.Join(fmt.Errorf("the engine answered %q", body), err)
	}
	return r, nil
}
