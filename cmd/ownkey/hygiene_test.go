package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the kernel shows of a process holds no secret, once it serves.
func TestSecretsLeaveArgumentsAndEnvironment(t *testing.T) {
	shown := func(p *process) string {
		all := ""
		for _, file := range []string{"environ", "cmdline"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	s := newStand(t, "", func(s *stand) { s.env = []string{"UNUSED=stays-where-it-is"} })
	if got := shown(s.process); strings.Contains(got, "oka_test_0123456789") || strings.Contains(got, "OWNKEY_ADMIN_TOKEN") || !strings.Contains(got, "UNUSED=stays-where-it-is") {
		t.Errorf("serve shows %q", got)
	}
	if status, _ := s.chat(s.token, "gpt-4o-mini", "Hello"); status != 200 {
		t.Errorf("%d", status)
	}
	dev := start(t, "dev", "--data", t.TempDir(), "--provider", "openai="+s.provider.URL(), "--credential", "openai="+goodKey)
	if got := shown(dev); strings.Contains(got, goodKey) || !strings.Contains(got, "--credential") {
		t.Errorf("dev shows %q", got)
	}
	if status, body := dev.chat(dev.ready.Token, "openai/gpt-4o-mini", "Hello"); status != 200 {
		t.Errorf("the credential was lost: %d %s", status, body)
	}
}

// authority issues certificates for one test.
type authority struct {
	t   *testing.T
	key *ecdsa.PrivateKey
	raw *x509.Certificate
	pem []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.raw = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.pem, a.key, _ = a.sign(a.raw)
	return a
}

func (a *authority) sign(c *x509.Certificate) (certPEM []byte, key *ecdsa.PrivateKey, keyPEM []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.raw, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

// issue writes a certificate and its key for 127.0.0.1, and for a client.
func (a *authority) issue(serial int64, cert, key string) {
	a.t.Helper()
	c, _, k := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "ownkey"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	for file, b := range map[string][]byte{cert: c, key: k} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// The data plane speaks TLS, takes a renewed certificate without a restart,
// keeps the old one when the new one is broken, and wants a client's
// certificate when it is told to.
func TestTLSAtTheFront(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	a := newAuthority(t)
	a.issue(2, file("tls.crt"), file("tls.key"))
	a.issue(100, file("client.crt"), file("client.key"))
	if err := os.WriteFile(file("ca.crt"), a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, fmt.Sprintf("tls: {cert_file: %s, key_file: %s, client_ca_file: %s, hsts: 24h}\n", file("tls.crt"), file("tls.key"), file("ca.crt")))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.pem)
	mine, err := tls.LoadX509KeyPair(file("client.crt"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	base := strings.Replace(s.ready.BaseURL, "http://", "https://", 1)
	ask := func(certs ...tls.Certificate) (*http.Response, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}, DisableKeepAlives: true}}
		r, err := http.NewRequest("POST", base+"/chat/completions", strings.NewReader(`{"model":"fake:chunks=3","stream":true,"messages":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.token)
		r.Header.Set("Content-Type", "application/json")
		return client.Do(r)
	}
	serial := func() int64 {
		t.Helper()
		response, err := ask(mine)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 || !strings.HasSuffix(string(b), "[DONE]\n\n") || response.Header.Get("Strict-Transport-Security") != "max-age=86400" {
			t.Fatalf("%s %v %s %v", response.Status, response.Header, b, err)
		}
		return response.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 2 {
		t.Fatalf("serial %d", got)
	}
	if _, err := ask(); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if _, err := http.Get(s.ready.BaseURL + "/models"); err == nil {
		if r, _ := http.Get(s.ready.BaseURL + "/models"); r.StatusCode == 200 {
			t.Error("clear text was let in")
		}
	}
	a.issue(3, file("tls.crt"), file("tls.key"))
	s.eventually("the renewed certificate is shown", func() bool { return serial() == 3 })
	if err := os.WriteFile(file("tls.crt"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.eventually("the log tells of the broken one", func() bool {
		return serial() == 3 && strings.Contains(s.stderr.String(), "the one before goes on")
	})
	for _, path := range []string{"/healthz", "/readyz"} { // no probe reaches those of the data plane, where clients must show a certificate
		response, err := http.Get(s.ready.AdminURL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s of the admin plane without a token: %s", path, response.Status)
		}
	}
	if log := s.stderr.String(); !strings.Contains(log, `"cause":"client_certificate"`) {
		t.Errorf("no line about the client without a certificate: %s", log)
	}
	s.stop()
}
