package db

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func migrations(n int) fstest.MapFS {
	all := []string{"CREATE TABLE a (x INTEGER);", "CREATE TABLE b (y INTEGER);"}
	m := fstest.MapFS{}
	for i, s := range all[:n] {
		m["0000"+string(rune('1'+i))+"_x.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + s + "\n")}
	}
	return m
}

func TestMigrateUpgradesAndRefusesNewer(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "sub dir", "a?b.db") // a name that is not a plain URL
	open := func() *DB {
		t.Helper()
		d, err := Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var told []int64
	for _, n := range []int{1, 2, 2} {
		d := open()
		d.Migrating = func(from, to int64) { told = append(told, from, to) }
		if err := d.Migrate(ctx, migrations(n), "versions"); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(told, []int64{1, 2}) {
		t.Errorf("told of %v, want the change from 1 to 2", told)
	}
	d := open()
	defer d.Close()
	if _, err := d.Write.ExecContext(ctx, "INSERT INTO b VALUES (1)"); err != nil {
		t.Error(err)
	}
	if err := d.Migrate(ctx, migrations(1), "versions"); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("a newer schema was accepted: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	for _, p := range []string{"journal_mode", "secure_delete", "synchronous", "foreign_keys"} {
		var v string
		if err := d.Read.QueryRowContext(ctx, "PRAGMA "+p).Scan(&v); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"journal_mode": "wal", "secure_delete": "1", "synchronous": "2", "foreign_keys": "1"}[p]
		if v != want {
			t.Errorf("%s is %s, want %s", p, v, want)
		}
	}
}

// TestNothingIsWrittenElsewhere: an insertion that has to undo much if it fails
// leaves no page of the database in a file outside of its directory.
func TestNothingIsWrittenElsewhere(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(t.Context(), filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tx, err := d.Write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	const many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
	for _, statement := range []string{
		"CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT UNIQUE NOT NULL)",
		many + "INSERT INTO texts SELECT i, hex(randomblob(400)) FROM n",
		"UPDATE texts SET text = 'x' || text",
	} {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasSuffix(name, "(deleted)") {
			t.Errorf("open: %s", name)
		}
	}
}
