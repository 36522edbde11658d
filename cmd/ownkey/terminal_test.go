package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNothingDrivesTheTerminal: every control character, however it is cut
// between two writes, arrives as text.
func TestNothingDrivesTheTerminal(t *testing.T) {
	var all []byte
	for r := rune(0); r <= 0x2070; r++ {
		all = utf8.AppendRune(all, r)
	}
	all = append(all, "\x1b]0;owned\a\x9b2J\xff\xc2 end\r\n\u202egnp.exe"...)
	for size := 1; size <= 5; size++ {
		var out bytes.Buffer
		w := &plainWriter{to: &out}
		for from := 0; from < len(all); from += size {
			if _, err := w.Write(all[from:min(from+size, len(all))]); err != nil {
				t.Fatal(err)
			}
		}
		text := strings.ReplaceAll(out.String(), "\r\n", "")
		if i := strings.IndexFunc(text, obeyed); i >= 0 || !utf8.ValidString(text) {
			t.Fatalf("in pieces of %d: %q passes", size, text[max(0, i):])
		}
		if !strings.Contains(text, `\u001b]0;owned\u0007`) || !strings.Contains(text, "é") || !strings.Contains(text, "\t") || !strings.Contains(text, `\u202egnp`) {
			t.Errorf("in pieces of %d: %q", size, text)
		}
	}
}

func TestPlainJSONStaysJSON(t *testing.T) {
	in := map[string]string{"name": "a\u009b2J\x1b[31m\u202e\x7f"}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := (&plainWriter{to: &out}).Write(raw); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["name"] != in["name"] {
		t.Errorf("%s: %q, %v", out.Bytes(), got, err)
	}
}

// TestVerbsPrintThroughOnePlace: no command writes to the terminal itself. An
// archive is bytes, not text.
func TestVerbsPrintThroughOnePlace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`fmt\.Print|os\.Stdout`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "terminal.go" || file == "backup.go" {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := direct.FindString(string(source)); found != "" {
			t.Errorf("%s: %s; use printf or stdout", file, found)
		}
	}
}
