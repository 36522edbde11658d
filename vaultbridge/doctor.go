package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	// Untested: there was nothing to look at. It is no failure, and proves nothing.
	Untested bool `json:"untested,omitempty"`
}

// ErrUntested is of a check that had nothing to look at.
var ErrUntested = errors.New("not tested")

// NewFinding is what a check has found; err, if there is one, is its detail.
func NewFinding(check, detail string, err error) Finding {
	f := Finding{Check: check, OK: err == nil || errors.Is(err, ErrUntested), Detail: detail, Untested: errors.Is(err, ErrUntested)}
	if !f.OK {
		f.Detail = err.Error()
	}
	return f
}

// probe is a tenant that can not exist (names begin with a letter or digit).
const probe = keyPrefix + "-doctor"

// duties are what each identity must be able to do, exactly: capabilities on a
// path below Vault's API.
func duties(mount string) map[string]map[string][]string {
	in := func(path string) string { return mount + "/" + path }
	return map[string]map[string][]string{
		"data": {in("decrypt/" + probe): {"update"}},
		"admin": {
			in("keys/" + probe):             {"create", "delete", "read", "update"},
			in("keys/" + probe + "/rotate"): {"create", "delete", "read", "update"},
			in("keys/" + probe + "/config"): {"create", "delete", "read", "update"},
			in("encrypt/" + probe):          {"update"},
			in("rewrap/" + probe):           {"update"},
			in("hmac/" + fingerprintKey):    {"update"},
			in("keys/" + fingerprintKey):    {"read"},
			"sys/audit":                     {"read", "sudo"},
			auditHeaderPath:                 {"read", "sudo"},
		},
	}
}

const auditHeaderPath = "sys/config/auditing/request-headers/ownkey-unseal-id"

// temptations are paths that give away a key, widen a token, or hide a trace.
// Neither identity may touch one that is not among its duties.
func temptations(mount string) []string {
	var all []string
	for _, path := range []string{
		"decrypt/" + probe, "encrypt/" + probe, "rewrap/" + probe, "keys/" + probe, "keys/" + probe + "/rotate", "keys/" + probe + "/config",
		"decrypt/somebody-else", "encrypt/somebody-else", "keys/somebody-else", "keys/" + fingerprintKey, "keys/" + fingerprintKey + "/rotate",
		"hmac/" + fingerprintKey, "decrypt/" + fingerprintKey,
		"export/encryption-key/" + probe, "export/hmac-key/" + fingerprintKey, "backup/" + probe, "restore/" + probe,
		"datakey/plaintext/" + probe, "cache-config", "config/keys",
	} {
		all = append(all, mount+"/"+path)
	}
	return append(all, "sys/audit", "sys/audit/file", auditHeaderPath, "sys/config/auditing/request-headers/other",
		"sys/policies/acl/ownkey-data", "sys/policy/ownkey-admin", "sys/mounts", "sys/mounts/"+mount, "sys/auth", "sys/auth/approle",
		"sys/seal", "sys/rotate", "sys/raw/core", "sys/remount", "auth/token/create", "auth/token/create-orphan", "auth/token/lookup",
		"auth/approle/role/ownkey-admin/secret-id", "auth/approle/role/ownkey-data/secret-id", "identity/entity", "secret/data/anything", "kv/data/anything")
}

// Examine proves what can be proven about the running identities and Vault's
// settings. keys are the names of tenants' keys that are looked at.
func (t *Transit) Examine(ctx context.Context, keys []string) []Finding {
	findings := make([]Finding, 0, 8)
	add := func(check string, err error, detail string) {
		findings = append(findings, NewFinding(check, detail, err))
	}
	add("vault answers", t.health(ctx), t.o.Address)
	skew, err := t.skew(ctx)
	add("clock agrees with Vault's", err, fmt.Sprintf("%v apart", skew))
	for _, s := range t.sessions() {
		if err := s.loggedIn(); err != nil {
			add(s.identity+" identity: is logged in", fmt.Errorf("%s: %w", spelled(reasonOf(err)), err), "")
			continue
		}
		if s.login.Method == MethodAppRole {
			detail, err := s.life(time.Now())
			add(s.identity+" identity: secret id lives on", err, detail)
		}
		add(s.identity+" identity: can do its work and no more", s.examine(ctx, t.o.Mount),
			fmt.Sprintf("%d duties, %d other paths refused", len(duties(t.o.Mount)[s.identity]), len(temptations(t.o.Mount))-s.overlap(t.o.Mount)))
	}
	if t.admin == nil {
		add("admin identity", ErrUntested, "none configured: this gateway can not seal, rotate or look further")
		return findings
	}
	add("audit device is on", t.examineAudit(ctx), "every call is logged; "+UnsealHeader+" in clear")
	add("key of fingerprints", t.examineFingerprintKey(ctx), fingerprintKey+" is of type hmac")
	unfit := t.examineKeys(ctx, keys)
	if unfit == nil && len(keys) == 0 {
		unfit = ErrUntested
	}
	add("keys of tenants", unfit, fmt.Sprintf("%d keys: %s, derived, not exportable", len(keys), keyType))
	return findings
}

// spelled is a reason in words.
func spelled(r Reason) string { return strings.ReplaceAll(string(r), "_", " ") }

// leastLife of a secret id: from then on an operator has to act.
const leastLife = 14 * 24 * time.Hour

// life says how long the identity's secret id lives, as far as that is known.
func (s *session) life(now time.Time) (detail string, err error) {
	at := s.ends.Load()
	if at == 0 {
		return "its end is not known: it was not made with ownkey vault policy", ErrUntested
	}
	ends := time.Unix(at, 0).UTC()
	detail = fmt.Sprintf("it ends on %s, in %d days", ends.Format(time.DateOnly), int(ends.Sub(now)/(24*time.Hour)))
	if ends.Sub(now) < leastLife {
		return "", errors.New(detail + "; run the script of ownkey vault policy again, where its files are")
	}
	return detail, nil
}

