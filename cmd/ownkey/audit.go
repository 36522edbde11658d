package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter/audit"
)

// AuditCmd compares logs.
type AuditCmd struct {
	Verify AuditVerifyCmd `cmd:"" help:"Join Vault's audit log with our records; exit 0 when the books match, 1 when they do not."`
}

// AuditVerifyCmd joins the logs.
type AuditVerifyCmd struct {
	VaultAudit []string  `required:"" type:"existingfile" sep:"none" placeholder:"FILE" help:"Vault's audit log (file device). Repeatable, for rotated files; .gz is read as well."`
	Records    []string  `type:"existingfile" sep:"none" placeholder:"FILE" help:"Our records as files (ownkey records), in place of asking the admin plane. Repeatable."`
	From       time.Time `placeholder:"TIME" help:"Beginning, such as yesterday, 2 hours ago, 2026-11 or 2026-11-23T10:00:00Z. The default is one hour before the end."`
	To         time.Time `placeholder:"TIME" help:"End, not included. The default is now."`
	Mount      string    `default:"transit" help:"Where the transit engine is mounted."`
	AdminFlags
}

// shown is how many findings of a kind are printed; JSON has them all.
const shown = 20

// Run reads, compares and prints.
func (c *AuditVerifyCmd) Run() error {
	if c.To.IsZero() {
		c.To = time.Now()
	}
	if c.From.IsZero() {
		c.From = c.To.Add(-time.Hour)
	}
	if !c.From.Before(c.To) {
		return usageError{errors.New("--from must be before --to")}
	}
	books := audit.New(c.Mount, audit.Window{From: c.From.UTC(), To: c.To.UTC()})
	if err := c.addRecords(books); err != nil {
		return err
	}
	if err := readAll(c.VaultAudit, books.AddVaultLog); err != nil {
		return err
	}
	report, err := books.Close()
	if err != nil {
		return err
	}
	if c.JSON {
		err = report.WriteJSON(stdout)
	} else {
		err = printReport(report)
	}
	if err := errors.Join(err, report.Close()); err != nil {
		return err
	}
	if !report.Match {
		return errors.New("the books do not match")
	}
	return nil
}

// earlier is how long before the window an unseal can be that a request in it
// has used: more than a key stays in memory, and a request may take.
const earlier = 2 * time.Hour

func (c *AuditVerifyCmd) addRecords(books *audit.Books) error {
	if len(c.Records) > 0 {
		return readAll(c.Records, books.AddRecords)
	}
	return c.stream("GET", recordsPath("", c.From.Add(-earlier), c.To), nil, 0, books.AddRecords)
}

func readAll(paths []string, read func(io.Reader) error) error {
	for _, path := range paths {
		if err := readLog(path, read); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func readLog(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was read
	if !strings.HasSuffix(path, ".gz") {
		return read(f)
	}
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	return read(unzipped)
}

func printReport(r *audit.Report) error {
	printf("from %s to %s\n", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	printf("Vault answered %d decrypt calls and refused %d\n", r.Calls, r.Refused)
	printf("%d unseals are ours: they served %d requests, one of them %d; %d served none; %d more were not answered\n",
		r.Unseals, r.Requests-r.WithoutUnseal.Len(), r.MostRequests, r.Idle, r.Unanswered)
	for _, served := range r.Served {
		if served.Unseals > 0 {
			printf("  %d unseals served %d to %d requests\n", served.Unseals, served.Least, 2*served.Least-1)
		}
	}
	printf("%d requests without an unseal\n", r.WithoutUnseal.Len())
	without, err := r.WithoutUnseal.First(shown)
	if err != nil {
		return err
	}
	for _, q := range without {
		printf("  %s request %s of tenant %s, unseal %q\n", q.At.Format(time.RFC3339Nano), q.ID, q.Tenant, q.Unseal)
	}
	printf("%d unseals in Vault's log that we did not make\n", r.Foreign.Len())
	foreign, err := r.Foreign.First(shown)
	if err != nil {
		return err
	}
	for _, f := range foreign {
		printf("  %s tenant %s from %s as %s: %s\n    Vault request %s, token accessor %s\n",
			f.At.Format(time.RFC3339Nano), f.Tenant, f.RemoteAddress, f.DisplayName, f.Why, f.VaultRequest, f.Accessor)
	}
	if r.Match {
		printf("the books match\n")
	}
	return nil
}
