package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// CredentialCmd manages credentials.
type CredentialCmd struct {
	Put    CredentialPutCmd    `cmd:"" help:"Store a tenant's secret for a provider, sealed. The secret is read from standard input or a file."`
	List   CredentialListCmd   `cmd:"" help:"List a tenant's credentials, without secrets."`
	Delete CredentialDeleteCmd `cmd:"" help:"Delete a credential."`
	Test   CredentialTestCmd   `cmd:"" help:"Ask the provider whether it accepts a stored credential. If it does, what the credential replaced is forgotten."`
	// Rollback is the way back from a replacement.
	Rollback CredentialRollbackCmd `cmd:"" help:"Put back the secret that was replaced last."`
}

type credentialAnswer struct {
	ID          string     `json:"id"`
	Provider    string     `json:"provider"`
	Label       string     `json:"label"`
	Host        string     `json:"host"`
	Fingerprint string     `json:"fingerprint"`
	KeyVersion  int        `json:"key_version"`
	UpdatedAt   *time.Time `json:"updated_at"`
	Replaced    *struct {
		Fingerprint string `json:"fingerprint"`
	} `json:"replaced"`
}

// credentialName says which credential is meant.
type credentialName struct {
	Tenant   string `required:"" help:"The tenant's id."`
	Provider string `required:"" help:"The provider's name."`
	Label    string `default:"default" help:"Which of several; clients choose with the header Ownkey-Credential."`
}

func (n *credentialName) path() string {
	return "/tenants/" + url.PathEscape(n.Tenant) + "/credentials/" + url.PathEscape(n.Provider) + "/" + url.PathEscape(n.Label)
}

// CredentialPutCmd stores a credential.
type CredentialPutCmd struct {
	AdminFlags
	credentialName `embed:""`
	SecretFile     string `type:"existingfile" placeholder:"FILE" help:"Read the secret from a file instead of standard input."`
	BaseURL        string `name:"base-url" help:"Another address than the provider's own, such as a private deployment. The secret is bound to its host."`
	Organization   string `help:"Sent as OpenAI-Organization."`
	Project        string `help:"Sent as OpenAI-Project."`
	Test           bool   `help:"Ask the provider first; if it refuses the secret, nothing changes."`
}

// maxSecretBytes is longer than any provider's credential.
const maxSecretBytes = 16 << 10

// Run reads the secret and makes the call.
func (c *CredentialPutCmd) Run() error {
	secret, err := c.read()
	if err != nil {
		return err
	}
	defer clear(secret)
	secret = bytes.TrimSpace(secret)
	if len(secret) == 0 {
		return usageError{errors.New("the secret is empty; give it on standard input or with --secret-file")}
	}
	if bytes.ContainsAny(secret, "\"\\\r\n") {
		return usageError{errors.New("the secret holds a quote, a backslash or a line end; no provider's does")}
	}
	rest, err := json.Marshal(map[string]any{"base_url": c.BaseURL, "organization": c.Organization, "project": c.Project, "test": c.Test})
	if err != nil {
		return fmt.Errorf("cannot encode call: %w", err)
	}
	// The secret is put in by hand: encoding/json would need it as a string.
	body := append([]byte(`{"secret":"`), secret...)
	body = append(body, `",`...)
	body = append(body, rest[1:]...)
	defer clear(body)
	var a credentialAnswer
	if c.AdminToken == "" {
		return usageError{errors.New("no admin token; set OWNKEY_ADMIN_TOKEN or --admin-token")}
	}
	printed, err := c.send("PUT", c.path(), bytes.NewReader(body), &a)
	if err != nil || printed {
		return err
	}
	printf("stored credential %s/%s of tenant %s, fingerprint %s, key version %d\n", a.Provider, a.Label, c.Tenant, a.Fingerprint, a.KeyVersion)
	if a.Replaced != nil {
		printf("the one before, fingerprint %s, is kept: ownkey credential rollback brings it back, ownkey credential test proves the new one and ends it\n",
			a.Replaced.Fingerprint)
	}
	return nil
}

func (c *CredentialPutCmd) read() ([]byte, error) {
	if c.SecretFile != "" {
		return os.ReadFile(c.SecretFile)
	}
	return readSecret("Secret for " + c.Provider)
}

// readSecret reads a secret from the terminal, unseen, or from standard input.
func readSecret(what string) ([]byte, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		fmt.Fprintf(os.Stderr, "%s (not shown): ", what)
		defer fmt.Fprintln(os.Stderr)
		return term.ReadPassword(fd)
	}
	return io.ReadAll(io.LimitReader(os.Stdin, maxSecretBytes))
}

// CredentialListCmd lists credentials.
type CredentialListCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
}

// Run follows the pages of the list.
func (c *CredentialListCmd) Run() error {
	path := "/tenants/" + url.PathEscape(c.Tenant) + "/credentials"
	return list(&c.AdminFlags, path, "credentials", 0, "PROVIDER LABEL HOST FINGERPRINT VERSION UPDATED", func(a *credentialAnswer) []string {
		return []string{a.Provider, a.Label, a.Host, a.Fingerprint, strconv.Itoa(a.KeyVersion), day(a.UpdatedAt)}
	})
}

// CredentialDeleteCmd deletes a credential.
type CredentialDeleteCmd struct {
	AdminFlags
	credentialName `embed:""`
	ConfirmFlags
}

// Run makes the call.
func (c *CredentialDeleteCmd) Run() error {
	name := c.Provider + "/" + c.Label
	if err := c.confirm("credential "+name+" of tenant "+c.Tenant, name); err != nil {
		return err
	}
	printed, err := c.call("DELETE", c.path(), nil, nil)
	if err != nil || printed {
		return err
	}
	printf("deleted credential %s/%s of tenant %s\n", c.Provider, c.Label, c.Tenant)
	return nil
}

// CredentialTestCmd tests a credential.
type CredentialTestCmd struct {
	AdminFlags
	credentialName `embed:""`
}

// Run makes the call; a credential that the provider refuses is a failure.
func (c *CredentialTestCmd) Run() error {
	var a struct {
		OK     bool `json:"ok"`
		Status int  `json:"status"`
	}
	printed, err := c.call("POST", c.path()+"/test", nil, &a)
	if err != nil || printed {
		return err
	}
	if !a.OK {
		return fmt.Errorf("%s answered with status %d", c.Provider, a.Status)
	}
	printf("%s accepts the credential\n", c.Provider)
	return nil
}

// CredentialRollbackCmd undoes a replacement.
type CredentialRollbackCmd struct {
	AdminFlags
	credentialName `embed:""`
}

// Run makes the call.
func (c *CredentialRollbackCmd) Run() error {
	var a credentialAnswer
	printed, err := c.call("POST", c.path()+"/rollback", nil, &a)
	if err != nil || printed {
		return err
	}
	printf("credential %s/%s of tenant %s is the one before again, fingerprint %s\n", a.Provider, a.Label, c.Tenant, a.Fingerprint)
	return nil
}
