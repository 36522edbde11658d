package memory

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/ownkey/ownkey/memory/asked"
	"github.com/ownkey/ownkey/memory/index"
	"github.com/ownkey/ownkey/wire"
)

// Question is what is looked for.
type Question struct {
	Tenant  string
	Token   string // of whoever asks; a call for the question's vector is its
	Buckets []string
	Text    string
	// Own is where in the text the user's own words begin; see [asked.Read].
	Own int
	// Before is what the user said in the turn before: a question may point to it.
	Before string
	K      int
	// PerBucket bounds what one bucket may give; zero is K.
	PerBucket func(bucket string) int
	// AsOf asks for what was so at a time; zero is now.
	AsOf time.Time
	// Closed asks for what was so once, too: closed and superseded memories are found,
	// behind others as good.
	Closed bool
	// Part makes do with the newest memories of a bucket that is being loaded when half
	// of the time is over.
	Part bool
	// Said is what the asker has before it: a memory that stands in it is not found. Nil
	// is nothing.
	Said func(most int) iter.Seq[wire.Text]
	// Dry asks what would be found: the same question afterwards was not asked yet.
	Dry bool
}

// Hit is a memory that was found.
type Hit struct {
	Memory   Memory
	BucketID string
	// Passage is the part of the content that was found.
	Passage string
	// Relevance is between 0 and 1: how likely it is that its bucket knows of what is
	// asked, and how near the memory comes to the best there.
	Relevance float32
	Score     float32
	Parts     index.Parts
	Cosine    float32 // of the vectors; 0 without
	// worth says that its bucket is likely to know of what is asked, and that it is not
	// far behind the best there.
	worth   bool
	present bool
	item    item // as it was when it was found
	passage int
}

// Found is what a search gives.
type Found struct {
	Hits   []Hit // best first
	Pinned []Hit // those that are recalled whatever is asked, oldest first
	// BucketID is that of the first bucket that exists.
	BucketID string
	// Present: something was left out, as the asker has it before it.
	Present bool
	// Cached: the same was asked a moment ago and nothing has changed since. It
	// is not billed again.
	Cached bool
	// Part: a large bucket was not loaded yet, and only its newest memories were
	// looked through.
	Part bool

	asked *bucket // the last one that exists
	said  *said   // what the asker has before it; nil until there is something to compare
	again bool    // what was said is to be left out
	fresh []fresh // what is remembered when the answer is given
}

// fresh is an answer that its bucket did not remember.
type fresh struct {
	answers *answers
	state   int64 // of the bucket's answers when it was found
	answered
}

// Search finds what bears on a question in a tenant's buckets. A bucket that
// does not exist holds nothing. ctx bounds how long it waits for a bucket that
// is not in memory: ErrTimeout.
func (k *Keeper) Search(ctx context.Context, q *Question) (Found, error) {
	found, err := k.search(ctx, q)
	if err == nil && !q.Dry {
		k.remember(q.Tenant, &found)
	}
	return found, err
}

// search is Search, of which nothing is remembered.
func (k *Keeper) search(ctx context.Context, q *Question) (Found, error) {
	found := Found{Cached: true}
	vector := k.questionVector(ctx, q)
	for _, name := range q.Buckets {
		if err := k.searchBucket(ctx, q, name, vector, &found); err != nil {
			return Found{}, err
		}
	}
	if found.said != nil {
		found.Pinned = slices.DeleteFunc(found.Pinned, func(h Hit) bool { return found.leavesOut(h.Memory.Content) })
		saids.Put(found.said)
		found.said = nil
	}
	if len(q.Buckets) > 1 {
		slices.SortStableFunc(found.Hits, func(a, b Hit) int { return cmp.Compare(b.Relevance, a.Relevance) })
	}
	found.Hits = found.Hits[:min(q.K, len(found.Hits))]
	return found, nil
}

// searchBucket adds what one bucket has.
func (k *Keeper) searchBucket(ctx context.Context, q *Question, name string, vector []float32, found *Found) error {
	for {
		b, r, err := k.ready(ctx, q.Tenant, name, q.Part)
		if errors.Is(err, ErrNotFound) {
			k.household(q.Tenant).asked(q, name, found)
			return nil
		}
		if err != nil {
			return err
		}
		before := *found
		found.asked = b
		found.BucketID = cmp.Or(found.BucketID, r.id)
		if err := r.searchUnsaid(q, name, vector, found); err != nil {
			return err
		}
		if !r.newest || b.newest.Load() == r {
			found.Part = found.Part || r.newest
			return nil
		}
		*found = before // the load has ended meanwhile, and something may have been deleted since
	}
}

