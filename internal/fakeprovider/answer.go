package fakeprovider

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// send answers with a whole body.
func (c *call) send(status int, body []byte) {
	if c.b.gzip {
		c.w.Header().Set("Content-Encoding", "gzip")
		c.w.WriteHeader(status)
		z := gzip.NewWriter(c.w)
		_, _ = z.Write(body)
		_ = z.Close()
		return
	}
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}

// parts is the answer's text, in the chunks that a stream sends.
func (c *call) parts() []string {
	b := &c.b
	switch {
	case b.echoSHA:
		return []string{b.sha}
	case b.big > 0:
		return []string{strings.Repeat("x", b.big)}
	case b.chunks > 0:
		parts := make([]string, b.chunks)
		for i := range parts {
			parts[i] = fmt.Sprintf("chunk %d %s", i, c.s.o.Says)
			if b.whoami {
				parts[i] = c.whoami() + " "
			}
		}
		return parts
	case b.whoami:
		return []string{c.whoami()}
	}
	words := []string{"Hello", " from", " the", " fake", " provider", ": you", " are", " connected", "."}
	if c.s.o.Says != "" {
		words = append(words, " "+c.s.o.Says)
	}
	return words
}

// said is the message of an error.
func (c *call) said() string { return strings.TrimSpace("As you asked. " + c.s.o.Says) }

func (c *call) text() string { return strings.Join(c.parts(), "") }

// stream writes server-sent events.
type stream struct {
	c    *call
	sent int
}

func (c *call) stream() *stream {
	c.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	return &stream{c: c}
}

func (s *stream) write(event string) {
	step := len(event)
	if s.c.b.trickle {
		step = 1
	}
	for len(event) > 0 {
		_, _ = s.c.w.Write([]byte(event[:step]))
		s.c.w.(http.Flusher).Flush()
		event = event[step:]
	}
}

// chunk writes an event that carries a part of the answer, and does what the
// behaviour says to do after so many. It reports false when the stream is over.
func (s *stream) chunk(event string) bool {
	b := &s.c.b
	switch s.sent {
	case b.cutAfter:
		if b.cutMid {
			s.write(event[:len(event)/2])
		}
		panic(http.ErrAbortHandler)
	case b.stallAfter:
		<-s.c.r.Context().Done()
		return false
	}
	if s.sent > 0 && b.gap > 0 && !s.c.sleep(b.gap) {
		return false
	}
	s.sent++
	s.write(event)
	return s.c.r.Context().Err() == nil
}
