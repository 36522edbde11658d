package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/clickhouseserver"
	"github.com/ownkey/ownkey/internal/fakeprovider"
	"github.com/ownkey/ownkey/internal/vaultserver"
	"github.com/ownkey/ownkey/meter/clickhouse"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
)

// DevCmd starts everything in one process.
type DevCmd struct {
	Data        string   `default:"./ownkey-data" type:"path" placeholder:"DIR" help:"State: database, master key file, log of records. The same DIR again keeps tenants, tokens, credentials and usage."`
	Listen      string   `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Data plane; port 0 picks a free one."`
	AdminListen string   `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Admin plane; port 0 picks a free one."`
	Provider    []string `sep:"none" placeholder:"NAME=URL" help:"Add or repoint a provider, such as local=http://127.0.0.1:9999/v1. Repeatable."`
	Credential  []string `sep:"none" placeholder:"NAME=SECRET" help:"Seal SECRET as the dev tenant's credential for provider NAME. Repeatable. It stays in the data directory; while there is none, a built-in fake provider answers."`
	Vault       string   `type:"existingfile" placeholder:"PROGRAM" help:"Seal with a real Vault: start this server (make vault builds .tools/vault), set it up, and keep it below DIR."`
	ClickHouse  string   `name:"clickhouse" enum:",chdb" default:"" placeholder:"chdb" help:"Keep records in a real ClickHouse engine below DIR (make clickhouse fetches it), in place of SQLite."`
	ReadyFile   string   `type:"path" placeholder:"PATH" help:"Write addresses and tokens to PATH, as JSON, once both planes accept."`
}

const (
	devTenant = "dev"
	// fakeName is the provider that answers when the dev tenant has no
	// credential of its own.
	fakeName = "fake"
)

// Run serves until it is told to stop.
func (c *DevCmd) Run() error {
	ctx, asked := context.Background(), hangups()
	cfg, err := c.config()
	if err != nil {
		return usageError{err}
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("cannot make data directory: %w", err)
	}
	given := c.Credential
	c.Credential = make([]string, len(given))
	for i, s := range given {
		c.Credential[i] = strings.Clone(s) // Go's arguments are the very memory that is blanked
	}
	if err := blank(given...); err != nil {
		return err
	}
	keyring, err := devKeyring(filepath.Join(c.Data, devKeyFile))
	if err != nil {
		return err
	}
	if err := sealProcess(); err != nil {
		return err
	}
	log, lines, err := newLog(os.Stderr, cfg.Log.Level)
	if err != nil {
		return err
	}
	defer lines.Close()
	server, err := c.vault(ctx, cfg, lines)
	if err != nil {
		return err
	}
	if server != nil {
		defer server.Stop() //nolint:errcheck // the process ends
	}
	engine, err := c.clickHouse(ctx, cfg, lines)
	if err != nil {
		return err
	}
	if engine != nil {
		defer engine.Stop() //nolint:errcheck // the process ends
	}
	adminToken := devAdminToken(keyring)
	cfg.Admin.Token = config.NewSecret(adminToken)
	fake, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{})
	if err != nil {
		return fmt.Errorf("cannot start the fake provider: %w", err)
	}
	defer fake.Close() //nolint:errcheck // the process ends
	cfg.Providers[fakeName] = devProvider(fakeName, fake.URL())
	a, err := open(ctx, cfg, log, lines)
	if err != nil {
		return err
	}
	a.hangups = asked
	token, err := c.tenant(ctx, a, keyring)
	if err != nil {
		return errors.Join(err, a.close(ctx))
	}
	ready := readiness{
		BaseURL: "http://" + reachable(a.data[0].Addr()) + "/v1", AdminURL: "http://" + reachable(a.control[0].Addr()),
		Tenant: devTenant, Token: token, AdminToken: adminToken,
	}
	if t, err := a.directory.Tenant(devTenant); err == nil {
		ready.Provider = t.DefaultProvider
	}
	ready.print(lines)
	if err := ready.write(c.ReadyFile); err != nil {
		return errors.Join(err, a.close(ctx))
	}
	return a.run(ctx)
}

