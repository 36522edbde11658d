package admission

import "testing"

// TestWhatIsReadBackLateCountsForItsSpan: what was spent before this process
// began goes to the day that it was spent on, also when later days have begun.
func TestWhatIsReadBackLateCountsForItsSpan(t *testing.T) {
	for what, f := range map[string]struct{ counted, want period }{
		"nothing was counted":            {period{}, period{span: span{5, 1000}}},
		"that day goes on":               {period{span{5, 10}, span{4, 7}}, period{span{5, 1010}, span{4, 7}}},
		"a day later":                    {period{span: span{6, 10}}, period{span{6, 10}, span{5, 1000}}},
		"a day later, both were counted": {period{span{6, 10}, span{5, 7}}, period{span{6, 10}, span{5, 1007}}},
		"two days later":                 {period{span{7, 10}, span{6, 7}}, period{span{7, 10}, span{6, 7}}},
	} {
		got := f.counted
		got.restore(span{5, 1000})
		if got != f.want {
			t.Errorf("%s: counted %+v, want %+v", what, got, f.want)
		}
	}
}
