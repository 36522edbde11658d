// Package installation sees to it that the stores of one gateway belong
// together: that none was lost, emptied or swapped without anybody noticing.
//
// The main database (ownkey.db) has an identity, made once at random, and a list
// of what it was seen with: each other store, and each key. A store that is new
// to the list is taken, and carries the identity from then on. One that is on
// the list and has no identity, or another, is refused, until an operator
// accepts that with [Register.Adopt].
package installation

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrMismatch is in the chain of every refusal. Test with errors.Is.
var ErrMismatch = errors.New("stores do not belong together")

// Register is the list in the main database. It is safe for concurrent use.
type Register struct {
	main *db.DB
	id   string
}

// Open reads the register, or makes it.
func Open(ctx context.Context, main *db.DB) (*Register, error) {
	r := &Register{main: main}
	err := migrate(ctx, main)
	if err == nil {
		_, err = main.Write.ExecContext(ctx, "INSERT INTO installation SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM installation)")
	}
	if err == nil {
		r.id, err = identityOf(ctx, main)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read identity of installation: %w", err)
	}
	return r, nil
}

func migrate(ctx context.Context, d *db.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return d.Migrate(ctx, files, "installation_migrations")
}

// identityOf is what a database belongs to; empty when it has not been said.
func identityOf(ctx context.Context, d *db.DB) (id string, err error) {
	err = d.Read.QueryRowContext(ctx, "SELECT id FROM installation").Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// Of gives the identity in a copy of the main database, which is only read;
// empty when it has none.
func Of(ctx context.Context, path string) (id string, err error) {
	copied, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&immutable=1")
	if err != nil {
		return "", fmt.Errorf("cannot read identity of %s: %w", path, err)
	}
	var tables int
	err = copied.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'installation'").Scan(&tables)
	if err == nil && tables > 0 {
		id, err = identityOf(ctx, &db.DB{Read: copied})
	}
	if err = errors.Join(err, copied.Close()); err != nil {
		return "", fmt.Errorf("cannot read identity of %s: %w", path, err)
	}
	return id, nil
}

// ID is the identity: 16 hexadecimal digits.
func (r *Register) ID() string { return r.id }

// Database checks that a database belongs here, and marks one that is new. name
// is its file's.
func (r *Register) Database(ctx context.Context, name string, d *db.DB) error {
	if err := migrate(ctx, d); err != nil {
		return fmt.Errorf("cannot read identity of %s: %w", name, err)
	}
	carried, err := identityOf(ctx, d)
	if err != nil {
		return fmt.Errorf("cannot read identity of %s: %w", name, err)
	}
	_, since, err := r.known(ctx, name)
	switch {
	case err != nil:
		return err
	case carried == r.id:
		return r.remember(ctx, name, r.id)
	case carried != "":
		return refuse(name, fmt.Sprintf("it belongs to installation %s, and ownkey.db is of %s: one of the two is in the wrong place, or was made anew", carried, r.id))
	case !since.IsZero():
		return refuse(name, "it is empty, and had records of this installation since "+since.Format(time.DateOnly)+": its volume is missing, or the file was lost")
	}
	if err := mark(ctx, d, r.id); err != nil {
		return fmt.Errorf("cannot mark %s: %w", name, err)
	}
	return r.remember(ctx, name, r.id)
}

func mark(ctx context.Context, d *db.DB, id string) error {
	tx, err := d.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, "DELETE FROM installation"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO installation VALUES (?)", id); err != nil {
		return err
	}
	return tx.Commit()
}

// Part checks something that has an identity of its own, such as the ledger: it
// must be the one that was seen before.
func (r *Register) Part(ctx context.Context, name, identity string) error {
	held, since, err := r.known(ctx, name)
	switch {
	case err != nil:
		return err
	case !since.IsZero() && held != identity:
		return refuse(name, another(since))
	}
	return r.remember(ctx, name, identity)
}

func another(since time.Time) string {
	return "it is another one than since " + since.Format(time.DateOnly) + ": its volume is missing, or it was lost or swapped"
}

// Remote is a store elsewhere, which other installations can reach as well.
type Remote struct {
	Mark    string // what tells it from another one
	Owner   string // the installation that has claimed it; empty for none
	Strange bool   // it has records, and none that went there from here
}

