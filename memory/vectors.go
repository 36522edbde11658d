package memory

import (
	"context"
	"database/sql"
	"encoding/binary"
	"math"
	"slices"
)

// vectors are what the tenant's embedding model made of a bucket's memories:
// of length 1, by the index's number; nil for what it has not done yet. All
// have the same number of dimensions: a tenant who changes the model gets new
// ones.
type vectors struct {
	dims int
	of   [][]float32
	// set has the numbers of those that there are, and of some that were: what has
	// other dimensions goes without a look at all memories.
	set []int
}

// maxDims is how many dimensions a vector may have: embedding models have up to
// some 4,000, and a tenant's own provider says what it likes.
const maxDims = 8192

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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.vectors.dims != len(v) { // another model: what there was can not be compared
		for _, i := range r.vectors.set {
			r.text -= int64(4 * len(r.vectors.of[i]))
			r.vectors.of[i] = nil
		}
		r.vectors.set = r.vectors.set[:0]
		r.vectors.dims = len(v)
	}
	r.text += int64(4 * (len(v) - len(r.vectors.of[n])))
	if r.vectors.of[n] == nil {
		r.vectors.note(n)
	}
	r.vectors.of[n] = v
	r.answers.forget()
}

// note adds a number to set, and takes those out that are no more, when they are
// as many as the others could be.
func (v *vectors) note(n int) {
	if len(v.set) >= 2*len(v.of) {
		v.set = slices.DeleteFunc(v.set, func(i int) bool { return v.of[i] == nil || i == n })
		slices.Sort(v.set)
		v.set = slices.Compact(v.set)
	}
	v.set = append(v.set, n)
}

// cosines compares a question's vector with every memory's, exactly; nil if
// there is nothing to compare.
func (v *vectors) cosines(question []float32) []float32 {
	if len(question) == 0 || len(question) != v.dims {
		return nil
	}
	all := make([]float32, len(v.of))
	for i, one := range v.of {
		if one != nil {
			all[i] = dot(one, question)
		}
	}
	return all
}

// fewestVectors is how many vectors say what is usual for a model.
const fewestVectors = 8

// standardized gives by how many deviations each cosine is beyond the mean, 0 for what
// has no vector; nil if there are too few to say.
func (v *vectors) standardized(cosines []float32) []float32 {
	n, sum, squares := 0.0, 0.0, 0.0
	for i, c := range cosines {
		if v.of[i] != nil {
			n, sum, squares = n+1, sum+float64(c), squares+float64(c)*float64(c)
		}
	}
	if n < fewestVectors {
		return nil
	}
	mean := sum / n
	deviation := math.Sqrt(max(squares/n-mean*mean, 1e-6))
	all := make([]float32, len(cosines))
	for i, c := range cosines {
		if v.of[i] != nil {
			all[i] = float32((float64(c) - mean) / deviation)
		}
	}
	return all
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

// encodeVector makes a vector of length 1 and writes it down.
func encodeVector(v []float32) []byte {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	scale := 1.0 // in 64 bits: of tiny numbers it is beyond 32
	if square > 0 {
		scale = 1 / math.Sqrt(square)
	}
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(float64(x)*scale)))
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
