package memory

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// Provider runs a tenant's own models, on the tenant's own credential.
type Provider interface {
	// Ask sends a JSON body to a path below /v1, as the tenant's own program
	// would, and gives the whole answer. An error is an [*AskError] when somebody
	// said no.
	Ask(ctx context.Context, tenant, path string, body []byte) (answer []byte, err error)
	// SpeaksMessages reports whether a model of the tenant is asked in
	// Anthropic's dialect.
	SpeaksMessages(tenant, model string) bool
}

// AskError is a provider's no, or ours before it was asked.
type AskError struct {
	Status     int    // HTTP status
	Code       string // ours, if it was we who said no
	RetryAfter time.Duration
}

// Error gives the code; a provider's text stays with the provider.
func (e *AskError) Error() string {
	if e.Code != "" {
		return "provider was not asked: " + e.Code
	}
	return "provider refused the call"
}

// job is a kind of what the tenant's models do for memories.
type job int

const (
	embedding job = iota
	extraction
)

// Numbers of the queue.
const (
	jobPoll     = time.Second     // how often due jobs are looked for
	jobLease    = 2 * time.Minute // a job that was taken is taken again after this: its process died
	jobTimeout  = time.Minute     // of one call
	maxAttempts = 12              // then the job is given up: some hours later
	maxBackoff  = 30 * time.Minute
)

// batchOf is how many memories one call takes.
var batchOf = map[job]int{embedding: 64, extraction: 1}

