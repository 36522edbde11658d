package fakeprovider

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// behaviour is what a model's name asks for: "fake:" and a list of words.
//
//	status=N        answer with an error of this status; retry-after=N with it
//	delay=D         wait before the answer
//	stall           never answer
//	refuse          close the connection without an answer
//	garbage         answer with something that is not HTTP
//	lie-length      announce more bytes than are sent, then close
//	interim         103 Early Hints before the answer
//	header-echo     put the credential into headers of the answer
//	gzip            compress the answer, although nobody asked
//	whoami          say which account is paying, in every chunk
//	echo-sha        answer with the SHA-256 of the request's body
//	big=N           N bytes of content
//	chunks=N gap=D  the number of chunks of a stream, and the time between them
//	stall-after=N   fall silent after N chunks
//	cut-after=N     close the connection after N chunks; cut-mid: within the next
//	error-event     end the stream with an error event
//	no-done         leave out [DONE]
//	trickle         write the stream a byte at a time
type behaviour struct {
	status, retryAfter     int
	delay, gap             time.Duration
	chunks, big            int
	stallAfter, cutAfter   int // -1: never
	stall, refuse, garbage bool
	lieLength, interim     bool
	headerEcho, gzip       bool
	whoami, echoSHA        bool
	cutMid, errorEvent     bool
	noDone, trickle        bool
	sha                    string
}

func parseBehaviour(model string) behaviour {
	b := behaviour{stallAfter: -1, cutAfter: -1}
	words, ok := strings.CutPrefix(model, "fake:")
	if !ok {
		return b
	}
	for word := range strings.SplitSeq(words, ",") {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		d, _ := time.ParseDuration(value)
		switch name {
		case "status":
			b.status = n
		case "retry-after":
			b.retryAfter = n
		case "delay":
			b.delay = d
		case "gap":
			b.gap = d
		case "chunks":
			b.chunks = n
		case "big":
			b.big = n
		case "stall-after":
			b.stallAfter = n
		case "cut-after":
			b.cutAfter = n
		case "stall":
			b.stall = true
		case "refuse":
			b.refuse = true
		case "garbage":
			b.garbage = true
		case "lie-length":
			b.lieLength = true
		case "interim":
			b.interim = true
		case "header-echo":
			b.headerEcho = true
		case "gzip":
			b.gzip = true
		case "whoami":
			b.whoami = true
		case "echo-sha":
			b.echoSHA = true
		case "cut-mid":
			b.cutMid = true
		case "error-event":
			b.errorEvent = true
		case "no-done":
			b.noDone = true
		case "trickle":
			b.trickle = true
		}
	}
	return b
}

// misbehave does what happens before an answer, and reports whether there will
// be none.
func (c *call) misbehave() bool {
	switch b := &c.b; {
	case b.refuse:
		panic(http.ErrAbortHandler)
	case b.garbage:
		c.raw("SSH-2.0-OpenSSH_9.2\r\n\r\n")
		return true
	case b.lieLength:
		c.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"id\":")
		return true
	case b.stall:
		<-c.r.Context().Done()
		return true
	}
	if c.b.delay > 0 && !c.sleep(c.b.delay) {
		return true
	}
	if c.b.interim {
		c.w.WriteHeader(http.StatusEarlyHints)
	}
	if c.b.headerEcho {
		c.w.Header().Set("Openai-Debug", "key="+c.key)
		c.w.Header().Set("X-Leak", c.key)
	}
	if c.b.status > 0 {
		if c.b.retryAfter > 0 {
			c.w.Header().Set("Retry-After", strconv.Itoa(c.b.retryAfter))
		}
		c.fail(c.b.status, "fake_error", c.said())
		return true
	}
	return false
}

// raw takes the connection over, writes and closes it.
func (c *call) raw(s string) {
	conn, _, err := c.w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = conn.Write([]byte(s))
	_ = conn.Close()
}

// sleep waits, and reports false when the caller left meanwhile.
func (c *call) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
		return false
	}
}
