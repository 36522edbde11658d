package conformance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// arrival is what a suite may ask about a request at the provider.
type arrival struct {
	Method      string `json:"method"`
	Path        string `json:"path"`
	RawQuery    string `json:"raw_query"`
	SHA256      string `json:"sha256"`
	Bytes       int64  `json:"bytes"`
	ArrivedAtMS int64  `json:"arrived_at_ms"`
	LeftAtMS    int64  `json:"left_at_ms"` // 0: the caller stayed
}

// serveJournal answers GET ?tag=X with the requests whose model or query holds
// X, oldest first.
func serveJournal(t *testing.T, provider *fakeprovider.Server) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag := r.URL.Query().Get("tag")
		found := []arrival{}
		for _, a := range provider.Requests() {
			if strings.Contains(a.Model, tag) || strings.Contains(a.RawQuery, tag) {
				found = append(found, arrival{a.Method, a.Path, a.RawQuery, a.BodySHA256, a.BodyBytes, milliseconds(a.Arrived), milliseconds(a.LeftAt)})
			}
		}
		if err := json.NewEncoder(w).Encode(found); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func milliseconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}
