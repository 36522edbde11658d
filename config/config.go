package config

import (
	"maps"
	"time"
)

// Config is the whole configuration of `ownkey serve`.
type Config struct {
	// Address of the data plane, HOST:PORT, or a list of them. Port 0 picks a
	// free one. An IPv4 address such as 0.0.0.0 is IPv4 only, an IPv6 address
	// such as [::] is IPv6 only, and an empty HOST is both.
	Listen Addresses `yaml:"listen"`
	// The admin plane.
	Admin Admin `yaml:"admin"`
	// Directory for state: databases and the ledger of records. One gateway has
	// it to itself; it must survive a restart. Created if need be, readable by
	// its owner only.
	Data string `yaml:"data"`
	// What seals and unseals credentials.
	Keyring Keyring `yaml:"keyring"`
	// Providers by name. The ones built in need no entry; an entry changes what
	// it names. Any other name adds a provider and needs a base_url.
	Providers map[string]Provider `yaml:"providers" reload:"yes"`
	// What clients can make the gateway hold.
	Limits Limits `yaml:"limits"`
	// The guard against tokens whose spending runs away.
	Runaway Runaway `yaml:"runaway"`
	// How long the gateway waits for clients.
	Timeouts Timeouts `yaml:"timeouts"`
	// TLS of the data plane.
	TLS TLS `yaml:"tls"`
	// Proxies whose word is taken for where a call comes from: IP ranges or
	// addresses, such as [10.1.0.0/16, 192.0.2.7]. From these, X-Forwarded-For or
	// Forwarded gives the client's address (docs/proxies.md).
	TrustedProxies []string `yaml:"trusted_proxies"`
	// Connections from trusted_proxies begin with a PROXY header, version 1 or 2,
	// which gives the client's address; without one they are closed. Other
	// connections are as ever (docs/proxies.md).
	ProxyProtocol bool `yaml:"proxy_protocol"`
	// Where credentials' own base URLs may lead.
	Egress Egress `yaml:"egress"`
	// End streams that are open when their token, tenant or credential is
	// revoked, within two seconds. Without it they go on to their end.
	CutRevokedStreams bool `yaml:"cut_revoked_streams" reload:"yes"`
	// What is recorded about requests, and where it goes.
	Meter Meter `yaml:"meter"`
	// What the platform charges tenants for: memories stored and retrievals
	// issued. Without it nothing is charged.
	Billing Billing `yaml:"billing" reload:"yes"`
	// What tenants have remembered, and what is put into their calls.
	Memory Memory `yaml:"memory"`
	// The operator's log, JSON lines on stderr.
	Log Log `yaml:"log"`
}

// Addresses are what a plane listens on: in the file, one HOST:PORT or a list.
type Addresses []string

// Admin is the admin plane.
type Admin struct {
	// Address of the admin plane, HOST:PORT, or a list of them, as above. Keep it
	// off public networks.
	Listen Addresses `yaml:"listen"`
	// Token that admin calls present. Required: at least 16 characters, as
	// `openssl rand -hex 32` prints.
	Token Secret `yaml:"token" reload:"yes"`
	// As proxy_protocol, for the admin plane.
	ProxyProtocol bool `yaml:"proxy_protocol"`
	// TLS of the admin plane. Without it, keep the plane on loopback or behind
	// something that speaks TLS.
	TLS AdminTLS `yaml:"tls"`
	// Serve Go's profiles under /debug/pprof/ to holders of the token. Profiles
	// hold names of functions and sizes, no contents of memory.
	Pprof bool `yaml:"pprof"`
}

// AdminTLS is what the admin plane shows to its clients.
type AdminTLS struct {
	// Certificate chain, PEM. It is read again when it has changed.
	CertFile string `yaml:"cert_file"`
	// Its key, PEM.
	KeyFile string `yaml:"key_file"`
}

// Keyring is what seals and unseals credentials.
type Keyring struct {
	// Master key file of the local keyring; `ownkey keygen` makes one. It must
	// lie outside data, so that no backup of the database brings its key along.
	// This or vault.address is required.
	MasterKeyFile string `yaml:"master_key_file"`
	// HashiCorp Vault's transit engine, in place of the local keyring;
	// `ownkey vault policy` prints how to set it up.
	Vault Vault `yaml:"vault"`
	// What sealed before: its rows still open, and `ownkey rewrap` moves them
	// over. Remove it when that is done.
	Previous Previous `yaml:"previous"`
	// How long an unsealed credential stays in memory; 0s unseals for each
	// request. At most 15m.
	CacheTTL time.Duration `yaml:"cache_ttl"`
	// How much longer it stays, to be used only while Vault can not be reached.
	// It lengthens the life of every plaintext in memory. At most 15m.
	Grace time.Duration `yaml:"grace"`
	// Rows that a rewrap takes in a second, at most.
	RewrapRate int64 `yaml:"rewrap_rate"`
}

