package spill

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSortsAnyAmount: whatever fits in memory, all entries come by key, those of
// one key in the order in which they were added, as often as they are asked for.
func TestSortsAnyAmount(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type entry struct{ key, value string }
	for _, limit := range []int{1, 100, 1 << 10, 1 << 20} {
		s := New(limit)
		var want []entry
		for i := range 3000 {
			e := entry{fmt.Sprint(random.IntN(500)), strings.Repeat("v", random.IntN(20)) + fmt.Sprint(i)}
			want = append(want, e)
			if err := s.Add([]byte(e.key), []byte(e.value)); err != nil {
				t.Fatal(err)
			}
			if limit >= 100 && len(s.arena)+entryBytes*len(s.entries) > limit+entryBytes+2 {
				t.Fatalf("%d bytes are held", len(s.arena))
			}
		}
		slices.SortStableFunc(want, func(a, b entry) int { return strings.Compare(a.key, b.key) })
		for range 2 {
			var got []entry
			err := s.Each(func(key, value []byte) error {
				got = append(got, entry{string(key), string(value)})
				return nil
			})
			if err != nil || !slices.Equal(got, want) || s.Len() != len(want) {
				t.Errorf("limit %d: %v, %d entries of %d, or in another order", limit, err, len(got), len(want))
			}
		}
		stop := errors.New("enough")
		if err := s.Each(func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNothingIsLeftBehind in the folder for temporary files, not even while it
// is used.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := New(100)
	for range 100 {
		if err := s.Add([]byte("key"), bytes.Repeat([]byte("v"), 50)); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := os.ReadDir(os.TempDir()); err != nil || len(files) > 0 || s.file == nil {
		t.Errorf("%v %v", files, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Each(func(_, _ []byte) error { return nil }); err == nil {
		t.Error("a file that is gone reads as if it had nothing")
	}
}

// TestFullDisk: what cannot be written is an error.
func TestFullDisk(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere/at/all")
	s := New(10)
	var err error
	for range 10 {
		err = errors.Join(err, s.Add([]byte("key"), []byte("value")))
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
