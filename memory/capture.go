package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
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
		text := withoutSecrets(strings.ToValidUTF8(said.text, ""))
		if strings.TrimSpace(text) == "" {
			continue
		}
		if len(text) > MaxContentBytes {
			k.counts.CaptureRefused.Add(1)
			continue
		}
		origin := sha256.Sum256(append(t.Origin[:], byte(i)))
		all = append(all, Memory{Content: text, Role: said.role, Session: t.Session, ObservedAt: t.At, origin: origin[:]})
	}
	return all
}

// removed stands where a secret was.
const removed = "[secret removed]"

// secrets are keys and tokens by their looks: the prefixes are those that
// GitHub's secret scanning documents (2026-11), our own, PEM blocks, JSON web
// tokens, and what is called a password or a key where it stands.
var secrets = regexp.MustCompile(strings.Join([]string{
	`\boka?_[0-9A-Za-z]{20,}`,
	`\bsk-[0-9A-Za-z_-]{16,}`,
	`\b[rs]k_(live|test)_[0-9A-Za-z]{16,}`,
	`\bgh[pousr]_[0-9A-Za-z]{30,}`,
	`\bgithub_pat_[0-9A-Za-z_]{30,}`,
	`\bglpat-[0-9A-Za-z_-]{20,}`,
	`\bgsk_[0-9A-Za-z]{20,}`,
	`\bhvs\.[0-9A-Za-z_-]{20,}`,
	`\b(AKIA|ASIA)[0-9A-Z]{16}\b`,
	`\bAIza[0-9A-Za-z_-]{35}`,
	`\bxox[abprs]-[0-9A-Za-z-]{10,}`,
	`\bnpm_[0-9A-Za-z]{36}`,
	`\bpypi-[0-9A-Za-z_-]{32,}`,
	`\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{5,}`,
	`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`,
	`(?i)\b(password|passwd|secret|api[_-]?key|access[_-]?token)\b["']?\s*(is|[:=])\s*["']?[^\s"',;]{6,}`,
	`(?i)\bbearer\s+[0-9A-Za-z._~+/-]{16,}=*`,
}, "|"))

// digits looks like the number of a payment card.
var digits = regexp.MustCompile(`\b[0-9](?:[ -]?[0-9]){12,18}\b`)

// withoutSecrets gives a text without keys, tokens and numbers of cards.
func withoutSecrets(text string) string {
	text = secrets.ReplaceAllString(text, removed)
	return digits.ReplaceAllStringFunc(text, func(number string) string {
		if luhn(number) {
			return removed
		}
		return number
	})
}

// luhn checks the last digit of a card's number (ISO/IEC 7812-1, annex B).
func luhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		if number[i] < '0' || number[i] > '9' {
			continue
		}
		d := int(number[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}