// vault starts a Vault server, if one is wanted, and configures it as the
// keyring: the key file goes on as the previous one. The server is set up by
// the very script that `ownkey vault policy` prints.
func (c *DevCmd) vault(ctx context.Context, cfg *config.Config, say io.Writer) (*vaultserver.Server, error) {
	cfg.Keyring.MasterKeyFile = filepath.Join(c.Data, devKeyFile)
	if c.Vault == "" {
		return nil, nil
	}
	dir := filepath.Join(c.Data, "vault")
	server, err := vaultserver.Start(ctx, vaultserver.Options{Binary: c.Vault, Dir: dir})
	if err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	made, err := os.Stat(file("ownkey-admin.secret-id"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(made.ModTime()) > vaultbridge.SecretIDLife/2 {
		if _, err := server.Run(ctx, dir, vaultbridge.SetupScript("transit", server.AuditFile)); err != nil {
			return nil, errors.Join(err, server.Stop())
		}
	}
	login := func(identity string) config.VaultLogin {
		return config.VaultLogin{Method: "approle", RoleIDFile: file("ownkey-" + identity + ".role-id"), SecretIDFile: file("ownkey-" + identity + ".secret-id")}
	}
	cfg.Keyring.Vault.Address, cfg.Keyring.Vault.Data, cfg.Keyring.Vault.Admin = server.URL, login("data"), login("admin")
	cfg.Keyring.MasterKeyFile, cfg.Keyring.Previous.MasterKeyFile = "", cfg.Keyring.MasterKeyFile
	_, _ = fmt.Fprintf(say, "\nVault is ready.\n\n  export VAULT_ADDR=%s VAULT_TOKEN=%s\n  audit log %s\n", server.URL, server.RootToken, server.AuditFile) // the log's own writer never fails
	return server, nil
}

// clickHouse starts the engine, if it is wanted, and configures it as the place
// of records.
func (c *DevCmd) clickHouse(ctx context.Context, cfg *config.Config, say io.Writer) (*clickhouseserver.Server, error) {
	if c.ClickHouse == "" {
		return nil, nil
	}
	engine, err := clickhouseserver.Start(ctx, clickhouseserver.Options{Dir: filepath.Join(c.Data, "clickhouse")})
	if err != nil {
		return nil, err
	}
	cfg.Meter.ClickHouse.URL = engine.URL
	server, err := clickHouseServer(&cfg.Meter.ClickHouse)
	if err == nil {
		err = clickhouse.Migrate(ctx, server, func(int) {})
	}
	if err != nil {
		return nil, errors.Join(err, engine.Stop())
	}
	_, _ = fmt.Fprintf(say, "\nClickHouse is ready.\n\n  curl '%s/?database=%s' -d 'SELECT * FROM requests FORMAT Vertical'\n", engine.URL, server.Database) // likewise
	return engine, nil
}

// devKeyring opens the key file in the data directory, or makes one. In
// production it may not lie there; a developer's machine has only one place.
func devKeyring(path string) (*vaultbridge.Local, error) {
	keyring, err := vaultbridge.OpenLocal(path)
	if errors.Is(err, fs.ErrNotExist) {
		return vaultbridge.CreateLocal(path)
	}
	return keyring, err
}

// devAdminToken hangs on the key file alone: the same after a restart, and
// stored nowhere.
func devAdminToken(keyring *vaultbridge.Local) string {
	return fmt.Sprintf("oka_%x", keyring.Derive("dev admin token", 24))
}

func (c *DevCmd) config() (*config.Config, error) {
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Admin.Listen = c.Data, config.Addresses{c.Listen}, config.Addresses{c.AdminListen}
	cfg.Providers = map[string]config.Provider{}
	cfg.Egress.Allow = []string{"127.0.0.0/8", "::1/128"}
	for _, p := range c.Provider {
		name, base, ok := strings.Cut(p, "=")
		if !ok || !config.ValidProviderName(name) {
			return nil, fmt.Errorf("--provider: want NAME=URL with a NAME of a-z, 0-9, - and _, not v1")
		}
		if _, err := config.ParseBaseURL(base); err != nil {
			return nil, fmt.Errorf("--provider %s: the URL %w", name, err)
		}
		cfg.Providers[name] = devProvider(name, base)
	}
	for _, s := range c.Credential {
		name, secret, ok := strings.Cut(s, "=")
		_, known := cfg.AllProviders()[name]
		switch {
		case !ok: // it may be a secret, so it is not shown
			return nil, usageError{errors.New("--credential: want NAME=SECRET, such as openai=sk-...; there is no =")}
		case !known && !config.ValidProviderName(name):
			return nil, usageError{errors.New("--credential: want NAME=SECRET with the NAME of a provider, such as openai, before the first =")}
		case !known:
			return nil, usageError{fmt.Errorf("--credential: there is no provider %s; add it with --provider %s=URL", name, name)}
		case secret == "":
			return nil, usageError{fmt.Errorf("--credential %s=: the secret is missing behind the =", name)}
		}
	}
	return &cfg, nil
}

func devProvider(name, base string) config.Provider {
	p, _ := config.BuiltinProvider(name)
	p.BaseURL = base
	return p
}

// tenant makes the dev tenant with its credentials, and gives its token: the
// same for the same data directory.
func (c *DevCmd) tenant(ctx context.Context, a *app, keyring *vaultbridge.Local) (token string, err error) {
	t, err := a.directory.Tenant(devTenant)
	if errors.Is(err, directory.ErrNotFound) {
		t, err = a.directory.CreateTenant(ctx, devTenant, "Development")
	}
	if err != nil {
		return "", fmt.Errorf("cannot make the dev tenant: %w", err)
	}
	if err := c.credentials(ctx, a, t); err != nil {
		return "", err
	}
	token, _, err = a.directory.EnsureToken(ctx, devTenant, keyring.Derive("dev token", directory.TokenSeedBytes), directory.NewToken{Label: "dev"})
	if errors.Is(err, directory.ErrInvalidToken) { // somebody revoked it
		token, _, err = a.directory.CreateToken(ctx, devTenant, directory.NewToken{Label: "dev"})
	}
	if err != nil {
		return "", fmt.Errorf("cannot make the dev token: %w", err)
	}
	return token, nil
}

// credentials seals what was given on the command line. The first one's
// provider becomes the default, and stays it; the fake provider is it while there
// is none, or none that this start knows.
func (c *DevCmd) credentials(ctx context.Context, a *app, t *directory.Tenant) error {
	byDefault := t.DefaultProvider
	for i, s := range c.Credential {
		name, secret, _ := strings.Cut(s, "=")
		if err := putCredential(ctx, a, name, secret); err != nil {
			return err
		}
		if i == 0 {
			byDefault = name
		}
	}
	// Its address is new at each start, and the credential is bound to it.
	if err := putCredential(ctx, a, fakeName, "fake-credential"); err != nil {
		return err
	}
	if _, known := a.cfg.AllProviders()[byDefault]; !known {
		byDefault = fakeName
	}
	if _, err := a.directory.UpdateTenant(ctx, devTenant, directory.TenantChange{DefaultProvider: &byDefault}); err != nil {
		return fmt.Errorf("cannot set the default provider: %w", err)
	}
	return nil
}

func putCredential(ctx context.Context, a *app, provider, secret string) error {
	base, err := config.ParseBaseURL(a.cfg.AllProviders()[provider].BaseURL)
	if err != nil {
		return fmt.Errorf("cannot seal credential for %s: %w", provider, err)
	}
	id, err := a.directory.CredentialID(devTenant, provider, directory.DefaultLabel)
	if err != nil {
		return fmt.Errorf("cannot seal credential for %s: %w", provider, err)
	}
	at := vaultbridge.Context{Tenant: devTenant, CredentialID: id, Provider: provider, Address: upstream.Address(base)}
	sealed, err := a.ring.Current().Seal(ctx, at, []byte(secret))
	if err != nil {
		return fmt.Errorf("cannot seal credential for %s: %w", provider, err)
	}
	_, err = a.directory.PutCredential(ctx, directory.Credential{
		ID: id, TenantID: devTenant, Provider: provider, Label: directory.DefaultLabel, Host: upstream.HostPort(base), Address: at.Address,
		Keyring: sealed.Keyring, Key: sealed.Key, Sealed: sealed.Blob, KeyVersion: sealed.KeyVersion, Fingerprint: sealed.Fingerprint,
	})
	if err != nil {
		return fmt.Errorf("cannot store credential for %s: %w", provider, err)
	}
	return nil
}

// readiness is what a developer, or a script, needs to begin.
type readiness struct {
	BaseURL    string `json:"base_url"`
	AdminURL   string `json:"admin_url"`
	Tenant     string `json:"tenant"`
	Token      string `json:"token"`
	AdminToken string `json:"admin_token"`
	Provider   string `json:"provider"` // who answers where a call names none
}

func (r *readiness) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, `
Ownkey is ready.

  base URL  %[1]s
  token     %[2]s
  provider  %[5]s

  curl %[1]s/chat/completions -H "Authorization: Bearer %[2]s" -H "Content-Type: application/json" -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'

  python3 -c 'from openai import OpenAI; print(OpenAI(base_url="%[1]s", api_key="%[2]s").chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content)'

  node --input-type=module -e 'import OpenAI from "openai"; const c = new OpenAI({ baseURL: "%[1]s", apiKey: "%[2]s" }); console.log((await c.chat.completions.create({ model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }] })).choices[0].message.content)'

  admin     export OWNKEY_ADMIN_URL=%[3]s OWNKEY_ADMIN_TOKEN=%[4]s

`, r.BaseURL, r.Token, r.AdminURL, r.AdminToken, r.Provider) // the log's own writer, which never fails
}

// write puts the file in place whole: a reader sees all of it or nothing.
func (r *readiness) write(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot encode ready file: %w", err)
	}
	next := path + ".new"
	if err := os.WriteFile(next, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write ready file: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("cannot write ready file: %w", err)
	}
	return nil
}

// reachable is a listener's address as a client on this machine dials it.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}
