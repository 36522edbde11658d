package vaultbridge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/hashicorp/vault/api"
	"github.com/ownkey/ownkey/internal/secretfile"
)

// Method is a way to log in to Vault.
type Method string

// The methods.
const (
	// MethodAppRole presents a role id and a secret id.
	MethodAppRole Method = "approle"
	// MethodKubernetes presents the pod's service account token.
	MethodKubernetes Method = "kubernetes"
	// MethodJWT presents a JWT from a file, as any OIDC workload identity has.
	MethodJWT Method = "jwt"
	// MethodCert presents a TLS client certificate.
	MethodCert Method = "cert"
	// MethodTokenFile takes a token that something else keeps fresh in a file.
	MethodTokenFile Method = "token_file"
	// MethodAgent sends no token: Vault Agent's listener adds its own.
	MethodAgent Method = "agent"
)

// Login says how one identity logs in. Files are read at every login.
type Login struct {
	Method       Method
	Mount        string // of the auth method; empty for the method's name
	Role         string // of kubernetes and jwt; optional for cert
	RoleIDFile   string // of approle
	SecretIDFile string
	JWTFile      string // of jwt and kubernetes
	TokenFile    string
	CertFile     string // of cert; PEM
	KeyFile      string
	Address      string // of Vault Agent's listener, where the two identities have one each
}

// kubernetesTokenFile is where Kubernetes mounts a pod's token (Kubernetes
// documentation, "Service Accounts").
const kubernetesTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// logIn gets a token. A nil secret is no token and no error: Vault Agent has
// it.
func (s *session) logIn(ctx context.Context) (*api.Secret, error) {
	l := &s.login
	switch l.Method {
	case MethodAgent:
		_, err := s.client.Auth().Token().LookupSelfWithContext(ctx)
		return nil, err
	case MethodTokenFile:
		return s.tokenFromFile(ctx)
	case MethodAppRole:
		secret, err := s.present(ctx, map[string]any{"role_id": fromFile(l.RoleIDFile), "secret_id": fromFile(l.SecretIDFile)})
		return secret, appRoleError(err)
	case MethodKubernetes:
		file := l.JWTFile
		if file == "" {
			file = kubernetesTokenFile
		}
		return s.present(ctx, map[string]any{"role": l.Role, "jwt": fromFile(file)})
	case MethodJWT:
		return s.present(ctx, map[string]any{"role": l.Role, "jwt": fromFile(l.JWTFile)})
	case MethodCert:
		return s.present(ctx, map[string]any{"name": l.Role})
	}
	return nil, fmt.Errorf("cannot log in to Vault: there is no method %q", l.Method)
}

// appRoleError tells refusals of an AppRole login from other failures. Vault
// answers 400 to a role id or secret id that is not, or not any more, valid. 403
// is what it answers to a role that it has locked out, after five refusals by
// default and for fifteen minutes, without looking at what is presented (Vault
// documentation, "User lockout").
func appRoleError(err error) error {
	switch statusOf(err) {
	case http.StatusBadRequest:
		return &loginError{ReasonRefused, "Vault refused the secret id or role id"}
	case http.StatusForbidden:
		return &loginError{ReasonLockedOut, "Vault has locked the role out after too many refused logins; it ends by itself, by default after 15 minutes"}
	}
	return err
}

// ids is a digest of what an AppRole login presents.
type ids [sha256.Size]byte

// ids is what would be presented now, to see when it changes.
func (s *session) ids() ids {
	role, _ := readSecretFile(s.login.RoleIDFile) // a login tells what is wrong
	secret, _ := readSecretFile(s.login.SecretIDFile)
	return sha256.Sum256([]byte(role + "\n" + secret))
}

// endsAt is the name, among what Vault keeps with a secret id and gives out at
// each login, of the time at which it ends in Unix seconds. SetupScript writes it
// there: an identity that asked Vault for it would have to be allowed more.
const endsAt = "ends_at"

func endOf(login *api.Secret) int64 {
	if login == nil || login.Auth == nil {
		return 0
	}
	at, err := strconv.ParseInt(login.Auth.Metadata[endsAt], 10, 64)
	if err != nil || at < 0 {
		return 0
	}
	return at
}

// loginError is a login that Vault answered with a refusal.
type loginError struct {
	reason Reason
	text   string
}

// Error says what happened and the way out.
func (e *loginError) Error() string { return e.text }

// fromFile is a value that stands in a file.
type fromFile string

// present logs in with what proves who we are.
func (s *session) present(ctx context.Context, proof map[string]any) (*api.Secret, error) {
	for name, value := range proof {
		file, ok := value.(fromFile)
		if !ok {
			continue
		}
		content, err := readSecretFile(string(file))
		if err != nil {
			return nil, err
		}
		proof[name] = content
	}
	mount := s.login.Mount
	if mount == "" {
		mount = string(s.login.Method)
	}
	secret, err := s.client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login", proof)
	if err != nil {
		return nil, err
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, errors.New("cannot log in to Vault: its answer holds no token")
	}
	return secret, nil
}

// tokenFromFile takes the token in the file. Its life is asked for; a token
// that may not ask is believed until Vault refuses it.
func (s *session) tokenFromFile(ctx context.Context) (*api.Secret, error) {
	token, err := readSecretFile(s.login.TokenFile)
	if err != nil {
		return nil, err
	}
	s.client.SetToken(token)
	auth := &api.SecretAuth{ClientToken: token}
	found, err := s.client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case err == nil:
		ttl, _ := found.TokenTTL()
		auth.LeaseDuration = int(ttl.Seconds())
		auth.Renewable, _ = found.TokenIsRenewable()
	case reasonOf(err) != ReasonDenied:
		return nil, err
	}
	return &api.Secret{Auth: auth}, nil
}

func readSecretFile(path string) (string, error) {
	b, err := secretfile.Read(path)
	if err != nil {
		return "", fmt.Errorf("cannot log in to Vault: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return "", fmt.Errorf("cannot log in to Vault: %s is empty", path)
	}
	return string(b), nil
}
