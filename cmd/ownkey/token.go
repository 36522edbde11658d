package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// TokenCmd manages tokens.
type TokenCmd struct {
	Create TokenCreateCmd `cmd:"" help:"Make a token. It is shown once."`
	List   TokenListCmd   `cmd:"" help:"List a tenant's tokens."`
	Revoke TokenRevokeCmd `cmd:"" help:"Revoke a token; effective everywhere within two seconds."`
}

type tokenAnswer struct {
	ID        string     `json:"id"`
	Token     string     `json:"token"`
	Label     string     `json:"label"`
	Scopes    []string   `json:"scopes"`
	Models    []string   `json:"models"`
	CreatedAt *time.Time `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

// TokenCreateCmd makes a token.
type TokenCreateCmd struct {
	AdminFlags
	Tenant  string        `required:"" help:"The tenant's id."`
	Label   string        `default:"default" help:"What the token is for."`
	Scope   []string      `help:"inference, memory or usage; all when not given. Repeatable."`
	Model   []string      `help:"Allow only this model, or provider/model; a trailing * stands for any rest. Repeatable."`
	Expires time.Duration `help:"Lifetime, such as 720h; for ever when not given."`
	Memory  string        `enum:"off,on,recall,capture" default:"off" help:"What its calls do with memory where they do not say: ${enum}."`
	Bucket  string        `help:"Bucket that it works with; default when not given."`
}

// Run makes the call.
func (c *TokenCreateCmd) Run() error {
	in := map[string]any{"label": c.Label, "scopes": c.Scope, "models": c.Model, "memory": c.Memory, "bucket": c.Bucket}
	if c.Expires > 0 {
		in["expires_at"] = time.Now().Add(c.Expires).UTC().Format(time.RFC3339)
	}
	var t tokenAnswer
	printed, err := c.call("POST", "/tenants/"+url.PathEscape(c.Tenant)+"/tokens", in, &t)
	if err != nil || printed {
		return err
	}
	fmt.Printf("%s\n", t.Token)
	return nil
}

// TokenListCmd lists tokens.
type TokenListCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
}

// Run makes the call.
func (c *TokenListCmd) Run() error {
	var all struct {
		Tokens []tokenAnswer `json:"tokens"`
	}
	printed, err := c.call("GET", "/tenants/"+url.PathEscape(c.Tenant)+"/tokens", nil, &all)
	if err != nil || printed {
		return err
	}
	var rows [][]string
	for _, t := range all.Tokens {
		rows = append(rows, []string{t.ID, t.Label, strings.Join(t.Scopes, ","), strings.Join(t.Models, ","), day(t.CreatedAt), day(t.ExpiresAt), day(t.RevokedAt)})
	}
	return table("ID LABEL SCOPES MODELS CREATED EXPIRES REVOKED", rows)
}

// TokenRevokeCmd revokes a token.
type TokenRevokeCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
	ID     string `arg:"" help:"The token's id, not the token."`
}

// Run makes the call.
func (c *TokenRevokeCmd) Run() error {
	printed, err := c.call("DELETE", "/tenants/"+url.PathEscape(c.Tenant)+"/tokens/"+url.PathEscape(c.ID), nil, nil)
	if err != nil || printed {
		return err
	}
	fmt.Printf("revoked token %s\n", c.ID)
	return nil
}
