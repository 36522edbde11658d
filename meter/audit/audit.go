// Package audit joins Vault's audit log with our records: did every request
// use a key that Vault has handed out, and was every key that Vault has handed
// out asked for by us?
//
// It reads files and nothing else, line by line. What it must remember of them
// is sorted in temporary files (TMPDIR), so that the memory it needs does not
// grow with the logs.
package audit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
	"time"

	"github.com/ownkey/ownkey/internal/spill"
)

// sorterBytes is what each of the sorters holds in memory.
const sorterBytes = 16 << 20

// Window is the time that is judged. Lines outside of it count as evidence: a
// request may use a key that was unsealed before.
type Window struct{ From, To time.Time }

func (w Window) holds(t time.Time) bool { return !t.Before(w.From) && t.Before(w.To) }

// Books are both logs. AddRecords and AddVaultLog fill them, in any order; Close
// joins them.
type Books struct {
	prefix string // of the paths of tenants' decrypts
	window Window
	lines  uint64 // orders what was added
	// calls are Vault's answers, by its own request id: two audit devices have
	// each of them twice.
	calls *spill.Sorter
	// unseals has all that both logs say about an unseal, by its id.
	unseals *spill.Sorter
	report  Report
}

// unseal is one that our records know.
type unseal struct {
	tenant   string
	at       time.Time // when we asked first
	last     time.Time // and last: a second time is a hedge
	failed   [2]bool   // Vault has refused the call; the hedge
	calls    int       // in Vault's log, without those marked as a hedge
	hedges   int
	mayHedge bool // we have asked a second time
	requests int
	inWindow bool // Vault has answered it in the window
}

// How long before and after we have asked Vault may log its answer. A call ends
// after keyring.vault.timeout, five seconds at most; the rest is for clocks that
// differ and for an answer that nobody waits for any more.
const (
	answerBefore = 5 * time.Second
	answerAfter  = 10 * time.Second
)

// asking reports whether an answer can be that of our call.
func (u *unseal) asking(at time.Time) bool {
	return !at.Before(u.at.Add(-answerBefore)) && !at.After(u.last.Add(answerAfter))
}

// spend notes that Vault has refused a call with this id.
func (u *unseal) spend(hedge bool) { u.failed[slot(hedge)] = true }

func (u *unseal) spent(hedge bool) bool { return u.failed[slot(hedge)] }

func slot(hedge bool) int {
	if hedge {
		return 1
	}
	return 0
}

// New makes empty books for a transit engine at mount.
func New(mount string, w Window) *Books { return newBooks(mount, w, sorterBytes) }

func newBooks(mount string, w Window, held int) *Books {
	return &Books{
		prefix: mount + "/decrypt/ownkey-", window: w, calls: spill.New(held), unseals: spill.New(held),
		report: Report{
			From: w.From, To: w.To, Served: []Served{},
			WithoutUnseal: Findings[Request]{spill.New(held)}, Foreign: Findings[Foreign]{spill.New(held)},
		},
	}
}

// Report is what the comparison gives. Numbers are of the window.
type Report struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Match: no unseal of somebody else, no request without an unseal.
	Match bool `json:"match"`
	// Calls are the decrypt calls that Vault has answered, and Refused those
	// that it has not, whoever made them.
	Calls   int `json:"vault_calls"`
	Refused int `json:"vault_calls_refused"`
	// Unseals are ours that Vault has answered. Idle ones served no request:
	// tests of credentials, moves between keyrings, clients that left.
	Unseals int `json:"unseals"`
	Idle    int `json:"unseals_idle"`
	// Unanswered are unseals that we asked for and Vault did not answer.
	Unanswered int `json:"unseals_unanswered"`
	// Served counts them by the number of requests that they served.
	Served []Served `json:"unseals_by_requests_served"`
	// MostRequests is the largest number of requests that one unseal served.
	MostRequests int `json:"most_requests_of_one_unseal"`
	// Requests are those that used a credential.
	Requests int `json:"requests"`
	// WithoutUnseal are the requests whose unseal is not in Vault's log, oldest
	// first.
	WithoutUnseal Findings[Request] `json:"-"`
	// Foreign are the decrypts that we did not make, in the order of Vault's log.
	Foreign Findings[Foreign] `json:"-"`
}

