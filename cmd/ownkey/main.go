// Command ownkey is the gateway and the tool to operate it. One file per
// command; wiring only.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
	mangokong "github.com/alecthomas/mango-kong"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/willabides/kongplete"
)

// cli is the command line.
type cli struct {
	Dev        DevCmd        `cmd:"" help:"Start everything embedded in one process, for development."`
	Serve      ServeCmd      `cmd:"" help:"Start the gateway from a configuration file."`
	Check      CheckCmd      `cmd:"" help:"Check a configuration file and exit."`
	Migrate    MigrateCmd    `cmd:"" help:"Create or upgrade the schema in ClickHouse."`
	Keygen     KeygenCmd     `cmd:"" help:"Create a master key file for the local keyring."`
	Tenant     TenantCmd     `cmd:"" help:"Manage tenants through the admin plane."`
	Token      TokenCmd      `cmd:"" help:"Manage tenants' tokens through the admin plane."`
	Credential CredentialCmd `cmd:"" help:"Manage tenants' provider credentials through the admin plane."`
	Invoice    InvoiceCmd    `cmd:"" help:"Print what the platform charges a tenant for a month."`
	Rotate     RotateCmd     `cmd:"" help:"Add a version to a tenant's transit key."`
	Rewrap     RewrapCmd     `cmd:"" help:"Seal all stored credentials anew with the newest key, and shut older versions."`
	Doctor     DoctorCmd     `cmd:"" help:"Prove that the key path is set up as it should be: identities, audit, keys."`
	Vault      VaultCmd      `cmd:"" help:"What a Vault operator needs."`

	Usage   UsageCmd   `cmd:"" help:"Show requests, tokens, errors and latencies by hour, day, model, token, credential, tenant or provider."`
	Records RecordsCmd `cmd:"" help:"List what was recorded about requests, as JSON lines."`

	Evidence  EvidenceCmd  `cmd:"" help:"Show whose name is on the provider's invoice, and with which credential a tenant's calls were made."`
	Reconcile ReconcileCmd `cmd:"" help:"Compare our counts with the provider's own usage export."`

	Audit   AuditCmd   `cmd:"" help:"Compare Vault's audit log with our records."`
	Backup  BackupCmd  `cmd:"" help:"Write all that is in the data directory, as it is at one moment, to an archive: tenants, credentials, memories, records, invoices."`
	Restore RestoreCmd `cmd:"" help:"Bring an archive back."`
	Adopt   AdoptCmd   `cmd:"" help:"Accept a store, or a master key file, that is not the one this installation knows."`
	Version VersionCmd `cmd:"" help:"Print the version and exit."`

	Completion  CompletionCmd     `cmd:"" help:"Print what makes a shell complete commands and flags: eval \"$(ownkey completion bash)\"."`
	VersionFlag kong.VersionFlag  `name:"version" help:"Print the version and exit."`
	Man         mangokong.ManFlag `help:"Print the manual page and exit: ownkey --man | man -l -."`
}

// Exit statuses: 1 for what failed, 2 for what was asked wrongly.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake of the caller.
type usageError struct{ error }

// Unwrap gives the mistake.
func (e usageError) Unwrap() error { return e.error }

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	defer crash.Exit()
	var c cli
	parser, err := kong.New(&c, kong.Name("ownkey"), kong.UsageOnError(),
		kong.Description("The LLM gateway that means bring your own key."), kong.Vars{"version": version()}, whenMapper)
	if err != nil {
		panic("BUG: command line: " + err.Error())
	}
	kongplete.Complete(parser) // ends the process when a shell asks
	ctx, err := parser.Parse(args)
	if err != nil {
		crash.Say(plain(fmt.Sprintf("ownkey: %v\nTry: %s --help\n", err, commandOf(err))), exitUsage)
		return exitUsage
	}
	if err := ctx.Run(); err != nil {
		status := exitFailed
		if errors.As(err, &usageError{}) {
			status = exitUsage
		}
		crash.Say(plain(fmt.Sprintf("ownkey: %v\n", err)), status)
		return status
	}
	return 0
}

// commandOf is the command that was asked wrongly, as far as it was named.
func commandOf(err error) string {
	if mistake, ok := errors.AsType[*kong.ParseError](err); ok {
		if node := mistake.Context.Selected(); node != nil {
			return "ownkey " + node.Path()
		}
	}
	return "ownkey"
}
