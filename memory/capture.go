package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/memory/transcript"
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
}

// maxTurnsWaiting bounds the turns that wait to be stored. Those beyond it are
// dropped and counted: a disk that can not keep up must not delay an answer.
const maxTurnsWaiting = 4096

// Session names a conversation by how it began: that stays the same from call
// to call.
func Session(opening wire.Text) string {
	sum := sha256.Sum256(opening.Reveal())
	return "c" + hex.EncodeToString(sum[:8])
}

// TurnOf makes a turn of a conversation whose last word is the user's; of any
// other it keeps no word of the user: it was kept when it came.
func TurnOf(c *wire.Conversation) Turn {
	t := Turn{Origin: sha256.Sum256(c.Prefix().Reveal())}
	if c.UserTurn() {
		t.User = string(c.Question().Reveal())
	}
	return t
}

// Answered adds what the assistant has said, unless it is not all there.
func (t *Turn) Answered(said *transcript.Transcript) {
	text := said.Text()
	if !said.Truncated() {
		t.Assistant = string(text.Reveal())
	}
}

// Capture takes a turn to be stored soon. It does not wait; false means that
// the turn was dropped.
func (k *Keeper) Capture(t Turn) bool {
	select {
	case k.turns <- t:
		return true
	default:
		k.counts.CaptureDropped.Add(1)
		return false
	}
}

// keepTurns stores what was captured, as many turns at once as wait: one
// transaction for each bucket. When the keeper closes, it stores what waits
// first.
func (k *Keeper) keepTurns() {
	defer crash.Exit()
	ctx := context.WithoutCancel(k.background)
	for {
		select {
		case t := <-k.turns:
			k.storeTurns(ctx, k.waitingTurns([]Turn{t}))
		case <-k.background.Done():
			if rest := k.waitingTurns(nil); len(rest) > 0 {
				k.storeTurns(ctx, rest)
			}
			return
		}
	}
}

// waitingTurns adds what waits, as far as one batch can take it.
func (k *Keeper) waitingTurns(all []Turn) []Turn {
	for len(all) < MaxBatch/2 {
		select {
		case t := <-k.turns:
			all = append(all, t)
		default:
			return all
		}
	}
	return all
}

// storeTurns stores turns, those of one token and bucket together.
func (k *Keeper) storeTurns(ctx context.Context, all []Turn) {
	type place struct{ tenant, token, bucket string }
	together := map[place]*Write{}
	callers := map[place]Caller{}
	for i := range all {
		t := &all[i]
		at := place{t.Caller.Tenant, t.Caller.Token, t.Bucket}
		if together[at] == nil {
			together[at], callers[at] = &Write{Bucket: t.Bucket, Dedup: DedupOff}, t.Caller
		}
		together[at].Memories = append(together[at].Memories, k.memoriesOf(t)...)
	}
	for at, w := range together {
		who := callers[at]
		if len(w.Memories) == 0 {
			continue
		}
		if err := k.storeTurn(ctx, &who, w); err != nil {
			k.counts.CaptureRefused.Add(int64(len(w.Memories)))
			k.o.Trouble("captured turns are not stored", err)
			continue
		}
		k.counts.Captured.Add(int64(len(w.Memories)))
	}
}

func (k *Keeper) storeTurn(ctx context.Context, who *Caller, w *Write) (err error) {
	defer survive(&err)
	_, err = k.Store(ctx, who, w)
	return err
}

// memoriesOf makes memories of what was said in a turn. What is too long for
// one is not kept: half a turn would be a lie.
func (k *Keeper) memoriesOf(t *Turn) (all []Memory) {
	for i, said := range []struct{ role, text string }{{"user", t.User}, {"assistant", t.Assistant}} {
		if strings.TrimSpace(said.text) == "" {
			continue
		}
		if len(said.text) > MaxContentBytes {
			k.counts.CaptureRefused.Add(1)
			continue
		}
		text := withoutSecrets(strings.ToValidUTF8(said.text, ""))
		origin := sha256.Sum256(append(t.Origin[:], byte(i)))
		all = append(all, Memory{Content: text, Role: said.role, Session: t.Session, ObservedAt: t.At, origin: origin[:]})
	}
	return all
}