// remember keeps what was found, so that the same question is known again: it is
// called when the answer is given, and the question counts.
func (k *Keeper) remember(tenant string, found *Found) {
	for i := range found.fresh {
		if f := &found.fresh[i]; f.answers != nil {
			f.answers.keep(f)
		} else {
			k.household(tenant).remember(f.key)
		}
	}
	k.makeRoom(found.asked) // the answers that buckets remember count, too
}

// searchUnsaid adds what one bucket has that the asker does not have before it. What was
// found is compared first: mostly none of it was said, and a search without what was is
// the second one.
func (r *resident) searchUnsaid(q *Question, bucket string, vector []float32, found *Found) error {
	hits, pinned := len(found.Hits), len(found.Pinned)
	err := r.search(q, bucket, vector, found)
	if err != nil || q.Said == nil || len(found.Hits) == hits && len(found.Pinned) == pinned {
		return err
	}
	if found.said == nil {
		found.said = saids.Get().(*said) //nolint:forcetypeassert // the pool's New
		found.said.read(q.Said(maxSaid), q.Text, q.Own)
	}
	if !slices.ContainsFunc(found.Hits[hits:], func(h Hit) bool { return found.leavesOut(h.Passage) }) {
		return nil
	}
	found.Hits, found.Pinned = found.Hits[:hits], found.Pinned[:pinned]
	found.again = true
	err = r.search(q, bucket, vector, found)
	found.again = false
	if err == nil { // of a long memory the passage at hand may be said, and no other
		kept := slices.DeleteFunc(found.Hits[hits:], func(h Hit) bool { return found.said.has(h.Passage) })
		found.Hits = found.Hits[:hits+len(kept)]
	}
	return err
}

// leavesOut reports whether the asker has a text before it.
func (f *Found) leavesOut(text string) bool {
	said := f.said.has(text)
	f.Present = f.Present || said
	return said
}

// search adds what one bucket has.
func (r *resident) search(q *Question, bucket string, vector []float32, found *Found) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := time.Now()
	most := q.K
	if q.PerBucket != nil {
		most = min(most, q.PerBucket(bucket))
	}
	candidates := r.candidates(q, vector, now, found)
	for i := range candidates {
		c := &candidates[i]
		if most == 0 {
			break
		}
		if !r.admits(c.doc, q, now) {
			continue // it was when the answer was kept
		}
		it := &r.items[c.doc]
		if it.tenant != q.Tenant {
			return errForeign
		}
		found.Hits = append(found.Hits, Hit{
			Memory: it.Memory, BucketID: r.id, Passage: it.text(c.passage, c.passage+1), Relevance: c.relevance, Score: c.score, Parts: c.parts, Cosine: c.cosine,
			worth: c.worth, present: c.present, item: *it, passage: c.passage,
		})
		most--
	}
	for _, n := range r.pinned {
		if it := &r.items[n]; it.tenant == q.Tenant && it.live(now) && it.valid(q.AsOf, now) {
			found.Pinned = append(found.Pinned, Hit{Memory: it.Memory, BucketID: r.id, Relevance: 1, item: *it})
		}
	}
	return nil
}

// admits reports whether a memory may be found.
func (r *resident) admits(doc int, q *Question, now time.Time) bool {
	it := &r.items[doc]
	return !it.gone && !it.Context && it.live(now) && (it.valid(q.AsOf, now) || q.Closed && q.AsOf.IsZero() && it.closed(now))
}

// candidate is a memory of one bucket that may be a hit.
type candidate struct {
	doc       int
	passage   int
	relevance float32
	score     float32
	parts     index.Parts
	cosine    float32
	worth     bool // it may stand in a block
	present   bool // it was found by a question for what is so now
}

// recentAnswers is how many questions a bucket remembers: a model that uses
// tools asks with the same last question at every step.
const recentAnswers = 8

// answered is a question that was asked a moment ago.
type answered struct {
	key        uint64
	candidates []candidate
}

