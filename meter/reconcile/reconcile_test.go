package reconcile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	first = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now   = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
)

func export(t *testing.T, provider string) *Export {
	t.Helper()
	f, err := os.Open("testdata/" + provider + ".json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e, err := Read(provider, f)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ours are the rows that fit the exports in testdata.
func ours() []Daily {
	return []Daily{
		{Day: first, Model: "gpt-4o-mini-2024-07-18", CredentialID: "c1", Counts: Counts{Requests: 40, InputTokens: 1000, CachedTokens: 200, OutputTokens: 300}},
		{Day: first, Model: "gpt-4o-2024-08-06", CredentialID: "c1", Counts: Counts{Requests: 5, InputTokens: 500, OutputTokens: 50}},
		{Day: first.AddDate(0, 0, 1), Model: "gpt-4o-mini-2024-07-18", CredentialID: "c2", Counts: Counts{Requests: 7, InputTokens: 70, OutputTokens: 7}},
	}
}

// compare compares in one piece.
func compare(e *Export, ours []Daily, keys map[string]string, now time.Time) *Report {
	c := Begin(e, keys, now)
	c.Add(ours)
	return c.Close()
}

var keys = map[string]string{"key_abc": "c1", "key_def": "c2"}

func TestSameCountsMatch(t *testing.T) {
	r := compare(export(t, "openai"), ours(), keys, now)
	if !r.Match || len(r.Lines) != 3 || r.Ours != r.Theirs || r.Ours.Requests != 52 || !r.To.Equal(first.AddDate(0, 0, 2)) {
		t.Errorf("%+v", r)
	}
	for _, l := range r.Lines {
		if l.Verdict != Same {
			t.Errorf("%+v", l)
		}
	}
}

func TestDifferencesAreListed(t *testing.T) {
	line := func(rows []Daily, model string) Line {
		t.Helper()
		r := compare(export(t, "openai"), rows, keys, now)
		for _, l := range r.Lines {
			if l.Model == model && l.Day.Equal(first) {
				if r.Match != (l.Verdict != Different) {
					t.Errorf("match is %v with %+v", r.Match, l)
				}
				return l
			}
		}
		t.Fatalf("no line of %s: %+v", model, r.Lines)
		return Line{}
	}
	rows := ours()
	rows[0].OutputTokens--
	if l := line(rows, rows[0].Model); l.Verdict != Different {
		t.Errorf("a token less: %+v", l)
	}
	rows[0].UnknownUsage = 1 // one of the calls was cut: the provider has counted what it did not tell us
	if l := line(rows, rows[0].Model); l.Verdict != Explained {
		t.Errorf("a token less, with a call that was cut: %+v", l)
	}
	rows[0].OutputTokens += 2
	if l := line(rows, rows[0].Model); l.Verdict != Different {
		t.Errorf("a token more than the provider has: %+v", l)
	}
	rows = ours()
	rows[0].Requests += 2 // the provider refused them
	if l := line(rows, rows[0].Model); l.Verdict != Different {
		t.Errorf("two requests more: %+v", l)
	}
	rows[0].UnknownUsage = 2
	if l := line(rows, rows[0].Model); l.Verdict != Explained {
		t.Errorf("two requests more, which it refused: %+v", l)
	}
	rows[0].Requests = 39
	if l := line(rows, rows[0].Model); l.Verdict != Different {
		t.Errorf("a request that is not ours: %+v", l)
	}
	if l := line(ours()[1:], rows[0].Model); l.Verdict != Different || l.Ours.Requests != 0 {
		t.Errorf("only on their side: %+v", l)
	}
	more := append(ours(), Daily{Day: first, Model: "gpt-5", CredentialID: "c1", Counts: Counts{Requests: 1}})
	if l := line(more, "gpt-5"); l.Verdict != Different || l.Theirs.Requests != 0 {
		t.Errorf("only on our side: %+v", l)
	}
	other := ours()
	other[2].CredentialID = "c1"
	if r := compare(export(t, "openai"), other, keys, now); r.Match || len(r.Lines) != 4 {
		t.Errorf("another key: %+v", r.Lines)
	}
}

func TestTodayIsLeftOut(t *testing.T) {
	rows := append(ours(), Daily{Day: first.AddDate(0, 0, 2), Model: "x", Counts: Counts{Requests: 9}})
	if r := compare(export(t, "openai"), rows, keys, first.Add(30*time.Hour)); !r.Match || len(r.Lines) != 2 {
		t.Errorf("%+v", r.Lines)
	}
}

// TestAnthropic: no requests, no keys in this export, and input without what
// came from the cache.
func TestAnthropic(t *testing.T) {
	rows := []Daily{
		{Day: first, Model: "claude-sonnet-4-5", CredentialID: "c3", Counts: Counts{Requests: 3, InputTokens: 10, CachedTokens: 900, CacheWriteTokens: 150, OutputTokens: 60}},
		{Day: first, Model: "claude-sonnet-4-5", CredentialID: "c4", Counts: Counts{Requests: 1, InputTokens: 5, OutputTokens: 6}},
	}
	r := compare(export(t, "anthropic"), rows, nil, now)
	if !r.Match || len(r.Lines) != 1 || r.Lines[0].Ours.InputTokens != 15 || r.Lines[0].Theirs.CacheWriteTokens != 150 {
		t.Errorf("%+v", r.Lines)
	}
}

func TestPagesOneAfterTheOtherOrInAList(t *testing.T) {
	raw, err := os.ReadFile("testdata/openai.json")
	if err != nil {
		t.Fatal(err)
	}
	one := strings.TrimSpace(string(raw))
	for name, text := range map[string]string{"lines": one + "\n" + one, "list": "[" + one + "," + one + "]"} {
		e, err := Read("openai", strings.NewReader(text))
		if err != nil || len(e.Rows) != 6 {
			t.Errorf("%s: %v %d rows", name, err, len(e.Rows))
		}
	}
}

func TestWhatIsNoExport(t *testing.T) {
	const day = `"start_time":1793491200,"end_time":1793577600`
	for text, want := range map[string]string{
		"":                   "no buckets",
		"{":                  "page 1",
		`{"a":1}`:            "no member data",
		`{"data":[]}`:        "no buckets",
		`{"data":[{"x":1}]}`: "data[0] is no bucket",
		`{"data":[{"start_time":1793491200,"end_time":1793494800,"results":[]}]}`:                    "data[0] is no whole day",
		`{"data":[{` + day + `,"results":[{"input_tokens":1,"num_model_requests":1},{"input":2}]}]}`: "data[0].results[1] has no input_tokens",
		`{"data":[{` + day + `,"results":[{"input_tokens":"x"}]}]}`:                                  "data[0] is no bucket",
	} {
		if e, err := Read("openai", strings.NewReader(text)); !errors.Is(err, ErrExport) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v %v, want %s", text, e, err, want)
		}
	}
	if _, err := Read("mistral", strings.NewReader("{}")); err == nil || !strings.Contains(err.Error(), "want openai or anthropic") {
		t.Errorf("%v", err)
	}
}

// FuzzRead: an export is read, or is ErrExport in words of ours; its rows are
// whole days within what it covers, of counts that can be added up; and the same
// pages twice are the same rows twice.
func FuzzRead(f *testing.F) {
	const day = `"start_time":1793491200,"end_time":1793577600`
	for _, provider := range Providers {
		raw, err := os.ReadFile("testdata/" + provider + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, provider == "openai")
		f.Add([]byte("["+string(raw)+"]"), provider == "openai")
	}
	f.Add([]byte(`{"data":[{`+day+`,"results":[{"input_tokens":1,"num_model_requests":1,"model":"","api_key_id":""}]}]}`), true)
	f.Add([]byte(`{"data":[{`+day+`,"results":[{"input_tokens":9223372036854775807,"num_model_requests":0,"output_tokens":1e3}]}]}`), true)
	f.Add([]byte(`{"data":[{"starting_at":"0001-01-01T00:00:00Z","ending_at":"0001-01-02T00:00:00Z","results":[{"uncached_input_tokens":1,"cache_creation":{"a":1,"b":2}}]}]} null`), false)
	f.Fuzz(func(t *testing.T, file []byte, openAI bool) {
		provider := Providers[1]
		if openAI {
			provider = Providers[0]
		}
		e, err := Read(provider, bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, ErrExport) || len(err.Error()) > 150 || e != nil {
				t.Fatalf("%q: %v", file, err)
			}
			return
		}
		for _, r := range e.Rows {
			if r.Day.Before(e.From) || !r.Day.Before(e.To) || !r.Day.Equal(r.Day.Truncate(24*time.Hour)) || r.Model != "" && !e.ByModel || r.Key != "" && !e.ByKey {
				t.Fatalf("%+v of %+v", r, e)
			}
			c := r.Counts
			for _, n := range []int64{c.Requests, c.InputTokens, c.CachedTokens, c.CacheWriteTokens, c.OutputTokens} {
				if n < 0 || n > 1<<53 {
					t.Fatalf("%q has the counts %+v", file, c)
				}
			}
		}
		twice, err := Read(provider, io.MultiReader(bytes.NewReader(file), strings.NewReader("\n"), bytes.NewReader(file)))
		if err != nil || !slices.Equal(twice.Rows, append(slices.Clone(e.Rows), e.Rows...)) || !twice.From.Equal(e.From) || !twice.To.Equal(e.To) {
			t.Fatalf("%q: once %+v, twice %+v, %v", file, e, twice, err)
		}
	})
}
