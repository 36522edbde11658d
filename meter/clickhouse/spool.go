package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter/drain"
)

// ErrSpoolFull says that ClickHouse has not taken segments for so long that
// there is no room for more. Rows wait in the ledger then.
var ErrSpoolFull = errors.New("the segments that ClickHouse has not taken fill their room")

// spool is a directory of segments that wait to be sent. A segment that is in
// it stays, with the same bytes, until it is acknowledged.
type spool struct {
	dir      string
	maxBytes int64
	wake     chan struct{} // a segment was added
	packer   packer        // add's
	file     []byte        // read's, whom only one goroutine calls

	mu    sync.Mutex
	queue []waiting // in order
	bytes int64
	last  mark
}

// waiting is a segment in the spool.
type waiting struct {
	seq   uint64
	bytes int64
	made  time.Time
	// attempted: it may have been sent, or its rows in another segment, by this
	// process or an earlier one.
	attempted bool
	// stuck: the server has given an unclear answer. taken is how many
	// segments it had taken by then.
	stuck bool
	taken int64
}

// mark is how far the spool has come: the newest segment's number and
// checkpoint. It outlives the segments in a file of its own.
type mark struct {
	Gateway    uuid.UUID        `json:"gateway"`
	Seq        uint64           `json:"seq"`
	Checkpoint drain.Checkpoint `json:"checkpoint"`
	// Turned: segments were not sent in their order since the spool was empty.
	Turned bool `json:"turned,omitempty"`
}

// sentWhole is the age up to which a segment behind the first is taken for one that
// was not sent: a restored directory has older ones that were.
const sentWhole = time.Hour

const (
	markFile      = "mark.json"
	segmentSuffix = ".segment"
	quarantineDir = "quarantine"
)

// openSpool takes over what an earlier process has left. damaged is called for
// segments that can not be read, which are moved to the folder quarantine.
func openSpool(dir string, maxBytes int64, damaged func(kept string)) (*spool, error) {
	s := &spool{dir: dir, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
	if err := os.MkdirAll(filepath.Join(dir, quarantineDir), 0o700); err != nil {
		return nil, fmt.Errorf("cannot open spool: %w", err)
	}
	held, err := os.ReadFile(filepath.Join(dir, markFile))
	if err == nil {
		err = json.Unmarshal(held, &s.last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read %s; restore it, or move the directory away: %w", filepath.Join(dir, markFile), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open spool: %w", err)
	}
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if seq, err := strconv.ParseUint(digits, 16, 64); ok && err == nil {
			if err := s.adopt(seq, damaged); err != nil {
				return nil, fmt.Errorf("cannot open spool: %w", err)
			}
		}
	}
	slices.SortFunc(s.queue, func(a, b waiting) int { return int(a.seq) - int(b.seq) }) //nolint:gosec // they are near each other
	for i := range s.queue {                                                            // they are sent one by one
		s.queue[i].attempted = s.queue[i].attempted || i == 0 || s.last.Turned || time.Since(s.queue[i].made) > sentWhole
	}
	return s, nil
}

// adopt takes over one segment.
func (s *spool) adopt(seq uint64, damaged func(kept string)) error {
	m, bodies, err := s.read(seq)
	if m != nil && m.Seq > s.last.Seq { // the mark is written after the segment
		s.last = mark{m.Gateway, m.Seq, m.Checkpoint, s.last.Turned}
	}
	if errors.Is(err, errDamaged) {
		s.last.Seq = max(s.last.Seq, seq)
		kept, err := s.setAside(seq)
		damaged(kept)
		return err
	}
	if err != nil {
		return err
	}
	size := int64(0)
	for _, b := range bodies {
		size += int64(len(b))
	}
	s.queue, s.bytes = append(s.queue, waiting{seq: seq, bytes: size, made: m.Made, attempted: m.Earlier}), s.bytes+size
	return nil
}

func (s *spool) path(seq uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x%s", seq, segmentSuffix))
}