// Remote checks that a store elsewhere belongs here, and claims one that is
// nobody's.
func (r *Register) Remote(ctx context.Context, name string, s Remote, claim func(ctx context.Context, id string) error) error {
	held, since, err := r.known(ctx, name)
	switch {
	case err != nil:
		return err
	case held == adopted && !since.IsZero():
	case s.Owner != "" && s.Owner != r.id:
		return refuse(name, fmt.Sprintf("it belongs to installation %s, and ownkey.db is of %s: one of the two is in the wrong place, or was made anew. Two installations need a database each", s.Owner, r.id))
	case !since.IsZero() && held != s.Mark:
		return refuse(name, another(since))
	case since.IsZero() && s.Owner == "" && s.Strange:
		return refuse(name, "it has records of another gateway, and ownkey.db was never used with it: one of the two is in the wrong place, or was made anew")
	}
	if s.Owner != r.id {
		if err := claim(ctx, r.id); err != nil {
			return err
		}
	}
	return r.replace(ctx, name, s.Mark)
}

// adopted is the mark of a store elsewhere that is taken as the next start finds
// it, whosever it is.
const adopted = ""

// AdoptRemote has the next start claim what it finds.
func (r *Register) AdoptRemote(ctx context.Context, name string) error {
	return r.replace(ctx, name, adopted)
}

// Keys checks the keys of a key file, by digests that give nothing away: each
// version that was seen before must be the same, and one of them must be left.
func (r *Register) Keys(ctx context.Context, digests map[int]string) error {
	seen, same := 0, 0
	if err := r.main.Read.QueryRowContext(ctx, "SELECT count(*) FROM stores WHERE name LIKE ? || ' v%'", Keyring).Scan(&seen); err != nil {
		return fmt.Errorf("cannot read identity of installation: %w", err)
	}
	for version, digest := range digests {
		held, since, err := r.known(ctx, nameOfKey(version))
		switch {
		case err != nil:
			return err
		case since.IsZero():
		case held != digest:
			return refuse(Keyring, fmt.Sprintf("version %d of the master key is another one than since %s: this is the key file of another installation", version, since.Format(time.DateOnly)))
		default:
			same++
		}
	}
	if seen > 0 && same == 0 {
		return refuse(Keyring, "no version of the master key in the file was seen before: this is the key file of another installation")
	}
	for version, digest := range digests {
		if err := r.remember(ctx, nameOfKey(version), digest); err != nil {
			return err
		}
	}
	return nil
}

// Keyring is the name of the master key file in refusals, and for Adopt.
const Keyring = "keyring"

func nameOfKey(version int) string { return fmt.Sprintf("%s v%d", Keyring, version) }

// known gives the mark that something was known by; the zero time for nothing.
func (r *Register) known(ctx context.Context, name string) (mark string, since time.Time, err error) {
	var at int64
	err = r.main.Read.QueryRowContext(ctx, "SELECT mark, since FROM stores WHERE name = ?", name).Scan(&mark, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("cannot read identity of installation: %w", err)
	}
	return mark, time.Unix(at, 0).UTC(), nil
}

func (r *Register) remember(ctx context.Context, name, mark string) error {
	return r.write(ctx, "INSERT INTO stores (name, mark, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", name, mark)
}

// replace is remember for a mark that may be another one than before.
func (r *Register) replace(ctx context.Context, name, mark string) error {
	return r.write(ctx, "INSERT INTO stores (name, mark, since) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET mark = excluded.mark, since = excluded.since WHERE mark != excluded.mark", name, mark)
}

func (r *Register) write(ctx context.Context, statement, name, mark string) error {
	_, err := r.main.Write.ExecContext(ctx, statement, name, mark, time.Now().Unix())
	if err != nil {
		return fmt.Errorf("cannot write identity of installation: %w", err)
	}
	return nil
}

// Adopt forgets what was known of something: the next start takes what it finds
// in its place. A database, if one is given, is made ours.
func (r *Register) Adopt(ctx context.Context, name string, d *db.DB) error {
	_, err := r.main.Write.ExecContext(ctx, "DELETE FROM stores WHERE name = ?1 OR name LIKE ?1 || ' v%'", name)
	if err == nil && d != nil {
		if err = migrate(ctx, d); err == nil {
			err = mark(ctx, d, r.id)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot adopt %s: %w", name, err)
	}
	return nil
}

func refuse(name, why string) error {
	return fmt.Errorf("%w: %s: %s. Put the right one in place, or restore a backup. To go on with what is there, and without what is lost: ownkey adopt --data DIR %s", ErrMismatch, name, why, name)
}
