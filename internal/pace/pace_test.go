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
