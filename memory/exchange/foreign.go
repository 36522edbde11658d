package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ownkey/ownkey/memory"
)

// maxNesting is how deep lists lie in each other: entries in a document, in a
// page, in a list of pages.
const maxNesting = 4

// maxMembers is how many members one object may have, and maxListBytes how long a
// list of texts is that is worth keeping.
const (
	maxMembers   = 1000
	maxListBytes = 64 << 10
)

// product says how another product's files are read: their names are those of
// the products' references (2026-11), in snake_case; their TypeScript clients
// write the same in camelCase.
type product struct {
	// lists are the members that hold lists of what is imported, or of objects
	// that hold such lists themselves.
	lists []string
	// session are members beside a list that name the conversation.
	session []string
	// memory reads one object; without content it holds nothing to remember.
	memory func(f *foreign) memory.Memory
}

var products = map[Format]*product{
	Mem0: {
		lists: []string{"results", "memories", "data"}, session: nil, memory: mem0Memory,
	},
	Zep: {
		lists: []string{"messages", "edges", "episodes", "nodes", "facts", "relevant_facts", "items", "threads", "sessions"}, session: []string{"session_id", "thread_id"}, memory: zepMemory,
	},
	Supermemory: {
		lists: []string{"memories", "documents", "memory_entries", "results"}, session: nil, memory: supermemoryMemory,
	},
}

// eachForeign reads a file of another product: one JSON value, or JSON Lines of
// such values.
func eachForeign(b []byte, p *product, each func(m *memory.Memory) error) error {
	r := foreignFile{product: p, each: each}
	if json.Valid(b) {
		return r.located(r.value(b, "", 0), 0)
	}
	n := 0
	for raw := range bytes.SplitSeq(b, []byte{'\n'}) {
		n++
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		err := error(&LineError{Field: "line", Reason: "is not a JSON object"})
		if json.Valid(raw) {
			err = r.value(raw, "", 0)
		}
		if err != nil {
			return r.located(err, n)
		}
	}
	return nil
}

// foreignFile is a file that is being read.
type foreignFile struct {
	product *product
	each    func(m *memory.Memory) error
	n       int // objects seen
}

// located says where an error of a file is: in a line, or at an object.
func (r *foreignFile) located(err error, line int) error {
	if wrong, ok := errors.AsType[*LineError](err); ok {
		if wrong.Line = line; line == 0 {
			wrong.Line = r.n
		}
	}
	return err
}

// value reads an object, a list of them, or a text. raw is valid JSON.
func (r *foreignFile) value(raw []byte, session string, depth int) error {
	if depth > maxNesting {
		return &LineError{Field: "line", Reason: "lists are nested deeper than the product's own"}
	}
	if raw = bytes.TrimSpace(raw); raw[0] == '[' || string(raw) == "null" {
		for _, one := range parts(raw) {
			if err := r.value(one, session, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	f := newForeign(raw)
	if f.wrong != nil || f.says() {
		return r.one(f, session)
	}
	for _, name := range r.product.session {
		if s := f.peek(name); s != "" {
			session = s
		}
	}
	held := false
	for _, name := range r.product.lists {
		list := f.members[name]
		if len(list) == 0 || list[0] != '[' {
			continue
		}
		held = true
		if err := r.value(list, session, depth+1); err != nil {
			return err
		}
	}
	if held { // a page, or a conversation, and nothing else
		return nil
	}
	return r.one(f, session)
}

// one takes an object for a memory.
func (r *foreignFile) one(f *foreign, session string) error {
	r.n++
	if f.wrong != nil {
		return f.wrong
	}
	m := r.product.memory(f)
	if f.skip && f.wrong == nil {
		return nil
	}
	if m.Session == "" {
		m.Session = session
	}
	if f.wrong == nil {
		m.Metadata = f.metadata()
		f.wrong = check(&m)
	}
	if f.wrong != nil {
		return f.wrong
	}
	return r.each(&m)
}

// foreign is an object of another product: members that are not read go into
// the metadata if they are plain values, or lists of them.
type foreign struct {
	members map[string]json.RawMessage // by name in snake_case
	wrong   *LineError
	skip    bool // it was deleted there, or says nothing
}

// newForeign reads an object; a text is one whose content it is. Exports of
// vector stores keep the members in a payload.
func newForeign(raw []byte) *foreign {
	f := &foreign{members: map[string]json.RawMessage{}}
	switch raw[0] {
	case '"':
		f.members["content"] = raw
		return f
	case '{':
	default:
		f.wrong = &LineError{Field: "line", Reason: "is not a JSON object"}
		return f
	}
	f.take(raw)
	if payload := f.members["payload"]; len(payload) > 0 && payload[0] == '{' {
		delete(f.members, "payload")
		f.take(payload)
	}
	return f
}

// take adds the members of an object.
func (f *foreign) take(raw []byte) {
	for name, value := range parts(raw) {
		if len(f.members) >= maxMembers {
			f.wrong = &LineError{Field: "line", Reason: "has an object of more than " + strconv.Itoa(maxMembers) + " members"}
			return
		}
		f.members[snake(name)] = value
	}
}

// snake writes a name as createdAt as created_at.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
				out.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		out.WriteRune(r)
	}
	return out.String()
}

// peek gives a member that is a text, and leaves it.
func (f *foreign) peek(name string) (s string) {
	_ = json.Unmarshal(f.members[name], &s) // what is no text is none
	return s
}

// says reports whether an object has a text of its own: lists beside it, such as
// the episodes of a fact, are about that.
func (f *foreign) says() bool {
	return f.peek("content") != "" || f.peek("memory") != "" || f.peek("fact") != ""
}

// text takes the first of some members that is not null.
func (f *foreign) text(names ...string) string {
	for _, name := range names {
		raw, ok := f.members[name]
		if !ok || string(raw) == "null" {
			continue
		}
		delete(f.members, name)
		var s string
		if json.Unmarshal(raw, &s) != nil {
			f.wrong = &LineError{Field: name, Reason: "must be a text"}
		}
		return s
	}
	return ""
}

// layouts are those of RFC 3339, with and without a zone, of Python's str() of a
// time, and of a day.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 -0700 MST",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly,
}

