package index

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/linear"
	"github.com/ownkey/ownkey/memory/asked"
)

// TestNamesAreLookedForInLinearTime: a question takes time in proportion to the
// speakers and to its words, not to both together, though it holds all words of
// all names.
func TestNamesAreLookedForInLinearTime(t *testing.T) {
	linear.Check(t, 64, func(n int) func() {
		n = min(n, 512) // of words: what is read of a question has no more
		x := New(&Default)
		words := make([]string, n)
		for i := range words {
			words[i] = fmt.Sprint("w", i)
		}
		question := strings.Join(words, " ")
		for range n {
			rand.Shuffle(n, func(i, j int) { words[i], words[j] = words[j], words[i] })
			x.Add(&Document{Text: "x", Speaker: strings.Join(words[:40], " ")})
		}
		return func() {
			for range 20 {
				x.Search(&Query{Question: asked.Question{Parts: []asked.Part{{Text: question, Weight: 1}}}, K: 8, Allow: func(int) bool { return true }})
			}
		}
	})
}
