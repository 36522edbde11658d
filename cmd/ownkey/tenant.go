package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// TenantCmd manages tenants.
type TenantCmd struct {
	Create TenantCreateCmd `cmd:"" help:"Add a tenant."`
	List   TenantListCmd   `cmd:"" help:"List tenants."`
	Update TenantUpdateCmd `cmd:"" help:"Change a tenant's name, default provider, routes or memory."`
	Delete TenantDeleteCmd `cmd:"" help:"Delete a tenant with its tokens and credentials."`
}

type tenantAnswer struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	DefaultProvider string `json:"default_provider"`
	Routes          []struct {
		Model    string `json:"model"`
		Provider string `json:"provider"`
	} `json:"routes"`
	CreatedAt *time.Time `json:"created_at"`
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
type TenantListCmd struct{ AdminFlags }

// Run makes the call.
func (c *TenantListCmd) Run() error {
	var all struct {
		Tenants []tenantAnswer `json:"tenants"`
	}
	printed, err := c.call("GET", "/tenants", nil, &all)
	if err != nil || printed {
		return err
	}
	var rows [][]string
	for _, t := range all.Tenants {
		var routes []string
		for _, r := range t.Routes {
			routes = append(routes, r.Model+"="+r.Provider)
		}
		rows = append(rows, []string{t.ID, t.Name, t.DefaultProvider, strings.Join(routes, ","), day(t.CreatedAt)})
	}
	return table("ID NAME DEFAULT ROUTES CREATED", rows)
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
	Shred bool   `help:"Destroy the tenant's key as well, so that backups can not be opened."`
}

// Run makes the call.
func (c *TenantDeleteCmd) Run() error {
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
