package memory

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/ownkey/ownkey/memory/index"
)

// vectors are what the tenant's embedding model made of a bucket's memories:
// of length 1, by the index's number; nil for what it has not done yet. All
// have the same number of dimensions: a tenant who changes the model gets new
// ones.
type vectors struct {
	dims int
	of   [][]float32
}

func (k *Keeper) loadVectors(ctx context.Context, b *bucket, r *resident) error {
	model := k.o.Settings(b.key.tenant).Embeddings
	if model == "" {
		return nil
	}
	return each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var id string
		var raw []byte
		if err := rows.Scan(&id, &raw); err != nil {
			return err
		}
		r.setVector(id, decodeVector(raw))
		return nil
	}, "SELECT m.id, v.vector FROM vectors v JOIN memories m ON m.seq = v.seq WHERE m.tenant = ? AND m.bucket_id = ? AND v.model = ?", b.key.tenant, r.id, model)
}

// setVector keeps a memory's vector.
func (r *resident) setVector(id string, v []float32) {
	n, ok := r.numbers[id]
	if !ok || len(v) == 0 {
		return
	}
	if r.vectors.dims != len(v) { // another model: what there was can not be compared
		clear(r.vectors.of)
		r.vectors.dims = len(v)
	}
	if r.vectors.of[n] == nil {
		r.bytes += int64(4 * len(v))
	}
	r.vectors.of[n] = v
	r.answers.forget()
}

// nearest gives the documents whose vectors are closest, exactly: every one is
// compared.
func (r *resident) nearest(vector []float32, most int, admits func(doc int) bool) []candidate {
	var best []candidate
	for doc, v := range r.vectors.of {
		if v == nil || len(v) != len(vector) {
			continue
		}
		c := dot(v, vector)
		if len(best) == most && c <= best[most-1].cosine || !admits(doc) {
			continue
		}
		i, _ := slices.BinarySearchFunc(best, c, func(b candidate, c float32) int { return -cmp.Compare(b.cosine, c) })
		if len(best) < most {
			best = append(best, candidate{})
		}
		copy(best[i+1:], best[i:])
		best[i] = candidate{doc: doc, cosine: c}
	}
	return best
}

// dot multiplies vectors of the same length, in four sums that the processor
// can work on at once.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// Fusion says how words and meaning are weighed.
type fusion struct {
	rank    float32 // k of reciprocal rank fusion (Cormack et al., 2009)
	meaning float32 // weight of the vectors' ranks beside those of the words
}

var fused = fusion{rank: 60, meaning: .5}

// fuse unites the candidates of both kinds and orders them by their ranks.
func (r *resident) fuse(q *Question, lexical *index.Found, vector []float32, now time.Time) []candidate {
	near := r.nearest(vector, max(q.K, poolSize), func(doc int) bool { return r.admits(doc, q, now) })
	all := make([]candidate, 0, len(lexical.Hits)+len(near))
	at := make(map[int]int, len(lexical.Hits))
	for i, h := range lexical.Hits {
		at[h.Doc] = i
		all = append(all, candidate{h.Doc, relevance(&h, lexical.Ideal), 1 / (fused.rank + float32(i+1)), h.Parts, 0})
	}
	for i, c := range near {
		add := fused.meaning / (fused.rank + float32(i+1))
		if j, ok := at[c.doc]; ok {
			all[j].score += add
			all[j].cosine = c.cosine
			all[j].relevance = max(all[j].relevance, c.cosine)
		} else {
			all = append(all, candidate{doc: c.doc, score: add, cosine: c.cosine, relevance: max(0, c.cosine)})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	return all[:min(q.K, len(all))]
}

// encodeVector makes a vector of length 1 and writes it down.
func encodeVector(v []float32) []byte {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	scale := float32(1)
	if square > 0 {
		scale = float32(1 / math.Sqrt(square))
	}
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x*scale))
	}
	return b
}

func decodeVector(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}
