package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// TenantCmd manages tenants.
type TenantCmd struct {
	Create  TenantCreateCmd  `cmd:"" help:"Add a tenant."`
	List    TenantListCmd    `cmd:"" help:"List tenants."`
	Show    TenantShowCmd    `cmd:"" help:"Show all that is known of a tenant: settings, limits, tokens, credentials."`
	Update  TenantUpdateCmd  `cmd:"" help:"Change a tenant's name, default provider, routes or memory."`
	Suspend TenantSuspendCmd `cmd:"" help:"Refuse a tenant's calls until it is resumed. Nothing is deleted."`
	Resume  TenantResumeCmd  `cmd:"" help:"Let a suspended tenant go on."`
	Delete  TenantDeleteCmd  `cmd:"" help:"Delete a tenant with its tokens and credentials."`
}

type tenantAnswer struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	DefaultProvider string `json:"default_provider"`
	Routes          []struct {
		Model    string `json:"model"`
		Provider string `json:"provider"`
	} `json:"routes"`
	Limits      map[string]json.Number `json:"limits"`
	CreatedAt   *time.Time             `json:"created_at"`
	SuspendedAt *time.Time             `json:"suspended_at"`
}

// TenantCreateCmd adds a tenant.
type TenantCreateCmd struct {
	AdminFlags
	ID   string `arg:"" help:"Lower-case letters, digits and dashes."`
	Name string `help:"Name for people."`
}

// Run makes the call.
func (c *TenantCreateCmd) Run() error {
	var t tenantAnswer
	printed, err := c.call("POST", "/tenants", map[string]string{"id": c.ID, "name": c.Name}, &t)
	if err != nil || printed {
		return err
	}
	printf("created tenant %s\nnext: ownkey credential put --tenant %s --provider openai < key.txt\n      ownkey token create --tenant %s\n", t.ID, t.ID, t.ID)
	return nil
}

// TenantListCmd lists tenants.
type TenantListCmd struct {
	Limit int `placeholder:"N" help:"At most so many; all when not given."`
	AdminFlags
}

// Run follows the pages of the list.
func (c *TenantListCmd) Run() error {
	if c.Limit < 0 {
		return usageError{errors.New("--limit: want a positive number")}
	}
	return list(&c.AdminFlags, "/tenants", "tenants", c.Limit, "ID NAME DEFAULT ROUTES CREATED SUSPENDED", func(t *tenantAnswer) []string {
		return []string{t.ID, t.Name, t.DefaultProvider, t.routes(), day(t.CreatedAt), day(t.SuspendedAt)}
	})
}

// routes are a tenant's routes on one line.
func (t *tenantAnswer) routes() string {
	all := make([]string, 0, len(t.Routes))
	for _, r := range t.Routes {
		all = append(all, r.Model+"="+r.Provider)
	}
	return strings.Join(all, ",")
}

// TenantShowCmd shows a tenant.
type TenantShowCmd struct {
	AdminFlags
	ID string `arg:""`
}

// Run makes the calls.
func (c *TenantShowCmd) Run() error {
	path := "/tenants/" + url.PathEscape(c.ID)
	if c.JSON {
		_, err := c.call("GET", path, nil, nil)
		return err
	}
	var t tenantAnswer
	if _, err := c.call("GET", path, nil, &t); err != nil {
		return err
	}
	all, usable := 0, 0
	err := items(&c.AdminFlags, path+"/tokens", "tokens", 0, func(token *tokenAnswer) {
		if all++; token.RevokedAt == nil && token.StoppedAt == nil && (token.ExpiresAt == nil || token.ExpiresAt.After(time.Now())) {
			usable++
		}
	})
	if err != nil {
		return err
	}
	limits := make([]string, 0, len(t.Limits))
	for name, n := range t.Limits {
		if n != "0" {
			limits = append(limits, name+"="+n.String())
		}
	}
	slices.Sort(limits)
	rows := [][]string{
		{"name", t.Name},
		{"created", day(t.CreatedAt)},
		{"suspended", day(t.SuspendedAt)},
		{"default provider", t.DefaultProvider},
		{"routes", t.routes()},
		{"limits", strings.Join(limits, ",")},
	}
	rows = append(rows, []string{"tokens", fmt.Sprintf("%d, of which %d can be used", all, usable)})
	err = items(&c.AdminFlags, path+"/credentials", "credentials", 0, func(k *credentialAnswer) {
		rows = append(rows, []string{"credential", fmt.Sprintf("%s/%s, fingerprint %s, key version %d", k.Provider, k.Label, k.Fingerprint, k.KeyVersion)})
	})
	if err != nil {
		return err
	}
	return table("TENANT "+t.ID, rows)
}

