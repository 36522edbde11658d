package index

import (
	"fmt"
	"testing"
)

// TestTypingErrors: a word that stands nowhere is taken for the one that it is nearly;
// one that stands somewhere is not, and neither are short words and numbers.
func TestTypingErrors(t *testing.T) {
	x := build(
		Document{Text: "The kitchen renovation has a budget of nine thousand."}, Document{Text: "Mila goes to the harbour school."},
		Document{Text: "The contract is signed."}, Document{Text: "My contact is Bo, flight LH2041."}, Document{Text: "Die Schlüssel liegen bei Frau Brückner."},
	)
	for question, want := range map[string]int{
		"kitchn renovaton": 0, "budgt": 0, "Which shcool does Mlia go to?": 1, "contract": 2, "contact": 3, "contrakt": 2, "Bruckner": 4, "Bu": none, "LH2042": none, "zebra": none,
	} {
		hits := find(x, question)
		switch {
		case want == none && len(hits) > 0, want != none && (len(hits) == 0 || hits[0].Doc != want):
			t.Errorf("%q: %+v, want %d", question, hits, want)
		}
	}
	remove(x, 0)
	if hits := find(x, "kitchn"); len(hits) > 0 {
		t.Errorf("what was removed is found by its spelling: %+v", hits)
	}
}

// TestSpellingIsBounded: a question of words that stand nowhere, in a bucket of words
// that all begin alike, takes the same few looks as a short one.
func TestSpellingIsBounded(t *testing.T) {
	x := New(&Default)
	x.spell("xqqqqq", 0)
	for i := range 3 * maxNearTerms {
		x.spell(fmt.Sprintf("xa%c%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576), 0)
	}
	x.lists = append(x.lists, list{parts: []posting{{0, 1}}})
	if _, found := x.near("xqqqqqb"); found { // the oldest
		t.Error("all are looked at")
	}
	text := ""
	for i := range 200 {
		text += fmt.Sprintf("xz%c%cqqqq ", 'a'+i%26, 'a'+i/26)
	}
	s := &search{places: map[uint32]int{}, weights: x.weights}
	s.ask(x, text, 1)
	if s.spelled != maxNearWords {
		t.Errorf("%d words were looked for", s.spelled)
	}
}

// BenchmarkNear looks for a word that stands nowhere, in a bucket of many words.
func BenchmarkNear(b *testing.B) {
	x := New(&Default)
	x.lists = append(x.lists, list{parts: []posting{{0, 1}}})
	for i := range 1000 {
		x.spell(fmt.Sprintf("s%c%c%cing", 'a'+i%26, 'a'+i/26%26, 'a'+i*7%26), 0)
	}
	for b.Loop() {
		x.near("somethng")
	}
}
