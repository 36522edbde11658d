package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/linear"
	"github.com/ownkey/ownkey/memory"
)

// TestExportsAtOnceAreBounded: a tenant has two places, whatever others have, and
// a place that was given back is free again.
func TestExportsAtOnceAreBounded(t *testing.T) {
	var e exports
	for i := range 100 {
		tenant := fmt.Sprint("t", i)
		for range 2 {
			if !e.begin(tenant) {
				t.Fatalf("%s finds no place", tenant)
			}
		}
		if e.begin(tenant) {
			t.Errorf("%s has a third place", tenant)
		}
	}
	e.end("t7")
	if !e.begin("t7") {
		t.Error("a place that was given back is not free")
	}
	for i := range 100 {
		e.end(fmt.Sprint("t", i))
		e.end(fmt.Sprint("t", i))
	}
	if len(e.of) != 0 {
		t.Errorf("%d tenants are left", len(e.of))
	}
}

// room counts what is taken.
type room struct{ taken, most int }

func (r *room) Take(n int) bool { r.taken += n; r.most = max(r.most, r.taken); return r.taken <= 3<<20 }
func (r *room) Give(n int)      { r.taken -= n }

// export reads an export to its end.
func export(t *testing.T, a *API, r *room, bucket string) (lines, most int) {
	t.Helper()
	answer := a.Answer(t.Context(), &Call{Caller: memory.Caller{Tenant: "acme"}, Method: http.MethodGet, Path: "buckets/" + bucket + "/export", Access: everyBucket{}, Room: r})
	if answer.Status != http.StatusOK || answer.Export == nil {
		t.Fatalf("%+v", answer)
	}
	defer answer.Export.Close()
	for {
		part, err := answer.Export.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return lines, most
		}
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, part.Len())
		lines += bytes.Count(part.parts[0], []byte("\n"))
	}
}

// TestExportsHoldTheSameForAnySize: of eight times as many memories no more is
// held, and all of them come.
func TestExportsHoldTheSameForAnySize(t *testing.T) {
	k := openKeeper(t, nil)
	a := New(k, func(string) string { return "" })
	const few, size = 300, 4 << 10
	for bucket, n := range map[string]int{"few": few, "many": 8 * few} {
		for done := 0; done < n; done += few {
			var w memory.Write
			for i := range few {
				w.Memories = append(w.Memories, memory.Memory{Content: fmt.Sprint(bucket, done+i, strings.Repeat(" ", size), "x")})
			}
			w.Bucket = bucket
			if _, err := k.Store(t.Context(), &memory.Caller{Tenant: "acme"}, &w); err != nil {
				t.Fatal(err)
			}
		}
	}
	held := func(bucket string, n int) int64 {
		return linear.Held(func() {
			var r room
			lines, most := export(t, a, &r, bucket)
			if lines != n || r.taken != 0 || r.most != exportBytes || most > exportBytes {
				t.Errorf("%s: %d lines, want %d; %d bytes at once, room taken %d, at most %d", bucket, lines, n, most, r.taken, r.most)
			}
		})
	}
	small, large := held("few", few), held("many", 8*few)
	if large > small+2<<20 {
		t.Errorf("%d memories: %d bytes are held, %d memories: %d bytes", few, small, 8*few, large)
	}
}

// TestExportsEndWithWhatWasThere: what is stored while an export goes on is not
// in it, so that it ends; what is deleted meanwhile is not, either.
func TestExportsEndWithWhatWasThere(t *testing.T) {
	k := openKeeper(t, nil)
	a := New(k, func(string) string { return "" })
	who := &memory.Caller{Tenant: "acme"}
	store := func(content string) string {
		got, err := k.Store(t.Context(), who, &memory.Write{Bucket: "b", Memories: []memory.Memory{{Content: content}}})
		if err != nil {
			t.Fatal(err)
		}
		return got[0].ID
	}
	last := ""
	for i := range 40 {
		last = store(fmt.Sprint("before ", i))
	}
	answer := a.Answer(t.Context(), &Call{Caller: *who, Method: http.MethodGet, Path: "buckets/b/export", Access: everyBucket{}, Room: &room{}})
	defer answer.Export.Close()
	var all bytes.Buffer
	for part := 0; ; part++ {
		body, err := answer.Export.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if _, werr := body.WriteTo(&all); err != nil || werr != nil || part > 3 {
			t.Fatal(part, err, werr)
		}
		for i := range 20 {
			store(fmt.Sprint("meanwhile ", part, i))
		}
		if part == 0 {
			if err := k.Delete(t.Context(), who, "b", last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if text := all.String(); strings.Count(text, "\n") != 39 || strings.Contains(text, "meanwhile") || strings.Contains(text, "before 39") {
		t.Errorf("%s", text)
	}
}
