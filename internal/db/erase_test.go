package db

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// canary is in every row that the tests delete.
const canary = "c4n4ry-of-a-deleted-row"

func scratch(t *testing.T) (d *DB, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	exec(t, d, "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, content TEXT)")
	exec(t, d, "CREATE INDEX by_name ON rows (name)")
	return d, path
}

func exec(t *testing.T, d *DB, statement string, args ...any) {
	t.Helper()
	if _, err := d.Write.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// found lists the files of a directory that have the canary.
func found(t *testing.T, path string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte(canary)); n > 0 {
			files = append(files, fmt.Sprintf("%s: %d times", filepath.Base(name), n))
		}
	}
	return files
}

// TestErasedRowsAreInNoFile: whatever was stored, moved by other rows, changed
// and deleted in whatever order, after Erase no file has a byte of it.
func TestErasedRowsAreInNoFile(t *testing.T) {
	d, path := scratch(t)
	r := rand.New(rand.NewPCG(1, 2))
	text := func(id int) string {
		return strings.Repeat(canary+" ", 1+r.IntN(1+r.IntN(400))) + fmt.Sprint(id)
	}
	var live []int
	for id := range 3000 {
		switch n := r.IntN(10); {
		case n < 6 || len(live) == 0:
			exec(t, d, "INSERT INTO rows VALUES (?, ?, ?)", id, canary+fmt.Sprint(r.IntN(1000)), text(id))
			live = append(live, id)
		case n < 8:
			exec(t, d, "UPDATE rows SET content = ?, name = ? WHERE id = ?", text(id), fmt.Sprint(r.IntN(1000))+canary, live[r.IntN(len(live))])
		default:
			i := r.IntN(len(live))
			exec(t, d, "DELETE FROM rows WHERE id = ?", live[i])
			live = append(live[:i], live[i+1:]...)
		}
	}
	if len(found(t, path)) == 0 {
		t.Fatal("the rows are in no file before they are deleted: the search does not work")
	}
	for _, id := range live {
		exec(t, d, "DELETE FROM rows WHERE id = ?", id)
	}
	exec(t, d, "INSERT INTO rows VALUES (1, 'kept', 'kept')")
	if err := d.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := found(t, path); left != nil {
		t.Errorf("deleted rows are in %v", left)
	}
	var kept string
	if err := d.Read.QueryRowContext(t.Context(), "SELECT content FROM rows").Scan(&kept); err != nil || kept != "kept" {
		t.Errorf("%q, %v", kept, err)
	}
}

// TestEraseWaitsForReadersWithinABound: a long reader, such as a backup, keeps
// old pages alive. The caller learns of it, writers go on, and the log is
// emptied when the reader has ended.
func TestEraseWaitsForReadersWithinABound(t *testing.T) {
	d, path := scratch(t)
	exec(t, d, "INSERT INTO rows VALUES (1, 'a', ?)", canary)
	reader, err := d.Read.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM rows").Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	exec(t, d, "DELETE FROM rows")
	if err := d.Erase(t.Context()); !errors.Is(err, ErrErasePending) {
		t.Errorf("with a reader: %v", err)
	}
	exec(t, d, "INSERT INTO rows VALUES (2, 'b', 'other')") // writers are not kept out
	pass := d.eraser.join()
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-pass.done
	if left := found(t, path); left != nil {
		t.Errorf("after the reader has ended: %v", left)
	}
}

// TestOpenErasesWhatAProcessLeft: a process that died between a deletion and
// its erasure has left the log as it was.
func TestOpenErasesWhatAProcessLeft(t *testing.T) {
	d, path := scratch(t)
	exec(t, d, "INSERT INTO rows VALUES (1, 'a', ?)", canary)
	exec(t, d, "DELETE FROM rows")
	dead := filepath.Join(t.TempDir(), "a.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(dead+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found(t, dead)) == 0 {
		t.Fatal("nothing was left")
	}
	again, err := Open(t.Context(), dead)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if left := found(t, dead); left != nil {
		t.Errorf("after the start: %v", left)
	}
}

// TestDeletionsShareAPass: a pass that has not begun is everybody's.
func TestDeletionsShareAPass(t *testing.T) {
	d, _ := scratch(t)
	e := d.eraser
	e.mu.Lock()
	e.active = true // as if a pass was running
	e.mu.Unlock()
	first := e.join()
	if second := e.join(); second != first {
		t.Error("two callers wait for two passes")
	}
	e.mu.Lock()
	e.active = false
	e.mu.Unlock()
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if err := d.Erase(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	<-first.done
}

func TestEraseEndsWithTheDatabase(t *testing.T) {
	d, _ := scratch(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Erase(t.Context()); !errors.Is(err, ErrErasePending) {
		t.Errorf("after Close: %v", err)
	}
}

func BenchmarkErase(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.db")
	d, err := Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write.ExecContext(b.Context(), "CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT)"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.Write.ExecContext(b.Context(), "INSERT INTO rows (content) VALUES (?)", canary); err != nil {
			b.Fatal(err)
		}
		if err := d.Erase(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
