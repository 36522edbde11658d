package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
)

// segmentID names a segment: seq is dense for each gateway, whatever its epoch,
// so that a hole is a loss that shows.
type segmentID struct {
	Gateway uuid.UUID `json:"gateway"`
	Epoch   uint64    `json:"epoch"`
	Seq     uint64    `json:"seq"`
}

// token is what ClickHouse knows a segment's insertion by.
func (s segmentID) token() string { return fmt.Sprintf("%s/%d/%d", s.Gateway, s.Epoch, s.Seq) }

// part is the rows of one book in a segment.
type part struct {
	Book   string    `json:"book"`
	Rows   int       `json:"rows"`
	Bytes  int       `json:"bytes"`
	SHA256 string    `json:"sha256"`
	First  time.Time `json:"first_at"`
	Last   time.Time `json:"last_at"`
}

// manifest is a segment's head: what is in it, and how far the ledger is taken
// when it is there.
type manifest struct {
	segmentID
	Made       time.Time        `json:"made_at"`
	Earlier    bool             `json:"earlier,omitempty"` // drain.Batch's
	Parts      []part           `json:"parts"`
	Checkpoint drain.Checkpoint `json:"checkpoint"`
}

// A segment's file is: the manifest's length (u32, little-endian), the SHA-256
// of the manifest, the manifest, and the parts' bodies in order, each one block
// in ClickHouse's Native format.
const segmentHead = 4 + sha256.Size

// errDamaged is a segment whose checksums do not fit.
var errDamaged = errors.New("segment is damaged")

// packer encodes batches, one at a time, in memory that it keeps: at 30,000 rows
// a second, making it anew was a twentieth of all that a request cost
// (benchmarks/NOTES.md).
type packer struct {
	columns map[string]columns // by book, empty
	bodies  proto.Buffer
}

// pack encodes a batch: head and bodies together are the segment's file. The
// bodies are the packer's, until the next batch.
func (k *packer) pack(id segmentID, b *drain.Batch, now time.Time) (m *manifest, head, bodies []byte, err error) {
	m = &manifest{segmentID: id, Made: now.UTC(), Earlier: b.Earlier, Checkpoint: b.Checkpoint}
	k.bodies.Reset()
	for _, book := range books {
		rows := rowsOf(book.name, b)
		if len(rows) == 0 {
			continue
		}
		from := len(k.bodies.Buf)
		if err := book.encode(&k.bodies, k.columnsOf(book), id, rows, &b.Pace); err != nil {
			return nil, nil, nil, err
		}
		m.Parts = append(m.Parts, describe(book, rows, k.bodies.Buf[from:], &b.Pace))
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot encode manifest: %w", err)
	}
	sum := sha256.Sum256(text)
	head = binary.LittleEndian.AppendUint32(nil, uint32(len(text))) //nolint:gosec // a manifest is small
	return m, append(append(head, sum[:]...), text...), k.bodies.Buf, nil
}

// columnsOf gives a book's columns, emptied.
func (k *packer) columnsOf(b book) columns {
	c, ok := k.columns[b.name]
	if !ok {
		if k.columns == nil {
			k.columns = map[string]columns{}
		}
		c = b.columns()
		k.columns[b.name] = c
	}
	for i := range c {
		c[i].data.Reset()
	}
	return c
}

func rowsOf(book string, b *drain.Batch) []meter.Row {
	switch book {
	case "requests":
		return rows(b.Requests)
	case "unseals":
		return rows(b.Unseals)
	default:
		return rows(b.Memory)
	}
}

func rows[R meter.Row](of []R) []meter.Row {
	all := make([]meter.Row, len(of))
	for i, r := range of {
		all[i] = r
	}
	return all
}

func describe(b book, rows []meter.Row, body []byte, pace *pace.Pace) part {
	p := part{Book: b.name, Bytes: len(body), SHA256: sumOf(body, pace)}
	for _, r := range rows {
		p.counts(b.when(r))
	}
	return p
}

// counts adds a row's time.
func (p *part) counts(at time.Time) {
	if p.Rows == 0 || at.Before(p.First) {
		p.First = at
	}
	if p.Rows == 0 || at.After(p.Last) {
		p.Last = at
	}
	p.Rows++
}

// sumOf is the SHA-256 of a body, in hexadecimal.
func sumOf(body []byte, pace *pace.Pace) string {
	sum := sha256.New()
	_ = pace.Bytes(body, func(b []byte) error {
		_, err := sum.Write(b) // it never fails
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))
}

// unpack reads a segment's file and checks every byte of it.
func unpack(file []byte) (*manifest, [][]byte, error) {
	if len(file) < segmentHead {
		return nil, nil, errDamaged
	}
	n := int(binary.LittleEndian.Uint32(file))
	if n > len(file)-segmentHead {
		return nil, nil, errDamaged
	}
	head, rest := file[segmentHead:segmentHead+n], file[segmentHead+n:]
	m := &manifest{}
	if sum := sha256.Sum256(head); !bytes.Equal(sum[:], file[4:segmentHead]) || json.Unmarshal(head, m) != nil {
		return nil, nil, errDamaged
	}
	bodies := make([][]byte, len(m.Parts))
	var pace pace.Pace
	for i, p := range m.Parts {
		if p.Bytes < 0 || p.Bytes > len(rest) {
			return m, nil, errDamaged
		}
		bodies[i], rest = rest[:p.Bytes], rest[p.Bytes:]
		if sumOf(bodies[i], &pace) != p.SHA256 {
			return m, nil, errDamaged
		}
	}
	if len(rest) > 0 {
		return m, nil, errDamaged
	}
	return m, bodies, nil
}
