package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"modernc.org/sqlite"
)

// Frozen are several files as they were at one moment, while others go on
// writing to them. Readers of the past keep the write-ahead logs from being
// emptied, so Close it soon.
type Frozen struct {
	paths []string
	pools []*sql.DB
	reads []*sql.Conn // each in a transaction that reads that moment
}

// Freeze takes the files at paths as they are at one moment. For that moment no
// process can write to any of them: their writers wait while meanwhile runs,
// which must take milliseconds. Every file must exist.
func Freeze(ctx context.Context, paths []string, meanwhile func() error) (f *Frozen, err error) {
	f = &Frozen{paths: paths}
	defer func() { //nolint:contextcheck // what was begun ends whatever became of ctx
		if err != nil {
			err = errors.Join(fmt.Errorf("cannot take the databases at one moment: %w", err), f.Close())
		}
	}()
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return f, err // SQLite would make an empty one
		}
		pool, err := open(ctx, path, 2, "deferred", busyMS)
		if err != nil {
			return f, err
		}
		f.pools = append(f.pools, pool)
	}
	for _, pool := range f.pools {
		lock, err := pool.Conn(ctx)
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
		if _, err := lock.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return f, err
		}
		defer func() {
			_, rerr := lock.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = errors.Join(err, rerr)
		}()
	}
	for _, pool := range f.pools {
		read, err := pool.Conn(ctx)
		if err != nil {
			return f, err
		}
		f.reads = append(f.reads, read)
		// A transaction sees the moment of its first statement that reads.
		if _, err := read.ExecContext(ctx, "BEGIN"); err != nil {
			return f, err
		}
		var tables int
		if err := read.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
			return f, err
		}
	}
	return f, meanwhile()
}

// stepPages are copied at once: some megabytes, so that a copy can be canceled.
const stepPages = 1024

// Copy writes the file at paths[i], as it was at that moment, to a new file
// that only its owner can read, and checks that its pages are sound.
func (f *Frozen) Copy(ctx context.Context, i int, to string) error {
	err := f.copy(ctx, i, to)
	if err == nil {
		err = check(ctx, to)
	}
	if err != nil {
		return fmt.Errorf("cannot copy %s: %w", f.paths[i], err)
	}
	return nil
}

func (f *Frozen) copy(ctx context.Context, i int, to string) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite would use the umask's mode
	if err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return f.reads[i].Raw(func(driver any) error {
		b, err := driver.(interface { //nolint:forcetypeassert // the driver is imported here
			NewBackup(to string) (*sqlite.Backup, error)
		}).NewBackup(to)
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			if more, err = b.Step(stepPages); err == nil {
				err = ctx.Err()
			}
		}
		return errors.Join(err, b.Finish())
	})
}

// check reads every page of a file.
func check(ctx context.Context, path string) error {
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	var found string
	err = pool.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found)
	if err == nil && found != "ok" {
		err = fmt.Errorf("it is damaged: %s", found)
	}
	return errors.Join(err, pool.Close())
}

// Close lets go of that moment.
func (f *Frozen) Close() error {
	errs := make([]error, 0, 2*len(f.reads)+len(f.pools))
	for _, r := range f.reads {
		_, err := r.ExecContext(context.Background(), "ROLLBACK")
		errs = append(errs, err, r.Close())
	}
	for _, p := range f.pools {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
