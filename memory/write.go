package memory

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/internal/fault"
)

// Write is what one call stores.
type Write struct {
	Bucket   string
	Memories []Memory
	// Dedup; empty is strict for plain memories and off for turns of a
	// conversation, where "thanks" is said more than once.
	Dedup Dedup
	// Key is the call's Idempotency-Key; empty for none. The same key with the
	// same Digest, within a day, gives the same results and stores nothing.
	Key    string
	Digest []byte
}

// Result is what became of one memory.
type Result struct {
	ID         string  `json:"id"` // its own, or of the one that it was merged into
	Bucket     string  `json:"-"`  // the call's
	Tokens     int     `json:"tokens"`
	Merged     bool    `json:"merged"`
	Similarity float64 `json:"similarity"`
	Reason     string  `json:"reason"` // of a merge
}

// Reasons of merges, in the words of the memory API. Near duplicates are found
// by their words; the API has one word for all of these.
const (
	ReasonContentHash = "content_hash"
	ReasonSimilarity  = "embedding_similarity"
)

// maxKeyBytes is how long an Idempotency-Key may be.
const maxKeyBytes = 255

// keptAnswers is how long an Idempotency-Key is remembered.
const keptAnswers = 24 * time.Hour

// Store stores memories in one transaction: all of them or none. When it
// returns they are on the disk and can be recalled.
func (k *Keeper) Store(ctx context.Context, who *Caller, w *Write) ([]Result, error) {
	fault.At("memory.store")
	now := time.Now().UTC()
	if err := k.prepare(who.Tenant, w, now); err != nil {
		return nil, err
	}
	b, err := k.begin(ctx, who.Tenant, w.Bucket)
	if err != nil {
		return nil, err
	}
	defer k.end(b)
	s := storing{k: k, who: who, w: w, now: now}
	if err := s.compare(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	if err := k.write(context.WithoutCancel(ctx), func(tx *sql.Tx) error { return s.run(context.WithoutCancel(ctx), tx) }); err != nil {
		return nil, err
	}
	if s.replayed {
		return s.results, nil
	}
	wake(k.wakeEvents)
	wake(k.wakeJobs)
	k.apply(b, func(r *resident) {
		for _, m := range s.added {
			r.supersede(m)
			r.add(m)
		}
	})
	return s.results, nil
}

// prepare checks what is to be stored and fills in what was left out.
func (k *Keeper) prepare(tenant string, w *Write, now time.Time) error {
	if err := CheckBucket(w.Bucket); err != nil {
		return err
	}
	switch {
	case len(w.Memories) == 0:
		return &InvalidError{"memories", "must not be empty"}
	case len(w.Memories) > MaxBatch:
		return &InvalidError{"memories", "must not be more than " + strconv.Itoa(MaxBatch)}
	case len(w.Key) > maxKeyBytes:
		return &InvalidError{"Idempotency-Key", "must not be longer than " + strconv.Itoa(maxKeyBytes) + " bytes"}
	case w.Dedup != "" && w.Dedup != DedupOff && w.Dedup != DedupLoose && w.Dedup != DedupStrict:
		return &InvalidError{"dedup", "must be off, loose or strict"}
	}
	for i := range w.Memories {
		m := &w.Memories[i]
		prefix := ""
		if len(w.Memories) > 1 {
			prefix = "memories[" + strconv.Itoa(i) + "]."
		}
		if err := m.check(prefix, now); err != nil {
			return err
		}
		if m.CreatedAt.IsZero() {
			m.CreatedAt = now
		}
		if m.ObservedAt.IsZero() {
			m.ObservedAt = m.CreatedAt
		}
		m.Version, m.Bucket = 1, w.Bucket
		k.identify(tenant, m)
	}
	return nil
}

// longContent is from where on a content's hashes take more than a millisecond.
const longContent = 8 << 10

// identify finds what a content is recognised by, before the store is locked for
// it: that of a long one takes longer than all the rest.
func (k *Keeper) identify(tenant string, m *Memory) {
	if len(m.Content) > longContent {
		k.computing.Lock(tenant)
		defer k.computing.Unlock()
	}
	m.hash, m.shape = hashOf(m.Content), shapeOf(m.Content)
	if m.Context { // no memory is a copy of it
		m.hash, m.shape = hashOf("\x00"+m.Content), hashOf("\x00")
	}
}

// storing is one call of Store.
type storing struct {
	k         *Keeper
	who       *Caller
	w         *Write
	now       time.Time
	bucketID  string
	alive     string // a condition on memories m: they are not about to be deleted
	aliveArgs []any
	results   []Result
	added     []*Memory
	billed    int64 // of what was added; context is not
	bytes     int64 // likewise
	replayed  bool
	near      [][]near // by place in the call: what a memory may be merged into
	bag       struct { // of the memory that is compared
		of *Memory
		bag
	}
	insertion *sql.Stmt // of the transaction; nil until the first
}

func (s *storing) run(ctx context.Context, tx *sql.Tx) error {
	if done, err := s.replay(ctx, tx); err != nil || done {
		return err
	}
	var err error
	if s.bucketID, err = s.k.ensureBucket(ctx, tx, bucketKey{s.who.Tenant, s.w.Bucket}, "", s.now); err != nil {
		return err
	}
	s.alive, s.aliveArgs = s.k.deleting.alive(s.bucketID)
	if err := s.room(ctx, tx); err != nil {
		return err
	}
	for i := range s.w.Memories {
		if err := s.one(ctx, tx, i); err != nil {
			return err
		}
	}
	if s.billed > 0 {
		if err := addEvent(ctx, tx, s.who, s.bucketID, s.now, Stored, s.billed, s.bytes); err != nil {
			return err
		}
	}
	return s.remember(ctx, tx)
}

// room refuses what would make the bucket or the tenant too large.
func (s *storing) room(ctx context.Context, tx *sql.Tx) error {
	var more int64
	for i := range s.w.Memories {
		n, err := bytesOf(&s.w.Memories[i])
		if err != nil {
			return err
		}
		more += n
	}
	r, err := roomOf(ctx, tx, s.bucketID)
	if err != nil {
		return err
	}
	return s.k.grow(&r, int64(len(s.w.Memories)), more)
}

func (s *storing) one(ctx context.Context, tx *sql.Tx, at int) error {
	m := &s.w.Memories[at]
	found, err := s.known(ctx, tx, m)
	if err == nil && found.ID == "" {
		found, err = s.duplicate(ctx, tx, at)
	}
	if err != nil {
		return err
	}
	if found.ID != "" {
		found.Merged, found.Bucket, found.Tokens = true, s.w.Bucket, Tokens(m.Content)
		s.results = append(s.results, found)
		return nil
	}
	m.tenant, m.bucketID = s.who.Tenant, s.bucketID
	if m.ID == "" {
		m.ID = newID("m")
	}
	if err := s.supersede(ctx, tx, m); err != nil {
		return err
	}
	if err := s.insert(ctx, tx, m); err != nil {
		return err
	}
	if !m.Context {
		if err := s.k.addJobs(ctx, tx, m, s.who.Token); err != nil {
			return err
		}
		s.billed++
		s.bytes += int64(len(m.Content))
	}
	s.added = append(s.added, m)
	s.results = append(s.results, Result{ID: m.ID, Bucket: s.w.Bucket, Tokens: Tokens(m.Content)})
	return nil
}

// known finds a memory that comes with the id of one that is there: an import
// that is done again. An id that is in another bucket, or about to be deleted,
// is not taken over.
func (s *storing) known(ctx context.Context, tx *sql.Tx, m *Memory) (Result, error) {
	if m.ID == "" {
		return Result{}, nil
	}
	id, err := s.findOne(ctx, tx, "m.tenant = ? AND m.id = ? AND m.bucket_id = ?"+s.alive, append([]any{s.who.Tenant, m.ID, s.bucketID}, s.aliveArgs...)...)
	if err == nil && id == "" {
		var elsewhere string
		if elsewhere, err = s.findOne(ctx, tx, "m.tenant = ? AND m.id = ?", s.who.Tenant, m.ID); elsewhere != "" {
			m.ID = ""
		}
	}
	return Result{ID: id, Similarity: 1, Reason: ReasonContentHash}, err
}

// insert stores a memory's row. The statement is compiled once for a batch, with
// its triggers.
func (s *storing) insert(ctx context.Context, tx *sql.Tx, m *Memory) error {
	facts, err := factsText(m.Facts)
	if err != nil {
		return err
	}
	if s.insertion == nil {
		if s.insertion, err = tx.PrepareContext(ctx, `INSERT INTO memories (tenant, id, bucket_id, content, hash, shape, origin, role, speaker, session, facts, metadata,
			pinned, created_at, observed_at, valid_from, valid_to, expires_at, supersedes, superseded_by, version, context)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)`); err != nil {
			return err
		}
	}
	r, err := s.insertion.ExecContext(ctx, m.tenant, m.ID, m.bucketID, m.Content, m.hash, m.shape, m.origin, m.Role, m.Speaker, m.Session, facts, string(m.Metadata),
		m.Pinned, micros(m.CreatedAt), micros(m.ObservedAt), micros(m.ValidFrom), micros(m.ValidTo), micros(m.ExpiresAt), m.Supersedes, m.Version, m.Context)
	if err != nil {
		return err
	}
	m.seq, err = r.LastInsertId()
	return err
}

// supersede closes the time of the memory that m takes the place of.
func (s *storing) supersede(ctx context.Context, tx *sql.Tx, m *Memory) error {
	if m.Supersedes == "" {
		return nil
	}
	end := m.ValidFrom
	if end.IsZero() {
		end = m.ObservedAt
	}
	r, err := tx.ExecContext(ctx, "UPDATE memories SET superseded_by = ?, valid_to = ? WHERE tenant = ? AND bucket_id = ? AND id = ? AND superseded_by = ''",
		m.ID, micros(end), m.tenant, m.bucketID, m.Supersedes)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, &InvalidError{"supersedes", "must be a memory of this bucket that nothing has superseded"})
	}
	return nil
}

