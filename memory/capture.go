package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/memory/transcript"
	"github.com/ownkey/ownkey/memory/worth"
	"github.com/ownkey/ownkey/wire"
)

// Turn is what was said in one call: the user's turn and the answer to it.
type Turn struct {
	Caller Caller
	Bucket string
	// Session names the conversation; see [Session].
	Session string
	// Origin is a digest of the whole conversation up to the turn: a call that
	// is tried again has the same, and its turns are stored once.
	Origin    [sha256.Size]byte
	User      string
	Assistant string // empty: not to be kept, or there was none
	At        time.Time
	TTL       time.Duration // how long it is kept, where the bucket does not say; zero or less for ever

	tooLong int64 // texts that were left out
}

// maxSessionName is how long a name of a client is kept as it is.
const maxSessionName = 128

// Session names a conversation as the client does, by a digest if that is no plain
// identifier, else by how it began: both stay the same from call to call. The name
// groups turns and hides none.
func Session(name, opening wire.Text) string {
	from := name.Reveal()
	switch {
	case len(from) == 0:
		from = opening.Reveal()
	case len(from) <= maxSessionName && !bytes.ContainsFunc(from, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._:/@+-", r)
	}):
		return string(from)
	}
	sum := sha256.Sum256(from)
	return "c" + hex.EncodeToString(sum[:8])
}

// maxPrompt is how much of a system prompt is looked through, in bytes.
const maxPrompt = 64 << 10

// TurnOf makes a turn of a conversation whose last word is the user's; of any
// other it keeps no word of the user: it was kept when it came. ok is false for a call
// that a client makes for itself, as for a title: nothing of it is kept.
func TurnOf(c *wire.Conversation) (t Turn, ok bool) {
	for prompt := range c.Prompts(maxPrompt) {
		if worth.HelpersPrompt(string(prompt.Reveal())) {
			return t, false
		}
	}
	question := string(c.Question().Reveal())
	said := worth.Words(question)
	if worth.HelpersTurn(question) || worth.HelpersTurn(said) || worth.HelpersTurn(string(c.Opening().Reveal())) {
		return t, false
	}
	t.Origin = sha256.Sum256(c.Prefix().Reveal())
	if c.UserTurn() {
		b := []byte(said)
		t.User = t.copied(wire.NewText(&b))
	}
	return t, true
}

// Answered adds what the assistant has said, unless it is not all there.
func (t *Turn) Answered(said *transcript.Transcript) {
	text := said.Text()
	if !said.Truncated() {
		t.Assistant = t.copied(text)
	}
}

// copied is a text of its own, as it outlives the call. What is too long for a
// memory is not copied: half a turn would be a lie.
func (t *Turn) copied(text wire.Text) string {
	if text.Len() > MaxContentBytes {
		t.tooLong++
		return ""
	}
	return string(text.Reveal())
}

// Capture takes a turn to be stored soon. It does not wait; false means that
// the turn was dropped.
func (k *Keeper) Capture(t Turn) bool {
	k.counts.CaptureRefused.Add(t.tooLong)
	if t.bytes() == 0 {
		return true
	}
	began, ok := k.waiting.add(t)
	if !ok {
		k.counts.CaptureDropped.Add(1)
	}
	if began {
		go k.keepTurns(t.Caller.Tenant)
	}
	return ok
}

// keepTurns stores what a tenant has waiting, as many turns at once as a batch
// takes, until nothing waits. Each tenant has its own goroutine while it has
// turns: a bucket that is held, or a large backlog, is in no other tenant's way.
func (k *Keeper) keepTurns(tenant string) {
	defer crash.Exit()
	ctx := context.WithoutCancel(k.background)
	for batch := k.waiting.next(tenant, nil); len(batch) > 0; batch = k.waiting.next(tenant, batch) {
		k.storeTurns(ctx, batch)
	}
}

// storeTurns stores turns, those of one token and bucket together.
func (k *Keeper) storeTurns(ctx context.Context, all []Turn) {
	type place struct{ tenant, token, bucket string }
	together := map[place]*Write{}
	callers := map[place]Caller{}
	for i := range all {
		t := &all[i]
		if k.waiting.over() { // what was looked through by now is stored
			k.counts.CaptureDropped.Add(1)
			continue
		}
		at := place{t.Caller.Tenant, t.Caller.Token, t.Bucket}
		if together[at] == nil {
			together[at], callers[at] = &Write{Bucket: t.Bucket, Dedup: DedupOff}, t.Caller
		}
		began := time.Now()
		together[at].Memories = append(together[at].Memories, k.memoriesOf(t)...)
		k.waiting.rest(time.Since(began))
	}
	for at, w := range together {
		who := callers[at]
		if len(w.Memories) == 0 {
			continue
		}
		if err := k.keepFor(ctx, at.tenant, w); err != nil {
			k.o.Trouble("captured turns are kept as their tokens say, not as their bucket does", err)
		}
		if err := k.storeTurn(ctx, &who, w); err != nil {
			k.counts.CaptureRefused.Add(int64(len(w.Memories)))
			k.o.Trouble("captured turns are not stored", err)
			continue
		}
		k.counts.Captured.Add(int64(len(w.Memories)))
	}
}

// keepFor has captured turns expire as their bucket says, if it does.
func (k *Keeper) keepFor(ctx context.Context, tenant string, w *Write) error {
	var seconds int64
	err := k.o.Read.QueryRowContext(ctx, "SELECT coalesce(max(memory_ttl), 0) FROM buckets WHERE tenant = ? AND name = ?", tenant, w.Bucket).Scan(&seconds)
	if err != nil || seconds == 0 {
		return unavailable(err)
	}
	for i := range w.Memories {
		m := &w.Memories[i]
		m.ExpiresAt = expiry(m.ObservedAt, time.Duration(seconds)*time.Second)
	}
	return nil
}

// expiry is when something is over that is kept for a time; zero for never.
func expiry(from time.Time, ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return from.Add(ttl)
}

func (k *Keeper) storeTurn(ctx context.Context, who *Caller, w *Write) (err error) {
	defer survive(&err)
	_, err = k.Store(ctx, who, w)
	return err
}

// memoriesOf makes memories of what was said in a turn. One turn is looked
// through at a time, those of the tenants by turns: it costs a core, and the
// others are for calls.
func (k *Keeper) memoriesOf(t *Turn) (all []Memory) {
	k.computing.Lock(t.Caller.Tenant)
	defer k.computing.Unlock()
	for i, said := range []struct{ role, text string }{{"user", t.User}, {"assistant", t.Assistant}} {
		text := strings.ToValidUTF8(said.text, "")
		if strings.TrimSpace(text) == "" {
			continue
		}
		kind := worth.Statement
		if said.role == "user" {
			kind = worth.Of(text)
		}
		if kind == worth.Client {
			continue
		}
		origin := sha256.Sum256(append(t.Origin[:], byte(i)))
		m := Memory{Content: withoutSecrets(text), Role: said.role, Session: t.Session, ObservedAt: t.At, ExpiresAt: expiry(t.At, t.TTL), Context: kind != worth.Statement, origin: origin[:]}
		if m.check("", t.At) != nil { // a text can be too long without its secrets: it must not cost the batch
			k.counts.CaptureRefused.Add(1)
			continue
		}
		all = append(all, m)
	}
	return all
}

// ttlSeconds is a time to keep something as it is stored.
func ttlSeconds(ttl time.Duration) int64 {
	if ttl < 0 {
		return -1
	}
	return int64(ttl / time.Second)
}