// Previous is a keyring that no longer seals.
type Previous struct {
	// Master key file that sealed before.
	MasterKeyFile string `yaml:"master_key_file"`
	// Vault that sealed before. It needs another name than the present one.
	Vault Vault `yaml:"vault"`
}

// Vault is a transit engine and who we are to it.
type Vault struct {
	// Stored with each row that it seals. Give another Vault another name.
	Name string `yaml:"name"`
	// https://HOST:PORT; or Vault Agent's listener, http://127.0.0.1:PORT or
	// unix:///PATH.
	Address string `yaml:"address"`
	// Vault namespace.
	Namespace string `yaml:"namespace"`
	// Where the transit engine is mounted.
	Mount string `yaml:"mount"`
	// Certificate authorities to trust in place of the system's, a PEM file.
	CAFile string `yaml:"ca_file"`
	// Allow plain http to an address that is not loopback.
	AllowPlainHTTP bool `yaml:"allow_plain_http"`
	// Deadline of an unseal. A second try on another connection begins after a
	// fifth of it. Between 20ms and 5s.
	Timeout time.Duration `yaml:"timeout"`
	// The identity that opens credentials: it can decrypt and nothing else.
	Data VaultLogin `yaml:"data"`
	// The identity that seals, rewraps, rotates and destroys; it can not
	// decrypt. Without it this gateway serves and stores nothing.
	Admin VaultLogin `yaml:"admin"`
}

// VaultLogin says how an identity logs in. Files are read at each login.
type VaultLogin struct {
	// approle (role_id_file, secret_id_file), kubernetes (role), jwt (role,
	// jwt_file), cert (cert_file, key_file), token_file (token_file) or agent
	// (Vault Agent or Vault Proxy adds the token).
	Method string `yaml:"method"`
	// Where the auth method is mounted; empty for its own name.
	Mount string `yaml:"mount"`
	// Role of kubernetes and jwt; of cert, the certificate role, if any.
	Role string `yaml:"role"`
	// File with AppRole's role id.
	RoleIDFile string `yaml:"role_id_file"`
	// File with AppRole's secret id.
	SecretIDFile string `yaml:"secret_id_file"`
	// File with the JWT; for kubernetes, empty is the pod's own.
	JWTFile string `yaml:"jwt_file"`
	// File with a token that something else keeps fresh.
	TokenFile string `yaml:"token_file"`
	// TLS client certificate, PEM.
	CertFile string `yaml:"cert_file"`
	// Its key, PEM.
	KeyFile string `yaml:"key_file"`
	// Vault Agent's listener of this identity, in place of address.
	Address string `yaml:"address"`
}

// Provider is a vendor that requests are sent to.
type Provider struct {
	// Where its API lies, up to and without the path of a call.
	BaseURL string `yaml:"base_url"`
	// How the credential is presented: bearer (Authorization: Bearer) or
	// x-api-key.
	Auth string `yaml:"auth"`
	// Largest JSON body that is accepted for it, in bytes; 0 takes
	// limits.max_body_bytes.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// Certificate authorities to trust in place of the system's, a PEM file.
	CAFile string `yaml:"ca_file"`
	// Allow plain http to an address that is not loopback.
	AllowPlainHTTP bool `yaml:"allow_plain_http"`
	// Headers of clients that pass to it beside those that do anyway
	// (docs/headers.md), such as [x-team, x-acme-*]: at most 32. Never one that can
	// carry a credential, an address or a cookie, or that frames a message.
	RequestHeaders []string `yaml:"request_headers"`
	// Headers of its responses that pass to clients, likewise.
	ResponseHeaders []string `yaml:"response_headers"`
	// Limit for name lookup, connect and TLS handshake together.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// Limit for the time to the answer's first byte.
	FirstByteTimeout time.Duration `yaml:"first_byte_timeout"`
	// Limit for the silence between two parts of an answer. A comment or a ping of
	// the provider's ends a silence.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// Limit for a whole call.
	TotalTimeout time.Duration `yaml:"total_timeout"`
}

// Timeouts bound how long the gateway waits for clients.
type Timeouts struct {
	// For the head of a request.
	ClientHeader time.Duration `yaml:"client_header"`
	// Between two requests on a connection.
	ClientIdle time.Duration `yaml:"client_idle"`
	// Between two parts of a request's body, which in each such time must come
	// with 500 bytes a second at least.
	ClientSilence time.Duration `yaml:"client_silence"`
	// For a client that does not read its answer.
	ClientWrite time.Duration `yaml:"client_write"`
	// For requests in flight when the gateway is told to stop. The process ends ten
	// seconds later at most.
	Drain time.Duration `yaml:"drain" reload:"yes"`
}