// supersede does the same in memory.
func (r *resident) supersede(m *Memory) {
	n, ok := r.numbers[m.Supersedes]
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	it := &r.items[n]
	r.text += int64(len(m.ID))
	it.SupersededBy, it.ValidTo = m.ID, m.ValidFrom
	if it.ValidTo.IsZero() {
		it.ValidTo = m.ObservedAt
	}
}

// replay gives the results of a call that came before under the same key.
func (s *storing) replay(ctx context.Context, tx *sql.Tx) (done bool, err error) {
	if s.w.Key == "" {
		return false, nil
	}
	var digest []byte
	var answer string
	err = tx.QueryRowContext(ctx, "SELECT digest, answer FROM answers WHERE tenant = ? AND key = ? AND at > ?",
		s.who.Tenant, s.w.Key, s.now.Add(-keptAnswers).UnixMicro()).Scan(&digest, &answer)
	switch {
	case err == sql.ErrNoRows:
		return false, nil
	case err != nil:
		return false, err
	case !bytes.Equal(digest, s.w.Digest):
		return false, ErrKeyReused
	}
	s.replayed = true
	err = json.Unmarshal([]byte(answer), &s.results)
	for i := range s.results {
		s.results[i].Bucket = s.w.Bucket // the digest is that of the same path
	}
	return true, err
}

