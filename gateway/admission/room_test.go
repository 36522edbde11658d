package admission

import (
	"sync"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// holder is what a tenant holds, as its calls get it.
func holder(t *testing.T, l *Limiter, tenant string) *Holder {
	t.Helper()
	var p Pass
	if why := l.Enter(&p, caller(tenant, tenant, directory.Limits{}, directory.Limits{}), noon); why != nil {
		t.Fatal(why)
	}
	defer p.Leave(0, noon)
	return p.Holder()
}

// takeAll takes pieces until one is refused, and gives what it got; more than any
// room here has is enough.
func takeAll(h *Holder, piece int) (got int) {
	for got <= 1<<24 && h.Take(piece) {
		got += piece
	}
	return got
}

// However many tenants have taken all that they can, the next one gets a part.
// When all give some back and take again, their parts become equal.
func TestRoomIsShared(t *testing.T) {
	for _, piece := range []int{1, 64, 1000, 4096} {
		most := piece << 12
		l := newLimiter(t, func(o *Options) { o.MaxBufferedBytes = int64(most) })
		all, parts := []*Holder{}, []int{}
		for i, free := 0, most; i < 5; i++ {
			h := holder(t, l, string(rune('a'+i)))
			got := takeAll(h, piece)
			if want := free / 2; got > want || got < want-piece {
				t.Fatalf("pieces of %d: tenant %d got %d of %d that were free", piece, i, got, free)
			}
			free -= got
			all, parts = append(all, h), append(parts, got)
		}
		for range 200 {
			for i, h := range all {
				back := parts[i] / 2 / piece * piece
				h.Give(back)
				parts[i] += takeAll(h, piece) - back
			}
		}
		for i, got := range parts {
			if want := most / (len(all) + 1); got > want+piece*len(all) || got < want-piece*len(all) {
				t.Errorf("pieces of %d: in the end tenant %d has %d, not %d", piece, i, got, want)
			}
			all[i].Give(got)
		}
		if l.Held() != 0 {
			t.Errorf("%d bytes are held of nobody", l.Held())
		}
	}
}

// What is owed counts as held; nothing can be taken until it is given back.
func TestRoomThatIsOwed(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxBufferedBytes = 1000 })
	one, other := holder(t, l, "one"), holder(t, l, "other")
	one.Owe(600)
	if !one.Full() || other.Full() || one.Take(1) || !other.Take(200) {
		t.Error("a tenant that owes more than its part got more, or another got nothing")
	}
	one.Give(600)
	if one.Full() || !one.Take(400) || l.Held() != 600 {
		t.Errorf("%d are held after all was given back", l.Held())
	}
}

// A tenant that is refused all the time never makes another be refused.
func TestRefusalsTakeNoRoom(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxBufferedBytes = 1 << 20 })
	loud, quiet := holder(t, l, "loud"), holder(t, l, "quiet")
	takeAll(loud, 1<<10)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if loud.Take(1 << 19) {
						t.Error("more than its part")
						loud.Give(1 << 19)
					}
				}
			}
		})
	}
	for range 20_000 {
		if !quiet.Take(1 << 18) {
			t.Error("refused because of another's refusals")
			break
		}
		quiet.Give(1 << 18)
	}
	close(stop)
	all.Wait()
}
