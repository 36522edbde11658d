// Package audit joins Vault's audit log with our records: did every request
// use a key that Vault has handed out, and was every key that Vault has handed
// out asked for by us?
//
// It reads files and nothing else, line by line; what it holds in memory is
// about 200 bytes for each unseal and each request in the window.
package audit

import (
	"cmp"
	"math/bits"
	"slices"
	"time"
)

// Window is the time that is judged. Lines outside of it count as evidence: a
// request may use a key that was unsealed before.
type Window struct{ From, To time.Time }

func (w Window) holds(t time.Time) bool { return !t.Before(w.From) && t.Before(w.To) }

// Books are both logs, joined by unseal id. Records are read first: AddRecords,
// then AddVaultLog, then Close.
type Books struct {
	prefix   string // of the paths of tenants' decrypts
	window   Window
	unseals  map[string]*unseal
	seen     map[string]bool // Vault's request ids: a call is judged once
	requests []Request
	report   Report
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
func New(mount string, w Window) *Books {
	return &Books{
		prefix: mount + "/decrypt/ownkey-", window: w, unseals: map[string]*unseal{}, seen: map[string]bool{},
		report: Report{From: w.From, To: w.To, Served: []Served{}, WithoutUnseal: []Request{}, Foreign: []Foreign{}},
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
	// WithoutUnseal are the requests whose unseal is not in Vault's log.
	WithoutUnseal []Request `json:"requests_without_unseal"`
	// Foreign are the decrypts that we did not make.
	Foreign []Foreign `json:"foreign_unseals"`
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

// Close compares.
func (b *Books) Close() *Report {
	r := &b.report
	for _, q := range b.requests {
		u := b.unseals[q.Unseal]
		if u == nil || u.calls+u.hedges == 0 || u.tenant != q.Tenant {
			r.WithoutUnseal = append(r.WithoutUnseal, q)
		}
	}
	for _, u := range b.unseals {
		switch {
		case u.inWindow:
			r.Unseals++
			r.MostRequests = max(r.MostRequests, u.requests)
			if u.requests == 0 {
				r.Idle++
				continue
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
	r.Requests = len(b.requests)
	slices.SortFunc(r.WithoutUnseal, func(a, b Request) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	r.Match = len(r.WithoutUnseal) == 0 && len(r.Foreign) == 0
	return r
}
