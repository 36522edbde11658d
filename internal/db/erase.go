package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// ErrErasePending means that the deletion is committed, and that a reader which
// began before it, such as a backup, still keeps the old pages in the
// write-ahead log. They are erased in the background as soon as it has ended, or
// when the file is opened again.
var ErrErasePending = errors.New("deleted rows are erased from the write-ahead log when a long reader has ended")

const (
	// eraseWait is how long Erase waits for readers. All but a backup are done in
	// milliseconds.
	eraseWait = time.Second
	// erasePause is the time between two attempts, in which writers go on.
	erasePause = 20 * time.Millisecond
	// lockWaitMS is how long one attempt may hold the writers up.
	lockWaitMS = 20
)

// eraser empties the write-ahead log. secure_delete overwrites deleted rows in
// the pages of a file, but the log keeps former versions of those pages until it
// is truncated.
type eraser struct {
	pool *sql.DB // one connection of its own: Write goes on between attempts

	mu     sync.Mutex
	next   *erasure // not begun; guarded by mu
	active bool     // a goroutine works; guarded by mu
	end    context.CancelFunc
	ended  context.Context
	work   sync.WaitGroup
}

// erasure is one pass, which covers all that was committed before it began.
type erasure struct{ done chan struct{} }

func openEraser(ctx context.Context, path string) (*eraser, error) {
	pool, err := open(ctx, path, 1, "deferred", lockWaitMS)
	if err != nil {
		return nil, err
	}
	e := &eraser{pool: pool}
	e.ended, e.end = context.WithCancel(context.WithoutCancel(ctx))
	// What a process that died has left is erased now. A reader elsewhere does not
	// matter: the next pass has it.
	if _, err = e.attempt(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open database %s: %w", path, err), pool.Close())
	}
	return e, nil
}

// Erase waits until what was deleted before the call, in committed
// transactions, is in no file of the database any more. Callers that arrive
// while a pass is running share the next one, so that many deletions cost two
// passes. It waits for readers a second at most: ErrErasePending.
func (d *DB) Erase(ctx context.Context) error {
	wait := time.NewTimer(eraseWait)
	defer wait.Stop()
	select {
	case <-d.eraser.join().done:
		return nil
	case <-wait.C:
	case <-ctx.Done():
	case <-d.eraser.ended.Done():
	}
	return ErrErasePending
}

// join gives the pass that has not begun, and sees to it that it will.
func (e *eraser) join() *erasure {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next == nil {
		e.next = &erasure{done: make(chan struct{})}
	}
	if !e.active && e.ended.Err() == nil {
		e.active = true
		e.work.Go(func() {
			defer crash.Exit()
			e.run()
		})
	}
	return e.next
}

// run makes passes while anybody waits for one.
func (e *eraser) run() {
	for {
		e.mu.Lock()
		pass := e.next
		if e.next = nil; pass == nil || e.ended.Err() != nil {
			e.active = false
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		if e.pass() {
			close(pass.done)
		}
	}
}

// pass tries until the log is empty; false when the database is closed first.
// An error of the disk is tried again, as what was deleted must not stay.
func (e *eraser) pass() bool {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-e.ended.Done():
			return false
		}
		if done, err := e.attempt(e.ended); err == nil && done {
			return true
		}
		pause.Reset(erasePause)
	}
}

// attempt moves the log into the file and truncates it, unless somebody reads
// an older state.
func (e *eraser) attempt(ctx context.Context) (done bool, err error) {
	var busy, pages, moved int
	err = e.pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	return busy == 0, err
}

func (e *eraser) close() error {
	e.mu.Lock() // no goroutine begins after this
	e.end()
	e.mu.Unlock()
	e.work.Wait()
	return e.pool.Close()
}
