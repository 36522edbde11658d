package exchange

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/linear"
	"github.com/ownkey/ownkey/memory"
)

func day(d int) time.Time { return time.Date(2026, 5, d, 9, 30, 0, 0, time.UTC) }

func TestLinesComeBackAsTheyWere(t *testing.T) {
	all := []memory.Memory{
		{
			ID: "m1", Content: "Ada <keeps> bees \u2028 & more\n\"", Role: "user", Speaker: "Ada", Session: "s", Facts: []string{"a fact"}, Metadata: json.RawMessage(`{"n":12345678901234567890}`), Pinned: true,
			CreatedAt: day(1), ObservedAt: day(2), ValidFrom: day(3), ValidTo: day(4), ExpiresAt: day(5),
		},
		{Content: "x"},
	}
	var file []byte
	for i := range all {
		var err error
		if file, err = AppendLine(file, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(append([]byte("\xef\xbb\xbf"), file...), JSONL)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%+v %v\nwant %+v", got, err, all)
	}
}

func TestOtherProducts(t *testing.T) {
	for _, f := range []struct {
		name   string
		format Format
		file   string
		want   []memory.Memory
	}{
		{
			"mem0, as get_all gives it", Mem0, `{"results":[{"id":"7d","memory":"Likes tea","hash":"h","metadata":{"k":"v"},"created_at":"2026-05-01T09:30:00-00:00","updated_at":null,"user_id":"ada","run_id":"r1","categories":["food"]}],"relations":[]}`,
			[]memory.Memory{{Content: "Likes tea", Session: "r1", CreatedAt: day(1), Metadata: json.RawMessage(`{"categories":["food"],"hash":"h","k":"v","mem0_id":"7d","user_id":"ada"}`)}},
		},
		{"mem0, a list", Mem0, `[{"memory":"a"},{"memory":"b","metadata":null}]`, []memory.Memory{{Content: "a"}, {Content: "b"}}},
		{"mem0, lines", Mem0, "{\"memory\":\"a\"}\n\n{\"memory\":\"b\"}\n", []memory.Memory{{Content: "a"}, {Content: "b"}}},
		{
			"Zep, a thread", Zep, `{"thread_id":"t1","messages":[{"uuid":"u","content":"Hi","role":"user","name":"Ada","created_at":"2026-05-01T09:30:00Z"},{"content":"Hello","role":"assistant"}]}`,
			[]memory.Memory{{Content: "Hi", Role: "user", Speaker: "Ada", Session: "t1", CreatedAt: day(1), Metadata: json.RawMessage(`{"zep_id":"u"}`)}, {Content: "Hello", Role: "assistant", Session: "t1"}},
		},
		{"Zep, an older thread", Zep, `{"messages":[{"content":"Hi","role_type":"user","role":"Ada"}]}`, []memory.Memory{{Content: "Hi", Role: "user", Speaker: "Ada"}}},
		{
			"Zep, a graph", Zep, `{"edges":[{"uuid":"e","fact":"Ada lives in Oslo","valid_at":"2026-05-01T09:30:00Z","invalid_at":"2026-05-03T09:30:00Z","expired_at":"2026-05-04T09:30:00Z","attributes":{"x":1}}]}`,
			[]memory.Memory{{Content: "Ada lives in Oslo", ObservedAt: day(1), ValidFrom: day(1), ValidTo: day(3), Metadata: json.RawMessage(`{"expired_at":"2026-05-04T09:30:00Z","zep_id":"e"}`)}},
		},
	} {
		got, err := Read([]byte(f.file), f.format)
		if err != nil || !reflect.DeepEqual(got, f.want) {
			t.Errorf("%s: %+v %v\nwant %+v", f.name, got, err, f.want)
		}
	}
}

// TestFilesOfOtherProducts: files in the shapes that the products' references
// and clients give; every memory keeps its text, its date and who said it.
func TestFilesOfOtherProducts(t *testing.T) {
	for name, want := range map[string]string{
		"mem0-page.json":              "Likes tea|2026-05-01T09:30:00Z||;Lives in Oslo|2026-05-02T09:30:00Z|r1|",
		"mem0-typescript.json":        "Likes tea|2026-05-01T09:30:00Z||",
		"mem0-qdrant.jsonl":           "Likes tea|2026-05-01T09:30:00Z||Ada",
		"mem0-openmemory.json":        "Likes tea|2026-05-01T09:30:00Z||",
		"zep-v2-memory.json":          "Hi|2026-05-01T09:30:00Z||Ada;Hello|2026-05-01T09:30:00Z||;Ada keeps bees|||",
		"zep-v3-thread.json":          "Hi|2026-05-01T09:30:00Z|t1|Ada",
		"zep-v4-items.json":           "Hi|2026-05-01T09:30:00Z||Ada;Ada lives in Oslo|2026-05-02T09:30:00Z||",
		"zep-typescript-edges.json":   "Ada lives in Oslo|2026-05-02T09:30:00Z||",
		"zep-nodes-and-episodes.json": "A note|2026-05-01T09:30:00Z||;Ada keeps bees in Oslo.|2026-05-02T09:30:00Z||",
		"supermemory-documents.json":  "Ada keeps bees.|2026-05-01T09:30:00Z||;Ada lives in Oslo|2026-05-02T09:30:00Z||",
		"supermemory-memories.json":   "Ada keeps bees.|2026-05-01T09:30:00Z||",
	} {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		product, _, _ := strings.Cut(name, "-")
		all, err := Read(file, Format(product))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for i := range all {
			m := &all[i]
			at := ""
			if !m.CreatedAt.IsZero() {
				at = m.CreatedAt.Format(time.RFC3339)
			}
			got = append(got, strings.Join([]string{m.Content, at, m.Session, m.Speaker}, "|"))
		}
		if strings.Join(got, ";") != want {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, ";"), want)
		}
	}
}

