package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(path)
}

// TestCheck: the database of testdata says that url.Parse (0001, which
// testdata/calls calls) and url.QueryEscape (0002, which it does not) are
// vulnerable.
func TestCheck(t *testing.T) {
	db := "file://" + testdata(t, "db")
	for name, tt := range map[string]struct {
		c         check
		err, said string // parts of both; no error if empty
	}{
		"called":                  {c: check{db: db}, err: "GO-0000-0001 in stdlib", said: "not called: GO-0000-0002"},
		"accepted":                {c: check{db: db, accepted: []string{"GO-0000-0001"}}, said: "accepted: GO-0000-0001"},
		"accepted for nothing":    {c: check{db: db, accepted: []string{"GO-0000-0001", "GO-0000-0002"}}, err: "GO-0000-0002 is listed"},
		"could not be asked":      {c: check{db: "http://127.0.0.1:1"}, said: "NOT CHECKED"},
		"must answer":             {c: check{db: "http://127.0.0.1:1", must: true}, err: "http://127.0.0.1:1"},
		"must answer from a file": {c: check{db: db + "/nowhere", must: true}, err: "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			tt.c.dir, tt.c.packages, tt.c.out = testdata(t, "calls"), []string{"."}, &out
			err := tt.c.run(t.Context())
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(out.String(), tt.said) {
				t.Errorf("said %q, want %q", out.String(), tt.said)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	got := accepted("GO-1111-1 in a sentence\n\n| id | why |\n| --- | --- |\n| GO-2222-22 | because |\n|GO-3333-333| so |\n")
	if want := []string{"GO-2222-22", "GO-3333-333"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
