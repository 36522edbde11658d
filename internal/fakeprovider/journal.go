package fakeprovider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"slices"
	"time"
)

// Request is what arrived, as a test wants to see it.
type Request struct {
	Method   string
	Path     string // escaped, as it came
	RawQuery string
	Header   http.Header
	Model    string // of JSON calls
	Body     []byte // of JSON calls up to 1 MiB
	// BodySHA256 and BodyBytes cover what was read of the body: all of it,
	// unless the call was refused before.
	BodySHA256 string
	BodyBytes  int64
	// ConnID numbers the connections from 1.
	ConnID  uint64
	Arrived time.Time
	// LeftAt is when the caller closed the connection before the answer ended;
	// zero if it did not.
	LeftAt time.Time
	// Done is set when the double has ended its answer, whole or not.
	Done bool
}

type connKey struct{}

// Requests gives a copy of the journal, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.journal))
	for i, r := range s.journal {
		all[i] = *r
	}
	return all
}

// Forget empties the journal.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = nil
}

func (s *Server) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// record opens the call's entry in the journal, and returns what ends it.
func (c *call) record() (done func()) {
	if !c.s.o.Journal {
		return func() {}
	}
	r := c.r
	entry := &Request{
		Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: r.Header.Clone(), Arrived: time.Now(),
	}
	entry.ConnID, _ = r.Context().Value(connKey{}).(uint64)
	body := &hashedBody{ReadCloser: r.Body, sum: sha256.New()}
	r.Body, c.entry = body, entry
	c.s.note(func() { c.s.journal = append(c.s.journal, entry) })
	left := func() {
		at := time.Now()
		c.s.note(func() { entry.LeftAt = at })
	}
	// The server cancels the context when the connection breaks, and else only
	// after the answer, when this is off.
	stop := context.AfterFunc(r.Context(), left)
	return func() {
		if stop() && r.Context().Err() != nil {
			left() // the answer noticed first
		}
		c.s.note(func() {
			entry.BodySHA256, entry.BodyBytes = hex.EncodeToString(body.sum.Sum(nil)), body.bytes
			entry.Done = true
		})
	}
}

// recordJSON adds what a JSON call asked for, as soon as it is known: a call
// that stalls is in the journal with its model.
func (c *call) recordJSON(body []byte) {
	if c.entry == nil {
		return
	}
	sum := sha256.Sum256(body)
	c.s.note(func() {
		c.entry.Model, c.entry.BodySHA256, c.entry.BodyBytes = c.in.Model, hex.EncodeToString(sum[:]), int64(len(body))
		if len(body) <= 1<<20 {
			c.entry.Body = body
		}
	})
}

// hashedBody follows a body while the call reads it.
type hashedBody struct {
	io.ReadCloser
	sum   hash.Hash
	bytes int64
}

func (b *hashedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	b.bytes += int64(n)
	return n, err
}

// Has reports whether a call for a model has arrived.
func (s *Server) Has(model string) (found bool) {
	s.note(func() {
		found = slices.ContainsFunc(s.journal, func(r *Request) bool { return r.Model == model })
	})
	return found
}
