// Package db opens SQLite files and brings their schema up to date. It knows
// no table; each room brings its own migrations. It is the only importer of
// the SQLite driver.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also the driver "sqlite", pure Go
	sqlite3 "modernc.org/sqlite/lib"
)

// readers is how many connections read at once. Reads are short and rare: the
// rooms answer from memory.
const readers = 4

// pragmas of every connection. FULL: an acknowledged write survives loss of
// power. secure_delete: a deleted row is overwritten in its page, not only
// unlinked; see [DB.Erase] for the write-ahead log.
var pragmas = []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "secure_delete(ON)"}

// keptInside keeps a writer's statement journals in memory. Beyond 64 KiB SQLite
// would put them, with the pages of rows as they were, into a file in /var/tmp.
const keptInside = "temp_store(MEMORY)"

// busyMS is how long a statement waits for another process, or for a
// checkpoint.
const busyMS = 5000

// DB is one SQLite file in WAL mode. Write has a single connection, so that
// writers wait for each other here and not in SQLite; Read has a few.
type DB struct {
	Write *sql.DB
	Read  *sql.DB

	// Migrating is called before a schema in use is changed, which takes some
	// seconds for a million rows. It may be nil.
	Migrating func(from, to int64)

	eraser *eraser
}

// Open opens or creates the file at path, readable by its owner only. Its
// directory is created if need be.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make directory of database: %w", err)
	}
	// SQLite would create the file with the umask's mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("cannot open database: %w", err)
	}
	d := &DB{}
	if d.Write, err = open(ctx, path, 1, "immediate", busyMS, keptInside); err != nil {
		return nil, err
	}
	if d.Read, err = open(ctx, path, readers, "deferred", busyMS); err != nil {
		return nil, errors.Join(err, d.Write.Close())
	}
	if d.eraser, err = openEraser(ctx, path); err != nil {
		return nil, errors.Join(err, d.Read.Close(), d.Write.Close())
	}
	return d, nil
}

func open(ctx context.Context, path string, conns int, begin string, busyMS int, more ...string) (*sql.DB, error) {
	query := url.Values{"_pragma": slices.Concat([]string{fmt.Sprintf("busy_timeout(%d)", busyMS)}, pragmas, more), "_txlock": {begin}}
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("cannot open database %s: %w", path, err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := connect(ctx, pool, conns); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open database %s: %w", path, err), pool.Close())
	}
	return pool, nil
}

// connect opens all connections now: what is wrong shows at the start, and the
// number of open files stays the same from then on.
func connect(ctx context.Context, pool *sql.DB, n int) (err error) {
	held := make([]*sql.Conn, 0, n)
	for range n {
		c, cerr := pool.Conn(ctx)
		if cerr == nil {
			cerr = c.PingContext(ctx)
			held = append(held, c)
		}
		err = errors.Join(err, cerr)
	}
	for _, c := range held {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Migrate brings the schema of one room up to date with the .sql files in
// migrations (goose's format). table remembers what was done, one for each
// room. A file that a newer program has migrated is refused.
func (d *DB) Migrate(ctx context.Context, migrations fs.FS, table string) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, d.Write, migrations,
		goose.WithTableName(table), goose.WithDisableGlobalRegistry(true), goose.WithVerbose(false))
	if err != nil {
		return fmt.Errorf("cannot read migrations: %w", err)
	}
	held, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("cannot read schema version: %w", err)
	}
	if held > known {
		return fmt.Errorf("cannot use database: its schema is version %d, this program knows up to %d; use a newer program", held, known)
	}
	if held > 0 && held < known && d.Migrating != nil {
		d.Migrating(held, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("cannot migrate database: %w", err)
	}
	return nil
}

// Refused reports whether an error means that the database works and refuses a
// value: a constraint, a type, a size (sqlite.org, "Result and Error Codes").
// All others mean that it does not work now.
func Refused(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	const primary = 0xff // an extended code has its primary one in the last byte
	switch e.Code() & primary {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	return false
}

// Close closes the file.
func (d *DB) Close() error {
	return errors.Join(d.eraser.close(), d.Read.Close(), d.Write.Close())
}
