package claims

import (
	"regexp"
	"slices"
	"strings"
)

// claim is a block of a page, with the tests that are named for it.
type claim struct {
	line  int // where the block begins, counted from one
	text  string
	tests []string
	none  string // why there is nothing to test
}

var (
	marker  = regexp.MustCompile(`\s*<!-- tests: (.*?) -->`)
	named   = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	heading = regexp.MustCompile(`^(#+) `)
	item    = regexp.MustCompile(`^\s*([-*]|\d+\.) `)
	rule    = regexp.MustCompile(`^\s*\|[-:| ]+\|\s*$`)
)

// read gives the blocks of a page: paragraphs, list items and table rows.
// Headings, code and the heads of tables say nothing that could be false.
func read(page string) (all []claim) {
	r := reader{sections: map[int]claim{}}
	lines := strings.Split(page, "\n")
	for i, line := range lines {
		r.line(i+1, line, i+1 < len(lines) && rule.MatchString(lines[i+1]))
	}
	r.end()
	return r.claims
}

type reader struct {
	claims   []claim
	open     *claim
	fenced   bool
	sections map[int]claim // what headings of each level name
}

func (r *reader) line(n int, line string, tableHead bool) {
	switch h := heading.FindStringSubmatch(line); {
	case strings.HasPrefix(strings.TrimSpace(line), "```"):
		r.end()
		r.fenced = !r.fenced
	case r.fenced:
	case h != nil:
		r.end()
		r.section(len(h[1]), line)
	case strings.TrimSpace(line) == "", strings.HasPrefix(strings.TrimSpace(line), "<!--"), rule.MatchString(line), tableHead:
		r.end()
	case r.open == nil && strings.HasPrefix(line, "    "): // code, since no item is open
	case r.open == nil || item.MatchString(line) || strings.HasPrefix(line, "|"):
		r.end()
		r.open = &claim{line: n, text: line}
	default:
		r.open.text += " " + strings.TrimSpace(line)
	}
}

// section notes what a heading names; deeper headings before it no longer count.
func (r *reader) section(level int, line string) {
	for deeper := range r.sections {
		if deeper >= level {
			delete(r.sections, deeper)
		}
	}
	c := claim{text: line}
	if c.name() {
		r.sections[level] = c
	}
}

func (r *reader) end() {
	if r.open == nil {
		return
	}
	c := *r.open
	r.open = nil
	if !c.name() {
		for level := 6; level > 0; level-- {
			if s, ok := r.sections[level]; ok {
				c.tests, c.none = s.tests, s.none
				break
			}
		}
	}
	r.claims = append(r.claims, c)
}

// name takes the comment out of the text and reports whether the block names a
// test or a reason, in the comment or as `TestX` in its text.
func (c *claim) name() bool {
	found := marker.FindAllStringSubmatch(c.text, -1)
	c.text = strings.TrimSpace(marker.ReplaceAllString(c.text, ""))
	for _, m := range found {
		if reason, ok := strings.CutPrefix(m[1], "none, "); ok {
			c.none = reason
			continue
		}
		for name := range strings.SplitSeq(m[1], ", ") {
			c.tests = append(c.tests, strings.TrimSpace(name))
		}
	}
	for _, m := range named.FindAllStringSubmatch(c.text, -1) {
		if !slices.Contains(c.tests, m[1]) {
			c.tests = append(c.tests, m[1])
		}
	}
	return len(c.tests) > 0 || c.none != ""
}