// addJobs writes down what is to be done about a memory.
func (k *Keeper) addJobs(ctx context.Context, tx *sql.Tx, m *Memory) error {
	s := k.o.Settings(m.tenant)
	for kind, wanted := range map[job]bool{embedding: s.Embeddings != "", extraction: s.Extraction != "" && worthExtracting(m)} {
		if !wanted {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO jobs (kind, seq, tenant, attempts, not_before) VALUES (?, ?, ?, 0, 0)
			ON CONFLICT DO UPDATE SET attempts = 0, not_before = 0`, kind, m.seq, m.tenant); err != nil {
			return err
		}
	}
	return nil
}

// runJobs does what is due, for every tenant a few calls at a time.
func (k *Keeper) runJobs() {
	defer crash.Exit()
	tick := time.NewTicker(jobPoll)
	defer tick.Stop()
	q := queue{k: k, running: map[string]int{}}
	defer q.calls.Wait()
	for {
		if err := q.start(k.background); err != nil && k.background.Err() == nil {
			k.o.Trouble("embeddings and extraction wait", err)
		}
		select {
		case <-k.background.Done():
			return
		case <-k.wakeJobs:
		case <-tick.C:
		}
	}
}

// queue knows what is running.
type queue struct {
	k     *Keeper
	calls sync.WaitGroup

	mu      sync.Mutex
	running map[string]int // calls by tenant; guarded by mu
}

// start begins all that is due and may run.
func (q *queue) start(ctx context.Context) error {
	type due struct {
		tenant string
		kind   job
	}
	var all []due
	err := each(ctx, q.k.o.Read, func(rows *sql.Rows) error {
		var d due
		err := rows.Scan(&d.tenant, &d.kind)
		all = append(all, d)
		return err
	}, "SELECT DISTINCT tenant, kind FROM jobs WHERE not_before <= ?", time.Now().UnixMicro())
	for i := 0; err == nil && i < len(all); i++ {
		for err == nil && q.enter(all[i].tenant) {
			var batch []Memory
			if batch, err = q.k.take(ctx, all[i].tenant, all[i].kind); err != nil || len(batch) == 0 {
				q.leave(all[i].tenant)
				break
			}
			q.calls.Go(func() {
				defer crash.Exit()
				defer wake(q.k.wakeJobs)
				defer q.leave(batch[0].tenant)
				q.k.do(ctx, all[i].kind, batch)
			})
		}
	}
	return err
}

func (q *queue) enter(tenant string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[tenant] >= q.k.o.Concurrency {
		return false
	}
	q.running[tenant]++
	return true
}

func (q *queue) leave(tenant string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[tenant]--; q.running[tenant] == 0 {
		delete(q.running, tenant)
	}
}

// take claims the next batch of a tenant.
func (k *Keeper) take(ctx context.Context, tenant string, kind job) (batch []Memory, err error) {
	now := time.Now()
	err = k.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, selectMemories+` WHERE m.tenant = ? AND m.seq IN
			(SELECT seq FROM jobs WHERE tenant = ? AND kind = ? AND not_before <= ? ORDER BY not_before, seq LIMIT ?)`,
			tenant, tenant, kind, now.UnixMicro(), batchOf[kind])
		if err != nil {
			return err
		}
		if err := eachMemory(rows, tenant, func(m *Memory) error {
			batch = append(batch, *m)
			return nil
		}); err != nil {
			return err
		}
		return postpone(ctx, tx, kind, batch, now.Add(jobLease))
	})
	return batch, err
}

func postpone(ctx context.Context, tx *sql.Tx, kind job, batch []Memory, until time.Time) error {
	for i := range batch {
		if _, err := tx.ExecContext(ctx, "UPDATE jobs SET attempts = attempts + 1, not_before = ? WHERE kind = ? AND seq = ?", until.UnixMicro(), kind, batch[i].seq); err != nil {
			return err
		}
	}
	return nil
}

// do runs one call and writes down what came of it.
func (k *Keeper) do(ctx context.Context, kind job, batch []Memory) {
	call, done := context.WithTimeout(ctx, jobTimeout)
	defer done()
	err := k.call(call, kind, batch)
	if err == nil || ctx.Err() != nil {
		return // the lease brings back what was broken off
	}
	if werr := k.failed(context.WithoutCancel(ctx), kind, batch, err); werr != nil {
		k.o.Trouble("a failed call of a tenant's model is not written down", werr)
	}
}

func (k *Keeper) call(ctx context.Context, kind job, batch []Memory) (err error) {
	defer survive(&err)
	if kind == embedding {
		return k.embed(ctx, batch)
	}
	return k.extract(ctx, &batch[0])
}

// finishJob writes down what came of a job, by a statement that finds no row if
// the memory was deleted or changed meanwhile: a changed one has a job of its
// own.
func (k *Keeper) finishJob(ctx context.Context, kind job, m *Memory, apply func(r *resident), statement string, args ...any) error {
	b, err := k.begin(ctx, m.tenant, m.Bucket)
	if err != nil {
		return err
	}
	defer k.end(b)
	kept := false
	if err := k.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if kept = n > 0; err != nil || !kept {
			return err
		}
		return finishJobs(ctx, tx, kind, []Memory{*m})
	}); err != nil {
		return err
	}
	if kept {
		k.apply(b, apply)
	}
	return nil
}

func finishJobs(ctx context.Context, tx *sql.Tx, kind job, batch []Memory) error {
	for i := range batch {
		if _, err := tx.ExecContext(ctx, "DELETE FROM jobs WHERE kind = ? AND seq = ?", kind, batch[i].seq); err != nil {
			return err
		}
	}
	return nil
}

// failed puts a batch off, longer each time, or gives it up.
func (k *Keeper) failed(ctx context.Context, kind job, batch []Memory, cause error) error {
	return k.write(ctx, func(tx *sql.Tx) error {
		for i := range batch {
			var attempts int
			err := tx.QueryRowContext(ctx, "SELECT attempts FROM jobs WHERE kind = ? AND seq = ?", kind, batch[i].seq).Scan(&attempts)
			switch {
			case err == sql.ErrNoRows: // deleted meanwhile
				continue
			case err != nil:
				return err
			case attempts >= maxAttempts:
				k.counts.JobsGivenUp.Add(1)
				_, err = tx.ExecContext(ctx, "DELETE FROM jobs WHERE kind = ? AND seq = ?", kind, batch[i].seq)
			default:
				_, err = tx.ExecContext(ctx, "UPDATE jobs SET not_before = ? WHERE kind = ? AND seq = ?", time.Now().Add(backoff(attempts, cause)).UnixMicro(), kind, batch[i].seq)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// backoff is how long to wait after so many attempts: what the provider says,
// else twice as long each time, and somewhat more or less.
func backoff(attempts int, cause error) time.Duration {
	var no *AskError
	if errors.As(cause, &no) && no.RetryAfter > 0 {
		return min(no.RetryAfter, maxBackoff)
	}
	d := min(time.Second<<min(attempts, 20), maxBackoff)
	return d/2 + rand.N(d) //nolint:gosec // to spread, not to hide
}
