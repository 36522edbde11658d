package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/ownkey/ownkey/memory"
)

// newMemory is a memory as a client sends it.
type newMemory struct {
	Content    string          `json:"content"`
	Role       string          `json:"role"`
	Speaker    string          `json:"speaker"`
	Session    string          `json:"session"`
	Facts      factList        `json:"facts"`
	Metadata   json.RawMessage `json:"metadata"`
	Pinned     bool            `json:"pinned"`
	ObservedAt *time.Time      `json:"observed_at"`
	ValidFrom  *time.Time      `json:"valid_from"`
	ValidTo    *time.Time      `json:"valid_to"`
	ExpiresAt  *time.Time      `json:"expires_at"`
	Supersedes string          `json:"supersedes"`
}

func (n *newMemory) memory() memory.Memory {
	return memory.Memory{
		Content: n.Content, Role: n.Role, Speaker: n.Speaker, Session: n.Session, Facts: n.Facts, Metadata: notNull(n.Metadata), Pinned: n.Pinned,
		ObservedAt: timeOf(n.ObservedAt), ValidFrom: timeOf(n.ValidFrom), ValidTo: timeOf(n.ValidTo), ExpiresAt: timeOf(n.ExpiresAt), Supersedes: n.Supersedes,
	}
}

func notNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// stored is what became of a memory.
type stored struct {
	ID         string   `json:"id"`
	MemoryID   string   `json:"memory_id"`
	BucketName string   `json:"bucket_name"`
	TokenCount int      `json:"token_count"`
	Status     string   `json:"status"`
	Into       string   `json:"deduped_into,omitempty"`
	Similarity *float64 `json:"similarity_score,omitempty"`
	Reason     string   `json:"merge_reason,omitempty"`
}

func viewStored(r *memory.Result) stored {
	s := stored{ID: r.ID, MemoryID: r.ID, BucketName: r.Bucket, TokenCount: r.Tokens, Status: "stored"}
	if r.Merged {
		s.Status, s.Into, s.Similarity, s.Reason = "merged", r.ID, &r.Similarity, r.Reason
	}
	return s
}

// store stores one memory, or a batch in one transaction.
func (a *API) store(ctx context.Context, c *call) (Answer, error) {
	var in struct {
		newMemory
		Dedup    memory.Dedup `json:"dedup"`
		Memories memoryList   `json:"memories"`
	}
	if err := c.read(&in, true); err != nil {
		return Answer{}, err
	}
	w := memory.Write{Bucket: c.bucket(), Dedup: in.Dedup, Key: c.Key}
	batch := in.Memories != nil
	if batch {
		if in.Content != "" {
			return Answer{}, &memory.InvalidError{Field: "content", Reason: "stands in each of memories, not beside them"}
		}
		for i := range in.Memories {
			w.Memories = append(w.Memories, in.Memories[i].memory())
		}
	} else {
		w.Memories = []memory.Memory{in.memory()}
	}
	sum := sha256.Sum256(append([]byte(c.Path+"\n"), c.Body.Reveal()...))
	w.Digest = sum[:]
	results, err := a.keeper.Store(ctx, &c.Caller, &w)
	if err != nil {
		return Answer{}, err
	}
	if !batch {
		return ok(statusOK, viewStored(&results[0]))
	}
	views := make([]stored, 0, len(results))
	for i := range results {
		views = append(views, viewStored(&results[i]))
	}
	return ok(statusOK, map[string]any{"memories": views})
}

