package admission

import "testing"

// TestWhatWasSpentBeforeCountsOnce: what was spent before this process began goes
// to the day that it was spent on, once.
func TestWhatWasSpentBeforeCountsOnce(t *testing.T) {
	before := []span{{at: 5, tokens: 1000}, {at: 4, tokens: 50}}
	for what, f := range map[string]struct{ counted, want span }{
		"nothing was counted": {span{at: 5}, span{5, 1000, true}},
		"that day goes on":    {span{at: 5, tokens: 10}, span{5, 1010, true}},
		"the day before":      {span{at: 4, tokens: 10}, span{4, 60, true}},
		"a later day":         {span{at: 6, tokens: 10}, span{6, 10, true}},
		"it is in it":         {span{5, 10, true}, span{5, 10, true}},
	} {
		got := period{span: f.counted}
		got.complete(before)
		got.complete(before)
		if got.span != f.want {
			t.Errorf("%s: counted %+v, want %+v", what, got.span, f.want)
		}
	}
}
