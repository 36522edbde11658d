package exchange

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/memory"
)

// listNames are the members that hold the lists of other products' exports.
var listNames = []string{"results", "memories", "messages", "edges", "facts"}

// lists are what a file that is one JSON value holds, with the session that
// stands beside them.
type lists struct {
	items   []json.RawMessage
	session string
}

// whole reads a file that is one JSON value. ok is false for JSON Lines.
func whole(b []byte) (l lists, ok bool) {
	if json.Unmarshal(b, &l.items) == nil {
		return l, true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(b, &object) != nil {
		return l, false
	}
	for _, name := range []string{"session_id", "thread_id"} {
		if raw, there := object[name]; there {
			_ = json.Unmarshal(raw, &l.session) // what is no text names no session
		}
	}
	for _, name := range listNames {
		var items []json.RawMessage
		if raw, there := object[name]; there && json.Unmarshal(raw, &items) == nil {
			l.items, ok = append(l.items, items...), true
		}
	}
	return l, ok
}

func readLists(l lists, one reader) (all []memory.Memory, err error) {
	for i, raw := range l.items {
		if all, err = appendMemory(all, raw, i+1, one); err != nil {
			return nil, err
		}
		if m := &all[i]; m.Session == "" {
			m.Session = l.session
		}
	}
	return all, nil
}

// foreign is an object of another product: members that are not read here go
// into the metadata if they are plain values.
type foreign struct {
	members map[string]json.RawMessage
	wrong   *LineError
}

func newForeign(raw []byte) *foreign {
	f := &foreign{}
	if json.Unmarshal(raw, &f.members) != nil {
		f.wrong = &LineError{Field: "line", Reason: "is not a JSON object"}
	}
	return f
}

// text takes the first of some members that is a text.
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

// time takes a time. mem0 and Zep write RFC 3339, with and without a zone.
func (f *foreign) time(name string) time.Time {
	s := f.text(name)
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.999999", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	f.wrong = &LineError{Field: name, Reason: "must be a time as RFC 3339 has it"}
	return time.Time{}
}

// metadata joins the object's own metadata with what is left of it.
func (f *foreign) metadata() json.RawMessage {
	all := map[string]json.RawMessage{}
	_ = json.Unmarshal(f.members["metadata"], &all) // null, or no object: nothing
	delete(f.members, "metadata")
	for name, raw := range f.members {
		if c := bytes.TrimSpace(raw)[0]; c != '{' && c != '[' && string(raw) != "null" {
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

// mem0Memory reads one of mem0's. Its id goes into the metadata: ours are our
// own.
func mem0Memory(raw []byte) (memory.Memory, *LineError) {
	f := newForeign(raw)
	m := memory.Memory{
		Content: f.text("memory", "data", "text"), Session: f.text("run_id"), Speaker: f.text("actor_id"), Role: f.text("role"),
		CreatedAt: f.time("created_at"), ExpiresAt: f.time("expiration_date"),
	}
	f.rename("id", "mem0_id")
	m.Metadata = f.metadata()
	return m, f.wrong
}

// zepMemory reads one of Zep's: a message of a thread, or an edge of a graph.
// What Zep calls expired_at is when it learned that a fact had ended, which is
// not when we should forget it.
func zepMemory(raw []byte) (memory.Memory, *LineError) {
	f := newForeign(raw)
	m := memory.Memory{
		Content: f.text("content", "fact"), Role: zepRole(f.text("role_type")), Session: f.text("session_id", "thread_id"),
		CreatedAt: f.time("created_at"), ValidFrom: f.time("valid_at"), ValidTo: f.time("invalid_at"),
	}
	if name, role := f.text("name"), f.text("role"); m.Role == "" { // v3: role is the kind, name is who
		m.Role, m.Speaker = zepRole(role), name
	} else {
		m.Speaker = role // v2: role is who
	}
	if !m.ValidFrom.IsZero() && !m.ValidTo.After(m.ValidFrom) {
		m.ValidTo = time.Time{}
	}
	f.rename("uuid", "zep_id")
	m.Metadata = f.metadata()
	return m, f.wrong
}

func zepRole(s string) string {
	switch s {
	case "user", "assistant", "tool":
		return s
	}
	return ""
}

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
