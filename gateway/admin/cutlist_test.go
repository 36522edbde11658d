package admin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/meter"
)

// failingBooks give some rows, and then fail.
type failingBooks struct{ admin.Books }

func (failingBooks) ListRequests(_ context.Context, _ string, _, _ time.Time, each func(*meter.Record) error) error {
	for range 3 {
		if err := each(&meter.Record{EventID: meter.NewEventID(), TenantID: "acme", Start: time.Now()}); err != nil {
			return err
		}
	}
	return errors.New("the disk is gone")
}

// TestCutListDoesNotLookWhole: a store that fails amid a list ends the connection.
// It is no bug, and the log has why.
func TestCutListDoesNotLookWhole(t *testing.T) {
	p := newPlaneWith(t, func(o *admin.Options) { o.Usage.Books = failingBooks{o.Usage.Books} })
	request, err := http.NewRequest(http.MethodGet, p.server.URL+"/admin/v1/records?book=requests", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer oka_test")
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		defer response.Body.Close()
		var text []byte
		if text, err = io.ReadAll(response.Body); err == nil {
			t.Errorf("a list that was cut looks whole: %d %s", response.StatusCode, text)
		}
	}
	p.server.Close() // its handlers have ended
	if log := p.log.String(); !strings.Contains(log, "cannot list records") || strings.Contains(log, "by a bug") {
		t.Errorf("log: %s", log)
	}
}
