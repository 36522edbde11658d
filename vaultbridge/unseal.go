package vaultbridge

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/sony/gobreaker/v2"
)

const (
	// maxBatch bounds the unseals in one call. A tenant rarely has so many
	// credentials; the ids in the header stay below 3 KB.
	maxBatch = 64
	// hedgeAfter is this part of the deadline: a call that takes so long is
	// asked a second time, on another connection.
	hedgeAfter = 5
	// minHedge is a few times what a healthy Vault takes (docs/security-audit.md).
	minHedge = 20 * time.Millisecond
)

// pending is an unseal that someone waits for.
type pending struct {
	bound      Bound
	key        string // its name in Vault
	id         string
	began      time.Time
	done       chan struct{}
	credential *Credential
	err        error
}

// lines are the unseals that wait, by key: Vault's batches are of one, and every
// tenant has its own.
type lines struct {
	mu    sync.Mutex
	byKey map[string]*line
}

// line is one key's. It is there while a goroutine works on it.
type line struct{ waiting []*pending }

// Unseal opens a blob with the tenant's key. The first miss of a tenant goes to
// Vault at once; those that come while it is under way go together in the next
// call.
func (t *Transit) Unseal(_ context.Context, b Bound) (*Credential, error) {
	if _, ok := transitVersion(b.Blob); !ok {
		return nil, ErrUnsealable
	}
	key, err := KeyName(b.Context.Tenant, b.Key)
	if err != nil {
		return nil, err
	}
	p := &pending{bound: b, key: key, id: newUnsealID(), began: time.Now(), done: make(chan struct{})}
	t.enqueue(p) //nolint:contextcheck // others may share the call: it ends by its own deadline
	<-p.done     // never later than the deadline
	return p.credential, p.err
}

// transitVersion reads the key version of "vault:v<version>:<base64>". Nothing
// but such a blob is put into a call.
func transitVersion(blob string) (int, bool) {
	rest, ok := strings.CutPrefix(blob, "vault:v")
	number, encoded, cut := strings.Cut(rest, ":")
	version, err := strconv.Atoi(number)
	if !ok || !cut || err != nil || version < 1 || strings.ContainsFunc(encoded, notBase64) {
		return 0, false
	}
	return version, true
}

func notBase64(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '+' && r != '/' && r != '='
}

func (t *Transit) enqueue(p *pending) {
	t.lines.mu.Lock()
	defer t.lines.mu.Unlock()
	l, working := t.lines.byKey[p.key]
	if !working {
		l = &line{}
		if t.lines.byKey == nil {
			t.lines.byKey = map[string]*line{}
		}
		t.lines.byKey[p.key] = l
		go t.work(p.key, l)
	}
	l.waiting = append(l.waiting, p)
}

// take gives the next batch; none ends the line.
func (t *Transit) take(key string, l *line) []*pending {
	t.lines.mu.Lock()
	defer t.lines.mu.Unlock()
	n := min(len(l.waiting), maxBatch)
	if n == 0 {
		delete(t.lines.byKey, key)
		return nil
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return batch
}

// work sends a key's batches until nobody waits. A call that hangs does not
// hold up the next one for longer than it takes to be hedged.
func (t *Transit) work(key string, l *line) {
	defer crash.Exit()
	for batch := t.take(key, l); batch != nil; batch = t.take(key, l) {
		answered := make(chan struct{})
		go func() {
			defer crash.Exit()
			t.open(key, batch)
			close(answered)
		}()
		patience := time.NewTimer(t.hedgeDelay())
		select {
		case <-answered:
		case <-patience.C:
		}
		patience.Stop()
	}
}

func (t *Transit) hedgeDelay() time.Duration { return max(t.o.Timeout/hedgeAfter, minHedge) }

// open asks Vault for a batch and hands out what it gives.
func (t *Transit) open(key string, batch []*pending) {
	fault.At("vaultbridge.open")
	began := time.Now()
	raw, err := t.breaker.Execute(func() ([]byte, error) { return t.decrypt(key, batch) })
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		err = &unavailable{t.meters.lastReason()}
		t.meters.shed.Add(float64(len(batch)))
	case err == nil:
		err = deliver(batch, raw)
		clear(raw)
	}
	if err == nil {
		t.meters.seconds.Observe(time.Since(began).Seconds())
		t.state.heard("", time.Now())
	}
	t.meters.decrypts(batch, err)
	for _, p := range batch {
		if err != nil {
			p.err = err
		}
		close(p.done)
	}
}

// decrypt asks once, and a second time when the first takes too long. The
// answer is the caller's.
func (t *Transit) decrypt(key string, batch []*pending) ([]byte, error) {
	if !t.data.ready.Load() {
		return nil, t.failed(&unavailable{ReasonLogin})
	}
	ctx, stop := context.WithDeadline(context.Background(), batch[0].began.Add(t.o.Timeout))
	defer stop()
	body, ids, limit := batchBody(batch)
	t.journal(batch, false)
	raw, err := hedged(t.hedgeDelay(), func() ([]byte, error) {
		return t.data.post(ctx, t.path("decrypt", key), body, UnsealHeader, ids, limit)
	}, func() {
		t.meters.hedges.Inc()
		t.journal(batch, true)
	}, func() ([]byte, error) {
		return t.data.post(ctx, t.path("decrypt", key), body, UnsealHeader, ids+","+HedgeMark, limit)
	})
	if err != nil {
		return nil, t.failed(err)
	}
	return raw, nil
}

