package vaultbridge

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/vaultserver"
)

// write makes a file beside those of the setup.
func (v *vault) write(name, content string) (path string) {
	v.t.Helper()
	if err := os.WriteFile(v.File(name), []byte(content), 0o600); err != nil {
		v.t.Fatal(err)
	}
	return v.File(name)
}

// roundTrip seals with one identity and opens with the other.
func roundTrip(t *testing.T, k Keyring) Bound {
	t.Helper()
	b := Bound{Context: testContext, Blob: mustSeal(t, k, testContext, "sk-test").Blob}
	if got, _ := mustOpen(t, k, b.Context, b.Blob); got != "sk-test" {
		t.Errorf("opened as %q", got)
	}
	return b
}

// signJWT signs as an identity provider does (RFC 7515, RS256).
func signJWT(t *testing.T, key *rsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func newRSAKey(t *testing.T) (key *rsa.PrivateKey, publicPEM string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func certificatePEM(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestLoginWithJWT(t *testing.T) {
	v := startVault(t, false)
	key, public := newRSAKey(t)
	v.write("issuer.pem", public)
	v.Script(`vault auth enable -path=workload jwt
vault write auth/workload/config jwt_validation_pubkeys=@issuer.pem
for identity in data admin; do
  vault write auth/workload/role/$identity role_type=jwt bound_audiences=vault user_claim=sub token_policies=ownkey-$identity
done`)
	file := v.write("jwt", signJWT(t, key, map[string]any{"sub": "gateway", "aud": "vault"}))
	login := func(role string) Login {
		return Login{Method: MethodJWT, Mount: "workload", Role: role, JWTFile: file}
	}
	roundTrip(t, v.keyring(func(o *TransitOptions) { o.Data, o.Admin = login("data"), login("admin") }))

	// The file is read at each login: one for another audience is refused.
	v.write("jwt", signJWT(t, key, map[string]any{"sub": "gateway", "aud": "elsewhere"}))
	k := v.keyring(func(o *TransitOptions) { o.Data = login("data") })
	if _, err := k.Unseal(t.Context(), Bound{Context: testContext, Blob: mustSeal(t, k, testContext, "sk-test").Blob}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with a JWT for another audience: %v", err)
	}
}

// TestLoginWithKubernetes: Vault is real and asks a double of Kubernetes,
// which knows one token.
func TestLoginWithKubernetes(t *testing.T) {
	v := startVault(t, false)
	key, _ := newRSAKey(t)
	token := signJWT(t, key, map[string]any{
		"iss": "kubernetes", "sub": "system:serviceaccount:ownkey:gateway",
		"kubernetes.io": map[string]any{"namespace": "ownkey", "serviceaccount": map[string]any{"name": "gateway", "uid": "uid-1"}},
	})
	kubernetes := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec struct {
				Token string `json:"token"`
			} `json:"spec"`
		}
		err := json.NewDecoder(r.Body).Decode(&review)
		if r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || err != nil {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":%t,"user":{
			"username":"system:serviceaccount:ownkey:gateway","uid":"uid-1","groups":["system:serviceaccounts","system:serviceaccounts:ownkey"]}}}`, review.Spec.Token == token)
	}))
	defer kubernetes.Close()
	v.write("kubernetes.crt", certificatePEM(kubernetes))
	v.Script(`vault auth enable kubernetes
vault write auth/kubernetes/config kubernetes_host=` + kubernetes.URL + ` kubernetes_ca_cert=@kubernetes.crt token_reviewer_jwt=reviewer disable_local_ca_jwt=true disable_iss_validation=true
for identity in data admin; do
  vault write auth/kubernetes/role/$identity bound_service_account_names=gateway bound_service_account_namespaces=ownkey token_policies=ownkey-$identity
done`)
	login := func(role string) Login {
		return Login{Method: MethodKubernetes, Role: role, JWTFile: v.write("serviceaccount", token)}
	}
	roundTrip(t, v.keyring(func(o *TransitOptions) { o.Data, o.Admin = login("data"), login("admin") }))
}

func TestLoginWithCertificate(t *testing.T) {
	v := startVault(t, true)
	dir := filepath.Dir(v.CAFile)
	v.Script("vault auth enable cert\nvault write auth/cert/certs/gateway certificate=@" + filepath.Join(dir, "client.crt") + " token_policies=ownkey-data")
	login := func(o *TransitOptions) {
		o.Data = Login{Method: MethodCert, Role: "gateway", CertFile: filepath.Join(dir, "client.crt"), KeyFile: filepath.Join(dir, "client.key")}
	}
	b := roundTrip(t, v.keyring(login))

	// A server's certificate that its file does not vouch for is not believed,
	// whatever the environment of Vault's tools says.
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	wrong := v.write("wrong.crt", certificatePEM(other))
	k := v.keyring(login, func(o *TransitOptions) { o.CAFile = wrong })
	if _, err := k.Unseal(t.Context(), b); !errors.Is(err, ErrUnavailable) {
		t.Errorf("behind a certificate of another authority: %v", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var refused *tls.CertificateVerificationError // and it is this that kept us out
	if len(v.events) == 0 || !errors.As(v.events[0].Detail, &refused) {
		t.Errorf("told %+v", v.events)
	}
}

func TestLoginWithTokenFile(t *testing.T) {
	v := startVault(t, false)
	token := func() string { // with the line's end that an editor would leave
		v.Script("vault token create -policy=ownkey-data -ttl=1h -field=token > new && echo >> new && chmod 600 new && mv new token")
		b, err := os.ReadFile(v.File("token"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	first := token()
	k := v.keyring(func(o *TransitOptions) { o.Data = Login{Method: MethodTokenFile, TokenFile: v.File("token")} })
	b := roundTrip(t, k)

	// A new token is taken while the old one still works: nobody notices.
	second := token()
	eventually(t, "the new token is taken", func() bool { return k.data.client.Token() == second })
	v.Script("vault token revoke " + first)
	mustOpen(t, k, b.Context, b.Blob)

	// The old one ends before anybody has looked at the file.
	third := token()
	v.Script("vault token revoke " + second)
	eventually(t, "unseals work with the file's token", func() bool {
		_, err := k.Unseal(t.Context(), b)
		return err == nil
	})
	if k.data.client.Token() != third {
		t.Error("it is not the file's token")
	}
}

// TestLoginWithAgent: a real Vault Agent, over TCP and over a socket.
func TestLoginWithAgent(t *testing.T) {
	v := startVault(t, false)
	for _, address := range startAgent(t, v) {
		for what, at := range map[string]func(*TransitOptions){
			"of the keyring":  func(o *TransitOptions) { o.Address = address },
			"of one identity": func(o *TransitOptions) { o.Data.Address = address },
		} {
			k := v.keyring(func(o *TransitOptions) { o.Data = Login{Method: MethodAgent} }, at)
			roundTrip(t, k)
			if k.data.client.Token() != "" {
				t.Errorf("%s, %s: the gateway holds a token", address, what)
			}
		}
	}
}

// startAgent runs an agent that is logged in as the data identity.
func startAgent(t *testing.T, v *vault) (addresses []string) {
	t.Helper()
	binary, err := vaultserver.Binary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp := l.Addr().String()
	_ = l.Close()
	dir, err := os.MkdirTemp("", "agent") // t.TempDir is too long for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, data := filepath.Join(dir, "socket"), v.appRole("data")
	config := v.write("agent.hcl", fmt.Sprintf(`
vault { address = %q }
auto_auth {
  method "approle" {
    config = { role_id_file_path = %q, secret_id_file_path = %q, remove_secret_id_file_after_reading = false }
  }
}
api_proxy { use_auto_auth_token = true }
listener "tcp" {
  address = %q
  tls_disable = true
}
listener "unix" {
  address = %q
  tls_disable = true
}
`, v.URL, data.RoleIDFile, data.SecretIDFile, tcp, socket))
	agent := exec.CommandContext(t.Context(), binary, "agent", "-config="+config)
	log := &strings.Builder{}
	agent.Stdout, agent.Stderr = log, log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Wait() // the test's context has ended it
		if t.Failed() {
			t.Log(log)
		}
	})
	eventually(t, "the agent is logged in", func() bool {
		response, err := http.Get("http://" + tcp + "/v1/auth/token/lookup-self")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return []string{"http://" + tcp, "unix://" + socket}
}
