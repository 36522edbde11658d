// Package exchange reads and writes memories as files: JSON Lines of our own,
// and what mem0, Zep and supermemory give out. It is about bytes; the store is
// elsewhere.
package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ownkey/ownkey/memory"
)

// Format is that of a file.
type Format string

// The formats. Of other products, files are read as their APIs and clients give
// them, in Python's spelling and in TypeScript's: one page, a list of pages, a
// list of memories, or JSON Lines of any of these.
const (
	JSONL       Format = "jsonl"
	Mem0        Format = "mem0"        // get_all, search, and exports of its vector stores
	Zep         Format = "zep"         // threads and sessions, episodes, graphs; v2 to v4
	Supermemory Format = "supermemory" // documents and memories; v3 and v4
)

// ParseFormat reads a format's name; empty is JSONL.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case "":
		return JSONL, nil
	case JSONL, Mem0, Zep, Supermemory:
		return f, nil
	}
	return "", &memory.InvalidError{Field: "format", Reason: "must be jsonl, mem0, zep or supermemory"}
}

// LineError says what is wrong with a file, and where. It quotes nothing.
type LineError struct {
	Line   int // from 1; of a file that is one JSON value, the number of the memory
	Field  string
	Reason string
}

// Error gives line, field and reason.
func (e *LineError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ": " + e.Field + ": " + e.Reason
}

// line is a memory in a file of ours.
type line struct {
	ID         string          `json:"id,omitempty"`
	Content    string          `json:"content"`
	Role       string          `json:"role,omitempty"`
	Speaker    string          `json:"speaker,omitempty"`
	Session    string          `json:"session,omitempty"`
	Facts      []string        `json:"facts,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Pinned     bool            `json:"pinned,omitempty"`
	CreatedAt  *time.Time      `json:"created_at,omitempty"`
	ObservedAt *time.Time      `json:"observed_at,omitempty"`
	ValidFrom  *time.Time      `json:"valid_from,omitempty"`
	ValidTo    *time.Time      `json:"valid_to,omitempty"`
	ExpiresAt  *time.Time      `json:"expires_at,omitempty"`
}

// AppendLine appends a memory as a line of JSON. Reading it gives the same.
func AppendLine(dst []byte, m *memory.Memory) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(&line{
		ID: m.ID, Content: m.Content, Role: m.Role, Speaker: m.Speaker, Session: m.Session, Facts: m.Facts, Metadata: m.Metadata, Pinned: m.Pinned,
		CreatedAt: at(m.CreatedAt), ObservedAt: at(m.ObservedAt), ValidFrom: at(m.ValidFrom), ValidTo: at(m.ValidTo), ExpiresAt: at(m.ExpiresAt),
	})
	return append(dst, b.Bytes()...), err
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// maxLineBytes is how long a line of a file of ours may be: more than a memory of
// the largest size, with every character escaped.
const maxLineBytes = 2 << 20

// Each calls each for the memories of a file, one after the other: it holds none
// of them. It ends with the first that is wrong, which is a [*LineError], or with
// the first error of each.
func Each(b []byte, f Format, each func(m *memory.Memory) error) error {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if p := products[f]; p != nil {
		return eachForeign(b, p, each)
	}
	return eachLine(b, each)
}

func eachLine(b []byte, each func(m *memory.Memory) error) error {
	n := 0
	for raw := range bytes.SplitSeq(b, []byte{'\n'}) {
		n++
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		m, wrong := ours(raw)
		if wrong == nil {
			wrong = check(&m)
		}
		if wrong != nil {
			wrong.Line = n
			return wrong
		}
		if err := each(&m); err != nil {
			return err
		}
	}
	return nil
}

func check(m *memory.Memory) *LineError {
	if wrong, ok := errors.AsType[*memory.InvalidError](m.Check()); ok {
		return &LineError{Field: wrong.Field, Reason: wrong.Reason}
	}
	return nil
}

// ours reads a line of an export of our own. A member that is not known is
// refused: it would be lost.
func ours(raw []byte) (memory.Memory, *LineError) {
	if !utf8.Valid(raw) {
		return memory.Memory{}, &LineError{Field: "content", Reason: "must be valid UTF-8"}
	}
	if len(raw) > maxLineBytes {
		return memory.Memory{}, &LineError{Field: "line", Reason: "must not be longer than " + strconv.Itoa(maxLineBytes) + " bytes"}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var l line
	if err := d.Decode(&l); err != nil {
		return memory.Memory{}, badLine(err)
	}
	if d.More() {
		return memory.Memory{}, &LineError{Field: "line", Reason: "holds more than one JSON object"}
	}
	return memory.Memory{
		ID: l.ID, Content: l.Content, Role: l.Role, Speaker: l.Speaker, Session: l.Session, Facts: l.Facts, Metadata: notNull(l.Metadata), Pinned: l.Pinned,
		CreatedAt: timeOf(l.CreatedAt), ObservedAt: timeOf(l.ObservedAt), ValidFrom: timeOf(l.ValidFrom), ValidTo: timeOf(l.ValidTo), ExpiresAt: timeOf(l.ExpiresAt),
	}, nil
}

func notNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func badLine(err error) *LineError {
	var kind *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return &LineError{Field: kind.Field, Reason: "has the wrong type"}
	case errors.As(err, &when):
		return &LineError{Field: "a time", Reason: "must be as RFC 3339 has it"}
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return &LineError{Field: printable(name), Reason: "there is no such member; a file of another product needs ?format="}
	}
	return &LineError{Field: "line", Reason: "is not a JSON object"}
}

// printable keeps a member's name short and plain.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, name)
	return name[:min(len(name), 60)]
}
