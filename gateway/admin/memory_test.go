package admin_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/memsearch"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
)

// TestStoredSecretLeavesNothingInMemory has another process store a secret, and
// searches our memory for it.
func TestStoredSecretLeavesNothingInMemory(t *testing.T) {
	if url := os.Getenv("ADMIN_TEST_PUT"); url != "" {
		secret, err := os.ReadFile(os.Getenv("ADMIN_TEST_SECRET"))
		if err != nil {
			t.Fatal(err)
		}
		request, _ := http.NewRequest("PUT", url, bytes.NewReader(append(append([]byte(`{"organization":"org-1","secret":"`), secret...), `"}`...)))
		request.Header.Set("Authorization", "Bearer oka_test")
		response, err := http.DefaultClient.Do(request)
		if err != nil || response.StatusCode != 200 {
			t.Fatal(err, response)
		}
		return
	}
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
	secret := memsearch.Unseen(t, v.File("secret"))
	for range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestStoredSecretLeavesNothingInMemory$")
		child.Env = append(os.Environ(), "ADMIN_TEST_PUT="+p.server.URL+"/admin/v1/tenants/acme/credentials/openai/default", "ADMIN_TEST_SECRET="+v.File("secret"))
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	time.Sleep(100 * time.Millisecond)
	if n := secret.Copies(t); n != 0 {
		t.Errorf("%d copies in plain", n)
	}
	if n := secret.Base64().Copies(t); n != 0 {
		t.Errorf("%d copies in base64", n)
	}
}
