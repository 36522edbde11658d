package asked

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/linear"
)

const code = `func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	user, err := s.store.User(ctx, r.URL.Query().Get("id"))
	for _, item := range user.Items {
		total += item.Price * float64(item.Count)
	}
	// what is the price of all of them?
}`

const logs = `2026-11-02T10:14:33.120Z INFO  server listening addr=127.0.0.1:8080
2026-11-02T10:14:36.002Z ERROR request failed status=500 path=/v1/orders err="connection reset by peer"
Traceback (most recent call last):
  File "/srv/app/main.py", line 42, in <module>
    run(config)
ValueError: invalid literal for int() with base 10: 'abc'
`

// TestWhatIsAsked: of each form in which people and programs write a question, what
// asks is the question and nothing else.
func TestWhatIsAsked(t *testing.T) {
	for _, q := range []string{
		"Who keeps bees on the roof?", "What did Ada plant in March?", "Tell me where the hives stand.", "Wo stehen die Bienenstöcke?",
		"Où sont les ruches de la bibliothèque ?", "¿Dónde están las colmenas de Ada?", "Где стоят ульи?", "蜂箱在哪里？", "Is Ada's library open on Monday",
	} {
		for name, turn := range map[string]string{
			"bare":                   q,
			"greeting and thanks":    "Hello, could you please help me with a quick question? " + end(q) + " Thanks a lot in advance!",
			"greeting of a line":     "Hi there,\n\n" + q + "\n\nThanks!",
			"German courtesy":        "Hallo! " + end(q) + " Vielen Dank im Voraus.",
			"a wish for the form":    end(q) + " Answer in two short sentences and use bullet points.",
			"several wishes":         end(q) + " Keep it short. Reply in German. Use a table. Be concise.",
			"a persona":              "You are a helpful assistant. Think step by step. " + q,
			"code behind":            q + "\n\n```go\n" + code + "\n```\n",
			"code before":            "```go\n" + code + "\n```\n\n" + q,
			"code without a fence":   q + "\n\n" + code + "\n",
			"an open fence":          q + "\n```\n" + code,
			"a log":                  logs + "\n" + q,
			"a log behind":           q + "\n" + logs,
			"JSON":                   q + "\n" + `{"id": 42, "name": "summer party", "guests": ["Anna", "Tom"], "when": "2026-07-14", "what": "is it?"}`,
			"a quote":                "> Shall we close the library next week?\n> Please plan your visit.\n\n" + q,
			"an e-mail quoted below": q + "\n\nOn Tue, 3 Nov 2026 at 09:12, Facilities <facilities@example.com> wrote:\n> Dear all,\n> is the lift in order?\n",
			"the same, on a phone":   q + "\n\nAm 3.11.26 um 09:12 schrieb Ada:\n\n> Wer hat den Schlüssel?\n",
			"a reminder of a client": "<system-reminder>\nIs the tree clean? Do not mention this to the user.\n</system-reminder>\n" + q,
			"the same in one line":   "<system-reminder>Do not mention this.</system-reminder>" + q,
			"context of a client":    "<environment_context>\n  <cwd>/home/ada/site</cwd>\n  <shell>bash</shell>\n</environment_context>\n\n" + q,
			"the user's own tag":     "<user_query>\n" + q + "\n</user_query>",
			"all in a tag":           "<ask>\n" + q + "\n</ask>",
			"a long log":             q + "\n" + strings.Repeat(logs, 200),
			"behind a long log":      strings.Repeat(logs, 200) + q,
		} {
			var asks []string
			for _, s := range Read(nil, turn, 0) {
				asks = append(asks, s.Text)
			}
			if !slices.Equal(asks, []string{q}) && !slices.Equal(asks, []string{end(q)}) {
				t.Errorf("%s: %q gives %q", name, turn[:min(len(turn), 200)], asks)
			}
		}
	}
}

// TestQuoteThatIsAskedAbout: what the user writes before a quote is kept.
func TestQuoteThatIsAskedAbout(t *testing.T) {
	for _, line := range []string{"Does Mia agree with this:", "Was heißt das hier:", "Is it at 09:12 that she wrote?"} {
		if got := Read(nil, line+"\n> The school is closed.\n", 0); len(got) != 1 || got[0].Text != line {
			t.Errorf("%q: got %+v", line, got)
		}
	}
}

// end is a question as it stands before another sentence.
func end(q string) string {
	if strings.ContainsAny(q[len(q)-1:], ".?") || strings.HasSuffix(q, "？") {
		return q
	}
	return q + "?"
}

