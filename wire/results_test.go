package wire

import (
	"fmt"
	"testing"
)

// TestWhatGoesOn: what an answer says of work that the provider does after it.
func TestWhatGoesOn(t *testing.T) {
	for _, f := range []struct {
		format             Format
		answer             string
		over, goesOn, asks bool // asks: it goes on if that was asked for
	}{
		{FormatJSON, `{"id":"r","status":"in_progress"}`, false, true, true},
		{FormatJSON, `{"id":"r","status":"completed"}`, true, false, false},
		{FormatJSON, `{"id":"r","status":"strange"}`, false, false, false},
		{FormatJSON, `{"id":"r"}`, false, false, false},
		{FormatSSE, `data: {"type":"response.created","response":{"id":"r","status":"in_progress","background":true}}` + "\n\n", false, true, true},
		{FormatSSE, `data: {"type":"response.created","response":{"id":"r","background":false}}` + "\n\n", false, false, true},
		{FormatSSE, `data: {"type":"response.created","response":{"id":"r","metadata":{"background":true}}}` + "\n\n", false, false, true},
		{FormatSSE, `data: {"response":{"background":true}}` + "\n\n" + `data: {"type":"response.completed"}` + "\n\n", true, false, false},
		{FormatSSE, `data: {"response":{"status":"completed","background":true}}` + "\n\n" + `data: {"x":1}` + "\n\n", true, false, false},
	} {
		s := scan(DialectResponses, f.format, f.answer, 3)
		if s.Over() != f.over || s.GoesOn(false) != f.goesOn || s.GoesOn(true) != f.asks {
			t.Errorf("%s: over %v, goes on %v, if asked for %v", f.answer, s.Over(), s.GoesOn(false), s.GoesOn(true))
		}
	}
}

// TestIDsOfAnswers: an answer's own id comes before that of a request whose answer
// is to be fetched, and stays through events without one.
func TestIDsOfAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		`{"id":"a"}`:                  `"a" ""`,
		`{"id":"Z1_.:/@+-=="}`:        `"Z1_.:/@+-==" ""`,
		`{"request_id":"b"}`:          `"" "b"`,
		`{"id":"a","request_id":"b"}`: `"a" ""`,
		`{"request_id":"b","id":"a"}`: `"a" ""`,
		`{"id":"a b"}`:                `"" ""`,
		`{"id":""}`:                   `"" ""`,
	} {
		s := scan(DialectChat, FormatJSON, answer, 3)
		if got := fmt.Sprintf("%q %q", s.ID(), s.DeferredID()); got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
	s := scan(DialectChat, FormatSSE, "data: {\"id\":\"a\"}\n\ndata: {\"x\":1}\n\n", 3)
	if string(s.ID()) != "a" {
		t.Errorf("after an event without an id it is %q", s.ID())
	}
}

// TestUnfinishedValues: a value that has begun and can go on.
func TestUnfinishedValues(t *testing.T) {
	for answer, want := range map[string]bool{"": false, " ": false, "{": true, "[": true, `{"a":`: true, `{"a":[`: true, `"a`: true, "{}": false, "x": false} {
		if got := scan(DialectChat, FormatJSON, answer, 3).Unfinished(); got != want {
			t.Errorf("%q: %v", answer, got)
		}
	}
	if scan(DialectChat, FormatSSE, "data: {", 3).Unfinished() {
		t.Error("an event is no JSON value")
	}
}

// TestUsageOfResultsAndTotals: cached input counts as input in a batch's results,
// and a total counts where a part is missing or too small.
func TestUsageOfResultsAndTotals(t *testing.T) {
	line := `{"result":{"message":{"usage":{"input_tokens":10,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":5}}}}` + "\n"
	if u := scan(DialectMessages, FormatLines, line+line, 3).Usage(); u.Input != count(30) || u.Output != count(10) || u.CachedInput != count(6) || u.CacheWrite != count(4) {
		t.Errorf("results: %+v", u)
	}
	for usage, want := range map[string][2]int64{
		`{"completion_tokens":4,"total_tokens":10}`:                   {6, 4},
		`{"completion_tokens":4,"total_tokens":3}`:                    {0, 4},
		`{"prompt_tokens":6,"completion_tokens":4,"total_tokens":12}`: {6, 6},
		`{"prompt_tokens":6,"completion_tokens":4,"total_tokens":8}`:  {6, 4},
		`{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10}`: {6, 4},
	} {
		u := scan(DialectChat, FormatJSON, `{"usage":`+usage+`}`, 3).Usage()
		if u.Input.N != want[0] || u.Output.N != want[1] {
			t.Errorf("%s: %+v", usage, u)
		}
	}
}