// Meter is what is recorded about requests, and where it goes.
type Meter struct {
	// Bound of what waits on this machine's disk, in bytes: half for the ledger
	// of records, half for segments that ClickHouse has not taken. When it is
	// reached, requests are refused (503 ledger_full) before a provider is asked.
	MaxBytes int64 `yaml:"max_bytes"`
	// Records are flushed to the disk together, this long after the first of
	// them. A crash of the process costs none, loss of power those of this time;
	// 0s leaves the flushing to the operating system.
	FsyncInterval time.Duration `yaml:"fsync_interval"`
	// ClickHouse to keep records in. Without it they are kept in SQLite, in the
	// data directory.
	ClickHouse ClickHouse `yaml:"clickhouse"`
}

// ClickHouse is a server or cluster that keeps records.
type ClickHouse struct {
	// https://HOST:8443 or http:// for the HTTP interface, clickhouses://HOST:9440
	// (TLS) or clickhouse:// for the native protocol. Several servers, separated
	// by commas, are tried in turn.
	URL string `yaml:"url"`
	// Database of the meter's tables. `ownkey migrate` creates it.
	Database string `yaml:"database"`
	// User that inserts and reads; migrate needs one that may create tables.
	User string `yaml:"user"`
	// Its password.
	Password Secret `yaml:"password"`
	// Certificate authorities to trust in place of the system's, a PEM file.
	CAFile string `yaml:"ca_file"`
	// Allow clear text to an address that is not loopback.
	AllowPlain bool `yaml:"allow_plain"`
	// Name of the cluster, as in remote_servers: tables become Replicated, and
	// Distributed over its shards. Empty for a single server.
	Cluster string `yaml:"cluster"`
	// Deadline of one insert. Longer than the server's own max_execution_time.
	Timeout time.Duration `yaml:"timeout"`
}

// Log is the operator's log.
type Log struct {
	// debug, info, warn or error. No level shows a body or a header.
	Level string `yaml:"level" reload:"yes"`
	// Log the address of a client whose call was refused without a valid token, or
	// because its token may not be used there. Addresses are personal data; no
	// record has them.
	ClientAddresses bool `yaml:"client_addresses"`
}

// Ways of presenting a credential.
const (
	AuthBearer  = "bearer"
	AuthXAPIKey = "x-api-key"
)

var defaultVault = Vault{Name: "vault", Mount: "transit", Timeout: 250 * time.Millisecond}

// Default is the configuration that a file changes.
func Default() Config {
	return Config{
		Listen:  Addresses{"127.0.0.1:8080"},
		Admin:   Admin{Listen: Addresses{"127.0.0.1:8081"}},
		Data:    "./ownkey-data",
		Keyring: Keyring{Vault: defaultVault, Previous: Previous{Vault: defaultVault}, CacheTTL: 30 * time.Second, RewrapRate: 500},
		Limits:  defaultLimits,
		Runaway: Runaway{LeastTokensPerMinute: 10_000},
		Timeouts: Timeouts{
			ClientHeader: 10 * time.Second, ClientIdle: 2 * time.Minute, ClientSilence: 30 * time.Second,
			ClientWrite: time.Minute, Drain: 30 * time.Second,
		},
		Meter: Meter{
			MaxBytes: 2 << 30, FsyncInterval: 5 * time.Millisecond,
			ClickHouse: ClickHouse{Database: "ownkey", User: "default", Timeout: 2 * time.Minute},
		},
		Billing: Billing{DefaultPlan: FreePlan},
		Memory:  defaultMemory,
		Log:     Log{Level: "info"},
	}
}

// DefaultProvider is what an entry of a provider changes. 600 s is the official
// SDKs' own limit for an answer; reasoning models are silent for minutes, before
// the first byte and between two events.
func DefaultProvider() Provider {
	return Provider{
		Auth:           AuthBearer,
		ConnectTimeout: 5 * time.Second, FirstByteTimeout: 10 * time.Minute, IdleTimeout: 10 * time.Minute, TotalTimeout: time.Hour,
	}
}

// AllProviders gives the built-in providers together with those of the file.
func (c *Config) AllProviders() map[string]Provider {
	all := make(map[string]Provider, len(builtin)+len(c.Providers))
	for name := range builtin {
		all[name], _ = BuiltinProvider(name)
	}
	maps.Copy(all, c.Providers)
	return all
}
