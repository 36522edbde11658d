package memory

import "testing"

// TestMeaningIsStandardized: a model whose cosines all lie in a narrow band far up says
// as much as one whose cosines do not, and a few vectors say nothing.
func TestMeaningIsStandardized(t *testing.T) {
	v := vectors{of: make([][]float32, 20)}
	wide, narrow := make([]float32, 20), make([]float32, 20)
	for i := range wide {
		v.of[i] = []float32{1}
		wide[i] = float32(i%5) / 10
		narrow[i] = .8 + wide[i]/20
	}
	wide[7], narrow[7] = .9, .8+.9/20
	a, b := v.standardized(wide), v.standardized(narrow)
	for i := range a {
		if d := a[i] - b[i]; d > .01 || d < -.01 {
			t.Errorf("%d: %v and %v", i, a[i], b[i])
		}
	}
	if a[7] < 2.5 {
		t.Errorf("the closest is %v deviations beyond the mean", a[7])
	}
	v.of[3] = nil
	if got := v.standardized(wide); got[3] != 0 {
		t.Errorf("without a vector: %v", got[3])
	}
	few := vectors{of: v.of[4:10]}
	if got := few.standardized(wide[4:10]); got != nil {
		t.Errorf("of six vectors: %v", got)
	}
	same := make([]float32, 20)
	for _, z := range v.standardized(same) {
		if z != 0 {
			t.Errorf("all alike: %v", z)
		}
	}
}
