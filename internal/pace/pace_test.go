package pace

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestOthersComeFirst: in a bubble only sleeping moves the clock, so it tells
// how long the work has made way.
func TestOthersComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var p Pace
		for i := range 10 * every {
			p.Row(i)
		}
		if slept := time.Since(began); slept != 0 {
			t.Errorf("it slept %v before its first slice was over", slept)
		}
		for range 3 {
			time.Sleep(pause / share) // the work
			p.Step()
			p.Step()
		}
		if slept := time.Since(began); slept != 3*(pause/share+pause) {
			t.Errorf("%v are over after three slices, not %v", slept, 3*(pause/share+pause))
		}
	})
}

// TestHurry: who falls behind works for twice as long as it sleeps.
func TestHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pace{Hurry: true}
		p.Step()
		time.Sleep(pause)
		p.Step() // sleeps; from here on slices are long
		began := time.Now()
		for range 30 {
			time.Sleep(haste * pause / 4)
			p.Step()
		}
		worked := 30 * haste * pause / 4
		if all := time.Since(began); all-worked > worked/haste+pause || all == worked {
			t.Errorf("%v of work took %v", worked, all)
		}
	})
}

// TestDueHurries: work that has not come to its end in time hurries.
func TestDueHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pace{Due: time.Now().Add(10 * pause)}
		for !p.Hurry {
			time.Sleep(pause)
			p.Step()
			if late := time.Since(p.Due); late > 3*pause {
				t.Fatalf("%v after it was due it does not hurry", late)
			}
		}
		if early := time.Until(p.Due); early > 0 {
			t.Errorf("it hurries %v before it is due", early)
		}
	})
}

// TestSlices: how long the work goes on behind a pause. Whoever hurries takes a
// turn like anybody where the machine has no time for pauses.
func TestSlices(t *testing.T) {
	for _, c := range []struct {
		slept time.Duration
		hurry bool
		want  time.Duration
	}{
		{pause, false, pause / share},
		{time.Millisecond, false, time.Millisecond / share},
		{time.Second, false, most},
		{pause, true, pause * haste},
		{time.Millisecond, true, mostHasted},
		{turn - 1, true, mostHasted},
		{turn, true, turn},
		{time.Second, true, turn},
	} {
		if got := sliceAfter(c.slept, c.hurry); got != c.want {
			t.Errorf("after %v, hurry %t: %v, want %v", c.slept, c.hurry, got, c.want)
		}
	}
}

func TestBytes(t *testing.T) {
	all := bytes.Repeat([]byte("content "), 3*pieceBytes/8+1)
	var p Pace
	var got []byte
	pieces := 0
	err := p.Bytes(all, func(b []byte) error {
		pieces++
		got = append(got, b...)
		return nil
	})
	if err != nil || pieces != 4 || !bytes.Equal(got, all) {
		t.Errorf("%d pieces, %d of %d bytes, %v", pieces, len(got), len(all), err)
	}
	broken := errors.New("broken")
	if err := p.Bytes(all, func([]byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}
