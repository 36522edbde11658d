package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/vaultbridge"
	"golang.org/x/sys/unix"
)

const (
	// examineTime bounds what doctor does to stores and disks.
	examineTime = 30 * time.Second
	// leastFree of the data directory's disk, in bytes: half an hour of records
	// at a few hundred requests a second.
	leastFree = 1 << 30
	// mostDescriptors is the part of those allowed that may be in use.
	mostDescriptors = 0.8
	// mostSkew between our clock and a store's: tokens of logins and the times of
	// records are compared across them.
	mostSkew = 5 * time.Second
)

// examine is what doctor looks at besides the key stores themselves.
func (a *app) examine(ctx context.Context) []vaultbridge.Finding {
	ctx, done := context.WithTimeout(ctx, examineTime)
	defer done()
	findings := []vaultbridge.Finding{{Check: "stores belong together", OK: true, Detail: "installation " + a.installation.ID()}}
	add := func(check, detail string, err error) {
		findings = append(findings, vaultbridge.NewFinding(check, detail, err))
	}
	for _, d := range []struct {
		file string
		db   *db.DB
	}{{databaseFile, a.database}, {usageFile, a.meter.usage}, {memoryFile, a.memory.database}} {
		if d.db != nil {
			add(d.file+": pages are sound", "PRAGMA quick_check", quickCheck(ctx, d.db))
		}
	}
	for _, k := range a.ring.All() {
		detail, err := a.openOne(ctx, k.Name())
		add("keyring "+k.Name()+": a stored credential opens", detail, err)
	}
	detail, err := freeSpace(a.cfg.Data)
	add("disk has room", detail, err)
	detail, err = flushes(a.cfg.Data)
	add("disk takes flushes", detail, err)
	detail, err = descriptors()
	add("descriptors", detail, err)
	if a.meter.remote != nil {
		detail, err = a.examineClickHouse(ctx)
		add("ClickHouse answers", detail, err)
	}
	return findings
}

func quickCheck(ctx context.Context, d *db.DB) error {
	var found string
	if err := d.Read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if found != "ok" {
		return errors.New("damaged: " + found + "; restore a backup")
	}
	return nil
}

// openOne decrypts one credential of a keyring, whichever comes first.
func (a *app) openOne(ctx context.Context, keyring string) (detail string, err error) {
	c := a.firstOf(keyring)
	if c == nil {
		return "there is none", vaultbridge.ErrUntested
	}
	if err := a.gateway.OpensCredential(ctx, c); err != nil {
		return "", fmt.Errorf("%s of tenant %s: %w", c.ID, c.TenantID, err)
	}
	return c.ID + " of tenant " + c.TenantID, nil
}

func (a *app) firstOf(keyring string) *directory.Credential {
	for _, t := range a.directory.Tenants() {
		all, err := a.directory.Credentials(t.ID)
		if err != nil {
			continue // deleted meanwhile
		}
		for _, c := range all {
			if c.Keyring == keyring {
				return c
			}
		}
	}
	return nil
}

func freeSpace(dir string) (detail string, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	free := s.Bavail * uint64(s.Bsize) //nolint:gosec // a block's size is positive
	detail = fmt.Sprintf("%.1f GiB are free", float64(free)/(1<<30))
	if free < leastFree {
		return "", fmt.Errorf("only %s at %s; make room, or requests will be refused (503 ledger_full)", detail, dir)
	}
	return detail, nil
}

// flushes writes a file as the stores do, and looks how long it takes until it
// is safe from loss of power.
func flushes(dir string) (detail string, err error) {
	f, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return "", fmt.Errorf("cannot write to the data directory: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is empty but for a few bytes
	began := time.Now()
	_, err = f.WriteString("ownkey doctor")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = durable.SyncDir(filepath.Dir(f.Name()))
	}
	if err != nil {
		return "", fmt.Errorf("cannot flush to the disk: %w", err)
	}
	return fmt.Sprintf("a write was safe after %v", time.Since(began).Round(10*time.Microsecond)), nil
}

func descriptors() (detail string, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", fmt.Errorf("cannot read the limit: %w", err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return "", fmt.Errorf("cannot count them: %w", err)
	}
	detail = fmt.Sprintf("%d of %d are in use", len(open), limit.Cur)
	if float64(len(open)) > mostDescriptors*float64(limit.Cur) {
		return "", errors.New(detail + "; raise the limit (ulimit -n, or LimitNOFILE of a unit)")
	}
	return detail, nil
}

func (a *app) examineClickHouse(ctx context.Context) (detail string, err error) {
	began := time.Now()
	found, err := a.meter.remote.Look(ctx, a.meter.journal.Identity().Gateway)
	if err != nil {
		return "", err
	}
	skew := found.Clock.Sub(began.Add(time.Since(began) / 2)).Abs()
	if err := a.meter.claimClickHouse(ctx, a.meter.remote); err != nil {
		return "", err
	}
	if skew > mostSkew {
		return "", fmt.Errorf("its clock and ours are %v apart; synchronize them", skew.Round(time.Second))
	}
	return fmt.Sprintf("it is of this installation, its clock and ours are %v apart", skew.Round(time.Millisecond)), nil
}
