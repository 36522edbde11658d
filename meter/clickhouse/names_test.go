package clickhouse

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
)

// TestNamesAreThoseOfChGo: the same bytes at each width of the keys, also in a
// column that is used again, and each row is what it was when they are read.
func TestNamesAreThoseOfChGo(t *testing.T) {
	n := newNames()
	for _, distinct := range []int{1, 256, 257, 70_000} {
		n.Reset()
		theirs := proto.NewLowCardinality(new(proto.ColStr))
		var values []string
		for i := range 2 * distinct {
			values = append(values, strconv.Itoa(i/2%distinct), strconv.Itoa(i%distinct))
		}
		for _, v := range values {
			n.Append(v)
			theirs.Append(v)
		}
		ours := encoded(t, n, len(values))
		if !bytes.Equal(ours, encoded(t, theirs, len(values))) {
			t.Errorf("%d names: other bytes than ch-go's", distinct)
		}
		back := newNames()
		r := proto.NewReader(bytes.NewReader(ours))
		block := proto.Block{}
		if err := block.DecodeRawBlock(r, 0, proto.Results{{Name: "name", Data: back}}); err != nil || back.Rows() != len(values) {
			t.Fatalf("%d names: %d rows come back of %d: %v", distinct, back.Rows(), len(values), err)
		}
		for i, v := range values {
			if back.Row(i) != v {
				t.Fatalf("%d names: row %d is %q, was %q", distinct, i, back.Row(i), v)
			}
		}
	}
}

func encoded(t *testing.T, data proto.Column, rows int) []byte {
	t.Helper()
	var b proto.Buffer
	b.PutInt(1)
	b.PutInt(rows)
	if err := (column{name: "name", data: data}).encode(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.Buf
}
