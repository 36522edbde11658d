package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	_ "github.com/ownkey/ownkey/internal/db" // the driver "sqlite"
)

// fts5 is SQLite's full-text index at its best: a file for each bucket, so that
// statistics and postings are the bucket's own; a query for any of the words; a
// statement that is prepared.
type fts5 struct {
	dir     string
	buckets map[string]*fts5Bucket
}

type fts5Bucket struct {
	db     *sql.DB
	search *sql.Stmt
}

func newFTS5() (*fts5, error) {
	dir, err := os.MkdirTemp("", "recall-fts5")
	if err != nil {
		return nil, err
	}
	return &fts5{dir: dir, buckets: map[string]*fts5Bucket{}}, nil
}

func (*fts5) Name() string { return "SQLite FTS5, a file per bucket, any word, bm25" }

func (e *fts5) Load(ctx context.Context, bucket string, docs []document) error {
	path := url.URL{Path: filepath.Join(e.dir, strconv.Itoa(len(e.buckets))+".db")}
	db, err := sql.Open("sqlite", "file:"+path.EscapedPath()+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	b := &fts5Bucket{db: db}
	e.buckets[bucket] = b
	if _, err := db.ExecContext(ctx, "CREATE VIRTUAL TABLE memories USING fts5(id UNINDEXED, text, tokenize='porter unicode61')"); err != nil {
		return err
	}
	if err := b.insert(ctx, docs); err != nil {
		return err
	}
	// rank is bm25, and lets FTS5 sort by itself.
	b.search, err = db.PrepareContext(ctx, "SELECT id FROM memories WHERE memories MATCH ? ORDER BY rank LIMIT ?")
	return err
}

func (b *fts5Bucket) insert(ctx context.Context, docs []document) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO memories (id, text) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := range docs {
		if _, err := insert.ExecContext(ctx, docs[i].ID, docs[i].indexed()); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO memories (memories) VALUES ('optimize')"); err != nil {
		return err
	}
	return tx.Commit()
}

func (e *fts5) Search(ctx context.Context, bucket, query string, k int) ([]string, error) {
	b := e.buckets[bucket]
	if b == nil {
		return nil, fmt.Errorf("there is no bucket %q", bucket)
	}
	words := queryWords(query)
	if len(words) == 0 {
		return nil, nil
	}
	rows, err := b.search.QueryContext(ctx, anyOf(words, `"`, " OR "), k)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := make([]string, 0, k)
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (e *fts5) Close() (err error) {
	for _, b := range e.buckets {
		err = errors.Join(err, b.db.Close())
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}
