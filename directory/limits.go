package directory

import (
	"encoding/json"
	"time"
)

// Limits bound what a token, or all calls of a tenant together, may use. Zero
// is no limit of its own: the configuration's default counts.
type Limits struct {
	// RequestsPerSecond may be a fraction; as many as one second's may come at
	// once.
	RequestsPerSecond float64 `json:"requests_per_second"`
	// TokensPerMinute counts what providers report, input and output together.
	TokensPerMinute  int64 `json:"tokens_per_minute"`
	RequestsInFlight int64 `json:"requests_in_flight"`
	// Streams bounds the streamed answers that are open.
	Streams   int64 `json:"streams"`
	BodyBytes int64 `json:"body_bytes"`
	// TokensPerDay and TokensPerMonth are budgets, of calendar days and months
	// in UTC.
	TokensPerDay   int64 `json:"tokens_per_day"`
	TokensPerMonth int64 `json:"tokens_per_month"`
}

// Or gives the limits with those of d where l has none.
func (l Limits) Or(d Limits) Limits {
	if l.RequestsPerSecond == 0 {
		l.RequestsPerSecond = d.RequestsPerSecond
	}
	for _, f := range [...]struct{ own, other *int64 }{
		{&l.TokensPerMinute, &d.TokensPerMinute},
		{&l.RequestsInFlight, &d.RequestsInFlight},
		{&l.Streams, &d.Streams},
		{&l.BodyBytes, &d.BodyBytes},
		{&l.TokensPerDay, &d.TokensPerDay},
		{&l.TokensPerMonth, &d.TokensPerMonth},
	} {
		if *f.own == 0 {
			*f.own = *f.other
		}
	}
	return l
}

// Bounds of a limit, far outside of what makes sense: a rate that is lower is a
// token to be revoked, and sums of what is higher could overflow.
const (
	leastRate = 0.001
	mostRate  = 1e6
	mostLimit = 1e15
)

func (l *Limits) check() error {
	if l.RequestsPerSecond != 0 && (l.RequestsPerSecond < leastRate || l.RequestsPerSecond > mostRate) {
		return &InvalidError{"limits.requests_per_second", "must be 0 (no limit), or between 0.001 and 1000000"}
	}
	for _, f := range [...]struct {
		name  string
		value int64
	}{
		{"tokens_per_minute", l.TokensPerMinute},
		{"requests_in_flight", l.RequestsInFlight},
		{"streams", l.Streams},
		{"body_bytes", l.BodyBytes},
		{"tokens_per_day", l.TokensPerDay},
		{"tokens_per_month", l.TokensPerMonth},
	} {
		if f.value < 0 || f.value > mostLimit {
			return &InvalidError{"limits." + f.name, "must be 0 (no limit), or between 1 and 10^15"}
		}
	}
	return nil
}

// LimitsChange is what can change of them; nil stays, 0 is no limit of its own.
type LimitsChange struct {
	RequestsPerSecond *float64 `json:"requests_per_second"`
	TokensPerMinute   *int64   `json:"tokens_per_minute"`
	RequestsInFlight  *int64   `json:"requests_in_flight"`
	Streams           *int64   `json:"streams"`
	BodyBytes         *int64   `json:"body_bytes"`
	TokensPerDay      *int64   `json:"tokens_per_day"`
	TokensPerMonth    *int64   `json:"tokens_per_month"`
}

func (c *LimitsChange) applyTo(l *Limits) error {
	if c == nil {
		return nil
	}
	set(&l.RequestsPerSecond, c.RequestsPerSecond)
	set(&l.TokensPerMinute, c.TokensPerMinute)
	set(&l.RequestsInFlight, c.RequestsInFlight)
	set(&l.Streams, c.Streams)
	set(&l.BodyBytes, c.BodyBytes)
	set(&l.TokensPerDay, c.TokensPerDay)
	set(&l.TokensPerMonth, c.TokensPerMonth)
	return l.check()
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (l *Limits) text() string {
	b, err := json.Marshal(l)
	if err != nil {
		panic("BUG: numbers do not encode: " + err.Error()) // check has refused infinities
	}
	return string(b)
}

// Stopped reports whether the token was stopped, by the runaway guard or an
// operator. Unlike a revocation it can be undone.
func (t *Token) Stopped() bool { return !t.StoppedAt.IsZero() }

// Revoked reports whether a call that was admitted may no longer go on: its
// token or its tenant was revoked, stopped, suspended or deleted since, or its credential
// was deleted. A token that has expired, and a credential that was replaced,
// do not end what has begun. credential may be empty.
func (d *Directory) Revoked(tenant, token, credential string) bool {
	t, ok := d.tenants.Load(tenant)
	if !ok || t.Suspended() {
		return true
	}
	var id tokenID
	copy(id[:], token)
	if held, ok := d.tokens.Load(id); !ok || held.Stopped() {
		return true
	}
	if credential == "" {
		return false
	}
	for _, c := range t.credentials {
		if c.ID == credential {
			return false
		}
	}
	return true
}

// Usable reports whether a token can still be used, now or later.
func (d *Directory) Usable(token string, now time.Time) bool {
	var id tokenID
	copy(id[:], token)
	t, ok := d.tokens.Load(id)
	return ok && !t.ended(now)
}
