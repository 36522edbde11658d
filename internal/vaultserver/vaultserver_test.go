package vaultserver

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestServerKeepsItsStateAcrossKills(t *testing.T) {
	for _, tls := range []bool{false, true} {
		binary, err := Binary()
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		s, err := Start(ctx, Options{Binary: binary, Dir: t.TempDir(), TLS: tls})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Stop()
		if out, err := s.Run(ctx, t.TempDir(), "vault secrets enable transit\nvault write -f transit/keys/one\n"); err != nil {
			t.Fatal(err, out)
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Call(ctx, s.RootToken, http.MethodGet, "transit/keys/one", nil); err != nil {
			t.Error(err)
		}
		if err := s.Seal(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Call(ctx, s.RootToken, http.MethodGet, "transit/keys/one", nil); err == nil {
			t.Error("a sealed server answers")
		}
		if err := s.Unseal(ctx); err != nil {
			t.Fatal(err)
		}
		audit, err := os.ReadFile(s.AuditFile)
		if err != nil || !strings.Contains(string(audit), "transit/keys/one") {
			t.Errorf("the audit log lacks the calls: %v", err)
		}
	}
}
