package wire

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func otherModels(t *testing.T, body string) (all []string) {
	t.Helper()
	var h Head
	if err := ReadAnyHead(text(body), &h); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	OtherModels(text(body), func(m []byte) bool { all = append(all, string(m)); return true })
	return all
}

func TestOtherModels(t *testing.T) {
	f := func(body string, want ...string) {
		t.Helper()
		if got := otherModels(t, body); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
	f(`{"model":"a","messages":[]}`)
	f(`{}`)
	f(`{"model":null}`)
	// Alternatives.
	f(`{"model":"a","models":["b","openai/c"],"route":"fallback"}`, "b", "openai/c")
	f(`{"models":["b", "\u0063"] , "x" : 1, "model" : "a"}`, "b", "c")
	f(`{"m\u006fdels":["b"],"MODELS":["c"]}`, "b", "c")
	f(`{"fallbacks":["a",{"model":"b"},{"c":["d"]}]}`, "a", "b", "d")
	f(`{"model":"a","context_window_fallbacks":[{"a":["b"]}],"content_policy_fallbacks":[{"a":["c"]}]}`, "b", "c")
	f(`{"models":[{"id":"a","provider":"x"},{"name":"b"}]}`, "a", "b")
	// A model that is an object.
	f(`{"model":{"id":"claude","speed":"fast"}}`, "claude")
	f(`{"model":["a","b"]}`, "a", "b")
	// Tools, sessions, plugins.
	f(`{"model":"a","tools":[{"type":"image_generation","model":"b"},{"type":"function","function":{"name":"f","parameters":{"model":"T","properties":{"model":{"type":"string"}}}}}]}`, "b")
	f(`{"session":{"model":"r","audio":{"input":{"transcription":{"model":"w"}}}}}`, "r", "w")
	f(`{"x":{"fallback_model":"a","embedding_models":["b"],"model_id":"c","model_name":"d","remodeled":"no"}}`, "a", "b", "c", "d")
	// Batches.
	f(`{"requests":[{"custom_id":"1","params":{"model":"a","messages":[{"role":"user","content":[{"model":"no"}]}]}},{"params":{"model":"b"}}]}`, "a", "b")
	f(`[{"model":"a"},{"model":"b"},[{"model":"c"}]]`, "a", "b", "c")
	// What is said, schemas and labels name none.
	f(`{"model":"a","messages":[{"role":"assistant","content":[{"type":"tool_use","input":{"model":"Tesla","models":["S"]}}]}],"metadata":{"model":"x"}}`)
	f(`{"model":"a","input":[{"type":"message","model":"no"}],"text":{"format":{"schema":{"model":"no"}}}}`)
	f(`{"response_format":{"json_schema":{"model":"no"}},"tools":[{"input_schema":{"model":"no"}}],"model":"a","x":{"model":"b"}}`, "b")
	f(`{"input":{"model":"a"},"messages":{"model":"b"}}`, "a", "b")
}

func TestOtherModelsStops(t *testing.T) {
	seen := 0
	if OtherModels(text(`{"models":["a","b","c"]}`), func(m []byte) bool { seen++; return string(m) != "b" }) || seen != 2 {
		t.Errorf("%d names were visited", seen)
	}
}

// TestOtherModelsIsLinear: twice the body takes about twice as long, whatever
// its shape.
func TestOtherModelsIsLinear(t *testing.T) {
	for _, f := range []struct{ name, open, close string }{
		{"deep", strings.Repeat(`{"a":[`, 200), strings.Repeat(`]}`, 200)}, {"wide", `{"model":["a","b"]}`, ""}, {"names", `"x",`, `"model"`},
	} {
		took := func(n int) time.Duration {
			body := `{"a":[` + strings.TrimSuffix(strings.Repeat(f.open+f.close+",", n), ",") + `]}`
			b := []byte(body)
			best := time.Hour
			for range 5 {
				began := time.Now()
				OtherModels(NewText(&b), func([]byte) bool { return true })
				best = min(best, time.Since(began))
			}
			return best
		}
		const n = 2000
		small, large := took(n), took(4*n)
		for try := 0; try < 3 && large > 12*small; try++ { // other work on the machine slows one of them down
			small, large = took(n), took(4*n)
		}
		if large > 12*small {
			t.Errorf("%s: %v for a body, %v for four times as much", f.name, small, large)
		}
	}
}
