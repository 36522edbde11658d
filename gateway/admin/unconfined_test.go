package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// TestUnconfinedTokensAreMarked: the list says which tokens are from before
// buckets were walls, and that all buckets are open to them.
func TestUnconfinedTokensAreMarked(t *testing.T) {
	for unconfined, want := range map[bool]string{true: `"buckets":{"read":["*"],"write":["*"]},"unconfined":true`, false: `"buckets":{"read":["team-a"],"write":["team-a"]},"limits"`} {
		token := &directory.Token{ID: "x", Bucket: "team-a", Buckets: directory.Buckets{Read: []string{"team-a"}, Write: []string{"team-a"}}, Unconfined: unconfined}
		if b, err := json.Marshal(viewToken(token, "")); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%v %s, want %s", err, b, want)
		}
	}
}
