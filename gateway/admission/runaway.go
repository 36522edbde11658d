package admission

import (
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/meter"
)

// Runaway is what a token may spend before it is looked at: loops of agents
// that nobody watches spend a month's money in a night.
type Runaway struct {
	// TokensPerMinute is too fast for any token; zero is no such bound.
	TokensPerMinute int64
	// Factor is how many times a token's own usual minute is too fast; zero is
	// no such bound. It counts from Least tokens a minute on, and once the token
	// has ten minutes behind it in which it spent anything.
	Factor float64
	Least  int64
	// Alarm is called at most once in ten minutes for a token, by the limiter's
	// goroutine.
	Alarm func(Spree)
}

// Spree is a token that spends too fast.
type Spree struct {
	Tenant, Token   string
	TokensPerMinute int64 // in the last minute
	Usual           int64 // in a minute in which it spends; 0 when unknown
	At              time.Time
}

const (
	// lookInterval is how often spending is looked at: an alarm comes within a
	// minute of the tokens that cause it, with much to spare.
	lookInterval = 5 * time.Second
	// minuteSteps is how finely the last minute is known.
	minuteSteps = int(time.Minute / lookInterval)
	// usualAfter is how many minutes make a habit.
	usualAfter = 10
	// usualWeight is the weight of a new minute: about an hour of spending is
	// remembered.
	usualWeight = 1. / 60
	// alarmPause is between two alarms of one token.
	alarmPause = 10 * time.Minute
	// forgetAfter is how long an account is kept of which nothing was heard.
	forgetAfter = time.Hour
)

// velocity is how fast a token spends.
type velocity struct {
	steps   [minuteSteps]int64
	at      int64 // number of the step that is current
	usual   float64
	minutes int64 // with spending, behind it
	alarmed time.Time
}

// move brings the velocity to now. Each minute that ends counts for what is
// usual. A time before the current step is in it, as calls come out of order; more
// than a minute before it the clock was set back, and the last minute ends now.
func (v *velocity) move(now time.Time) {
	at := now.UnixNano() / int64(lookInterval)
	if v.at == 0 || at < v.at-int64(minuteSteps) {
		last := v.sum()
		v.at, v.steps = at, [minuteSteps]int64{}
		v.steps[at%int64(minuteSteps)] = last
	}
	for n := 0; v.at < at && n < 2*minuteSteps; n++ {
		v.at++
		if v.at%int64(minuteSteps) == 0 {
			v.endMinute()
		}
		v.steps[v.at%int64(minuteSteps)] = 0
	}
	v.at = max(v.at, at)
}

func (v *velocity) endMinute() {
	sum := v.sum()
	if sum == 0 {
		return // a pause is no habit
	}
	v.minutes++
	v.usual += (float64(sum) - v.usual) * max(usualWeight, 1/float64(v.minutes))
}

func (v *velocity) sum() (sum int64) {
	for _, n := range v.steps {
		sum = meter.Add(sum, n)
	}
	return sum
}

func (v *velocity) add(tokens int64, now time.Time) {
	v.move(now)
	step := &v.steps[v.at%int64(minuteSteps)]
	*step = meter.Add(*step, tokens)
}

// tooFast judges the last minute.
func (v *velocity) tooFast(r *Runaway) (perMinute int64, is bool) {
	perMinute = v.sum()
	if r.TokensPerMinute > 0 && perMinute > r.TokensPerMinute {
		return perMinute, true
	}
	return perMinute, r.Factor > 0 && v.minutes >= usualAfter && perMinute > r.Least && float64(perMinute) > r.Factor*v.usual
}

// watch looks for tokens that run away, and forgets what is gone.
func (l *Limiter) watch() {
	defer crash.Exit()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case now := <-tick.C:
			l.look(now)
		}
	}
}

// look is one round of watch.
func (l *Limiter) look(now time.Time) {
	runaway := &l.now.Load().Runaway
	l.tokens.Range(func(id string, a *account) bool {
		if spree, is := a.runsAway(runaway, now); is {
			spree.Token = id
			runaway.Alarm(spree)
		}
		if a.idle(now) && !l.o.UsableToken(id, now) {
			l.tokens.Delete(id)
		}
		return true
	})
	l.tenants.Range(func(id string, a *account) bool {
		if a.idle(now) && !l.o.UsableTenant(id) {
			l.tenants.Delete(id)
		}
		return true
	})
}

func (a *account) runsAway(r *Runaway, now time.Time) (s Spree, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.used) > 2*time.Minute {
		return s, false
	}
	a.velocity.move(now)
	perMinute, is := a.velocity.tooFast(r)
	if !is || now.Sub(a.velocity.alarmed) < alarmPause {
		return s, false
	}
	a.velocity.alarmed = now
	return Spree{Tenant: a.tenant, TokensPerMinute: perMinute, Usual: int64(a.velocity.usual), At: now.UTC()}, true
}

func (a *account) idle(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inFlight == 0 && now.Sub(a.used) > forgetAfter
}
