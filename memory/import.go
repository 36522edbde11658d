package memory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Import stores memories that come from a file, at most MaxBatch, in one
// transaction. Coming again they are merged, whether they have an id of ours or
// not. What has expired meanwhile is passed over, and counts as merged.
func (k *Keeper) Import(ctx context.Context, who *Caller, bucket string, all []Memory) ([]Result, error) {
	w := Write{Bucket: bucket}
	now := time.Now()
	var over []Result
	for i := range all {
		m := all[i]
		if !m.live(now) {
			over = append(over, Result{Bucket: bucket, Merged: true})
			continue
		}
		m.origin = originOf(&m)
		w.Memories = append(w.Memories, m)
	}
	if len(w.Memories) == 0 {
		return over, CheckBucket(bucket)
	}
	results, err := k.Store(ctx, who, &w)
	return append(results, over...), err
}

// originOf is the same for the same memory of the same file.
func originOf(m *Memory) []byte {
	h := sha256.New()
	for _, part := range []string{"import", m.ID, m.Content, m.Role, m.Speaker, m.Session, string(m.Metadata)} {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	var when [8]byte
	binary.LittleEndian.PutUint64(when[:], uint64(micros(m.CreatedAt))) //nolint:gosec // bits, not a count
	h.Write(when[:])
	return h.Sum(nil)
}
