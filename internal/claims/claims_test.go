package claims

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/claims.md anew")

const (
	root = "../../"
	list = root + "docs/claims.md"
)

// pages are those whose claims an operator, a tenant or a security team may
// rely on.
var pages = []string{
	"README.md", "docs/threat-model.md", "docs/security-audit.md", "docs/inference-path.md", "docs/limits.md", "docs/memory.md",
	"docs/admin.md", "docs/metering.md",
}

// wayOut is what a writer who has added or changed a block has to do.
const wayOut = "Find the test that would fail if the block were false, or write it, and name it at the block's end: " +
	"<!-- tests: TestA, TestB -->. In a table the comment comes behind the row's last |; on a heading it stands for all blocks below it that have none. " +
	"A block that claims nothing has <!-- tests: none, REASON -->. Then run: go test ./internal/claims -update"

// TestEachClaimNamesItsTest: no block of the pages is without a test or a
// reason, and make test runs each test that is named.
func TestEachClaimNamesItsTest(t *testing.T) {
	tests := existing(t)
	var b strings.Builder
	b.WriteString("# Claims and their tests\n\nEach claim of the pages below, by its first words, with the tests that fail if it is false. Made by\n`go test ./internal/claims -update` from comments in the pages. What has nothing to test says why.\n")
	for _, page := range pages {
		text, err := os.ReadFile(root + page)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n| claim | tests |\n| --- | --- |\n", page)
		missing := 0
		for _, c := range read(string(text)) {
			if len(c.tests) == 0 && c.none == "" {
				if missing++; missing <= 20 {
					t.Errorf("%s:%d: no test is named for %q", page, c.line, first(c.text))
				}
			}
			for _, name := range c.tests {
				switch files := tests[name]; len(files) {
				case 0:
					t.Errorf("%s:%d: make test runs no test %s; name the one that asserts this claim now, or change the claim", page, c.line, name)
				case 1:
				default:
					t.Errorf("%s:%d: %s is in %v: write the directory before it, as in %s.%s", page, c.line, name, files, filepath.Dir(files[0]), name)
				}
			}
			if len(c.tests) > 0 {
				fmt.Fprintf(&b, "| %s | %s |\n", first(c.text), links(c.tests, tests))
			} else {
				fmt.Fprintf(&b, "| %s | none: %s |\n", first(c.text), c.none)
			}
		}
		if missing > 0 {
			t.Errorf("%s: %d blocks name no test. %s", page, missing, wayOut)
		}
	}
	if *update {
		if err := os.WriteFile(list, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(list); err != nil || string(have) != b.String() {
		t.Errorf("docs/claims.md is not what the pages say (%v); run: go test ./internal/claims -update", err)
	}
}

var link = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)

// first is the beginning of a block, fit for a cell: without its links, which
// are relative to another directory.
func first(text string) string {
	text = link.ReplaceAllString(text, "$1")
	words := strings.Fields(strings.TrimLeft(strings.ReplaceAll(text, "|", " "), " -*"))
	if len(words) > 14 {
		words = append(words[:14], "…")
	}
	return strings.Join(words, " ")
}

func links(names []string, tests map[string][]string) string {
	var all []string
	for _, name := range names {
		for _, file := range tests[name] {
			all = append(all, fmt.Sprintf("[`%s`](../%s)", name, file))
		}
	}
	return strings.Join(all, ", ")
}

func TestRead(t *testing.T) {
	const page = "# Page <!-- tests: TestPage -->\n\nOne\nclaim.\n\n- an item\n  goes on <!-- tests: TestA, TestB -->\n- another\n\n" +
		"## Code\n\nNames `TestC` and `TestD`. <!-- tests: TestC -->\n\n    code\n\n```sh\nmore\n```\n\n| head | x |\n| --- | --- |\n| row | y | <!-- tests: none, a word -->\n\n# Other\n\nBare.\n"
	want := []claim{
		{line: 3, text: "One claim.", tests: []string{"TestPage"}},
		{line: 6, text: "- an item goes on", tests: []string{"TestA", "TestB"}},
		{line: 8, text: "- another", tests: []string{"TestPage"}},
		{line: 12, text: "Names `TestC` and `TestD`.", tests: []string{"TestC", "TestD"}},
		{line: 22, text: "| row | y |", none: "a word"},
		{line: 26, text: "Bare."},
	}
	got := read(page)
	if !slices.EqualFunc(got, want, func(a, b claim) bool {
		return a.line == b.line && a.text == b.text && a.none == b.none && slices.Equal(a.tests, b.tests)
	}) {
		t.Errorf("%+v", got)
	}
}
