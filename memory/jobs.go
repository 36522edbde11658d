package memory

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// Provider runs a tenant's own models, on the tenant's own credential.
type Provider interface {
	// Ask sends a JSON body to a path below /v1, as the tenant's own program
	// would, and gives the whole answer. It spends the budgets of the tenant and
	// of the token that caused the call, and asks for no model that the token may
	// not use; without a token the tenant itself is the cause. An error is an
	// [*AskError] when somebody said no.
	Ask(ctx context.Context, who Caller, path string, body []byte) (answer []byte, err error)
	// SpeaksMessages reports whether a model of the tenant is asked in
	// Anthropic's dialect.
	SpeaksMessages(tenant, model string) bool
}

// AskError is a provider's no, or the gateway's.
type AskError struct {
	Status     int    // HTTP status
	Code       string // the gateway's, if it was the gateway that said no
	RetryAfter time.Duration
	// Unasked: nothing was sent to a provider, and nothing spent.
	Unasked bool
	// Final: the same call will not be answered, however often it is made.
	Final bool
}

// Error gives the code; a provider's text stays with the provider.
func (e *AskError) Error() string {
	switch {
	case e.Unasked:
		return "provider was not asked: " + e.Code
	case e.Code != "":
		return "provider did not answer: " + e.Code
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
	jobPoll     = time.Second      // how often due jobs are looked for
	jobLease    = 2 * time.Minute  // a job that was taken is taken again after this: its process died
	jobTimeout  = time.Minute      // of one call
	maxAttempts = 5                // then the job is given up: an hour later
	firstDelay  = 10 * time.Second // after a first failure
	backoffBy   = 6                // how much longer each further delay is
	maxBackoff  = 30 * time.Minute
	maxWait     = 10 * time.Minute // until a budget or limit is looked at again: an operator may have raised it
	never       = math.MaxInt64    // not_before of a job that was given up
)

// batchOf is how many memories one call takes.
var batchOf = map[job]int{embedding: 64, extraction: 1}

// addJobs writes down what is to be done about a memory that a token stored or
// changed.
func (k *Keeper) addJobs(ctx context.Context, tx *sql.Tx, m *Memory, token string) error {
	s := k.o.Settings(m.tenant)
	for kind, wanted := range map[job]bool{embedding: s.Embeddings != "", extraction: s.Extraction != "" && worthExtracting(m)} {
		if !wanted {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO jobs (kind, seq, tenant, token, attempts, not_before) VALUES (?, ?, ?, ?, 0, 0)
			ON CONFLICT DO UPDATE SET attempts = 0, not_before = 0, token = excluded.token, model = ''`, kind, m.seq, m.tenant, token); err != nil {
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
	q := queue{k: k, running: map[string]int{}, waits: map[Caller]time.Time{}}
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

// queue knows what is running, and what waits for a budget or a limit.
type queue struct {
	k     *Keeper
	calls sync.WaitGroup

	mu      sync.Mutex
	running map[string]int       // calls by tenant; guarded by mu
	waits   map[Caller]time.Time // until when; guarded by mu
}

// due is work that may begin: jobs of one kind that one token has caused.
type due struct {
	who  Caller
	kind job
}

// start begins all that is due and may run.
func (q *queue) start(ctx context.Context) error {
	now := time.Now()
	q.forget(now)
	all, err := q.k.causes(ctx, now)
	for i := 0; err == nil && i < len(all); i++ {
		d := all[i]
		for err == nil && !q.waiting(d.who, now) && q.enter(d.who.Tenant) {
			var batch []Memory
			if batch, err = q.k.take(ctx, d); err != nil || len(batch) == 0 {
				q.leave(d.who.Tenant)
				break
			}
			q.calls.Go(func() {
				defer crash.Exit()
				defer wake(q.k.wakeJobs)
				defer q.leave(d.who.Tenant)
				q.wait(d.who, q.k.do(ctx, d, batch))
			})
		}
	}
	return err
}

// nextCause finds who has jobs, in order: for each by a search of its own, however
// many jobs there are.
const nextCause = `SELECT j.tenant, j.kind, j.token, EXISTS (SELECT 1 FROM jobs d WHERE d.tenant = j.tenant AND d.kind = j.kind AND d.token = j.token AND d.not_before <= ?4) FROM (
	SELECT * FROM (SELECT tenant, kind, token FROM jobs WHERE tenant = ?1 AND kind = ?2 AND token > ?3 ORDER BY token LIMIT 1) UNION ALL
	SELECT * FROM (SELECT tenant, kind, token FROM jobs WHERE tenant = ?1 AND kind > ?2 ORDER BY kind, token LIMIT 1) UNION ALL
	SELECT * FROM (SELECT tenant, kind, token FROM jobs WHERE tenant > ?1 ORDER BY tenant, kind, token LIMIT 1) LIMIT 1) j`

// causes lists whose jobs of which kind are due.
func (k *Keeper) causes(ctx context.Context, now time.Time) (all []due, err error) {
	next, err := k.o.Read.PrepareContext(ctx, nextCause)
	if err != nil {
		return nil, err
	}
	defer next.Close() //nolint:errcheck // it was read
	for d := (due{kind: -1}); ; {
		isDue := false
		err := next.QueryRowContext(ctx, d.who.Tenant, d.kind, d.who.Token, now.UnixMicro()).Scan(&d.who.Tenant, &d.kind, &d.who.Token, &isDue)
		if err == sql.ErrNoRows {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if isDue {
			all = append(all, d)
		}
	}
}

// wait keeps what a token causes back for a while.
func (q *queue) wait(who Caller, d time.Duration) {
	if d <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waits[who] = time.Now().Add(d)
}

// forget lets go of waits that are over, whether anybody comes to ask or not: what
// a token caused may have been deleted meanwhile.
func (q *queue) forget(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.DeleteFunc(q.waits, func(_ Caller, until time.Time) bool { return !now.Before(until) })
}

func (q *queue) waiting(who Caller, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, ok := q.waits[who]
	return ok && now.Before(until)
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

// takeJobs reads the memories of the next jobs. The plus keeps SQLite from reading all
// memories of the tenant to find those few.
const takeJobs = selectMemories + ` WHERE +m.tenant = ? AND m.seq IN
	(SELECT seq FROM jobs WHERE tenant = ? AND kind = ? AND token = ? AND not_before <= ? ORDER BY not_before, seq LIMIT ?)`

// take claims the next batch of what is due.
func (k *Keeper) take(ctx context.Context, d due) (batch []Memory, err error) {
	now, tenant := time.Now(), d.who.Tenant
	err = k.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, takeJobs, tenant, tenant, d.kind, d.who.Token, now.UnixMicro(), batchOf[d.kind])
		if err != nil {
			return err
		}
		if err := eachMemory(rows, tenant, func(m *Memory) error {
			batch = append(batch, *m)
			return nil
		}); err != nil {
			return err
		}
		return postpone(ctx, tx, d.kind, batch, now.Add(jobLease))
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

// do runs one call and writes down what came of it. It gives how long whoever
// caused the call has to wait before the next.
func (k *Keeper) do(ctx context.Context, d due, batch []Memory) (wait time.Duration) {
	call, done := context.WithTimeout(ctx, jobTimeout)
	defer done()
	err := k.call(call, d, batch)
	if err == nil || ctx.Err() != nil {
		return 0 // the lease brings back what was broken off
	}
	if werr := k.failed(context.WithoutCancel(ctx), d.kind, batch, err); werr != nil {
		k.o.Trouble("a failed call of a tenant's model is not written down", werr)
	}
	return waitOf(err)
}

func (k *Keeper) call(ctx context.Context, d due, batch []Memory) (err error) {
	defer survive(&err)
	if d.kind == embedding {
		return k.embed(ctx, d.who, batch)
	}
	return k.extract(ctx, d.who, &batch[0])
}

// waitOf is how long to wait after a call that was not made, and would be if
// there were room: for a budget, a limit, a credential. It is no attempt.
func waitOf(err error) time.Duration {
	var no *AskError
	if !errors.As(err, &no) || !no.Unasked || no.Final {
		return 0
	}
	return min(cmp.Or(max(0, no.RetryAfter), time.Minute), maxWait)
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
	var no *AskError
	final := errors.As(cause, &no) && no.Final
	return k.write(ctx, func(tx *sql.Tx) error {
		for i := range batch {
			var attempts int
			err := tx.QueryRowContext(ctx, "SELECT attempts FROM jobs WHERE kind = ? AND seq = ?", kind, batch[i].seq).Scan(&attempts)
			switch wait := waitOf(cause); {
			case err == sql.ErrNoRows: // deleted meanwhile
				continue
			case err != nil:
				return err
			case wait > 0:
				_, err = tx.ExecContext(ctx, "UPDATE jobs SET attempts = attempts - 1, not_before = ? WHERE kind = ? AND seq = ?", time.Now().Add(wait).UnixMicro(), kind, batch[i].seq)
			case final || attempts >= maxAttempts:
				k.counts.JobsGivenUp.Add(1)
				_, err = tx.ExecContext(ctx, "UPDATE jobs SET not_before = ?, model = ? WHERE kind = ? AND seq = ?", int64(never), k.modelOf(batch[i].tenant, kind), kind, batch[i].seq)
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

// modelOf is the model that a tenant has chosen for a kind of job.
func (k *Keeper) modelOf(tenant string, kind job) string {
	if kind == embedding {
		return k.o.Settings(tenant).Embeddings
	}
	return k.o.Settings(tenant).Extraction
}

// backoff is how long to wait after so many attempts: what the provider says,
// else several times as long each time, and somewhat more or less.
func backoff(attempts int, cause error) time.Duration {
	var no *AskError
	if errors.As(cause, &no) && no.RetryAfter > 0 {
		return min(no.RetryAfter, maxBackoff)
	}
	d := firstDelay
	for range attempts - 1 {
		d = min(d*backoffBy, maxBackoff)
	}
	return d/2 + rand.N(d) //nolint:gosec // to spread, not to hide
}
