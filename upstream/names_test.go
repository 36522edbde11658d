package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone answers questions as a name server does, or not at all.
type zone struct {
	mu     sync.Mutex
	a      []netip.Addr
	aaaa   []netip.Addr
	code   dnsmessage.RCode
	silent map[dnsmessage.Type]bool // questions that get no answer
	asked  atomic.Int64
}

func (z *zone) set(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
}

// serve starts the name server and gives a resolver that asks it.
func (z *zone) serve(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := z.answer(b[:n]); answer != nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func (z *zone) answer(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked.Add(1)
	q := m.Questions[0]
	if z.silent[q.Type] {
		return nil
	}
	m.Response, m.RecursionAvailable, m.RCode, m.Additionals = true, true, z.code, nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
	if z.code == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeA {
		for _, a := range z.a {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		}
	}
	if z.code == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeAAAA {
		for _, a := range z.aaaa {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

var (
	four    = netip.MustParseAddr("192.0.2.4")
	another = netip.MustParseAddr("192.0.2.5")
	six     = netip.MustParseAddr("2001:db8::6")
)

func namesOf(t *testing.T, z *zone) *names {
	t.Helper()
	n := newNames("api.example.com.")
	n.resolver = z.serve(t)
	return n
}

// older moves what is remembered into the past.
func (n *names) older(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.foundAt, n.errAt = n.foundAt.Add(-d), n.errAt.Add(-d)
}

// TestUnansweredFamilyIsNotWaitedFor: one of the two questions gets no answer.
func TestUnansweredFamilyIsNotWaitedFor(t *testing.T) {
	for unanswered, want := range map[dnsmessage.Type][]netip.Addr{
		dnsmessage.TypeAAAA: {four, another}, dnsmessage.TypeA: {six}, dnsmessage.TypeMX: {six, four, another},
	} {
		z := &zone{a: []netip.Addr{four, another}, aaaa: []netip.Addr{six}, silent: map[dnsmessage.Type]bool{unanswered: true}}
		began := time.Now()
		got, err := namesOf(t, z).resolve(context.Background(), 5*time.Second)
		slices.SortFunc(got[min(1, len(got)):], netip.Addr.Compare) // the resolver sorts by what this machine has
		if err != nil || !slices.Equal(got, want) && !slices.Equal(got, []netip.Addr{another, four}) {
			t.Errorf("without %v: %v, %v", unanswered, got, err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("without %v: after %v", unanswered, d)
		}
	}
}

// TestNamesAreKept for a while; then asked for again, and a move is followed.
func TestNamesAreKept(t *testing.T) {
	z := &zone{a: []netip.Addr{four}}
	n := namesOf(t, z)
	resolve := func(want netip.Addr, asked int64) {
		t.Helper()
		got, err := n.resolve(context.Background(), 5*time.Second)
		if err != nil || len(got) != 1 || got[0] != want || z.asked.Load() != asked {
			t.Errorf("%v, %v; %d questions, want %d", got, err, z.asked.Load(), asked)
		}
	}
	resolve(four, 2)
	z.set(func() { z.a = []netip.Addr{another} })
	resolve(four, 2)
	n.older(namesFresh)
	resolve(another, 4)
}

// TestResolverFails: what was known stands in, for a while, unless the name is
// gone.
func TestResolverFails(t *testing.T) {
	f := func(name string, fail func(z *zone), age time.Duration, want bool, cause Cause) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			z := &zone{a: []netip.Addr{four}}
			n := namesOf(t, z)
			if _, err := n.resolve(context.Background(), time.Second); err != nil {
				t.Fatal(err)
			}
			z.set(func() { fail(z) })
			n.older(age)
			began := time.Now()
			ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
			defer stop()
			got, err := n.resolve(ctx, 3*time.Second)
			if (err == nil) != want || want && got[0] != four {
				t.Fatalf("%v, %v", got, err)
			}
			if !want && CauseOf(dialFailure(ctx, err)) != cause {
				t.Errorf("%v", err)
			}
			if d := time.Since(began); want && d > stalePatience+time.Second {
				t.Errorf("after %v", d)
			}
		})
	}
	refuses := func(z *zone) { z.code = dnsmessage.RCodeServerFailure }
	gone := func(z *zone) { z.code = dnsmessage.RCodeNameError }
	silent := func(z *zone) {
		z.silent = map[dnsmessage.Type]bool{dnsmessage.TypeA: true, dnsmessage.TypeAAAA: true}
	}
	f("refuses", refuses, namesFresh, true, 0)
	f("is silent", silent, namesFresh, true, 0)
	f("refuses for too long", refuses, namesStale, false, CauseDNS)
	f("is silent for too long", silent, namesStale, false, CauseDNS)
	f("says that the name is gone", gone, namesFresh, false, CauseDNS)
}

// TestOneQuestionForAll: however many wait, and none at all right behind a
// failure.
func TestOneQuestionForAll(t *testing.T) {
	z := &zone{a: []netip.Addr{four}}
	n := namesOf(t, z)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = n.resolve(context.Background(), 5*time.Second) })
	}
	all.Wait()
	if asked := z.asked.Load(); asked != 2 {
		t.Errorf("%d questions", asked)
	}
	z = &zone{code: dnsmessage.RCodeNameError}
	n = namesOf(t, z)
	for range 50 {
		_, _ = n.resolve(context.Background(), 5*time.Second)
	}
	if asked := z.asked.Load(); asked != 2 {
		t.Errorf("%d questions about a name that does not exist", asked)
	}
}

