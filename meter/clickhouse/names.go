package clickhouse

import (
	"math"

	"github.com/ClickHouse/ch-go/proto"
)

// names is a column of type LowCardinality(String). Its dictionary is built as
// rows come, a row at a time: ch-go's ColLowCardinality builds it when all are
// there, which takes 2 ms for 20,000 rows, in which no request goes on
// (benchmarks/NOTES.md, 2026-11-26).
type names struct {
	proto.ColLowCardinalityRaw // as it is sent, once Prepare was called

	index proto.ColStr
	keys  []int // of each row, its place in index
	known map[string]int
	last  string // as most rows have what the one before has
}

func newNames() *names {
	n := &names{known: map[string]int{}}
	n.Index = &n.index
	return n
}

// Append adds a row.
func (n *names) Append(v string) {
	if rows := len(n.keys); rows > 0 && v == n.last {
		n.keys = append(n.keys, n.keys[rows-1])
		return
	}
	key, ok := n.known[v]
	if !ok {
		key = len(n.known)
		n.known[v] = key
		n.index.Append(v)
	}
	n.keys, n.last = append(n.keys, key), v
}

// Row gives one that was decoded.
func (n *names) Row(i int) string {
	switch keys := n.Keys().(type) {
	case *proto.ColUInt8:
		return n.index.Row(int(keys.Row(i)))
	case *proto.ColUInt16:
		return n.index.Row(int(keys.Row(i)))
	case *proto.ColUInt32:
		return n.index.Row(int(keys.Row(i)))
	}
	panic("BUG: a segment has no more rows than that")
}

// Rows counts them.
func (n *names) Rows() int { return max(len(n.keys), n.ColLowCardinalityRaw.Rows()) }

// Prepare makes the keys as narrow as they can be.
func (n *names) Prepare() error {
	switch last := len(n.known) - 1; {
	case last <= math.MaxUint8:
		n.Key = proto.KeyUInt8
	case last <= math.MaxUint16:
		n.Key = proto.KeyUInt16
	default:
		n.Key = proto.KeyUInt32
	}
	for _, k := range n.keys {
		n.AppendKey(k)
	}
	return nil
}

// Reset empties the column.
func (n *names) Reset() {
	n.ColLowCardinalityRaw.Reset()
	n.keys, n.last = n.keys[:0], ""
	clear(n.known)
}
