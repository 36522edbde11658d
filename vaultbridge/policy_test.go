package vaultbridge

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the files that are compared")

// TestDeployedPoliciesAreCurrent: what lies in deploy for people to read is
// what the program prints.
func TestDeployedPoliciesAreCurrent(t *testing.T) {
	for file, want := range map[string]string{
		"ownkey-data.hcl": DataPolicy("transit"), "ownkey-admin.hcl": AdminPolicy("transit"), "setup.sh": SetupScript("transit", "/var/log/vault/audit.log"),
	} {
		path := "../deploy/vault/" + file
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is stale; run: make docs (%v)", path, err)
		}
	}
}