// TestWhatStandsAround: what says what a question is about is kept, and does not ask.
func TestWhatStandsAround(t *testing.T) {
	for _, c := range []struct {
		name, turn string
		own        int
		want       []Sentence
	}{
		{"context", "I write to my sister about her garden. What is her hobby?", 0, []Sentence{{"I write to my sister about her garden.", false}, {"What is her hobby?", true}}},
		{"two questions", "Who keeps bees? And where do they stand?", 0, []Sentence{{"Who keeps bees?", true}, {"And where do they stand?", true}}},
		{"none asks", "Woke up with a fever. We put the training on hold.", 0, []Sentence{{"Woke up with a fever.", false}, {"We put the training on hold.", false}}},
		{"an initial", "What did J. Doe say?", 0, []Sentence{{"What did J. Doe say?", true}}},
		{
			"a file before it", "The library is closed. Is it?\nWho keeps bees?", len("The library is closed. Is it?\n"),
			[]Sentence{{"The library is closed.", false}, {"Is it?", false}, {"Who keeps bees?", true}},
		},
		{"a greeting alone", "Hello!", 0, nil},
		{"thanks alone", "Thanks a lot, that was great!", 0, nil},
		{"code alone", code, 0, nil},
		{"nothing", "", 0, nil},
	} {
		got := Read(nil, c.turn, c.own)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestSentencesAreBounded: of many sentences the first and the last that ask are kept.
func TestSentencesAreBounded(t *testing.T) {
	var turn strings.Builder
	for i := range 40 {
		turn.WriteString("The hives stand on roof number seven. ")
		if i%2 == 0 {
			turn.WriteString("Who keeps bees in garden " + string(rune('a'+i)) + "? ")
		}
	}
	got := Read(nil, turn.String(), 0)
	if len(got) != MaxSentences || got[0].Text != "Who keeps bees in garden a?" || !got[MaxSentences-1].Asks {
		t.Errorf("%+v", got)
	}
	if got = Read(nil, strings.Repeat("bees ", 100_000), 0); len(got) > MaxSentences {
		t.Errorf("%d sentences", len(got))
	}
}

func TestToldAndPresent(t *testing.T) {
	for text, want := range map[string][2]bool{
		"What did you recommend for the garden?": {true, false},
		"Where do I live now?":                   {false, true},
		"Who knows of the snow?":                 {false, false},
		"Wo wohne ich derzeit?":                  {false, true},
		"Where do I live?":                       {false, true},
		"Where did I live in 2021?":              {false, false},
		"What is my old phone number?":           {false, false},
		"我现在住在哪里？":                               {false, true},
	} {
		if q := Questions(text, 0, "")[0]; q.Told != want[0] || q.Present != want[1] {
			t.Errorf("%q: %+v", text, q)
		}
	}
}

func TestDepends(t *testing.T) {
	for text, want := range map[string]bool{
		"Do you know her hobby?": true, "And when was that?": true, "Why?": true, "Und wie alt ist er?": true,
		"What did Ada plant in the garden in March?": false, "What is her favourite book about bees and gardens?": false,
		"I write to Ines. What is her hobby?": false, "Hello!": false, "We met on Monday.": false,
	} {
		if got := Depends(Read(nil, text, 0)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestQuestionsOfATurn: each question of a turn is one, with what stands around it.
func TestQuestionsOfATurn(t *testing.T) {
	for _, c := range []struct {
		turn, before string
		want         [][]Part
	}{
		{"Who keeps bees?", "", [][]Part{{{"Who keeps bees?", 1}}}},
		{"Which school does Mia go to? Who has our spare key? Is it?", "", [][]Part{{{"Which school does Mia go to?", 1}}, {{"Who has our spare key?", 1}}}},
		{"I write to Ines about bees. What is her hobby?", "We met in May.", [][]Part{{{"What is her hobby?", 1}, {"I write to Ines about bees.", aside}}}},
		{"And her hobby?", "I want to write to Ines, my sister.", [][]Part{{{"And her hobby?", 1}, {"I want to write to Ines, my sister.", earlier}}}},
		{"Why?", "Ines moved to Porto.", [][]Part{{{"Why?", 1}, {"Ines moved to Porto.", earlier}}}},
		{"Woke up with a fever.", "We met in May.", [][]Part{{{"Woke up with a fever.", 1}}}},
		{"Hello!", "We met in May.", nil},
		{"Who plants roses? Who plants beans? Who plants peas? Who plants trees? Who plants herbs?", "", [][]Part{
			{{"Who plants roses?", 1}}, {{"Who plants beans?", 1}}, {{"Who plants peas?", 1}}, {{"Who plants trees?", 1}, {"Who plants herbs?", 1}},
		}},
	} {
		var got [][]Part
		for _, q := range Questions(c.turn, 0, c.before) {
			got = append(got, q.Parts)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, want %v", c.turn, got, c.want)
		}
	}
}

func TestReadIsLinear(t *testing.T) {
	linear.Check(t, 64, func(n int) func() {
		texts := []string{
			strings.Repeat("<a>", n<<4), strings.Repeat("```\n", n<<4), strings.Repeat("Who? ", n<<4), strings.Repeat("x", n<<6), strings.Repeat("a. ", n<<4), strings.Repeat("<b\n", n<<4),
		}
		return func() {
			for _, text := range texts {
				Read(nil, text, 0)
			}
		}
	})
}

// FuzzRead: whatever stands in a turn, what is read are parts of it within the bounds.
func FuzzRead(f *testing.F) {
	f.Add("Hello! Who keeps bees?\n```\ncode", 3)
	f.Add("<a><b></a>\nx", 0)
	f.Fuzz(func(t *testing.T, turn string, own int) {
		if own < 0 || own > len(turn) {
			own = 0
		}
		all := Read(nil, turn, own)
		if len(all) > MaxSentences {
			t.Errorf("%d sentences", len(all))
		}
		for _, s := range all {
			if s.Text == "" || !strings.Contains(turn, s.Text) {
				t.Errorf("%q is no part of the turn", s.Text)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, turn := range map[string]string{"question": "What did Ada plant in March?", "with code": "Hello! What did Ada plant in March?\n\n" + strings.Repeat(code, 3), "long": strings.Repeat(logs, 100)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []Sentence
			for b.Loop() {
				dst = Read(dst[:0], turn, 0)
			}
		})
	}
}
