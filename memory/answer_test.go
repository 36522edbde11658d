package memory

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

// saying is a provider that always answers the same.
type saying []byte

func (s saying) Ask(context.Context, Caller, string, []byte) ([]byte, error) { return s, nil }
func (saying) SpeaksMessages(string, string) bool                            { return false }

// FuzzVectors: whatever an embedding model answers, there is a vector for every
// text, and each is of length 1 when it is kept, or is zero throughout.
func FuzzVectors(f *testing.F) {
	for _, s := range []string{
		`{"data":[{"index":0,"embedding":[3,4]},{"index":1,"embedding":[0.5,-1e-3]}]}`, `{"data":[{"index":1,"embedding":[1]},{"index":1,"embedding":[1]}]}`,
		`{"data":[{"index":0,"embedding":[]},{"embedding":[0,0,0]}]}`, `{"data":[{"index":-1,"embedding":[1]}]}`, `{"data":[{"embedding":[3e38,3e38,-3e38]},{"index":1,"embedding":[1e39]}]}`, "null",
		`{"data":[{"embedding":[1e-20,1e-20]},{"index":1,"embedding":[0,-0.0]}]}`,
	} {
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, answer []byte, n uint8) {
		k := &Keeper{provider: saying(answer)}
		all, err := k.askVectors(context.Background(), Caller{Tenant: "acme"}, "m", make([]string, n))
		if err != nil {
			if !errors.Is(err, errAnswer) {
				t.Fatal(err)
			}
			return
		}
		if len(all) != int(n) {
			t.Fatalf("%q: %d vectors for %d texts", answer, len(all), n)
		}
		for _, v := range all {
			kept := decodeVector(encodeVector(v))
			var square, zero float64
			for i, x := range kept {
				square += float64(x) * float64(x)
				zero += math.Abs(float64(v[i]))
			}
			if len(v) == 0 || len(kept) != len(v) || zero > 0 && !(math.Abs(square-1) < 1e-3) || zero == 0 && square != 0 {
				t.Fatalf("%q: %v is kept as %v", answer, v, kept)
			}
		}
	})
}

// FuzzJSONIn: JSON in a fence is the JSON that stands without one.
func FuzzJSONIn(f *testing.F) {
	for _, s := range []string{`{"facts":["a"]}`, " {}\n", "```json\n{}\n```", "```\n[]```", "```", "``````", `"` + "```" + `"`, "json", "\u00a0null"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		got := JSONIn(said)
		if !strings.Contains(said, got) || strings.TrimSpace(got) != got {
			t.Fatalf("%q gives %q", said, got)
		}
		if !json.Valid([]byte(said)) {
			return
		}
		want := strings.TrimSpace(said)
		for _, s := range []string{said, "```" + said + "```", "```json\n" + said + "\n```\n", "\n```\n" + said + "```"} {
			if got := JSONIn(s); got != want {
				t.Fatalf("%q gives %q, want %q", s, got, want)
			}
		}
	})
}
