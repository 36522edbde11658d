package wire

import (
	"strings"
	"testing"
)

// TestTextAtTheEdges: what counts as text where a length or a place is just one, or
// just not.
func TestTextAtTheEdges(t *testing.T) {
	long := strings.Repeat("x", maxNameBytes+1)
	for answer, want := range map[string]int64{
		`{"response":"` + long + `"}`:                     maxNameBytes + 1, // no request that is said again
		`{"response":{"output":"` + long + `"}}`:          maxNameBytes + 1,
		`{"response":{"instructions":"` + long + `"}}`:    0,
		`{"id":"` + long[1:]:                              0, // unfinished, and no longer than a name
		`{"id":"` + long:                                  maxNameBytes + 1,
		`["` + long[1:] + `"]`:                            0,
		`{"content":["a","b"],"x":{"y":{"z":["a","b"]}}}`: 2,
		`{"a":{"b":{"c":{"d":{"content":["x","y"]}}}}}`:   2, // the deepest names that are known
		`{"a":{"b":{"c":{"d":{"e":["x","y"]}}}}}`:         0,
	} {
		if got := scan(DialectResponses, FormatSSE, "data: "+answer, 7).TextBytes(); got != want {
			t.Errorf("%.40s…: %d bytes of text, want %d", answer, got, want)
		}
	}
}

// TestLongestIDs: an id of as many bytes as it may have is kept, a longer one is
// none.
func TestLongestIDs(t *testing.T) {
	for n, want := range map[int]int{maxIDBytes: maxIDBytes, maxIDBytes + 1: 0} {
		if got := len(scan(DialectResponses, FormatJSON, `{"id":"`+strings.Repeat("i", n)+`"}`, 5).ID()); got != want {
			t.Errorf("an id of %d bytes: %d are kept, want %d", n, got, want)
		}
	}
}

// TestEmptyLinesOfResults: a line without a value parts two that have one.
func TestEmptyLinesOfResults(t *testing.T) {
	line := `{"result":{"message":{"usage":{"input_tokens":10,"output_tokens":5}}}}` + "\n"
	for _, step := range []int{1, 3, 1000} {
		if u := scan(DialectMessages, FormatLines, line+"\n"+line, step).Usage(); u.Input != count(20) || u.Output != count(10) {
			t.Errorf("in pieces of %d: %+v", step, u)
		}
	}
}

// TestReasoningThatIsAllOfTheOutput is counted once.
func TestReasoningThatIsAllOfTheOutput(t *testing.T) {
	u := scan(DialectChat, FormatJSON, `{"usage":{"prompt_tokens":1,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":5}}}`, 3).Usage()
	if u.Output != count(5) || u.Reasoning != count(5) {
		t.Errorf("%+v", u)
	}
}

// TestBackgroundInEscapes: the longest way to write it is still that member.
func TestBackgroundInEscapes(t *testing.T) {
	var h Head
	if err := ReadHead(text(`{"`+strings.NewReplacer("b", `\u0062`, "a", `\u0061`, "c", `\u0063`, "k", `\u006b`, "g", `\u0067`, "r", `\u0072`, "o", `\u006f`, "u", `\u0075`, "n", `\u006e`, "d", `\u0064`).Replace("background")+`":true}`), &h); err != nil || !h.Background {
		t.Errorf("%v, %+v", err, h)
	}
}

// TestQuotedNamesWithEscapes: readers of forms differ in what they make of a
// backslash before the quote, so it is refused.
func TestQuotedNamesWithEscapes(t *testing.T) {
	for _, params := range []string{`; name="a\"; x="b"`, `; name="a\"`, `; name="\"`} {
		if eachParam([]byte(strings.TrimPrefix(params, ";")), func(_, _ []byte) bool { return true }) {
			t.Errorf("%s is taken", params)
		}
	}
}
