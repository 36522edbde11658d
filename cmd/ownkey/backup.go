package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/internal/archive"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/internal/installation"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/vaultbridge"
)

// DataFlags say whose data it is: a configuration's, or that of `ownkey dev`.
type DataFlags struct {
	Config string `type:"existingfile" placeholder:"FILE" help:"The gateway's configuration file: its data directory and keyring."`
	Data   string `default:"./ownkey-data" type:"path" placeholder:"DIR" help:"Without --config: the data directory of ownkey dev, with its master key in it."`
}

// devKeyFile is the master key of ownkey dev, in its data directory.
const devKeyFile = "master.key"

// load gives the configuration; the one that ownkey dev has, without a file.
func (f *DataFlags) load() (*config.Config, error) {
	if f.Config != "" {
		cfg, err := config.Load(f.Config, os.LookupEnv)
		if err != nil {
			return nil, usageError{err}
		}
		return cfg, nil
	}
	cfg := config.Default()
	cfg.Data, cfg.Keyring.MasterKeyFile = f.Data, filepath.Join(f.Data, devKeyFile)
	if _, err := os.Stat(cfg.Keyring.MasterKeyFile); err != nil {
		return nil, usageError{fmt.Errorf("there is no %s; name the configuration with --config, or bring the key there first", cfg.Keyring.MasterKeyFile)}
	}
	return &cfg, nil
}

// archiveMAC authenticates a manifest with a keyring. The purpose keeps it
// apart from anything else that the keyring authenticates.
func archiveMAC(ctx context.Context, k vaultbridge.Keyring, manifest []byte) ([]byte, error) {
	a, ok := k.(vaultbridge.Authenticator)
	if !ok {
		return nil, vaultbridge.ErrUnsupported
	}
	return a.MAC(ctx, "backup", manifest)
}

// BackupCmd writes an archive.
type BackupCmd struct {
	DataFlags
	File string `arg:"" help:"Archive to write (tar.gz), or - for standard output. An existing file is never touched."`
}

// Run takes all stores of the data directory as they are at one moment. No key
// file and no role or secret id goes into the archive.
func (c *BackupCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	cfg, err := c.load()
	if err != nil {
		return err
	}
	ring, err := openRingAlone(ctx, cfg)
	if err != nil {
		return err
	}
	defer ring.Close()
	m := &archive.Manifest{Format: archive.Format, CreatedAt: time.Now().UTC(), Program: version(), Keyring: ring.Current().Name()}
	parts, release, err := c.collect(ctx, cfg, m)
	if err != nil {
		return fmt.Errorf("cannot back up: %w", err)
	}
	defer release() //nolint:errcheck // they were read
	if c.File == "-" {
		stop() // nothing is left behind, and a write to a pipe can not be interrupted
	}
	progress("writing the archive")
	if err := c.write(ctx, func(out io.Writer) error {
		return archive.Write(out, m, parts, func(manifest []byte) ([]byte, error) { return archiveMAC(ctx, ring.Current(), manifest) })
	}); err != nil {
		return fmt.Errorf("cannot write backup: %w", err)
	}
	for _, e := range m.Elsewhere {
		progress("not in it: %s at %s, database %s of installation %s, written up to %s; back it up by its own means, after this", e.Store, e.Address, e.Database, e.Installation, e.Position)
	}
	progress("done: %d files. It opens nothing without the keyring %s.", len(m.Files), m.Keyring)
	return nil
}

// collect is the function of that name, with a place for the copies, which have
// no names any more when it returns.
func (c *BackupCmd) collect(ctx context.Context, cfg *config.Config, m *archive.Manifest) (parts []archive.Part, release func() error, err error) {
	beside := cfg.Data
	if c.File != "-" {
		beside = filepath.Dir(c.File)
	}
	scratch, remove, err := newScratch(beside)
	if err != nil {
		return nil, nil, err
	}
	defer remove()
	return collect(ctx, cfg, scratch, m)
}

// write has all write the archive; a file of which not all was written goes.
func (c *BackupCmd) write(ctx context.Context, all func(io.Writer) error) error {
	if c.File == "-" {
		return all(os.Stdout)
	}
	out, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(all(untilWriter{ctx, out}), out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(c.File))
	}
	return nil
}

// untilWriter writes until its context ends.
type untilWriter struct {
	ctx context.Context
	io.Writer
}

// Write writes.
func (w untilWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// scratchPrefix begins the names of directories for copies.
const scratchPrefix = ".ownkey-backup-"

// newScratch makes a directory for copies in dir, and removes those of backups
// that were killed: they hold what the stores hold.
func newScratch(dir string) (path string, remove func(), err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if left := filepath.Join(dir, e.Name()); e.IsDir() && strings.HasPrefix(e.Name(), scratchPrefix) {
			if lock, err := durable.LockDir(left); err == nil {
				_ = errors.Join(os.RemoveAll(left), lock.Close()) // the next one tries again
			}
		}
	}
	if path, err = os.MkdirTemp(dir, scratchPrefix); err != nil {
		return "", nil, err
	}
	lock, err := durable.LockDir(path)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(path))
	}
	return path, func() { _ = errors.Join(os.RemoveAll(path), lock.Close()) }, nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// databases of the data directory. The file of records is there without
