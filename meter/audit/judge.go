package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"
)

// asked is an unseal in our records.
type asked struct {
	Tenant string
	At     time.Time
	Hedge  bool
}

// call is a decrypt that Vault has answered or refused.
type call struct {
	ID            string // Vault's
	At            time.Time
	Refused       bool
	Tenant        string
	Hedge         bool
	RemoteAddress string
	DisplayName   string
	Accessor      string
	Unseals       []string `json:",omitempty"` // of all calls by their own id
	Items         int      `json:",omitempty"` // ciphertexts
	Place         []byte   // in Vault's log
}

func (b *Books) addCall(l *vaultLine, tenant string) error {
	c := call{
		ID: l.Request.ID, At: l.Time, Refused: l.Error != "", Tenant: tenant, RemoteAddress: l.Request.RemoteAddress,
		DisplayName: l.Auth.DisplayName, Accessor: l.Auth.Accessor, Items: max(1, len(l.Request.Data.Batch)), Place: b.place(),
	}
	c.Unseals, c.Hedge = unsealIDs(l.Request.Headers)
	value, err := json.Marshal(&c)
	if err != nil {
		return err
	}
	return b.calls.Add(append(keyOf(c.ID), c.Place...), value)
}

// eachCall takes the first of the calls that have the same id.
func (b *Books) eachCall() func(key, value []byte) error {
	var before []byte
	return func(key, value []byte) error {
		id := key[:len(key)-8] // without the place
		if before != nil && bytes.Equal(id, before) {
			return nil
		}
		before = append(before[:0], id...)
		return decoded(value, b.hand)
	}
}

// hand counts a call and hands it on to the unseals that it names.
func (b *Books) hand(c *call) error {
	switch in := b.window.holds(c.At); {
	case in && c.Refused:
		b.report.Refused++
	case in:
		b.report.Calls++
	}
	ids, items := c.Unseals, c.Items
	c.Unseals, c.Items = nil, 0
	place := c.Place
	for i, id := range ids {
		c.Place = binary.BigEndian.AppendUint32(slices.Clip(place), uint32(i))
		if err := b.about(id, kindCall, c.Place, c); err != nil {
			return err
		}
	}
	for i := len(ids); i < items && !c.Refused; i++ {
		c.Place = binary.BigEndian.AppendUint32(slices.Clip(place), uint32(i)) //nolint:gosec // a batch's
		if err := b.blame(c, "", "it carries no unseal id"); err != nil {
			return err
		}
	}
	return nil
}

// asked takes what our records say.
func (g *group) asked(a *asked) error {
	if g.ours, g.tenant = true, a.Tenant; g.at.IsZero() || a.At.Before(g.at) {
		g.at = a.At
	}
	if a.At.After(g.last) {
		g.last = a.At
	}
	g.mayHedge = g.mayHedge || a.Hedge
	return nil
}

// judge compares one decrypt with what our records know.
func (b *Books) judge(g *group, c *call) error {
	u := &g.unseal
	if c.Refused {
		if g.ours && u.tenant == c.Tenant {
			u.spend(c.Hedge)
		}
		return nil
	}
	switch {
	case !g.ours:
		return b.blame(c, g.id, "its unseal id is not in our records")
	case u.tenant != c.Tenant:
		return b.blame(c, g.id, "its unseal id is ours, but of tenant "+u.tenant)
	case c.Hedge && !u.mayHedge:
		return b.blame(c, g.id, "its unseal id is ours, but marked as a second call that we did not make")
	case !u.asking(c.At):
		return b.blame(c, g.id, "its unseal id is ours, but was used at another time than we asked")
	case u.spent(c.Hedge):
		return b.blame(c, g.id, "its unseal id is ours, and Vault had refused it before: we do not ask again")
	case c.Hedge:
		u.hedges++
	default:
		u.calls++
	}
	if u.calls > 1 || u.hedges > 1 {
		return b.blame(c, g.id, "its unseal id is ours, and was used again")
	}
	u.inWindow = u.inWindow || b.window.holds(c.At)
	return nil
}

// blame names a decrypt that we did not make.
func (b *Books) blame(c *call, id, why string) error {
	if !b.window.holds(c.At) {
		return nil
	}
	return b.report.Foreign.add(c.Place, &Foreign{c.At, why, c.Tenant, id, c.RemoteAddress, c.DisplayName, c.Accessor, c.ID})
}

// served takes a request that names an unseal.
func (b *Books) served(g *group, q *Request) error {
	g.requests++
	if g.ours && g.calls+g.hedges > 0 && g.tenant == q.Tenant {
		return nil
	}
	key := binary.BigEndian.AppendUint64(nil, uint64(q.At.Unix())^1<<63) //nolint:gosec // ordered as bytes
	key = binary.BigEndian.AppendUint32(key, uint32(q.At.Nanosecond()))  //nolint:gosec // below a billion
	return b.report.WithoutUnseal.add(append(key, q.ID...), q)
}
