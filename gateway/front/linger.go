package front

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/pace"
)

// A socket that is closed while its client sends answers with a reset, and the
// client may lose the response that it has not read yet (RFC 9112, section 9.6).
// So our side is shut first, and what still comes is dropped within these
// bounds. Times are nginx's lingering_time and lingering_timeout (its
// documentation, 2026); the largest body that tests of SDKs send is half the
// bytes.
const (
	lingerTime    = 30 * time.Second
	lingerSilence = 5 * time.Second
	lingerBytes   = 128 << 20
)

// bounds are those of dropping what nobody reads.
type bounds struct {
	time, silence time.Duration
	bytes         int64
}

// end closes the connection.
func (c *Conn) end() {
	if c.refused || !c.body.whole() {
		c.linger(c.s.linger)
		return
	}
	_ = c.Close()
}

// linger shuts the connection's sending side, drops what still comes for as
// long as the bounds allow, and closes it.
func (c *Conn) linger(most bounds) {
	defer func() { _ = c.raw.Close() }()
	until := time.Now().Add(most.time)
	_ = c.SetWriteDeadline(until)
	if t, ok := c.Conn.(*tls.Conn); ok && t.CloseWrite() != nil {
		return
	}
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	dropped := make([]byte, 16<<10)
	for left := most.bytes; left > 0; {
		c.s.drops.step()
		now := time.Now()
		if !now.Before(until) || c.raw.SetReadDeadline(earlier(until, now.Add(most.silence))) != nil {
			return
		}
		n, err := c.raw.Read(dropped)
		if left -= int64(n); err != nil {
			return
		}
	}
}

// drops keeps the dropping of all connections together to a fifth of a core:
// requests come first, however many are refused amid their bodies.
type drops struct {
	mu   sync.Mutex // held while the others have the core
	pace pace.Pace
}

func (d *drops) step() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pace.Step()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