// remember keeps the results for the same call coming again.
func (s *storing) remember(ctx context.Context, tx *sql.Tx) error {
	if s.w.Key == "" {
		return nil
	}
	answer, err := json.Marshal(s.results)
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, `INSERT INTO answers (tenant, key, digest, answer, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET digest = excluded.digest, answer = excluded.answer, at = excluded.at`,
		s.who.Tenant, s.w.Key, s.w.Digest, string(answer), s.now.UnixMicro()); err != nil {
		return err
	}
	return s.k.within(ctx, tx, s.who.Tenant)
}

// ensureBucket finds a tenant's bucket or makes it.
func (k *Keeper) ensureBucket(ctx context.Context, tx *sql.Tx, key bucketKey, description string, now time.Time) (id string, err error) {
	if id, err = bucketIDIn(ctx, tx, key); !errors.Is(err, ErrNotFound) {
		return id, err
	}
	var n int64
	if err = tx.QueryRowContext(ctx, "SELECT coalesce(max(buckets), 0) FROM holdings WHERE tenant = ?", key.tenant).Scan(&n); err != nil {
		return "", err
	}
	if n >= k.o.MaxTenantBuckets {
		return "", ErrTooManyBuckets
	}
	id = newID("b")
	if _, err = tx.ExecContext(ctx, "INSERT INTO buckets (id, tenant, name, description, created_at) VALUES (?, ?, ?, ?, ?)", id, key.tenant, key.name, description, now.UnixMicro()); err != nil {
		return "", err
	}
	return id, k.within(ctx, tx, key.tenant)
}
