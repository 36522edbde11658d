package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

// TokenCmd manages tokens.
type TokenCmd struct {
	Create TokenCreateCmd `cmd:"" help:"Make a token. It is shown once."`
	List   TokenListCmd   `cmd:"" help:"List a tenant's tokens."`
	Update TokenUpdateCmd `cmd:"" help:"Change what a token may use."`
	Stop   TokenStopCmd   `cmd:"" help:"Refuse a token's calls until it is resumed."`
	Resume TokenResumeCmd `cmd:"" help:"Let a stopped token go on."`
	Revoke TokenRevokeCmd `cmd:"" help:"Revoke a token; effective everywhere within two seconds."`
}

type tokenAnswer struct {
	ID      string   `json:"id"`
	Token   string   `json:"token"`
	Label   string   `json:"label"`
	Scopes  []string `json:"scopes"`
	Models  []string `json:"models"`
	From    []string `json:"allow_from"`
	Bucket  string   `json:"bucket"`
	Buckets struct {
		Read  []string `json:"read"`
		Write []string `json:"write"`
	} `json:"buckets"`
	Unconfined bool       `json:"unconfined"`
	CreatedAt  *time.Time `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
	StoppedAt  *time.Time `json:"stopped_at"`
}

// TokenCreateCmd makes a token.
type TokenCreateCmd struct {
	AdminFlags
	Tenant  string   `required:"" help:"The tenant's id."`
	Label   string   `default:"default" help:"What the token is for."`
	Expires lifetime `placeholder:"TIME" help:"Lifetime, such as 30d, 12h or 2 weeks; for ever when not given."`
	PermissionFlags
	LimitFlags
}

// PermissionFlags are what a token may use.
type PermissionFlags struct {
	Scope       []string `help:"inference, memory, usage, or * for these three, which is also the default. Repeatable."`
	Model       []string `help:"Allow only this model, or provider/model; a trailing * stands for any rest. Such a token calls only paths whose model is read, and the lists of models. Default: *. Repeatable."`
	Endpoint    []string `placeholder:"PATTERN" help:"Beside --model: also allow this path, such as /v1/files or /v1/files/*; \"\" for none. Repeatable."`
	Credential  []string `placeholder:"PATTERN" help:"Allow only credentials of this label, for calls with Ownkey-Credential and without; a trailing * stands for any rest. Default: *. Repeatable."`
	AllowFrom   []string `placeholder:"CIDR" help:"Refuse its calls from other addresses: an IP range such as 203.0.113.0/24, or an address; \"\" for none. Behind a proxy the gateway needs trusted_proxies to know them. Default: from anywhere. Repeatable."`
	Memory      *string  `placeholder:"MODE" help:"What its calls do with memory where they do not say: off, on, recall or capture. Default: off."`
	MemoryTTL   *string  `placeholder:"TIME" help:"How long what its calls have captured is kept: 12h, 90d, 4w or never; empty for memory.ttl of the configuration. A bucket's own setting goes before it."`
	Bucket      *string  `placeholder:"NAME" help:"Bucket that it works with, and the only one that it may use; a pattern with a trailing * for several. Default: default, and all."`
	ReadBucket  []string `placeholder:"PATTERN" help:"Buckets that it may read, where they are not those of --bucket; \"\" for none. Repeatable."`
	WriteBucket []string `placeholder:"PATTERN" help:"Buckets that it may write, likewise. Repeatable."`
}

// addTo puts what was named into a call.
func (f *PermissionFlags) addTo(in map[string]any) {
	addLists(in, map[string][]string{"scopes": f.Scope, "models": f.Model, "endpoints": f.Endpoint, "credentials": f.Credential, "allow_from": f.AllowFrom})
	for name, value := range map[string]*string{"memory": f.Memory, "memory_ttl": f.MemoryTTL, "bucket": f.Bucket} {
		if value != nil {
			in[name] = *value
		}
	}
	buckets := map[string]any{}
	addLists(buckets, map[string][]string{"read": f.ReadBucket, "write": f.WriteBucket})
	if len(buckets) > 0 {
		in["buckets"] = buckets
	}
}

// addLists puts the lists that were named into a call. A flag that was given as
// "" is an empty one.
func addLists(in map[string]any, lists map[string][]string) {
	for name, list := range lists {
		if list != nil {
			in[name] = list
		}
	}
}

// Run makes the call.
func (c *TokenCreateCmd) Run() error {
	in := map[string]any{"label": c.Label}
	if c.Expires > 0 {
		in["expires_at"] = time.Now().Add(time.Duration(c.Expires)).UTC().Format(time.RFC3339)
	}
	c.PermissionFlags.addTo(in)
	c.LimitFlags.addTo(in)
	var t tokenAnswer
	printed, err := c.call("POST", "/tenants/"+url.PathEscape(c.Tenant)+"/tokens", in, &t)
	if err != nil || printed {
		return err
	}
	if term.IsTerminal(int(os.Stderr.Fd())) { // whoever reads it by a program wants the token alone
		progress("id %s, for ownkey token update, stop and revoke; the token is shown this once:", t.ID)
	}
	printf("%s\n", t.Token)
	return nil
}

// TokenListCmd lists tokens.
type TokenListCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
}

// Run follows the pages of the list.
func (c *TokenListCmd) Run() error {
	path := "/tenants/" + url.PathEscape(c.Tenant) + "/tokens"
	return list(&c.AdminFlags, path, "tokens", 0, "ID LABEL SCOPES MODELS FROM BUCKETS CREATED EXPIRES REVOKED STOPPED", func(t *tokenAnswer) []string {
		return []string{t.ID, t.Label, strings.Join(t.Scopes, ","), strings.Join(t.Models, ","), cmp.Or(strings.Join(t.From, ","), "anywhere"), t.buckets(), day(t.CreatedAt), day(t.ExpiresAt), day(t.RevokedAt), day(t.StoppedAt)}
	})
}

// buckets says which ones a token may use: read and written apart where they
// differ.
func (t *tokenAnswer) buckets() string {
	read, write := strings.Join(t.Buckets.Read, ","), strings.Join(t.Buckets.Write, ",")
	switch {
	case t.Unconfined:
		return "all (unconfined)"
	case read == write:
		return read
	}
	return "read " + cmp.Or(read, "none") + "; write " + cmp.Or(write, "none")
}

// TokenUpdateCmd changes a token.
type TokenUpdateCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
	ID     string `arg:"" help:"The token's id, not the token."`
	PermissionFlags
	LimitFlags
}

// Run makes the call.
func (c *TokenUpdateCmd) Run() error {
	in := map[string]any{}
	c.PermissionFlags.addTo(in)
	c.LimitFlags.addTo(in)
	if len(in) == 0 {
		return errNothing
	}
	return c.change("PATCH", c.Tenant, c.ID, "", in, "updated")
}

// TokenStopCmd stops a token.
type TokenStopCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
	ID     string `arg:"" help:"The token's id, not the token."`
}

// Run makes the call.
func (c *TokenStopCmd) Run() error { return c.change("POST", c.Tenant, c.ID, "/stop", nil, "stopped") }

// TokenResumeCmd lets a token go on.
type TokenResumeCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
	ID     string `arg:"" help:"The token's id, not the token."`
}

// Run makes the call.
func (c *TokenResumeCmd) Run() error {
	return c.change("POST", c.Tenant, c.ID, "/resume", nil, "resumed")
}

// change makes a call about one token and says what was done.
func (f *AdminFlags) change(method, tenant, id, verb string, in any, done string) error {
	if strings.HasPrefix(id, "ok_") {
		return usageError{errors.New("give the token's id, not the token: ownkey token list shows it (and the token itself has now been an argument, which other users of this machine may have seen)")}
	}
	printed, err := f.call(method, "/tenants/"+url.PathEscape(tenant)+"/tokens/"+url.PathEscape(id)+verb, in, nil)
	if err != nil || printed {
		return err
	}
	printf("%s token %s\n", done, id)
	return nil
}

// LimitFlags are limits of a token or a tenant.
type LimitFlags struct {
	Limit map[string]float64 `placeholder:"NAME=N" help:"Limit, such as requests_per_second=5, tokens_per_minute, requests_in_flight, streams, body_bytes, tokens_per_day or tokens_per_month; 0 takes the gateway's default. Repeatable."`
}

// addTo puts the limits that were named into a call.
func (f *LimitFlags) addTo(in map[string]any) {
	if len(f.Limit) > 0 {
		limits := map[string]any{}
		for name, n := range f.Limit {
			limits[name] = json.Number(strconv.FormatFloat(n, 'f', -1, 64))
		}
		in["limits"] = limits
	}
}

// TokenRevokeCmd revokes a token.
type TokenRevokeCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
	ID     string `arg:"" help:"The token's id, not the token."`
}

// Run makes the call.
func (c *TokenRevokeCmd) Run() error {
	return c.change("DELETE", c.Tenant, c.ID, "", nil, "revoked")
}
