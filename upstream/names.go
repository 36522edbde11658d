package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

const (
	// namesFresh is how long what a name resolved to is used without asking
	// again: below the 60 s that providers' load balancers publish (AWS ELB).
	namesFresh = 15 * time.Second
	// namesStale is how long it is still used while the resolver fails. After
	// that the provider counts as unreachable.
	namesStale = 10 * time.Minute
	// stalePatience is how long a resolver may take before an old answer is
	// used in place of its next one (RFC 8767, section 5, says 1.8 s).
	stalePatience = time.Second
	// failurePause keeps a name that does not resolve from being asked for by
	// each request.
	failurePause = time.Second
	// otherFamily is how long the second of two questions (A and AAAA) may take
	// once the first is answered (RFC 8305, section 3: Resolution Delay).
	otherFamily = 50 * time.Millisecond
	// maxAddresses bounds what is kept and tried of one name.
	maxAddresses = 16
)

// names remembers what one host resolves to. It is safe for concurrent use.
// However many requests wait, the resolver is asked once at a time.
type names struct {
	host     string
	literal  netip.Addr // the host itself, if it is an address
	resolver *net.Resolver

	mu      sync.Mutex
	found   []netip.Addr // of the last answer; replaced, never changed
	foundAt time.Time
	err     error // of the last question, if it failed
	errAt   time.Time
	asking  *question // under way, or nil
}

// question is one that is asked of the resolver.
type question struct {
	done chan struct{} // closed when found or err is set
	err  error
}

func newNames(host string) *names {
	n := &names{host: host, resolver: net.DefaultResolver}
	n.literal, _ = netip.ParseAddr(host)
	return n
}

// resolve gives the host's addresses, in the order in which they should be
// tried. within bounds a question, also when nobody waits for it any more.
func (n *names) resolve(ctx context.Context, within time.Duration) ([]netip.Addr, error) {
	if n.literal.IsValid() {
		return []netip.Addr{n.literal}, nil
	}
	now := time.Now()
	n.mu.Lock()
	if now.Sub(n.foundAt) < namesFresh {
		defer n.mu.Unlock()
		return n.found, nil
	}
	var stale []netip.Addr
	if now.Sub(n.foundAt) < namesStale {
		stale = n.found
	}
	if now.Sub(n.errAt) < failurePause {
		defer n.mu.Unlock()
		return orStale(stale, n.err)
	}
	q := n.asking
	if q == nil {
		q = &question{done: make(chan struct{})}
		n.asking = q
		go n.ask(q, within) //nolint:contextcheck,gosec // others wait for the answer, too
	}
	n.mu.Unlock()
	return n.wait(ctx, q, stale)
}

func (n *names) wait(ctx context.Context, q *question, stale []netip.Addr) ([]netip.Addr, error) {
	var patience <-chan time.Time
	if stale != nil {
		timer := time.NewTimer(stalePatience)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-q.done:
	case <-patience:
		return stale, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ErrCanceled
		}
		return nil, fail(ErrTimeout, CauseDNS)
	}
	if q.err != nil {
		return orStale(stale, q.err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.found, nil
}

// orStale honours a failure of the resolver, but not its word that there is no
// such name.
func orStale(stale []netip.Addr, err error) ([]netip.Addr, error) {
	var dns *net.DNSError
	if stale == nil || errors.As(err, &dns) && dns.IsNotFound {
		return nil, err
	}
	return stale, nil
}

// family is the answer about one family of addresses.
type family struct {
	six   bool
	addrs []netip.Addr
	err   error
}

// ask asks for both families at once. The first answer with addresses is good
// enough if the other does not come soon; when it comes later, it is kept for
// the next.
func (n *names) ask(q *question, within time.Duration) {
	defer crash.Exit()
	ctx, stop := context.WithTimeout(context.Background(), within)
	defer stop()
	answers := make(chan family, 2)
	for _, network := range []string{"ip6", "ip4"} {
		go func() {
			defer crash.Exit()
			addrs, err := n.resolver.LookupNetIP(ctx, network, n.host)
			answers <- family{network == "ip6", addrs[:min(len(addrs), maxAddresses/2)], err}
		}()
	}
	first := <-answers
	if first.err == nil {
		timer := time.NewTimer(otherFamily)
		select {
		case second := <-answers:
			timer.Stop()
			n.answer(q, first, second)
			return
		case <-timer.C:
			n.answer(q, first)
		}
		if second := <-answers; second.err == nil {
			n.keep(first, second)
		}
		return
	}
	n.answer(q, first, <-answers)
}

// answer keeps what was found, or why not, and lets those go on that wait.
func (n *names) answer(q *question, got ...family) {
	for _, f := range got {
		// That there is no such name is worse news than a failure only if both
		// families say so.
		if f.err != nil && (q.err == nil || isNotFound(q.err)) {
			q.err = f.err
		}
	}
	for _, f := range got {
		if f.err == nil {
			q.err = nil
		}
	}
	if q.err == nil {
		n.keep(got...)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asking = nil
	if q.err != nil {
		n.err, n.errAt = q.err, time.Now()
	}
	close(q.done)
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// keep remembers addresses, IPv6 and IPv4 in turn (RFC 8305, section 4).
func (n *names) keep(got ...family) {
	var six, four []netip.Addr
	for _, f := range got {
		if f.six {
			six = f.addrs
		} else {
			four = f.addrs
		}
	}
	all := make([]netip.Addr, 0, len(six)+len(four))
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			all = append(all, six[i])
		}
		if i < len(four) {
			all = append(all, four[i].Unmap())
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.found, n.foundAt = all, time.Now()
}
