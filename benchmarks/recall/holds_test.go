package main

import (
	"strings"
	"testing"
)

// bounds are what the share of evidence in a block may not fall below, and that of
// foreign questions with a block not rise above, in percent.
type bounds struct{ evidence, foreign float64 }

// TestRecallHolds: what recall brings into a prompt on the generated sets does not
// get less. The bounds are some points off what was measured when they were set (go
// run ./benchmarks/recall sets); whoever makes recall better moves them.
func TestRecallHolds(t *testing.T) {
	least := map[string]map[string]bounds{
		"Personas":             {kindDirect: {92, 10}, kindNamed: {0, 40}, kindParaphrase: {0, 0}},
		"Other languages":      {"": {90, 5}},
		"Languages, worked on": {"": {90, 5}},
		"Updates":              {kindNow: {90, 5}, kindThen: {95, 0}, kindBoth: {88, 0}},
		"Echo":                 {"": {95, 13}},
		"Documents":            {"": {80, 10}},
		"Dialogues":            {kindSaid: {92, 12}, kindRecommended: {85, 0}},
	}
	for _, s := range generated() {
		got, err := measureSet(t.Context(), &s, startKeeper, &bare)
		if err != nil {
			t.Fatal(err)
		}
		if least[s.name] == nil {
			t.Errorf("%s has no bounds", s.name)
		}
		for kind, b := range least[s.name] {
			b.hold(t, s.name+" "+kind, got[kind])
		}
	}
}

// TestRecallHoldsInForms: a question is found however it is written.
func TestRecallHoldsInForms(t *testing.T) {
	s := directQuestions()
	for i := range forms {
		f := &forms[i]
		got, err := measureSet(t.Context(), &s, startKeeper, f)
		if err != nil {
			t.Fatal(err)
		}
		bounds{88, 14}.hold(t, f.name, got[""])
	}
}

// TestRecallHoldsWithTypingErrors: a letter is missing in the middle of the longest word.
func TestRecallHoldsWithTypingErrors(t *testing.T) {
	s := directQuestions()
	got, err := measureSet(t.Context(), &s, startKeeper, &form{write: mistyped})
	if err != nil {
		t.Fatal(err)
	}
	bounds{80, 10}.hold(t, "typing errors", got[""])
}

func mistyped(question string) string {
	words := strings.Fields(question)
	longest := 0
	for i, w := range words {
		if len(w) > len(words[longest]) {
			longest = i
		}
	}
	w := words[longest]
	words[longest] = w[:len(w)/2] + w[len(w)/2+1:]
	return strings.Join(words, " ")
}

func (b bounds) hold(t *testing.T, name string, got *brought) {
	t.Helper()
	switch {
	case got == nil || got.questions+got.strangers == 0:
		t.Errorf("%s: nothing was asked", name)
	case got.questions > 0 && 100*got.evidence < b.evidence*float64(got.questions):
		t.Errorf("%s: %s %% of the evidence is in the block, less than %.0f", name, got.answered(), b.evidence)
	case 100*float64(got.disturbed) > b.foreign*float64(got.strangers):
		t.Errorf("%s: %s %% of foreign questions have a block, more than %.0f", name, got.disturbance(), b.foreign)
	}
}
