package main

import (
	"fmt"

	"github.com/ownkey/ownkey/vaultbridge"
)

// VaultCmd holds what a Vault operator needs.
type VaultCmd struct {
	Policy VaultPolicyCmd `cmd:"" help:"Print both policies and the commands that set Vault up, as a shell script."`
}

// VaultPolicyCmd prints the setup.
type VaultPolicyCmd struct {
	Mount     string `default:"transit" help:"Where the transit engine is, or is to be, mounted."`
	AuditFile string `default:"/var/log/vault/audit.log" help:"File of the audit device that is turned on if there is none."`
	Only      string `enum:"all,data,admin" default:"all" help:"all for the script; data or admin for one policy alone."`
}

// Run prints it.
func (c *VaultPolicyCmd) Run() error {
	text := vaultbridge.SetupScript(c.Mount, c.AuditFile)
	switch c.Only {
	case "data":
		text = vaultbridge.DataPolicy(c.Mount)
	case "admin":
		text = vaultbridge.AdminPolicy(c.Mount)
	}
	_, err := fmt.Fprint(stdout, text)
	return err
}
