package main

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/rs/zerolog"
)

// below makes an authority that a signs.
func (a *authority) below(name string) *authority {
	b := &authority{t: a.t}
	b.raw = &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	b.pem, b.key, _ = a.sign(b.raw)
	return b
}

// leaf writes a certificate that begins and ends so long from now, followed by
// more, and its key.
func (a *authority) leaf(file, key string, begins, ends time.Duration, more ...[]byte) {
	a.t.Helper()
	c, _, k := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: time.Now().Add(begins), NotAfter: time.Now().Add(ends),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	if err := errors.Join(os.WriteFile(file, bytes.Join(append([][]byte{c}, more...), nil), 0o600), os.WriteFile(key, k, 0o600)); err != nil {
		a.t.Fatal(err)
	}
}

// TestCertificatesAreJudged: what no client can take is refused, at the start
// and when files change, and a good certificate is not given up for it.
func TestCertificatesAreJudged(t *testing.T) {
	dir := t.TempDir()
	files := config.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	root := newAuthority(t)
	middle := root.below("middle")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root.pem)
	var lines bytes.Buffer
	log := zerolog.New(&lines)
	c := &certificate{files: files, roots: roots, log: &log}
	good := func() { middle.leaf(files.CertFile, files.KeyFile, -time.Minute, time.Hour, middle.pem) }

	for name, tt := range map[string]struct {
		write   func()
		err     string // at the start
		trusted bool
		kept    string // the log's reason to keep the one before
	}{
		"whole chain":       {write: good, trusted: true},
		"chain with root":   {write: func() { middle.leaf(files.CertFile, files.KeyFile, -time.Minute, time.Hour, middle.pem, root.pem) }, trusted: true},
		"expired":           {func() { middle.leaf(files.CertFile, files.KeyFile, -time.Hour, -time.Second, middle.pem) }, "it ended on", false, "it ended on"},
		"not yet":           {func() { middle.leaf(files.CertFile, files.KeyFile, time.Minute, time.Hour, middle.pem) }, "it begins on", false, "it begins on"},
		"out of order":      {func() { middle.leaf(files.CertFile, files.KeyFile, -time.Minute, time.Hour, root.pem, middle.pem) }, "out of order", false, "out of order"},
		"no intermediate":   {func() { middle.leaf(files.CertFile, files.KeyFile, -time.Minute, time.Hour) }, "", false, "intermediate"},
		"of somebody else":  {func() { newAuthority(t).leaf(files.CertFile, files.KeyFile, -time.Minute, time.Hour) }, "", false, "leads to no root"},
		"another one's key": {func() { good(); middle.leaf(filepath.Join(dir, "x"), files.KeyFile, -time.Minute, time.Hour) }, "tls.key_file", false, "tls.key_file"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.write()
			first, err := c.read(time.Now())
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || tt.err == "" && (err != nil || first.trusted != tt.trusted) {
				t.Errorf("at the start: %+v, %v; want error %q, trusted %v", first, err, tt.err, tt.trusted)
			}
			good()
			before, err := c.read(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			lines.Reset()
			c.current, c.stamps = before, [3]time.Time{}
			tt.write()
			c.follow(time.Now())
			if kept := c.current == before; kept != (tt.kept != "") || !strings.Contains(lines.String(), tt.kept) {
				t.Errorf("when it changed: kept the one before: %v; log %s", kept, lines.String())
			}
		})
	}
}

// TestAddressesAreWhatTheySay: an IPv4 address does not open IPv6, several can
// be open, and when one cannot be, none stays open.
func TestAddressesAreWhatTheySay(t *testing.T) {
	all, err := listenAll(t.Context(), config.Addresses{"0.0.0.0:0", "127.0.0.1:0", "[::1]:0", "localhost:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, l := range all {
			_ = l.Close()
		}
	})
	_, port, _ := net.SplitHostPort(all[0].Addr().String())
	if c, err := net.Dial("tcp", "[::1]:"+port); err == nil {
		_ = c.Close()
		t.Error("0.0.0.0 is reached by IPv6")
	}
	for _, l := range all {
		c, err := net.Dial("tcp", reachable(l.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	free := freePort(t)
	if _, err := listenAll(t.Context(), config.Addresses{free, all[1].Addr().String()}); err == nil {
		t.Error("an address that is taken was opened")
	}
	again, err := listenAll(t.Context(), config.Addresses{free})
	if err != nil {
		t.Fatalf("%s stayed open: %v", free, err)
	}
	_ = again[0].Close()
}

// TestPlanesOnSeveralAddresses: serve listens on each address of a list.
func TestPlanesOnSeveralAddresses(t *testing.T) {
	s := newStand(t, "")
	s.stop()
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	second, third := freePort(t), freePort(t)
	first, admin := strings.TrimPrefix(strings.TrimSuffix(s.ready.BaseURL, "/v1"), "http://"), strings.TrimPrefix(s.ready.AdminURL, "http://")
	changed := strings.Replace(string(text), "listen: "+first, fmt.Sprintf("listen: [%s, '%s']", first, second), 1)
	changed = strings.Replace(changed, "listen: '"+admin+"'", fmt.Sprintf("listen: ['%s', '%s']", admin, third), 1)
	if err := os.WriteFile(s.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve()
	for _, address := range []string{first, second, admin, third} {
		response, err := http.Get("http://" + address + "/healthz")
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", address, response.Status)
		}
	}
	s.stop()
}
