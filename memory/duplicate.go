package memory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"slices"
	"strings"
	"unicode"

	"github.com/ownkey/ownkey/memory/terms"
	"golang.org/x/text/unicode/norm"
)

// Dedup says when a memory that is stored again becomes the one there is.
type Dedup string

// The ways of merging. An exact duplicate has the same content but for case,
// white space and forms of characters; a near one has the same terms, numbers
// and negations, and differs in filler words. Two texts that say different
// things are never merged, however long what they share.
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

// shapeOf is the same for texts that say the same: a hash of the set of terms,
// and of the number of negations, which are no terms.
func shapeOf(content string) []byte {
	content = normalized(content)
	set := terms.Append(nil, content)
	slices.Sort(set)
	set = slices.Compact(set)
	for _, w := range words(content) {
		if negations[w] {
			set = append(set, "\x00not")
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(set, "\x00")))
	return sum[:]
}

// negations turn a sentence around. The halves of contractions are among them:
// a word ends at an apostrophe.
var negations = map[string]bool{
	"no": true, "not": true, "nor": true, "never": true, "none": true, "nothing": true, "nobody": true, "without": true, "cannot": true,
	"aren": true, "couldn": true, "didn": true, "doesn": true, "don": true, "hadn": true, "hasn": true, "haven": true, "isn": true,
	"mustn": true, "needn": true, "shan": true, "shouldn": true, "wasn": true, "weren": true, "won": true, "wouldn": true, "ain": true,
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// similarity is the share of words that two texts have in common: 1 for the
// same words as often.
func similarity(a, b string) float64 {
	left := map[string]int{}
	for _, w := range words(normalized(a)) {
		left[w]++
	}
	common, all := 0, 0
	for _, n := range left {
		all += n
	}
	for _, w := range words(normalized(b)) {
		if left[w] > 0 {
			left[w]--
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

// duplicate finds the memory that m would be a second copy of; a result with an
// empty id if there is none. One that is about to be deleted is no copy.
func (s *storing) duplicate(ctx context.Context, tx *sql.Tx, m *Memory, d Dedup) (Result, error) {
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
	if d == DedupOff || m.Supersedes != "" {
		return Result{}, nil
	}
	if id, err := s.findOne(ctx, tx, "m.bucket_id = ? AND m.hash = ? AND m.superseded_by = ''"+s.alive, in(m.hash)...); err != nil || id != "" {
		return Result{ID: id, Similarity: 1, Reason: ReasonContentHash}, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT m.id, m.content FROM memories m WHERE m.bucket_id = ? AND m.shape = ? AND m.superseded_by = ''"+s.alive+" ORDER BY m.seq LIMIT 16", in(m.shape)...)
	if err != nil {
		return Result{}, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	best := Result{}
	for rows.Next() {
		var id, content string
		if err := rows.Scan(&id, &content); err != nil {
			return Result{}, err
		}
		if s := similarity(content, m.Content); s >= d.least() && s > best.Similarity {
			best = Result{ID: id, Similarity: s, Reason: ReasonSimilarity}
		}
	}
	return best, rows.Err()
}

// findOne gives the id of a memory m that a condition chooses, or none.
func (*storing) findOne(ctx context.Context, tx *sql.Tx, where string, args ...any) (id string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT m.id FROM memories m WHERE "+where+" LIMIT 1", args...).Scan(&id)
	if err == sql.ErrNoRows {
		err = nil
	}
	return id, err
}
