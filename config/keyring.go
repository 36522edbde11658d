package config

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	maxCacheTTL = 15 * time.Minute
	maxGrace    = 15 * time.Minute
)

var (
	keyringName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	mountPath   = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)
)

// localName is the local keyring's, in rows (vaultbridge.LocalName).
const localName = "local"

// Configured reports whether there is a Vault.
func (v *Vault) Configured() bool { return v.Address != "" }

func (d *decoder) keyring(c *Config) {
	k := &c.Keyring
	if k.CacheTTL < 0 || k.CacheTTL > maxCacheTTL {
		d.add(nil, "keyring.cache_ttl", "must be between 0s and 15m")
	}
	switch {
	case k.Grace < 0 || k.Grace > maxGrace:
		d.add(nil, "keyring.grace", "must be between 0s and 15m")
	case k.Grace > 0 && k.CacheTTL == 0:
		d.add(nil, "keyring.grace", "needs a cache_ttl: with 0s nothing is kept that could be used in an outage")
	}
	d.between("keyring.rewrap_rate", k.RewrapRate, 1, 100_000)
	switch {
	case k.MasterKeyFile == "" && !k.Vault.Configured():
		d.add(nil, "keyring.master_key_file", "missing; set it for one machine, or keyring.vault.address for Vault")
	case k.MasterKeyFile != "" && k.Vault.Configured():
		d.add(nil, "keyring.master_key_file", "stands beside vault; only one can seal. To move from one to the other, put the old one under previous")
	}
	d.keyFile("keyring.master_key_file", k.MasterKeyFile, c.Data)
	d.keyFile("keyring.previous.master_key_file", k.Previous.MasterKeyFile, c.Data)
	d.vault("keyring.vault", &k.Vault)
	d.vault("keyring.previous.vault", &k.Previous.Vault)
	switch {
	case k.Previous.MasterKeyFile != "" && k.Previous.Vault.Configured():
		d.add(nil, "keyring.previous", "there can be one previous keyring: a master_key_file or a vault")
	case k.Previous.MasterKeyFile != "" && k.MasterKeyFile != "":
		d.add(nil, "keyring.previous.master_key_file", "is of the same kind as the present one; a new version of the key is a line in the same file")
	case k.Previous.Vault.Configured() && k.Vault.Configured() && k.Previous.Vault.Name == k.Vault.Name:
		d.add(nil, "keyring.vault.name", "must differ from keyring.previous.vault.name: rows remember by it who sealed them")
	}
}

func (d *decoder) keyFile(path, file, data string) {
	if file == "" {
		return
	}
	key, kerr := filepath.Abs(file)
	dir, derr := filepath.Abs(data)
	if kerr == nil && derr == nil && strings.HasPrefix(key, dir+string(filepath.Separator)) {
		d.add(nil, path, "must lie outside data: a copy of the data must not bring its key along")
	}
}

func (d *decoder) vault(at string, v *Vault) {
	if !v.Configured() {
		if v.Data.Method != "" || v.Admin.Method != "" {
			d.add(nil, at+".address", "missing")
		}
		return
	}
	if !keyringName.MatchString(v.Name) || v.Name == localName {
		d.add(nil, at+".name", "must match "+keyringName.String()+" and not be "+localName)
	}
	if !mountPath.MatchString(v.Mount) {
		d.add(nil, at+".mount", "must be a path without slashes at its ends")
	}
	d.vaultAddress(at+".address", v.Address, v.AllowPlainHTTP)
	if v.Timeout < 20*time.Millisecond || v.Timeout > 5*time.Second {
		d.add(nil, at+".timeout", "must be between 20ms and 5s")
	}
	if v.Data.Method == "" {
		d.add(nil, at+".data.method", "missing; "+loginMethods)
	}
	d.login(at+".data", &v.Data, v.AllowPlainHTTP)
	d.login(at+".admin", &v.Admin, v.AllowPlainHTTP)
}

func (d *decoder) vaultAddress(at, address string, plain bool) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		if !filepath.IsAbs(path) {
			d.add(nil, at, "want unix:///PATH")
		}
		return
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		d.add(nil, at, "want https://HOST:PORT, or unix:///PATH of Vault Agent's listener")
	case u.Scheme == "http" && !loopback(u.Hostname()) && !plain:
		d.add(nil, at, "would send tokens and credentials in clear; use https, or set allow_plain_http: true")
	}
}

const loginMethods = "want approle, kubernetes, jwt, cert, token_file or agent"

// login checks that a method has what it needs, and nothing that it ignores.
func (d *decoder) login(at string, l *VaultLogin, plain bool) {
	fields := []struct{ name, value string }{
		{"role", l.Role},
		{"role_id_file", l.RoleIDFile},
		{"secret_id_file", l.SecretIDFile},
		{"jwt_file", l.JWTFile},
		{"token_file", l.TokenFile},
		{"cert_file", l.CertFile},
		{"key_file", l.KeyFile},
		{"mount", l.Mount},
	}
	// What each method needs ("!") or may have.
	takes := map[string]map[string]string{
		"approle":    {"role_id_file": "!", "secret_id_file": "!", "mount": "?"},
		"kubernetes": {"role": "!", "jwt_file": "?", "mount": "?"},
		"jwt":        {"role": "!", "jwt_file": "!", "mount": "?"},
		"cert":       {"cert_file": "!", "key_file": "!", "role": "?", "mount": "?"},
		"token_file": {"token_file": "!"},
		"agent":      {},
		"":           {},
	}[l.Method]
	if takes == nil {
		d.add(nil, at+".method", loginMethods)
		return
	}
	for _, f := range fields {
		switch {
		case f.value == "" && takes[f.name] == "!":
			d.add(nil, at+"."+f.name, "missing; method "+l.Method+" needs it")
		case f.value != "" && takes[f.name] == "" && l.Method == "":
			d.add(nil, at+".method", "missing; "+loginMethods)
		case f.value != "" && takes[f.name] == "":
			d.add(nil, at+"."+f.name, "method "+l.Method+" does not use it")
		}
	}
	if l.Address != "" {
		d.vaultAddress(at+".address", l.Address, plain)
	}
}
