package memory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Dedup says when a memory that is stored again becomes the one there is.
type Dedup string

// The ways of merging. An exact duplicate has the same content but for case,
// white space and forms of characters; a near one has the same words in the same
// order, but for filler words and punctuation. Two texts in which a name, a number, a
// date, a negation, a direction or the order differs are never merged, however long
// what they share.
const (
	DedupOff    Dedup = "off"
	DedupLoose  Dedup = "loose"
	DedupStrict Dedup = "strict"
)

// least is how similar a text must be to be merged.
func (d Dedup) least() float64 {
	if d == DedupLoose {
		return .95
	}
	return .99
}

// normalized is a content without what makes no difference.
func normalized(content string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(content))), " ")
}

func hashOf(content string) []byte {
	sum := sha256.Sum256([]byte(normalized(content)))
	return sum[:]
}

// shapeOf is the same for texts that say the same: a hash of their words in order,
// without those that only fill. A shape of an older version, which was made otherwise,
// is that of no text any more.
func shapeOf(content string) []byte {
	hash := sha256.New()
	for token := range strings.FieldsSeq(normalized(content)) {
		if token = senseOf(token); token != "" && !fillers[token] {
			hash.Write([]byte(token))
			hash.Write([]byte{0})
		}
	}
	return hash.Sum([]byte("2")) // of the second version
}

// senseOf is a word without the punctuation around it that says nothing: signs of
// numbers, money and parts stay, and what makes a question.
func senseOf(token string) string {
	return strings.TrimRight(strings.TrimLeft(token, `"'(‘’“”«»„[*_,;:`), `"')‘’“”«»]*_.,;:!…。、！`)
}

// fillers are words without which a sentence says the same. They are few and English:
// in other languages an article may say who does what to whom, and there is no word in
// any that is worth losing what was said.
var fillers = map[string]bool{
	"a": true, "an": true, "the": true, "just": true, "really": true, "actually": true, "basically": true, "simply": true, "please": true, "well": true,
	"um": true, "uh": true, "oh": true, "okay": true, "ok": true,
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// bag are the words of a text, and how often each stands there.
type bag struct {
	counts map[string]int
	all    int
}

func bagOf(text string) bag {
	b := bag{counts: map[string]int{}}
	for _, w := range words(normalized(text)) {
		b.counts[w]++
		b.all++
	}
	return b
}

// similarity is the share of words that a text has in common with those of a bag:
// 1 for the same words as often.
func (b *bag) similarity(text string) float64 {
	met := map[string]int{}
	common, all := 0, b.all
	for _, w := range words(normalized(text)) {
		if met[w]++; met[w] <= b.counts[w] {
			common++
		} else {
			all++
		}
	}
	if all == 0 {
		return 0
	}
	return float64(common) / float64(all)
}

// near is a memory whose text is so similar that another one would be merged into
// it, if it is there still: one of the store, or an earlier one of the same call.
type near struct {
	id         string // empty for one of the call
	at         int
	similarity float64
}

// maxNear is how many texts of the same shape one is compared with.
const maxNear = 16

// dedup is how a memory of the call is merged.
func (s *storing) dedup(m *Memory) Dedup {
	switch {
	case m.Supersedes != "":
		return DedupOff
	case s.w.Dedup == "" && m.Session != "":
		return DedupOff
	case s.w.Dedup == "":
		return DedupStrict
	}
	return s.w.Dedup
}

// compare finds what each memory is similar to. It takes longer than all the rest
// where texts are long, so it is done before the store is locked: the bucket's
// turn, which the caller has, keeps others from changing what is compared.
func (s *storing) compare(ctx context.Context) error {
	merges := func(m Memory) bool { return s.dedup(&m) != DedupOff }
	if !slices.ContainsFunc(s.w.Memories, merges) {
		return nil
	}
	bucketID, err := s.k.bucketID(ctx, s.who.Tenant, s.w.Bucket)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	s.near = make([][]near, len(s.w.Memories))
	earlier := map[string][]int{} // memories of the call by shape
	for i := range s.w.Memories {
		m := &s.w.Memories[i]
		if s.dedup(m) == DedupOff {
			continue
		}
		found, err := s.compareStored(ctx, m, bucketID)
		if err != nil {
			return err
		}
		shape := string(m.shape)
		for _, at := range earlier[shape] {
			if other := &s.w.Memories[at]; !bytes.Equal(other.hash, m.hash) {
				found = s.judge(found, m, other.Content, near{at: at})
			}
		}
		if len(earlier[shape]) < maxNear {
			earlier[shape] = append(earlier[shape], i)
		}
		slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(b.similarity, a.similarity) })
		s.near[i] = found
	}
	return nil
}