// hedged gives the answer of first; after a delay it calls late and asks second
// as well, and gives the earlier answer that is no error. The slower of two
// answers is wiped: it has the same secrets, and nobody waits for it.
func hedged(delay time.Duration, first func() ([]byte, error), late func(), second func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		raw []byte
		err error
	}
	answers := make(chan answer, 2)
	ask := func(call func() ([]byte, error)) {
		defer crash.Exit()
		raw, err := call()
		answers <- answer{raw, err}
	}
	go ask(first)
	asked := 1
	hedge := time.NewTimer(delay)
	defer hedge.Stop()
	for {
		select {
		case <-hedge.C:
			asked++
			late()
			go ask(second)
			continue
		case a := <-answers:
			if a.err != nil && asked == 2 {
				if other := <-answers; other.err == nil {
					return other.raw, nil
				}
			} else if asked == 2 {
				go func() { // the slower one
					defer crash.Exit()
					clear((<-answers).raw)
				}()
			}
			return a.raw, a.err
		}
	}
}

// failed sorts an error of a decrypt call.
func (t *Transit) failed(err error) error {
	var known *unavailable
	switch {
	case errors.As(err, &known):
	case statusOf(err) == http.StatusBadRequest:
		return ErrUnsealable // nothing in the batch opens: Vault's words are for nobody
	default:
		known = &unavailable{reasonOf(err)}
	}
	if known.reason == ReasonDenied {
		t.data.distrust()
	}
	t.state.heard(known.reason, time.Now())
	t.meters.failure(known.reason)
	return known
}

func (t *Transit) journal(batch []*pending, hedge bool) {
	now := time.Now()
	for _, p := range batch {
		at := &p.bound.Context
		t.o.Journal(Unsealing{ID: p.id, At: now, Tenant: at.Tenant, CredentialID: at.CredentialID, Keyring: t.o.Name, Hedge: hedge})
	}
}

// batchBody writes the call. limit is more than the answer can be: plaintexts
// are shorter than ciphertexts.
func batchBody(batch []*pending) (body []byte, ids string, limit int) {
	limit = 4 << 10
	body = append(body, `{"partial_failure_response_code":200,"batch_input":[`...)
	list := make([]string, 0, len(batch))
	for i, p := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"ciphertext":"`...)
		body = append(body, p.bound.Blob...)
		body = append(body, `","context":"`...)
		body = base64.StdEncoding.AppendEncode(body, p.bound.Context.Bytes())
		body = append(body, `","reference":"`...)
		body = append(body, p.id...)
		body = append(body, `"}`...)
		list = append(list, p.id)
		limit += len(p.bound.Blob) + 1<<10
	}
	return append(body, "]}"...), strings.Join(list, ","), limit
}

// batchAnswer is Vault's answer to a batch.
type batchAnswer struct {
	Data struct {
		Results []struct {
			Plaintext plaintext `json:"plaintext"`
			Error     string    `json:"error"`
			Reference string    `json:"reference"`
		} `json:"batch_results"`
	} `json:"data"`
}

// plaintext is a secret in an answer: decoded from base64 in place, into bytes
// of its own, and never a string.
type plaintext []byte

// UnmarshalJSON decodes a JSON string of base64.
func (p *plaintext) UnmarshalJSON(raw []byte) error {
	if len(raw) < 2 || raw[0] != '"' {
		return errBadAnswer
	}
	raw = raw[1 : len(raw)-1]
	n, err := base64.StdEncoding.Decode(raw, raw)
	if err != nil {
		return errBadAnswer
	}
	*p = append(make([]byte, 0, n), raw[:n]...)
	clear(raw)
	return nil
}

var errBadAnswer = errors.New("cannot read Vault's answer")

// deliver hands the plaintexts of an answer to those who wait. An answer in
// another order than the question, or of another length, is none.
func deliver(batch []*pending, raw []byte) error {
	var a batchAnswer
	err := json.Unmarshal(raw, &a)
	sound := err == nil && len(a.Data.Results) == len(batch)
	for i := range a.Data.Results {
		sound = sound && a.Data.Results[i].Reference == batch[i].id
	}
	for i := range a.Data.Results {
		r := &a.Data.Results[i]
		switch {
		case !sound:
			clear(r.Plaintext)
		case r.Error != "" || len(r.Plaintext) == 0:
			batch[i].err = ErrUnsealable
		default:
			version, _ := transitVersion(batch[i].bound.Blob)
			batch[i].credential = NewCredential(r.Plaintext, version, batch[i].id)
		}
	}
	if !sound {
		return &unavailable{ReasonFailing}
	}
	return nil
}