// TenantSuspendCmd suspends a tenant.
type TenantSuspendCmd struct {
	AdminFlags
	ID string `arg:""`
}

// Run makes the call.
func (c *TenantSuspendCmd) Run() error { return c.turn(c.ID, "suspend", "suspended") }

// TenantResumeCmd ends a suspension.
type TenantResumeCmd struct {
	AdminFlags
	ID string `arg:""`
}

// Run makes the call.
func (c *TenantResumeCmd) Run() error { return c.turn(c.ID, "resume", "resumed") }

func (f *AdminFlags) turn(tenant, verb, done string) error {
	printed, err := f.call("POST", "/tenants/"+url.PathEscape(tenant)+"/"+verb, nil, nil)
	if err != nil || printed {
		return err
	}
	printf("%s tenant %s\n", done, tenant)
	return nil
}

// TenantUpdateCmd changes a tenant.
type TenantUpdateCmd struct {
	AdminFlags
	ID              string   `arg:""`
	Name            *string  `help:"Name for people."`
	DefaultProvider *string  `help:"Provider for models that no route names."`
	Route           []string `placeholder:"MODEL=PROVIDER" help:"Route a model, or a prefix with *, to a provider. Replaces all routes. Repeatable."`
	ClearRoutes     bool     `help:"Remove all routes."`

	EmbeddingsModel  *string `group:"Memory" placeholder:"MODEL" help:"Model that makes vectors of memories; empty for none."`
	ExtractionModel  *string `group:"Memory" placeholder:"MODEL" help:"Model that finds facts in memories; empty for none."`
	SynthesisModel   *string `group:"Memory" placeholder:"MODEL" help:"Model that answers queries and writes profiles; empty for the gateway's choice."`
	CaptureAssistant *bool   `group:"Memory" negatable:"" help:"Capture what the assistant says, too."`
	LimitFlags
}

// Run makes the call.
func (c *TenantUpdateCmd) Run() error {
	change := map[string]any{}
	if c.Name != nil {
		change["name"] = *c.Name
	}
	if c.DefaultProvider != nil {
		change["default_provider"] = *c.DefaultProvider
	}
	if len(c.Route) > 0 || c.ClearRoutes {
		routes := []map[string]string{}
		for _, r := range c.Route {
			model, provider, ok := strings.Cut(r, "=")
			if !ok {
				return usageError{fmt.Errorf("--route %s: want MODEL=PROVIDER", r)}
			}
			routes = append(routes, map[string]string{"model": model, "provider": provider})
		}
		change["routes"] = routes
	}
	memory := map[string]any{}
	for name, value := range map[string]*string{"embeddings_model": c.EmbeddingsModel, "extraction_model": c.ExtractionModel, "synthesis_model": c.SynthesisModel} {
		if value != nil {
			memory[name] = *value
		}
	}
	if c.CaptureAssistant != nil {
		memory["capture_assistant"] = *c.CaptureAssistant
	}
	if len(memory) > 0 {
		change["memory"] = memory
	}
	c.addTo(change)
	if len(change) == 0 {
		return errNothing
	}
	printed, err := c.call("PATCH", "/tenants/"+url.PathEscape(c.ID), change, nil)
	if err != nil || printed {
		return err
	}
	printf("updated tenant %s\n", c.ID)
	return nil
}

// TenantDeleteCmd deletes a tenant.
type TenantDeleteCmd struct {
	AdminFlags
	ID    string `arg:""`
	Shred bool   `help:"Destroy the tenant's key as well, so that backups cannot be opened."`
	ConfirmFlags
}

// Run makes the call.
func (c *TenantDeleteCmd) Run() error {
	if err := c.confirm("tenant "+c.ID+" with its tokens, credentials and memories", c.ID); err != nil {
		return err
	}
	path := "/tenants/" + url.PathEscape(c.ID)
	if c.Shred {
		path += "?shred=true"
	}
	printed, err := c.call("DELETE", path, nil, nil)
	if err != nil || printed {
		return err
	}
	printf("deleted tenant %s\n", c.ID)
	return nil
}
