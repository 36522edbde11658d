// Package pace is for work that nobody waits for, in the process that answers
// requests: it keeps such work from holding one of Go's processors for long.
package pace

import "time"

const (
	pause = 200 * time.Microsecond
	// share is the part of the pauses that the work between them may take: a
	// fifth of a core altogether, so that requests keep four.
	share = 4
	// haste is the same for who has to hurry, the other way round.
	haste = 2
	// Bounds of a slice of work, where the pauses are longer than they should be:
	// on an idle machine, Go's poller sleeps for whole milliseconds.
	most       = 500 * time.Microsecond
	mostHasted = 2 * time.Millisecond
	// turn is what Go gives anybody at a time (runtime, forcePreemptNS). A pause that
	// takes longer means that the machine is overloaded and all others have had their
	// turns: who hurries then takes one, or rows would come in faster than they are
	// worked through.
	turn = 10 * time.Millisecond
	// every is how many rows of some 0.5 to 5 µs are between two looks at the
	// clock.
	every = 16
	// pieceBytes is how much is copied or hashed in some 20 µs.
	pieceBytes = 32 << 10
)

// Pace is one such work's. It sleeps after each slice of 50 µs. Without it, Go
// gives whoever works through a batch 10 ms at a time (runtime, forcePreemptNS);
// and one that only calls Gosched is found again before the scheduler comes to
// ask for sockets that are ready, so on one core all requests wait for the next
// look of the runtime's monitor, 10 ms later (benchmarks/NOTES.md). The zero value
// is ready. It is for one goroutine.
type Pace struct {
	// Hurry is for work that falls behind: it takes two thirds of a core.
	Hurry bool
	// Due is when the work should have come to its end: from then on it hurries.
	// Zero is never.
	Due time.Time

	since time.Time // when the slice began
	slice time.Duration
}

// Row is called for each row of a batch, with its number.
func (p *Pace) Row(i int) {
	if i%every == 0 {
		p.Step()
	}
}

// Step is called before each piece of work that takes some time.
func (p *Pace) Step() {
	now := time.Now()
	if p.since.IsZero() {
		p.since, p.slice = now, pause/share
	}
	if now.Sub(p.since) < p.slice {
		return
	}
	p.Hurry = p.Hurry || !p.Due.IsZero() && now.After(p.Due)
	time.Sleep(pause)
	p.since = time.Now()
	p.slice = sliceAfter(p.since.Sub(now), p.Hurry)
}

// sliceAfter is how long the work may go on behind a pause.
func sliceAfter(slept time.Duration, hurry bool) time.Duration {
	switch {
	case !hurry:
		return min(most, slept/share)
	case slept < turn:
		return min(mostHasted, slept*haste)
	}
	return turn
}

// Bytes calls each with b's pieces, in order, until there is an error.
func (p *Pace) Bytes(b []byte, each func([]byte) error) error {
	for len(b) > 0 {
		p.Step()
		n := min(len(b), pieceBytes)
		if err := each(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