// view is a memory as a client sees it. The first five are the contract's.
type view struct {
	ID           string          `json:"id"`
	Content      string          `json:"content"`
	BucketName   string          `json:"bucket_name"`
	CreatedAt    time.Time       `json:"created_at"`
	TokenCount   int             `json:"token_count"`
	Role         string          `json:"role,omitempty"`
	Speaker      string          `json:"speaker,omitempty"`
	Session      string          `json:"session,omitempty"`
	Facts        []string        `json:"facts,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	Pinned       bool            `json:"pinned,omitempty"`
	Context      bool            `json:"context,omitempty"`
	ObservedAt   time.Time       `json:"observed_at"`
	ValidFrom    *time.Time      `json:"valid_from,omitempty"`
	ValidTo      *time.Time      `json:"valid_to,omitempty"`
	ExpiresAt    *time.Time      `json:"expires_at,omitempty"`
	Supersedes   string          `json:"supersedes,omitempty"`
	SupersededBy string          `json:"superseded_by,omitempty"`
	Version      int             `json:"version"`
}

func viewMemory(m *memory.Memory) view {
	return view{
		ID: m.ID, Content: m.Content, BucketName: m.Bucket, CreatedAt: m.CreatedAt, TokenCount: memory.Tokens(m.Content),
		Role: m.Role, Speaker: m.Speaker, Session: m.Session, Facts: m.Facts, Metadata: m.Metadata, Pinned: m.Pinned, Context: m.Context, ObservedAt: m.ObservedAt,
		ValidFrom: at(m.ValidFrom), ValidTo: at(m.ValidTo), ExpiresAt: at(m.ExpiresAt), Supersedes: m.Supersedes, SupersededBy: m.SupersededBy, Version: m.Version,
	}
}

// at is a time as JSON has it: left out for none.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (a *API) list(ctx context.Context, c *call) (Answer, error) {
	limit, err := c.number("limit", 20, 1, 500)
	if err != nil {
		return Answer{}, err
	}
	offset, err := c.number("offset", 0, 0, 1<<40)
	if err != nil {
		return Answer{}, err
	}
	release := func() {}
	defer func() { release() }()
	which := a.keeper.Page
	switch c.query.Get("context") {
	case "", "false":
	case "true":
		which = a.keeper.PageWithContext
	default:
		return Answer{}, &memory.InvalidError{Field: "context", Reason: "must be true or false"}
	}
	page, total, err := which(ctx, c.Caller.Tenant, c.bucket(), limit, offset, func(texts int64) (err error) {
		release, err = c.room(texts)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	views := make([]view, 0, len(page))
	for i := range page {
		views = append(views, viewMemory(&page[i]))
	}
	return ok(statusOK, map[string]any{"memories": views, "total": total, "limit": limit, "offset": offset})
}

func (a *API) get(ctx context.Context, c *call) (Answer, error) {
	m, err := a.keeper.Get(ctx, c.Caller.Tenant, c.bucket(), c.memory())
	if err != nil {
		return Answer{}, err
	}
	return ok(statusOK, viewMemory(&m))
}

func (a *API) update(ctx context.Context, c *call) (Answer, error) {
	var in struct {
		Content   *string          `json:"content"`
		Metadata  *json.RawMessage `json:"metadata"`
		Facts     *factList        `json:"facts"`
		Pinned    *bool            `json:"pinned"`
		ValidFrom *moment          `json:"valid_from"`
		ValidTo   *moment          `json:"valid_to"`
		ExpiresAt *moment          `json:"expires_at"`
	}
	if err := c.read(&in, true); err != nil {
		return Answer{}, err
	}
	m, err := a.keeper.Update(ctx, &c.Caller, c.bucket(), c.memory(), &memory.Change{
		Content: in.Content, Metadata: in.Metadata, Facts: (*[]string)(in.Facts), Pinned: in.Pinned,
		ValidFrom: in.ValidFrom.time(), ValidTo: in.ValidTo.time(), ExpiresAt: in.ExpiresAt.time(),
	})
	if err != nil {
		return Answer{}, err
	}
	return ok(statusOK, viewMemory(&m))
}

// moment is a time in a change: an empty text removes what there is.
type moment string

func (m *moment) time() *time.Time {
	if m == nil {
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(*m))
	if err != nil {
		t = time.Time{}
	}
	return &t
}

// UnmarshalJSON takes a time as RFC 3339 has it, or "".
func (m *moment) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return &memory.InvalidError{Field: "time", Reason: "must be an RFC 3339 time, or empty to remove it"}
	}
	if _, err := time.Parse(time.RFC3339, s); err != nil && s != "" {
		return &memory.InvalidError{Field: "time", Reason: "must be an RFC 3339 time, or empty to remove it"}
	}
	*m = moment(s)
	return nil
}

func (a *API) delete(ctx context.Context, c *call) (Answer, error) {
	return deleted(a.keeper.Delete(ctx, &c.Caller, c.bucket(), c.memory()), map[string]any{})
}

// clear deletes what a filter chooses; without one, all.
func (a *API) clear(ctx context.Context, c *call) (Answer, error) {
	f := memory.Filter{Session: c.query.Get("session"), Speaker: c.query.Get("speaker"), Role: c.query.Get("role"), Metadata: map[string]string{}}
	for name, to := range map[string]*time.Time{"before": &f.Before, "after": &f.After} {
		if raw := c.query.Get(name); raw != "" {
			t, err := time.Parse(time.RFC3339, raw)
			if err != nil {
				return Answer{}, &memory.InvalidError{Field: name, Reason: "must be an RFC 3339 time"}
			}
			*to = t
		}
	}
	for name, values := range c.query {
		if values[0] == "" {
			return Answer{}, &memory.InvalidError{Field: firstBytes(name), Reason: "must not be empty"}
		}
		if key, ok := strings.CutPrefix(name, "metadata."); ok {
			f.Metadata[key] = values[0]
		}
	}
	dry, err := c.flag("dry_run")
	if err != nil {
		return Answer{}, err
	}
	n, err := a.keeper.DeleteAll(ctx, &c.Caller, c.bucket(), &f, dry)
	out := map[string]any{"cleared_count": n}
	if dry {
		out["dry_run"] = true
	}
	return deleted(err, out)
}

func (a *API) history(ctx context.Context, c *call) (Answer, error) {
	m, versions, err := a.keeper.History(ctx, c.Caller.Tenant, c.bucket(), c.memory())
	if err != nil {
		return Answer{}, err
	}
	type former struct {
		Version int       `json:"version"`
		Content string    `json:"content"`
		Until   time.Time `json:"until"`
	}
	all := make([]former, 0, len(versions))
	for _, v := range versions {
		all = append(all, former(v))
	}
	return ok(statusOK, map[string]any{"id": m.ID, "version": m.Version, "content": m.Content, "history": all})
}
