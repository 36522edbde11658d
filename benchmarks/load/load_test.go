package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T) *Ends {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *Ends) must(t *testing.T, to netip.AddrPort, p Plan) *Result {
	t.Helper()
	p.Patience = 5 * time.Second
	r, why, err := e.Run(Target{Addr: to, Path: "/v1/chat/completions", Header: []string{"Authorization: Bearer a\r\n", "Authorization: Bearer b\r\n"}}, p)
	if err != nil {
		t.Fatal(err)
	}
	if sum := r.Good + r.Wrong + r.Failed + r.Aborted + r.Unanswered; sum != r.Sent || r.Sent == 0 {
		t.Errorf("calls are not all accounted for: %v", r)
	}
	t.Log(r, why)
	return r
}

func TestStraightToTheProvider(t *testing.T) {
	e := start(t)
	for name, p := range map[string]Plan{
		"closed loop":  {Call: Call{BodyBytes: 1000}, Connections: 8},
		"open loop":    {Call: Call{BodyBytes: 1000}, Connections: 64, Rate: 500},
		"large bodies": {Call: Call{BodyBytes: 8 << 20}, Connections: 2, Rate: 10},
		"streams":      {Call: Call{BodyBytes: 300, Chunks: 20, Gap: int64(time.Millisecond)}, Connections: 64, Rate: 200},
		"bursts":       {Call: Call{BodyBytes: 300, Chunks: 100}, Connections: 16},
	} {
		p.During = 300 * time.Millisecond
		if r := e.must(t, e.Provider(), p); r.Good != r.Sent || r.Repeated != 0 {
			t.Errorf("%s: %v", name, r)
		} else if p.Chunks > 0 && r.Delay.TotalCount() != r.Good*int64(p.Chunks) {
			t.Errorf("%s: %d chunks were timed", name, r.Delay.TotalCount())
		}
	}
}

func TestClientsThatGoAndProvidersThatDoNotAnswer(t *testing.T) {
	e := start(t)
	r := e.must(t, e.Provider(), Plan{
		Call: Call{BodyBytes: 300, Chunks: 20, Gap: int64(time.Millisecond)}, Connections: 200, Rate: 400, During: 500 * time.Millisecond,
		Abort: .3, Silent: .1, GiveUp: 50 * time.Millisecond,
	})
	if r.Aborted < 10 || r.Good+r.Aborted != r.Sent || r.Closed.TotalCount() != r.Aborted {
		t.Errorf("%v; the provider learned of %d ends", r, r.Closed.TotalCount())
	}
}

// TestLiesAreSeen lets servers do what a gateway may not.
func TestLiesAreSeen(t *testing.T) {
	e := start(t)
	stream := Call{BodyBytes: 300, Chunks: 2}
	untilTransfer, _, _ := strings.Cut(streamHead, "Transfer")
	chunks := untilTransfer + "Connection: close\r\n\r\n"
	numbered := func(n int) string {
		return chunkStart + textStart + fmt.Sprintf("%09d", n) + chunkFill + chunkEnd
	}
	for name, lie := range map[string]struct {
		call   Call
		answer string
	}{
		"answer of another call":   {Call{BodyBytes: 300}, string(unaryAnswer)},
		"answer cut short":         {Call{BodyBytes: 300}, string(unaryAnswer[:len(unaryAnswer)-5])},
		"error":                    {Call{BodyBytes: 300}, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n{}"},
		"not HTTP":                 {Call{BodyBytes: 300}, "hello\r\n\r\n"},
		"nothing":                  {Call{BodyBytes: 300}, ""},
		"chunk lost":               {stream, chunks + numbered(0) + "data: [DONE]\n\n"},
		"chunks in another order":  {stream, chunks + numbered(1) + numbered(0) + "data: [DONE]\n\n"},
		"chunk twice":              {stream, chunks + numbered(0) + numbered(0) + numbered(1) + "data: [DONE]\n\n"},
		"no end":                   {stream, chunks + numbered(0) + numbered(1)},
		"chunk with another text":  {stream, chunks + strings.ReplaceAll(numbered(0), "lorem", "Lorem") + numbered(1) + "data: [DONE]\n\n"},
		"chunked body not to ends": {stream, streamHead + string(event)},
	} {
		r := e.must(t, serve(t, lie.answer), Plan{Call: lie.call, Rate: 20, Connections: 4, During: 200 * time.Millisecond})
		if r.Good != 0 || r.Wrong+r.Failed != r.Sent {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// serve answers every request with the same bytes and closes.
func serve(t *testing.T, answer string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestTimesAreKeptAsText(t *testing.T) {
	a, b := newTimes(), newTimes()
	a.add(int64(3 * time.Millisecond))
	text, err := a.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.UnmarshalText(text); err != nil || b.At(.5) != a.At(.5) || b.At(.5) < 3*time.Millisecond {
		t.Errorf("%v, %v, %v", a.At(.5), b.At(.5), err)
	}
}
