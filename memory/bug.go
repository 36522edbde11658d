package memory

import (
	"strings"

	"github.com/ownkey/ownkey/internal/crash"
)

// bugError is a bug of ours: where it is, and nothing of what it had in hand.
type bugError struct{ at []string }

// Error gives the place.
func (e *bugError) Error() string { return "failed by a bug at " + strings.Join(e.at, ", ") }

// survive is deferred around work for one tenant: its failure is no reason to
// end the others'.
func survive(err *error) {
	if recover() != nil {
		*err = &bugError{crash.Places()}
	}
}