// answers are those of a bucket. Recalls add to them while they only read the
// bucket, so they have a lock of their own, held for a comparison, and an account
// of their own with the keeper.
type answers struct {
	held *atomic.Int64 // of the keeper

	mu     sync.Mutex // guards what follows
	kept   [recentAnswers]answered
	next   int
	bytes  int64
	state  int64 // another one after each change of the bucket
	closed bool  // nothing is kept any more
}

var answerSeed = maphash.MakeSeed()

// keyOf is the same for the same question to the same bucket.
func keyOf(q *Question, bucket string, meaning bool) uint64 {
	return maphash.Comparable(answerSeed, struct {
		text, before, bucket string
		asOf                 time.Time
		own, k               int
		closed, meaning      bool
	}{q.Text, q.Before, bucket, q.AsOf, q.Own, q.K, q.Closed, meaning})
}

// candidates gives the best of a bucket, whether by words or by meaning. The
// caller holds mu.
func (r *resident) candidates(q *Question, vector []float32, now time.Time, to *Found) []candidate {
	key := keyOf(q, "", vector != nil)
	before, state, ok := r.answers.find(key)
	if ok && !to.again {
		return before
	}
	cosines := r.vectors.cosines(vector)
	meaning := r.vectors.standardized(cosines)
	all := []candidate{} // nothing is an answer, too, and is known again
	for _, one := range asked.Questions(q.Text, q.Own, q.Before) {
		found := r.index.Search(&index.Query{Question: one, K: q.K, Allow: func(doc int) bool {
			return r.admits(doc, q, now) && (!to.again || !to.said.has(r.items[doc].Content))
		}, Meaning: meaning})
		for i := range found.Hits {
			if h := &found.Hits[i]; q.AsOf.IsZero() && r.items[h.Doc].closed(now) {
				h.Score *= over
			}
		}
		slices.SortStableFunc(found.Hits, func(a, b index.Hit) int { return cmp.Compare(b.Score, a.Score) })
		all = united(all, &found, one.Present, cosines)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.relevance, a.relevance) })
	all = slices.Clip(all[:min(len(all), q.K)])
	if to.again { // others have not said the same
		return all
	}
	to.Cached = false
	to.fresh = append(to.fresh, fresh{&r.answers, state, answered{key, all}})
	return all
}

// over is the share that the score of a memory counts that says what is over.
const over = .8

// united adds what was found for one more question of the same turn. A memory that is
// good for two is as good as for the better one.
func united(all []candidate, found *index.Found, present bool, cosines []float32) []candidate {
	known, before := index.DefaultGate.Probability(&found.Signs), len(all)
	for i := range found.Hits {
		h := &found.Hits[i]
		near := h.Score / found.Hits[0].Score
		c := candidate{doc: h.Doc, passage: h.Passage, score: h.Score, parts: h.Parts, relevance: known * near, worth: known >= leastRelevance && near >= floor, present: present}
		if cosines != nil {
			c.cosine = cosines[h.Doc]
		}
		at := slices.IndexFunc(all[:before], func(other candidate) bool { return other.doc == c.doc })
		switch {
		case at < 0:
			all = append(all, c)
		case all[at].relevance < c.relevance:
			all[at] = c
		}
	}
	return all
}

func (a *answers) find(key uint64) (all []candidate, state int64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.kept {
		if one := &a.kept[i]; one.key == key && one.candidates != nil {
			return one.candidates, a.state, true
		}
	}
	return nil, a.state, false
}

// keep keeps an answer, unless the bucket was changed since it was found.
func (a *answers) keep(f *fresh) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.state != f.state {
		return
	}
	at := &a.kept[a.next%recentAnswers]
	a.count(int64(cap(f.candidates)-cap(at.candidates)) * int64(unsafe.Sizeof(candidate{})))
	*at = f.answered
	a.next++
}

// count adds to what is held. The caller holds mu.
func (a *answers) count(bytes int64) {
	a.bytes += bytes
	a.held.Add(bytes)
}

// forget is called with every change of the bucket.
func (a *answers) forget() { a.end(false) }

// close forgets all and keeps nothing more.
func (a *answers) close() { a.end(true) }

func (a *answers) end(forGood bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count(-a.bytes)
	a.kept = [recentAnswers]answered{}
	a.state++
	a.closed = a.closed || forGood
}