// TestFilesAreReadInLinearTime: whatever a file holds, in every format.
func TestFilesAreReadInLinearTime(t *testing.T) {
	for what, piece := range map[string][3]string{
		"lines":        {"", `{"content":"x","memory":"x"}` + "\n", ""},
		"empty lines":  {"", "\n", ""},
		"a list":       {`[{"content":"x"}`, `,{"content":"x"}`, `]`},
		"a page":       {`{"results":[{"memory":"x"}`, `,{"memory":"x"}`, `],"messages":[],"documents":[]}`},
		"many members": {`{"content":"x"`, `,"aB":1`, `}`},
		"nested lists": {`[`, `[[]],`, `[]]`},
		"documents":    {`{"documents":[{}`, `,{"memoryEntries":[{"memory":"x"}]}`, `]}`},
		"escapes":      {`{"content":"`, `\u00e9\n`, `"}`},
		"no JSON":      {"", "{", ""},
	} {
		for _, f := range []Format{JSONL, Mem0, Zep, Supermemory} {
			t.Run(string(f)+"/"+what, func(t *testing.T) {
				linear.Check(t, 1<<11, func(n int) func() {
					file := []byte(piece[0] + strings.Repeat(piece[1], n/len(piece[1])) + piece[2])
					return func() { _, _ = Read(file, f) }
				})
			})
		}
	}
}

// Read gives all memories of a file, or none.
func Read(b []byte, f Format) (all []memory.Memory, err error) {
	if err = Each(b, f, func(m *memory.Memory) error { all = append(all, *m); return nil }); err != nil {
		return nil, err
	}
	return all, nil
}

func TestWrongFiles(t *testing.T) {
	for _, f := range []struct {
		file   string
		format Format
		line   int
		field  string
	}{
		{"{\"content\":\"fine\"}\nnot JSON\n", JSONL, 2, "line"},
		{"{\"content\":\"\"}\n", JSONL, 1, "content"},
		{"{\"content\":7}\n", JSONL, 1, "content"},
		{"{\"content\":\"secret words\",\"colour\":1}\n", JSONL, 1, "colour"},
		{"{\"content\":\"x\",\"created_at\":\"yesterday\"}\n", JSONL, 1, "a time"},
		{"{\"content\":\"x\"} {\"content\":\"y\"}\n", JSONL, 1, "line"},
		{"{\"content\":\"\xff\"}\n", JSONL, 1, "content"},
		{"{\"content\":\"" + strings.Repeat("x", memory.MaxContentBytes+1) + "\"}\n", JSONL, 1, "content"},
		{`[{"memory":"fine"},{"text":null}]`, Mem0, 2, "content"},
		{`{"results":[{"memory":"fine"},7]}`, Mem0, 2, "line"},
		{"{\"memory\":\"fine\"}\n{\"memory\":\n", Mem0, 2, "line"},
		{`[[[[[["deep"]]]]]]`, Zep, 0, "line"},
		{`{"messages":[{"content":"x","created_at":-5}]}`, Zep, 1, "created_at"},
		{`[{"memory":"x","created_at":"soon"}]`, Mem0, 1, "created_at"},
		{`[{"memory":{"a":1}}]`, Mem0, 1, "memory"},
	} {
		got, err := Read([]byte(f.file), f.format)
		var wrong *LineError
		if !errors.As(err, &wrong) || wrong.Line != f.line || wrong.Field != f.field || got != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", f.file[:min(len(f.file), 80)], err)
		}
	}
	if _, err := ParseFormat("csv"); err == nil {
		t.Error("csv is no format")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"content":"x","metadata":{"a":1}}`), "jsonl")
	f.Add([]byte(`{"results":[{"memory":"x","id":7}]}`), "mem0")
	f.Add([]byte(`{"messages":[{"content":"x"}],"edges":[{"fact":"y"}]}`), "zep")
	f.Fuzz(func(t *testing.T, file []byte, format string) {
		all, err := Read(file, Format(format))
		for i := range all {
			if m := &all[i]; err != nil || m.Content == "" || len(m.Metadata) > 0 && !json.Valid(m.Metadata) {
				t.Fatalf("%+v %v", m, err)
			}
		}
	})
}
