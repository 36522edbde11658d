package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// embeddedBytes is how much of a memory goes into its vector. Embedding models
// read 256 to 8,192 tokens.
const embeddedBytes = 8000

// errAnswer is an answer of a model that is not what was asked for.
var errAnswer = errors.New("the model's answer is not what was asked for")

// embed gets the vectors of a batch and keeps them.
func (k *Keeper) embed(ctx context.Context, who Caller, batch []Memory) error {
	model := k.o.Settings(who.Tenant).Embeddings
	if model == "" { // switched off meanwhile
		return k.write(ctx, func(tx *sql.Tx) error { return finishJobs(ctx, tx, embedding, batch) })
	}
	texts := make([]string, len(batch))
	for i := range batch {
		texts[i] = embeddedText(&batch[i])
	}
	all, err := k.askVectors(ctx, who, model, texts)
	if err != nil {
		return err
	}
	for i := range batch {
		if err := k.keepVector(ctx, &batch[i], model, encodeVector(all[i])); err != nil {
			return err
		}
	}
	k.counts.Embedded.Add(int64(len(batch)))
	return nil
}

func embeddedText(m *Memory) string {
	text := m.Content
	if m.Speaker != "" {
		text = m.Speaker + ": " + text
	}
	return firstBytes(text, embeddedBytes)
}

// firstBytes cuts a text, between characters.
func firstBytes(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return text[:most]
}

// askVectors asks the tenant's embedding model.
func (k *Keeper) askVectors(ctx context.Context, who Caller, model string, texts []string) ([][]float32, error) {
	body, err := json.Marshal(map[string]any{"model": model, "input": texts, "encoding_format": "float"})
	if err != nil {
		return nil, err
	}
	answer, err := k.provider.Ask(ctx, who, "/embeddings", body)
	if err != nil {
		return nil, err
	}
	var out struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	if json.Unmarshal(answer, &out) != nil || len(out.Data) != len(texts) {
		return nil, errAnswer
	}
	all := make([][]float32, len(texts))
	for _, d := range out.Data {
		if d.Index < 0 || d.Index >= len(all) || len(d.Embedding) == 0 || len(d.Embedding) > maxDims {
			return nil, errAnswer
		}
		all[d.Index] = d.Embedding
	}
	for _, v := range all {
		if v == nil {
			return nil, errAnswer
		}
	}
	return all, nil
}

// keepVector keeps a memory's vector.
func (k *Keeper) keepVector(ctx context.Context, m *Memory, model string, vector []byte) error {
	return k.finishJob(ctx, embedding, m, func(r *resident) { r.setVector(m.ID, decodeVector(vector)) },
		`INSERT INTO vectors (seq, model, vector) SELECT seq, ?, ? FROM memories WHERE seq = ? AND version = ?
			ON CONFLICT DO UPDATE SET model = excluded.model, vector = excluded.vector`, model, vector, m.seq, m.Version)
}

// questionVector gets the vector of a question, if the tenant has embeddings
// and it comes in time. Without it the words alone decide.
func (k *Keeper) questionVector(ctx context.Context, q *Question) []float32 {
	if k.o.QueryEmbedding <= 0 || k.provider == nil {
		return nil
	}
	model := k.o.Settings(q.Tenant).Embeddings
	if model == "" {
		return nil
	}
	wait := k.o.QueryEmbedding
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/2) // without the vector there must be time for the words
	}
	ctx, done := context.WithTimeout(ctx, wait)
	defer done()
	came := make(chan []float32, 1)
	k.running.Go(func() {
		defer crash.Exit()
		all, err := k.askVectors(ctx, Caller{Tenant: q.Tenant, Token: q.Token}, model, []string{firstBytes(q.Text, embeddedBytes)})
		if err != nil {
			came <- nil
			return
		}
		came <- decodeVector(encodeVector(all[0]))
	})
	select {
	case v := <-came:
		return v
	case <-ctx.Done():
		return nil
	}
}

// followModel notices that a tenant has chosen an embeddings model, or another
// one: all memories need vectors of it, and those in memory are compared no
// more.
func (k *Keeper) followModel(ctx context.Context, tenant string) error {
	model := k.o.Settings(tenant).Embeddings
	if known, ok := k.models[tenant]; ok && known == model {
		return nil
	} else if ok {
		k.buckets.Range(func(key bucketKey, b *bucket) bool {
			if key.tenant == tenant {
				k.forget(b)
			}
			return true
		})
	}
	if model != "" {
		if err := k.wantVectors(ctx, tenant, model); err != nil {
			return err
		}
		wake(k.wakeJobs)
	}
	k.models[tenant] = model
	return nil
}

// wantVectors writes jobs down for all memories of a tenant that have no vector of a
// model.
func (k *Keeper) wantVectors(ctx context.Context, tenant, model string) error {
	for after := ""; ; {
		names, err := k.BucketNames(ctx, tenant, after, maxBucketPage)
		if err != nil {
			return err
		}
		for _, after = range names {
			if err := k.wantVectorsOf(ctx, tenant, after, model); err != nil {
				return err
			}
		}
		if len(names) < maxBucketPage {
			return nil
		}
	}
}

// wantedAtOnce is how many jobs are written down at once: behind them the writers of
// others have their turn.
const wantedAtOnce = 500

// wantVectorsOf does so for one bucket. It looks for them where nobody waits.
func (k *Keeper) wantVectorsOf(ctx context.Context, tenant, bucket, model string) error {
	id, err := k.bucketID(ctx, tenant, bucket)
	if errors.Is(err, ErrNotFound) { // deleted meanwhile
		return nil
	}
	for after := int64(0); err == nil; {
		var seqs []int64
		err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
			var seq int64
			err := rows.Scan(&seq)
			seqs = append(seqs, seq)
			return err
		}, `SELECT m.seq FROM memories m INDEXED BY memories_by_bucket LEFT JOIN vectors v ON v.seq = m.seq AND v.model = ?
			WHERE m.bucket_id = ? AND m.seq > ? AND m.context = 0 AND v.seq IS NULL ORDER BY m.seq LIMIT ?`, model, id, after, wantedAtOnce)
		if err != nil || len(seqs) == 0 {
			return unavailable(err)
		}
		after = seqs[len(seqs)-1]
		these, jerr := json.Marshal(seqs)
		if jerr != nil {
			return jerr
		}
		_, err = k.o.Write.ExecContext(ctx, `INSERT INTO jobs (kind, seq, tenant, attempts, not_before)
			SELECT ?1, m.seq, m.tenant, 0, 0 FROM memories m WHERE m.seq IN (SELECT value FROM json_each(?3))
			ON CONFLICT DO UPDATE SET attempts = 0, not_before = 0, model = '' WHERE model NOT IN ('', ?2)`, embedding, model, string(these))
	}
	return unavailable(err)
}
