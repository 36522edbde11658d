package admission

import (
	"math"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// TestABudgetThatIsSpentStaysSpent, however much a provider says was used.
func TestABudgetThatIsSpentStaysSpent(t *testing.T) {
	budget := directory.Limits{TokensPerDay: 1000, TokensPerMonth: 1000}
	l := newLimiter(t)
	c := caller("acme", "a", budget, budget)
	var all []*Pass
	for range 3 { // at once: all are let in before the first has spent
		all = append(all, mustEnter(t, l, c, noon))
	}
	for _, p := range all {
		p.Leave(math.MaxInt64, noon)
		var again Pass
		if l.Enter(&again, c, noon) == nil {
			t.Fatal("a call is let in behind the spent budget")
		}
	}
}