// time takes the first time that is not null: a text, or seconds or milliseconds
// since 1970.
func (f *foreign) time(names ...string) time.Time {
	for _, name := range names {
		raw, ok := f.members[name]
		if !ok || string(raw) == "null" || string(raw) == `""` {
			delete(f.members, name)
			continue
		}
		delete(f.members, name)
		if t, ok := readTime(raw); ok {
			return t
		}
		f.wrong = &LineError{Field: name, Reason: "must be a time as RFC 3339 has it, or seconds since 1970"}
	}
	return time.Time{}
}

func readTime(raw json.RawMessage) (t time.Time, ok bool) {
	var n float64
	if json.Unmarshal(raw, &n) == nil {
		if n > 1e11 { // no seconds: that would be the year 5138
			n /= 1000
		}
		if n <= 0 || n > 1e11 {
			return t, false
		}
		return time.UnixMicro(int64(n * 1e6)).UTC(), true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return t, false
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return t, false
}

// flag reports whether a member is true, and takes it.
func (f *foreign) flag(name string) (is bool) {
	_ = json.Unmarshal(f.members[name], &is) // what is no truth is none
	return is
}

// metadata joins the object's own metadata with what is left of it.
func (f *foreign) metadata() json.RawMessage {
	all := map[string]json.RawMessage{}
	if own := f.members["metadata"]; len(own) > 0 && own[0] == '{' { // null, or no object: nothing
		of := foreign{members: all}
		for name, value := range parts(own) {
			if len(all) < maxMembers {
				of.members[name] = value
			}
		}
	}
	delete(f.members, "metadata")
	for name, raw := range f.members {
		if plain(raw) {
			all[name] = raw
		}
	}
	if len(all) == 0 {
		return nil
	}
	b, err := json.Marshal(all)
	if err != nil {
		return nil
	}
	return b
}

// plain reports whether a value is worth keeping: no object, no vector, nothing
// that is empty.
func plain(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0, raw[0] == '{', string(raw) == "null":
		return false
	case raw[0] != '[':
		return true
	case len(raw) > maxListBytes:
		return false
	}
	var texts []string
	return json.Unmarshal(raw, &texts) == nil && len(texts) > 0
}

// rename keeps a member under another name, as a text.
func (f *foreign) rename(from, to string) {
	raw, ok := f.members[from]
	if !ok {
		return
	}
	delete(f.members, from)
	if _, err := strconv.Atoi(string(raw)); err == nil {
		raw = json.RawMessage(strconv.Quote(string(raw)))
	}
	f.members[to] = raw
}

// mem0Memory reads one of mem0's. Its id goes into the metadata: ours are our
// own. A memory was deleted if an event or a state says so.
func mem0Memory(f *foreign) memory.Memory {
	m := memory.Memory{
		Content: f.text("memory", "data", "text", "content"), Session: f.text("run_id"), Speaker: f.text("actor_id"), Role: role(f.text("role")),
		CreatedAt: f.time("created_at"), ObservedAt: f.time("timestamp"), ExpiresAt: f.time("expiration_date"),
	}
	f.skip = f.peek("event") == "DELETE" || f.peek("state") == "deleted" || f.peek("state") == "archived"
	f.rename("id", "mem0_id")
	return m
}

// zepMemory reads one of Zep's: a message of a thread, an episode, a fact (an
// edge of a graph), or what it knows of an entity (a node). What Zep calls
// expired_at is when it learned that a fact had ended, which is not when we
// should forget it.
func zepMemory(f *foreign) memory.Memory {
	m := memory.Memory{
		Content: f.text("content", "fact"), Role: role(f.text("role_type")), Session: f.text("session_id", "thread_id"),
		CreatedAt: f.time("created_at"), ValidFrom: f.time("valid_at"), ValidTo: f.time("invalid_at"),
	}
	m.ObservedAt = m.ValidFrom
	if m.Content == "" { // a node: name and summary
		if m.Content = f.text("summary"); m.Content == "" {
			f.skip = true
		}
	}
	_, edge := f.members["source_node_uuid"]
	_, node := f.members["labels"]
	if !edge && !node {
		if name, who := f.text("name"), f.text("role"); m.Role == "" { // v3 and later: role is the kind, name is who
			m.Role, m.Speaker = role(who), name
		} else if who != m.Role {
			m.Speaker = who // v2: role is who
		}
	}
	if !m.ValidFrom.IsZero() && !m.ValidTo.After(m.ValidFrom) {
		m.ValidTo = time.Time{}
	}
	f.rename("uuid", "zep_id")
	return m
}

// supermemoryMemory reads one of supermemory's: a document, or a memory that it
// has made of one. Former versions, and what was forgotten there, are left out.
func supermemoryMemory(f *foreign) memory.Memory {
	m := memory.Memory{
		Content: f.text("memory", "content", "summary"), CreatedAt: f.time("created_at"), ExpiresAt: f.time("forget_after"),
	}
	var latest bool
	f.skip = f.flag("is_forgotten") || m.Content == "" || json.Unmarshal(f.members["is_latest"], &latest) == nil && f.members["is_latest"] != nil && !latest
	f.rename("id", "supermemory_id")
	return m
}

// role keeps the kinds of speakers that mean something here.
func role(s string) string {
	switch s {
	case "user", "assistant", "tool":
		return s
	}
	return ""
}