// TestRace: addresses are tried in turn, the next beside one that does not
// answer, and late connections are closed.
func TestRace(t *testing.T) {
	one, two, three := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	var tried []netip.Addr
	var mu sync.Mutex
	run := func(how map[netip.Addr]func(ctx context.Context) error) (net.Conn, time.Duration, error) {
		tried = nil
		began := time.Now()
		c, err := race(context.Background(), []netip.Addr{one, two, three}, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
			mu.Lock()
			tried = append(tried, a)
			mu.Unlock()
			if err := how[a](ctx); err != nil {
				return nil, err
			}
			return &scripted{}, nil
		})
		return c, time.Since(began), err
	}
	ok := func(context.Context) error { return nil }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	refused := errors.New("refused")
	refuses := func(context.Context) error { return refused }
	if _, d, err := run(map[netip.Addr]func(context.Context) error{one: ok, two: hangs, three: hangs}); err != nil || len(tried) != 1 || d > nextAddress {
		t.Errorf("the first answers: %v, %v, %v", err, tried, d)
	}
	if _, d, err := run(map[netip.Addr]func(context.Context) error{one: refuses, two: refuses, three: ok}); err != nil || d > nextAddress {
		t.Errorf("two refuse: %v, %v", err, d)
	}
	if _, d, err := run(map[netip.Addr]func(context.Context) error{one: hangs, two: ok, three: ok}); err != nil || d < nextAddress || len(tried) != 2 {
		t.Errorf("the first hangs: %v, %v, %v", err, tried, d)
	}
	if _, _, err := run(map[netip.Addr]func(context.Context) error{one: refuses, two: refuses, three: refuses}); !errors.Is(err, refused) || len(tried) != 3 {
		t.Errorf("all refuse: %v, %v", err, tried)
	}
}

// TestConnectionsAge: one that is too old is neither used nor kept, so that a
// provider which has moved is followed.
func TestConnectionsAge(t *testing.T) {
	conns := make(chan net.Addr, 10)
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		conns <- c.RemoteAddr()
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	}), testLimits)
	ask := func() {
		t.Helper()
		if _, _, err := exchange(t, target, newRequest("{}")); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	ask()
	c := target.pool.idle[0]
	if left := time.Until(c.until); left > connMaxAge || left < connMaxAge/2 {
		t.Errorf("it may live for another %v", left)
	}
	c.until = time.Now()
	ask()
	if len(conns) != 2 {
		t.Errorf("%d connections, want 2", len(conns))
	}
	c = target.pool.pop()
	c.until = time.Now()
	if target.pool.put(c, time.Now()); target.pool.len() != 0 {
		t.Error("one that is too old was kept")
	}
}

// TestMoveInTheDNSIsFollowed within the age of connections and names.
func TestMoveInTheDNSIsFollowed(t *testing.T) {
	z := &zone{a: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	serve := func(name string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			for {
				if _, _, err := readRequest(r); err != nil {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"+name)
			}
		}
	}
	base := provider(t, serve("old"))
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", base.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve("new")(c, bufio.NewReader(c))
		}
	}()
	target := newTarget(t, &url.URL{Scheme: "http", Host: "api.example.com.:" + base.Port(), Path: "/v1"}, testLimits)
	target.place.resolver = z.serve(t)
	ask := func(want string) {
		t.Helper()
		if _, body, err := exchange(t, target, newRequest("{}")); err != nil || body != want {
			t.Errorf("%q, %v; want %q", body, err, want)
		}
	}
	ask("old")
	z.set(func() { z.a = []netip.Addr{netip.MustParseAddr("127.0.0.2")} })
	ask("old")
	target.place.older(namesFresh)
	target.pool.idle[0].until = time.Now()
	ask("new")
}
