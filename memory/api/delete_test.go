package api

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/memory"
)

type everyBucket struct{}

func (everyBucket) ReadsBucket(string) bool  { return true }
func (everyBucket) WritesBucket(string) bool { return true }

// openKeeper is a keeper of one tenant's memories; erase may be nil.
func openKeeper(t *testing.T, erase func(context.Context) error) *memory.Keeper {
	t.Helper()
	ctx := t.Context()
	database, err := db.Open(ctx, filepath.Join(t.TempDir(), "memory.db"))
	if err == nil {
		err = database.Migrate(ctx, memory.Migrations(), "memory_migrations")
	}
	if err != nil {
		t.Fatal(err)
	}
	if erase == nil {
		erase = func(context.Context) error { return nil }
	}
	k, err := memory.Open(ctx, memory.Options{
		Write: database.Write, Read: database.Read, Erase: erase, Emit: func(memory.Event) error { return nil },
		Tenants: func(string) bool { return true }, Settings: func(string) memory.Settings { return memory.Settings{} }, Trouble: func(string, error) {},
		MaxResidentBytes: 256 << 20, MaxBucketMemories: 10_000, MaxTenantBuckets: 10, MaxTenantBytes: 256 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close(); _ = database.Close() })
	return k
}

// TestDeletionsSayWhetherTextIsLeft: 200 when no file has it, 202 with erased
// false while a reader keeps it in one.
func TestDeletionsSayWhetherTextIsLeft(t *testing.T) {
	ctx := t.Context()
	var late error
	k := openKeeper(t, func(context.Context) error { return late })
	a := New(k, func(string) string { return "" })
	for _, late = range []error{nil, errors.New("a reader")} {
		for _, path := range []string{"one", "buckets/b/memories", "buckets/b"} {
			got, err := k.Store(ctx, &memory.Caller{Tenant: "acme"}, &memory.Write{Bucket: "b", Memories: []memory.Memory{{Content: "x"}}})
			if err != nil {
				t.Fatal(err)
			}
			if path == "one" {
				path = "buckets/b/memories/" + got[0].ID
			}
			answer := a.Answer(ctx, &Call{Caller: memory.Caller{Tenant: "acme"}, Method: http.MethodDelete, Path: path, Access: everyBucket{}})
			var body strings.Builder
			if _, err := answer.Body.WriteTo(&body); err != nil {
				t.Fatal(err)
			}
			want := http.StatusOK
			if late != nil {
				want = http.StatusAccepted
			}
			if says := strings.Contains(body.String(), `"erased":false`); answer.Status != want || says != (late != nil) || !strings.Contains(body.String(), `"success":true`) {
				t.Errorf("%s with %v: %d %s", path, late, answer.Status, &body)
			}
		}
	}
}