// ClickHouse only.
func databases(cfg *config.Config) []string {
	all := []string{memoryFile, databaseFile, usageFile}
	return slices.DeleteFunc(all, func(name string) bool {
		_, err := os.Stat(filepath.Join(cfg.Data, name))
		return errors.Is(err, fs.ErrNotExist) && name != databaseFile
	})
}

// collect takes everything at one moment, copies the databases to scratch, and
// describes all in m. release closes the files behind parts.
//
// One moment: while no process can write to a database, the ledger is opened,
// which is only appended to. So each event is in the memories' outbox, the
// ledger or the records, and one that is in two of them is known by its id.
func collect(ctx context.Context, cfg *config.Config, scratch string, m *archive.Manifest) (parts []archive.Part, release func() error, err error) {
	var open []io.Closer
	release = func() (err error) {
		for _, c := range open {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	names := databases(cfg)
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(cfg.Data, name)
	}
	var spool []archive.Part
	frozen, err := db.Freeze(ctx, paths, func() error {
		logs, segments, err := openQueues(cfg.Data)
		for _, l := range logs {
			open = append(open, l)
			parts = append(parts, archive.Part{Name: ledgerDir + "/" + l.Name, Open: func() (io.ReadCloser, error) { return io.NopCloser(l.Reader()), nil }})
		}
		for _, s := range segments {
			open = append(open, s)
			name, err := filepath.Rel(cfg.Data, s.Name())
			if err != nil {
				return err
			}
			spool = append(spool, partOf(filepath.ToSlash(name), s))
		}
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, release())
	}
	defer frozen.Close() //nolint:errcheck,contextcheck // it was read; its end does not depend on ctx
	for i, name := range names {
		progress("copying %s", name)
		to := filepath.Join(scratch, name)
		if err := frozen.Copy(ctx, i, to); err != nil {
			return nil, nil, errors.Join(err, release())
		}
		copied, err := os.Open(to)
		if err != nil {
			return nil, nil, errors.Join(err, release())
		}
		open = append(open, copied)
		parts = append(parts, partOf(name, copied))
	}
	parts = append(parts, spool...)
	for _, p := range parts {
		f, err := archive.Describe(p)
		if err != nil {
			return nil, nil, errors.Join(err, release())
		}
		progress("%12d bytes  %s", f.Size, f.Name)
		m.Files = append(m.Files, f)
	}
	if cfg.Meter.ClickHouse.URL != "" {
		id, err := installation.Of(ctx, filepath.Join(scratch, databaseFile))
		if err != nil {
			return nil, nil, errors.Join(err, release())
		}
		m.Elsewhere = append(m.Elsewhere, archive.Elsewhere{
			Store: "ClickHouse", Address: cfg.Meter.ClickHouse.URL, Database: cfg.Meter.ClickHouse.Database, Installation: id, Position: lastBatch(spool),
		})
	}
	return parts, release, nil
}

// partOf is an open file as it is now.
func partOf(name string, f *os.File) archive.Part {
	info, err := f.Stat()
	return archive.Part{Name: name, Open: func() (io.ReadCloser, error) {
		if err != nil {
			return nil, err
		}
		return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil
	}}
}

// queueTries bounds how often the queues are opened again because a batch went
// from the ledger to the segments meanwhile: that takes milliseconds and happens
// once a second.
const queueTries = 50

// openQueues opens the ledger, what was set aside of it, and the segments that
// wait for ClickHouse as they are at one moment. The mark says how much of the
// ledger is in segments.
func openQueues(data string) (logs []*ledger.Copied, segments []*os.File, err error) {
	mark := filepath.Join(data, segmentsDir, "mark.json")
	for range queueTries {
		before, _ := os.ReadFile(mark) // no such file: no segments, or the first one comes now
		if logs, err = ledger.OpenCopy(filepath.Join(data, ledgerDir)); err != nil {
			return nil, nil, err
		}
		segments, err = openTree(filepath.Join(data, segmentsDir))
		aside, aerr := openTree(filepath.Join(data, ledgerDir, "quarantine"))
		segments, err = append(segments, aside...), errors.Join(err, aerr)
		after, _ := os.ReadFile(mark)
		if err == nil && string(before) == string(after) {
			return logs, segments, nil
		}
		for _, l := range logs {
			_ = l.Close()
		}
		for _, s := range segments {
			_ = s.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	return nil, nil, errors.Join(errors.New("cannot read ledger and segments at one moment; try again"), err)
}

// openTree opens the files in dir and below it; none where there is no dir.
func openTree(dir string) (all []*os.File, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".new") {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // the data directory is its owner's only
		if err == nil {
			all = append(all, f)
		}
		return err
	})
	return all, err
}

// lastBatch is what ClickHouse knows the newest segment by.
func lastBatch(spool []archive.Part) string {
	for _, p := range spool {
		if filepath.Base(p.Name) != "mark.json" {
			continue
		}
		var mark struct {
			Gateway string `json:"gateway"`
			Seq     uint64 `json:"seq"`
		}
		if r, err := p.Open(); err == nil && json.NewDecoder(r).Decode(&mark) == nil {
			return fmt.Sprintf("batch %d of gateway %s", mark.Seq, mark.Gateway)
		}
	}
	return "no batch"
}