// compareStored compares a memory with those of the store that have its shape. One
// with the same hash is found by that.
func (s *storing) compareStored(ctx context.Context, m *Memory, bucketID string) (found []near, err error) {
	if bucketID == "" { // the bucket is made by this call
		return nil, nil
	}
	err = each(ctx, s.k.o.Read, func(rows *sql.Rows) error {
		var id, content string
		var hash []byte
		err := rows.Scan(&id, &hash, &content)
		if err == nil && !bytes.Equal(hash, m.hash) {
			found = s.judge(found, m, content, near{id: id})
		}
		return err
	}, "SELECT id, hash, content FROM memories WHERE bucket_id = ? AND shape = ? AND superseded_by = '' ORDER BY seq LIMIT ?", bucketID, m.shape, maxNear)
	return found, unavailable(err)
}

// judge adds a memory with a content to those that m is similar to, if it is.
func (s *storing) judge(to []near, m *Memory, content string, n near) []near {
	if len(m.Content)+len(content) > longContent {
		s.k.computing.Lock(s.who.Tenant)
		defer s.k.computing.Unlock()
	}
	if s.bag.of != m {
		s.bag.of, s.bag.bag = m, bagOf(m.Content)
	}
	if n.similarity = s.bag.similarity(content); n.similarity >= s.dedup(m).least() {
		to = append(to, n)
	}
	return to
}

// duplicate finds the memory that the one at a place of the call would be a second
// copy of; a result with an empty id if there is none. One that is about to be
// deleted is no copy.
func (s *storing) duplicate(ctx context.Context, tx *sql.Tx, at int) (Result, error) {
	m := &s.w.Memories[at]
	in := func(value any) []any { return append([]any{s.bucketID, value}, s.aliveArgs...) }
	if len(m.origin) > 0 {
		if id, err := s.findOne(ctx, tx, "m.bucket_id = ? AND m.origin = ?"+s.alive, in(m.origin)...); err != nil || id != "" {
			return Result{ID: id, Similarity: 1, Reason: ReasonContentHash}, err
		}
		if s.alive != "" { // its origin passes on to m
			if _, err := tx.ExecContext(ctx, "UPDATE memories SET origin = NULL WHERE bucket_id = ? AND origin = ?", s.bucketID, m.origin); err != nil {
				return Result{}, err
			}
		}
	}
	if s.dedup(m) == DedupOff {
		return Result{}, nil
	}
	if id, err := s.findOne(ctx, tx, "m.bucket_id = ? AND m.hash = ? AND m.superseded_by = ''"+s.alive, in(m.hash)...); err != nil || id != "" {
		return Result{ID: id, Similarity: 1, Reason: ReasonContentHash}, err
	}
	for _, n := range s.near[at] {
		id := n.id
		if id == "" {
			if s.results[n.at].Merged { // what it was merged into was compared, too
				continue
			}
			id = s.results[n.at].ID
		}
		id, err := s.findOne(ctx, tx, "m.tenant = ? AND m.id = ? AND +m.bucket_id = ? AND m.superseded_by = ''"+s.alive, append([]any{s.who.Tenant, id, s.bucketID}, s.aliveArgs...)...)
		if err != nil || id != "" {
			return Result{ID: id, Similarity: n.similarity, Reason: ReasonSimilarity}, err
		}
	}
	return Result{}, nil
}

// findOne gives the id of a memory m that a condition chooses, or none.
func (*storing) findOne(ctx context.Context, tx *sql.Tx, where string, args ...any) (id string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT m.id FROM memories m WHERE "+where+" LIMIT 1", args...).Scan(&id)
	if err == sql.ErrNoRows {
		err = nil
	}
	return id, err
}
