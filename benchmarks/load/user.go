package load

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// user is a connection of a client's: one call at a time.
type user struct {
	r *run
	conn
	parser parser
	call   *call
	kind   byte
	head   []byte
	body   []byte // of an answer in one, or a line of a stream that is not whole
	first  bool   // the first byte is there
	next   int    // chunk
	ended  bool   // [DONE] was read
	broken bool   // the answer is not what was sent
	late   int64  // what the last chunk took
	leave  int    // chunk behind which the client goes; -1 for none
}

// begin sends a call.
func (u *user) begin(c *call, t *template, kind byte, leave int) {
	u.call, u.kind, u.leave = c, kind, leave
	u.body, u.first, u.next, u.ended, u.broken, u.late = u.body[:0], false, 0, false, false, 0
	u.head = append(u.head[:0], t.head...)
	t.number(u.head, kind, c.id)
	if err := u.write(u.head, t.tail); err != nil && !errors.Is(err, unix.ENOTCONN) {
		u.fails()
	}
}

func (u *user) wake(events uint32) {
	if events&unix.EPOLLOUT != 0 && u.flush() != nil {
		u.fails()
		return
	}
	if events&^unix.EPOLLOUT == 0 {
		return
	}
	if err := u.read(u.r.room, u.take); err != nil {
		u.ends(errors.Is(err, io.EOF))
	}
}

// ends: the gateway has closed the connection.
func (u *user) ends(orderly bool) {
	switch {
	case u.closed:
	case u.call == nil:
		u.close()
		u.r.lose(u)
	case orderly && u.parser.unended && u.parser.phase == inBody:
		u.parser.closes = true
		u.finish()
	default:
		u.fails()
	}
}

func (u *user) fails() {
	if u.closed {
		return
	}
	u.close()
	if u.call != nil {
		u.r.result.Failed++
		u.r.result.Statuses[0]++
		u.done()
	}
	u.r.lose(u)
}

func (u *user) done() {
	if u.call.asked > 1 {
		u.r.result.Repeated++
	}
	u.call = nil
	u.r.open--
}

func (u *user) take(b []byte) error {
	now := u.r.l.now()
	for len(b) > 0 && !u.closed {
		if u.call == nil {
			return errMessage // an answer that nobody has asked for
		}
		if !u.first {
			u.first = true
			u.time(u.r.result.FirstByte, now-u.call.due)
		}
		rest, whole, err := u.parser.feed(b, func(part []byte) { u.content(part, now) })
		if err != nil {
			return err
		}
		if b = rest; whole && u.call != nil {
			u.finish()
		}
	}
	return nil
}

// content reads what the answer is made of.
func (u *user) content(part []byte, now int64) {
	if u.kind != kindStream || u.parser.status != 200 {
		u.body = append(u.body, part...)
		return
	}
	for len(part) > 0 && u.call != nil {
		end := bytes.IndexByte(part, '\n')
		if end < 0 {
			u.body = append(u.body, part...)
			return
		}
		line := part[:end]
		if len(u.body) > 0 {
			u.body = append(u.body, line...)
			line = u.body
		}
		u.line(line, now)
		u.body, part = u.body[:0], part[end+1:]
	}
}

// line reads a line of a stream. A chunk is known by its number, so that one
// that a gateway has written anew counts as well.
func (u *user) line(line []byte, now int64) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		return
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")) {
		u.ended = true
		return
	}
	at := bytes.Index(data, []byte(textStart))
	if at < 0 || len(data) < at+len(textStart)+markDigits {
		return
	}
	n, err := strconv.Atoi(string(data[at+len(textStart) : at+len(textStart)+markDigits]))
	if err != nil || n != u.next || !bytes.Contains(data, []byte(chunkFill)) {
		u.broken = true
		return
	}
	took := now - u.call.chunks[n]
	u.time(u.r.result.Delay, took)
	if n > 0 {
		u.time(u.r.result.Gap, took-u.late)
	}
	u.late = took
	u.next++
	if n == u.leave {
		u.abort()
	}
}

// time counts a time of the call, unless it belongs to the warm-up.
func (u *user) time(t *Times, ns int64) {
	if u.call.due >= u.r.times {
		t.add(ns)
	}
}

// abort is a client that goes amid its call.
func (u *user) abort() {
	u.call.aborted = u.r.l.now()
	u.r.result.Aborted++
	if !u.call.over {
		u.call.run = u.r
		u.r.closing++
	}
	u.close()
	u.done()
	u.r.lose(u)
}

// finish judges a whole answer.
func (u *user) finish() {
	result, c := u.r.result, u.call
	result.Statuses[u.parser.status]++
	switch {
	case u.parser.status != 200:
		result.Failed++
	case u.right():
		result.Good++
		u.time(result.Latency, u.r.l.now()-c.due)
	default:
		result.Wrong++
		if u.r.firstWrong == "" {
			u.r.firstWrong = string(u.body)
		}
	}
	if u.parser.status != 200 && u.r.firstWrong == "" {
		u.r.firstWrong = strconv.Itoa(u.parser.status) + " " + string(u.body)
	}
	u.done()
	if u.parser.closes {
		u.close()
		u.r.lose(u)
		return
	}
	u.r.rest(u)
}

// right reports whether all has come that the provider sent, and only that.
func (u *user) right() bool {
	if u.kind == kindStream {
		return !u.broken && (u.ended || u.r.to.NoDone) && u.next == u.call.plan.Chunks
	}
	u.head = append(append(u.head[:0], textStart+"000000000"...), lorem...)
	putNumber(u.head[len(textStart):], u.call.id)
	return bytes.Contains(u.body, u.head)
}
