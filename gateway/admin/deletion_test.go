package admin_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
)

// TestDeletionThatAReaderHoldsUpSaysSo: 202 while another process reads the
// file, 204 when nobody does.
func TestDeletionThatAReaderHoldsUpSaysSo(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	const path = "/tenants/acme/credentials/openai/default"
	p.want("PUT", path, `{"secret":"sk-1"}`, 200)
	other, err := db.Open(t.Context(), filepath.Join(p.dir, "ownkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	reader, err := other.Read.BeginTx(t.Context(), nil)
	if err == nil {
		err = reader.QueryRow("SELECT count(*) FROM credentials").Scan(new(int))
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := p.want("DELETE", path, "", 202); got["deleted"] != true || got["erased"] != false {
		t.Errorf("with a reader: %v", got)
	}
	if got := p.want("DELETE", "/tenants/acme", "", 202); got["erased"] != false {
		t.Errorf("a tenant, with a reader: %v", got)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	p.want("POST", "/tenants", `{"id":"other"}`, 201)
	p.want("DELETE", "/tenants/other", "", 204)
}

// TestShredWaitsForARewrap: while a credential is under another keyring, to
// destroy the tenant's key would not destroy it; nothing is deleted.
func TestShredWaitsForARewrap(t *testing.T) {
	v := vaulttest.Start(t, vaultbridge.SetupScript("transit", "unused"), false)
	login := func(identity string) vaultbridge.Login {
		return vaultbridge.Login{
			Method: vaultbridge.MethodAppRole, RoleIDFile: v.File("ownkey-" + identity + ".role-id"), SecretIDFile: v.File("ownkey-" + identity + ".secret-id"),
		}
	}
	transit, err := vaultbridge.NewTransit(context.Background(), vaultbridge.TransitOptions{
		Name: "vault", Address: v.URL, Mount: "transit", Timeout: time.Second, Data: login("data"), Admin: login("admin"),
		Journal: func(vaultbridge.Unsealing) {}, Notify: func(vaultbridge.Event) {}, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer transit.Close()
	p := newPlane(t, transit)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	p.want("PUT", "/tenants/acme/credentials/openai/default", `{"secret":"sk-1"}`, 200)
	id, err := p.directory.CredentialID("acme", "openai", "before")
	if err == nil {
		_, err = p.directory.PutCredential(t.Context(), directory.Credential{
			ID: id, TenantID: "acme", Provider: "openai", Label: "before", Host: "h:443", Keyring: vaultbridge.LocalName, KeyVersion: 1, Sealed: "x", Fingerprint: "x",
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if status, answer, raw := p.call("DELETE", "/tenants/acme?shred=true", ""); status != 409 || answer["error"].(map[string]any)["code"] != "not_rewrapped" {
		t.Errorf("%d %s", status, raw)
	}
	p.want("GET", "/tenants/acme", "", 200)
	p.want("DELETE", "/tenants/acme/credentials/openai/before", "", 204)
	p.want("DELETE", "/tenants/acme?shred=true", "", 204)
}