// read gives a segment as it is on the disk. The manifest can be there although
// the error says that the rest is damaged. Its bytes are the spool's, until the
// next is read.
func (s *spool) read(seq uint64) (*manifest, [][]byte, error) {
	f, err := os.Open(s.path(seq))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	s.file = slices.Grow(s.file[:0], int(info.Size()))[:info.Size()]
	var pace pace.Pace
	if err := pace.Bytes(s.file, func(b []byte) error {
		_, err := io.ReadFull(f, b)
		return err
	}); err != nil {
		return nil, nil, err
	}
	return unpack(s.file)
}

// setAside moves a segment to the folder quarantine.
func (s *spool) setAside(seq uint64) (kept string, err error) {
	kept = filepath.Join(s.dir, quarantineDir, filepath.Base(s.path(seq)))
	return kept, os.Rename(s.path(seq), kept)
}

// checkpoint is how far a gateway's ledger is in segments.
func (s *spool) checkpoint(gateway uuid.UUID) drain.Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.Gateway != gateway {
		return drain.Checkpoint{}
	}
	return s.last.Checkpoint
}

// add makes a segment of a batch. The segment's file has the checkpoint in it,
// so both are there or neither.
func (s *spool) add(b *drain.Batch) error {
	s.mu.Lock()
	seq, held := s.last.Seq+1, s.bytes
	s.mu.Unlock()
	m, head, bodies, err := s.packer.pack(segmentID{b.Gateway.Gateway, b.Gateway.Epoch, seq}, b, time.Now())
	if err != nil {
		return err
	}
	size := int64(len(head) + len(bodies))
	if held+size > s.maxBytes {
		return ErrSpoolFull
	}
	if err := durable.WriteFile(s.path(seq), head, bodies); err != nil {
		return fmt.Errorf("cannot write segment: %w", err)
	}
	s.mu.Lock()
	s.last = mark{m.Gateway, m.Seq, m.Checkpoint, s.last.Turned}
	s.queue = append(s.queue, waiting{seq: seq, bytes: size, made: m.Made, attempted: m.Earlier})
	s.bytes += size
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// first is the next segment, now marked as attempted; false when there is
// none. before is as it was.
func (s *spool) first() (before waiting, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return before, false
	}
	before = s.queue[0]
	s.queue[0].attempted = true
	return before, true
}

// later lets the other segments go before the first one. Segments need no order:
// each has its own token. taken is how many were taken by now.
func (s *spool) later(taken int64) error {
	s.mu.Lock()
	first := s.queue[0]
	if !first.stuck {
		first.stuck, first.taken = true, taken
	}
	s.queue = append(slices.Clone(s.queue[1:]), first)
	known := s.last.Turned
	s.last.Turned = true
	last := s.last
	s.mu.Unlock()
	if known {
		return nil
	}
	return s.write(last)
}

// write keeps the mark.
func (s *spool) write(last mark) error {
	text, err := json.Marshal(last)
	if err == nil {
		err = durable.WriteFile(filepath.Join(s.dir, markFile), text)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the spool's mark: %w", err)
	}
	return nil
}

// drop forgets the first segment: it was acknowledged, or set aside. The mark
// is written before the file goes, as the next start finds the checkpoint in
// one of them.
func (s *spool) drop(remove bool) error {
	s.mu.Lock()
	s.last.Turned = s.last.Turned && len(s.queue) > 1
	gone, last := s.queue[0], s.last
	s.mu.Unlock()
	err := s.write(last)
	if err == nil && remove {
		err = os.Remove(s.path(gone.seq))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot forget segment: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.bytes = s.queue[1:], s.bytes-gone.bytes
	return nil
}

// state is for metrics: how many segments and bytes wait, since when.
func (s *spool) state() (segments int, bytes int64, oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.queue {
		if i == 0 || w.made.Before(oldest) {
			oldest = w.made
		}
	}
	return len(s.queue), s.bytes, oldest
}

// empty waits until every segment that is there now was acknowledged.
func (s *spool) empty(ctx context.Context) error {
	s.mu.Lock()
	last := s.last.Seq
	s.mu.Unlock()
	for {
		s.mu.Lock()
		done := !slices.ContainsFunc(s.queue, func(w waiting) bool { return w.seq <= last })
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("segments wait for ClickHouse: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