// mostSkew between our clock and Vault's, which tells whole seconds: the lives of
// tokens and secret ids are compared across them.
const mostSkew = 5 * time.Second

func (t *Transit) skew(ctx context.Context) (time.Duration, error) {
	health, err := t.data.client.Sys().HealthWithContext(ctx)
	if err != nil {
		return 0, &unavailable{reasonOf(err)}
	}
	skew := time.Until(time.Unix(health.ServerTimeUTC, 0)).Abs().Round(time.Second)
	if skew > mostSkew {
		return skew, fmt.Errorf("the two are %v apart; synchronize them", skew)
	}
	return skew, nil
}

// capabilities asks what the session's own token may do.
func (s *session) capabilities(ctx context.Context, paths []string) (map[string][]string, error) {
	answer, err := s.client.Logical().WriteWithContext(ctx, "sys/capabilities-self", map[string]any{"paths": paths})
	if err != nil {
		return nil, &unavailable{reasonOf(err)}
	}
	may := map[string][]string{}
	for _, path := range paths {
		list, ok := answer.Data[path].([]any)
		if !ok {
			return nil, errBadAnswer
		}
		for _, capability := range list {
			may[path] = append(may[path], fmt.Sprint(capability))
		}
		slices.Sort(may[path])
	}
	return may, nil
}

func (s *session) overlap(mount string) int {
	n := 0
	for _, path := range temptations(mount) {
		if _, ok := duties(mount)[s.identity][path]; ok {
			n++
		}
	}
	return n
}

// examine compares what the identity may do with its duties, path by path.
func (s *session) examine(ctx context.Context, mount string) error {
	ctx, stop := context.WithTimeout(ctx, adminTimeout)
	defer stop()
	want := duties(mount)[s.identity]
	paths := temptations(mount)
	for path := range want {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	may, err := s.capabilities(ctx, paths)
	if err != nil {
		return err
	}
	var wrong []string
	for _, path := range paths {
		wanted := want[path]
		if wanted == nil {
			wanted = []string{"deny"}
		}
		if !slices.Equal(may[path], wanted) {
			wrong = append(wrong, fmt.Sprintf("%s: may [%s], should [%s]", path, strings.Join(may[path], " "), strings.Join(wanted, " ")))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s; print the policies with: ownkey vault policy", strings.Join(wrong, "; "))
	}
	return nil
}

func (t *Transit) examineAudit(ctx context.Context) error {
	return t.asked(ctx, func(ctx context.Context, c *api.Client) error {
		devices, err := c.Sys().ListAuditWithContext(ctx)
		if err != nil {
			return err
		}
		if len(devices) == 0 {
			return fmt.Errorf("no audit device; turn one on: vault audit enable file file_path=PATH")
		}
		for path, d := range devices {
			if d.Options["log_raw"] == "true" {
				return fmt.Errorf("audit device %s has log_raw=true: it writes tokens and plaintexts in clear; disable it", path)
			}
		}
		header, err := c.Logical().ReadWithContext(ctx, auditHeaderPath)
		if statusOf(err) == 400 || err == nil && header == nil {
			return fmt.Errorf("header %s is not audited; run: vault write %s hmac=false", UnsealHeader, auditHeaderPath)
		}
		if err != nil {
			return err
		}
		settings, _ := header.Data[strings.ToLower(UnsealHeader)].(map[string]any)
		if hmac, ok := settings["hmac"].(bool); !ok || hmac {
			return fmt.Errorf("header %s is hashed in the audit log; run: vault write %s hmac=false", UnsealHeader, auditHeaderPath)
		}
		return nil
	})
}

// asked is ask for findings: what is wrong is told in full.
func (t *Transit) asked(ctx context.Context, call func(ctx context.Context, c *api.Client) error) error {
	var found error
	err := t.ask(ctx, func(ctx context.Context, c *api.Client) error {
		if found = call(ctx, c); found != nil && statusOf(found) > 0 {
			return found
		}
		return nil
	})
	if err != nil {
		return err
	}
	return found
}

func (t *Transit) examineFingerprintKey(ctx context.Context) error {
	k, err := t.readKey(ctx, fingerprintKey)
	switch {
	case err != nil:
		return err
	case k.Type != "hmac" || k.Exportable || k.AllowPlaintextBackup:
		return fmt.Errorf("%s: type %s, exportable %v, allow_plaintext_backup %v", fingerprintKey, k.Type, k.Exportable, k.AllowPlaintextBackup)
	case k.MinDecryptionVersion > 1:
		return fmt.Errorf("%s was rotated: fingerprints are made with version 1, which is retired", fingerprintKey)
	}
	return nil
}

// maxNamed keys are named in a finding; the rest is counted.
const maxNamed = 10

func (t *Transit) examineKeys(ctx context.Context, keys []string) error {
	var wrong []string
	for _, key := range keys {
		k, err := t.readKey(ctx, key)
		why := k.unfit()
		switch {
		case err != nil:
			why = err.Error()
		case why == "" && k.DeletionAllowed:
			why = "deletion_allowed is true"
		}
		if why != "" {
			wrong = append(wrong, key+": "+why)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	rest := ""
	if len(wrong) > maxNamed {
		rest = fmt.Sprintf("; and %d more", len(wrong)-maxNamed)
	}
	return fmt.Errorf("%s%s", strings.Join(wrong[:min(len(wrong), maxNamed)], "; "), rest)
}