// Close gives back what the findings have on disk.
func (r *Report) Close() error {
	return errors.Join(r.WithoutUnseal.sorter.Close(), r.Foreign.sorter.Close())
}

// Served is a number of unseals that served between Least and twice as many
// requests less one: 1, 2 to 3, 4 to 7, and so on.
type Served struct {
	Least   int `json:"requests_from"`
	Unseals int `json:"unseals"`
}

// Request is one that used a credential.
type Request struct {
	ID     string    `json:"request_id"`
	At     time.Time `json:"at"`
	Tenant string    `json:"tenant"`
	Unseal string    `json:"unseal"`
}

// Foreign is a decrypt that somebody else made with a token that may decrypt,
// and who that was, as Vault tells it.
type Foreign struct {
	At            time.Time `json:"at"`
	Why           string    `json:"why"`
	Tenant        string    `json:"tenant"`
	Unseal        string    `json:"unseal"`
	RemoteAddress string    `json:"remote_address"`
	DisplayName   string    `json:"display_name"`
	Accessor      string    `json:"accessor"` // hashed, as it stands in the log
	VaultRequest  string    `json:"vault_request_id"`
}

// Close compares. The report's Close gives back what both have on disk.
func (b *Books) Close() (*Report, error) {
	err := b.calls.Each(b.eachCall())
	err = errors.Join(err, b.calls.Close())
	if err == nil {
		err = b.join()
	}
	if err = errors.Join(err, b.unseals.Close()); err != nil {
		return nil, errors.Join(err, b.report.Close())
	}
	r := &b.report
	r.Match = r.WithoutUnseal.Len() == 0 && r.Foreign.Len() == 0
	return r, nil
}

// join judges one unseal after the other.
func (b *Books) join() error {
	var g *group
	err := b.unseals.Each(func(key, value []byte) error {
		id, kind := idOf(key)
		if g == nil || g.id != string(id) {
			b.count(g)
			g = &group{id: string(id)}
		}
		switch kind {
		case kindAsked:
			return decoded(value, g.asked)
		case kindCall:
			return decoded(value, func(c *call) error { return b.judge(g, c) })
		}
		return decoded(value, func(q *Request) error { return b.served(g, q) })
	})
	b.count(g)
	return err
}

// count adds an unseal of ours to the report.
func (b *Books) count(g *group) {
	if g == nil || !g.ours {
		return
	}
	r, u := &b.report, &g.unseal
	switch {
	case u.inWindow:
		r.Unseals++
		r.MostRequests = max(r.MostRequests, u.requests)
		if u.requests == 0 {
			r.Idle++
			return
		}
		power := bits.Len(uint(u.requests)) - 1
		for len(r.Served) <= power {
			r.Served = append(r.Served, Served{Least: 1 << len(r.Served)})
		}
		r.Served[power].Unseals++
	case u.calls+u.hedges == 0 && b.window.holds(u.at):
		r.Unanswered++
	}
}

// What is known of an unseal is judged in this order.
const (
	kindAsked   = iota // by us
	kindCall           // that Vault has answered, in the order of its log
	kindRequest        // that says it has used it
)

// group is what both logs say about an id.
type group struct {
	id   string
	ours bool // our records have it
	unseal
}

// place is the next entry's, behind all that were added before.
func (b *Books) place() []byte {
	b.lines++
	return binary.BigEndian.AppendUint64(nil, b.lines)
}

// about adds an entry about an unseal.
func (b *Books) about(id string, kind byte, place []byte, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.unseals.Add(append(append(keyOf(id), kind), place...), value)
}

// keyOf is an id as the beginning of a key: no other one begins like it.
func keyOf(id string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(id))), id...)
}

// idOf splits a key into the id and what follows it.
func idOf(key []byte) (id []byte, kind byte) {
	size, n := binary.Uvarint(key)
	end := n + int(size) //nolint:gosec // keyOf's
	return key[n:end], key[end]
}

// decoded gives an entry's value to f.
func decoded[T any](value []byte, f func(*T) error) error {
	v := new(T)
	if err := json.Unmarshal(value, v); err != nil {
		return err
	}
	return f(v)
}
