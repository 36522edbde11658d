package terms

import "testing"

//nolint:misspell // on purpose
func TestNear(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"kitchn", "kitchen"}: 1, {"renovaton", "renov"}: -1, {"budgt", "budget"}: 1, {"shcool", "school"}: 1, {"mlia", "mila"}: 1, {"definately", "definitely"}: 1,
		{"accomodation", "acommodation"}: 2, {"allerg", "allergi"}: 1, {"alerji", "alerjik"}: 1, {"oturuyor", "oturuyorum"}: 2, {"собак", "собачк"}: 1, {"muench", "munch"}: 1,
		{"cake", "cafe"}: -1, {"house", "mouse"}: -1, {"cat", "cart"}: -1, {"garden", "pardon"}: -1, {"planet", "plant"}: 1, {"contract", "contact"}: 1, {"station", "nation"}: -1,
		{"harbour", "harbor"}: 1, {"restaurant", "resturaunt"}: 2, {"abcdefgh", "badcfehg"}: -1, {"care", "careful"}: -1, {"aaaaaaaa", "aaaaaaaaaaaa"}: -1,
	} {
		for _, p := range [][2]string{pair, {pair[1], pair[0]}} {
			got, near := Near(p[0], p[1])
			if near != (want >= 0) || near && got != want {
				t.Errorf("%q: %d %v, want %d", p, got, near, want)
			}
		}
	}
	for term, want := range map[string]bool{"kitchen": true, "собак": true, "cat": false, "inv-2041": false, "1234": false, "北京": false, "강아지집": false, "mila": true} {
		if Spelled(term) != want {
			t.Errorf("%q", term)
		}
	}
}

// FuzzNear: it is the same both ways round, and a word is near itself.
func FuzzNear(f *testing.F) {
	f.Add("kitchn", "kitchen")
	f.Fuzz(func(t *testing.T, a, b string) {
		d, near := Near(a, b)
		if e, too := Near(b, a); d != e || near != too {
			t.Errorf("%q and %q: %d %v, %d %v", a, b, d, near, e, too)
		}
		if d, near := Near(a, a); Spelled(a) && len(a) <= maxTermBytes && (!near || d != 0) {
			t.Errorf("%q: %d", a, d)
		}
	})
}

func BenchmarkNear(b *testing.B) {
	for b.Loop() {
		Near("neighbours", "nightingale")
	}
}
