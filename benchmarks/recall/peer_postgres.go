package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is PostgreSQL's own full text search: a server of our own on a
// socket in a temporary folder, one table, one index over bucket and words.
type postgres struct {
	dir     string
	process *exec.Cmd
	conn    *pgx.Conn
	settled bool // the index is compact and the planner knows the table
}

// postgresStart is how long the server may take to answer.
const postgresStart = 20 * time.Second

const postgresSchema = `
	CREATE EXTENSION btree_gin;
	CREATE TABLE memories (
		bucket text NOT NULL, id text NOT NULL, seq int NOT NULL, text text NOT NULL,
		tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED,
		PRIMARY KEY (bucket, id));
	CREATE INDEX memories_tsv ON memories USING gin (bucket, tsv)`

// startPostgres starts a server that has nothing yet. The error is
// errNotInstalled where its programs are not found.
func startPostgres(ctx context.Context) (_ *postgres, err error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	e := &postgres{}
	if e.dir, err = os.MkdirTemp("", "recall-pg"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("cannot start PostgreSQL: %w", err), e.Close())
		}
	}()
	as, err := unprivileged(e.dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(e.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "-D", data, "-U", "bench", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = e.dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	// Nothing here outlives the measurement; a search does not care.
	server := exec.Command(filepath.Join(programs, "postgres"), "-D", data, "-k", e.dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "shared_buffers=512MB", "-c", "work_mem=64MB", "-c", "jit=off", "-c", "random_page_cost=1.1")
	server.Dir, server.SysProcAttr = e.dir, as
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return nil, err
	}
	e.process = server
	if err := e.connect(ctx); err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	_, err = e.conn.Exec(ctx, postgresSchema)
	return e, err
}

// postgresPrograms finds the folder with the server's programs: that of the
// path, or of the newest version where Debian puts them.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	best, newest := "", 0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range found {
		dir := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			best, newest = dir, version
		}
	}
	if best == "" {
		return "", fmt.Errorf("PostgreSQL is %w", errNotInstalled)
	}
	return best, nil
}

// unprivileged says as whom the server runs, and gives that user the folder:
// PostgreSQL refuses to be root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		return as, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as, os.Chown(dir, int(uid), int(gid))
}

func (e *postgres) connect(ctx context.Context) (err error) {
	for end := time.Now().Add(postgresStart); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if e.conn, err = pgx.Connect(ctx, "host="+e.dir+" user=bench dbname=postgres"); err == nil {
			return nil
		}
	}
	return err
}

func (*postgres) Name() string {
	return "PostgreSQL, GIN over bucket and words, any word, ts_rank_cd"
}

func (e *postgres) Load(ctx context.Context, bucket string, docs []document) error {
	e.settled = false
	_, err := e.conn.CopyFrom(ctx, pgx.Identifier{"memories"}, []string{"bucket", "id", "seq", "text"},
		pgx.CopyFromSlice(len(docs), func(i int) ([]any, error) {
			return []any{bucket, docs[i].ID, i, docs[i].indexed()}, nil
		}))
	return err
}

// Search's first call after a Load makes the index compact.
func (e *postgres) Search(ctx context.Context, bucket, query string, k int) ([]string, error) {
	if !e.settled {
		if _, err := e.conn.Exec(ctx, "VACUUM ANALYZE memories"); err != nil {
			return nil, err
		}
		e.settled = true
	}
	words := queryWords(query)
	if len(words) == 0 {
		return nil, nil
	}
	rows, err := e.conn.Query(ctx, `SELECT id FROM memories WHERE bucket = $1 AND tsv @@ to_tsquery('english', $2)
		ORDER BY ts_rank_cd(tsv, to_tsquery('english', $2)) DESC, seq LIMIT $3`, bucket, anyOf(words, "'", " | "), k)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (e *postgres) Close() (err error) {
	if e.conn != nil {
		err = e.conn.Close(context.Background())
	}
	if e.process != nil {
		err = errors.Join(err, e.process.Process.Signal(syscall.SIGINT)) // a fast shutdown
		_ = e.process.Wait()
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}
