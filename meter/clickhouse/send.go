package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/quarantine"
)

// askAfter is the age from which a segment that may have been sent is asked for
// before it is sent again: well within the window in which tokens are known.
const askAfter = 24 * time.Hour

// Pauses between two tries.
const (
	firstPause         = 100 * time.Millisecond
	longestPause       = 15 * time.Second
	configurationPause = 15 * time.Second
)

// sender sends segments in order, one at a time, until it is stopped.
func (s *Store) sender(ctx context.Context) {
	defer crash.Exit()
	pause := firstPause
	for ctx.Err() == nil {
		seg, ok := s.spool.first()
		if !ok {
			select {
			case <-ctx.Done():
			case <-s.spool.wake:
			}
			continue
		}
		err := s.sendSegment(ctx, seg)
		if err == nil {
			s.sends()
			pause = firstPause
			continue
		}
		if ctx.Err() != nil {
			return
		}
		kind, code := classOf(err)
		s.sendFails(err, kind, code)
		if kind == poison || kind == unclear {
			if err := s.spool.later(s.segments.Load()); err != nil {
				s.log.Error().Err(err).Msg("a restart now takes segments for new that may have been sent")
			}
		}
		wait := pause + rand.N(pause/2) //nolint:gosec // it is no secret
		pause = min(longestPause, 2*pause)
		if kind == configuration {
			wait = configurationPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// sendSegment brings one segment to ClickHouse and forgets it. A segment that
// is damaged on the disk is set aside.
func (s *Store) sendSegment(ctx context.Context, w waiting) error {
	if !s.checked {
		if err := s.check(ctx); err != nil {
			return err
		}
		s.checked = true
	}
	m, bodies, err := s.spool.read(w.seq)
	switch {
	case errors.Is(err, errDamaged):
		kept, err := s.spool.setAside(w.seq)
		if err != nil {
			return err
		}
		s.damaged(kept)
		return s.spool.drop(false)
	case errors.Is(err, fs.ErrNotExist): // somebody has taken it: the others must not wait for it
		s.damaged("")
		return s.spool.drop(false)
	}
	if err != nil {
		return fmt.Errorf("cannot read segment: %w", err)
	}
	rejected := make([]int, len(m.Parts))
	for i, p := range m.Parts {
		refused, err := s.bring(ctx, w, m, p, bodies[i])
		if err != nil {
			return err
		}
		rejected[i] = len(refused)
	}
	if err := s.note(ctx, w, m, rejected); err != nil {
		return err
	}
	for i, p := range m.Parts {
		s.taken.Add(int64(p.Rows - rejected[i]))
	}
	s.segments.Add(1)
	return s.spool.drop(true)
}

// bring inserts the rows of one book. After a first try that failed, they are
// looked for: a token may be known whose rows were lost. rejected are the places
// of those that the server refuses.
func (s *Store) bring(ctx context.Context, w waiting, m *manifest, p part, body []byte) (rejected []int, err error) {
	token := m.token()
	var kept part
	for again := 1; ; again++ {
		rejected, err = s.sendPart(ctx, w, m, p, body, token)
		if err != nil || !w.attempted {
			return rejected, err
		}
		if kept, err = p.kept(body, rejected); err != nil {
			return rejected, err
		}
		lost, err := s.missing(ctx, m, kept)
		if err != nil {
			return rejected, err
		}
		if lost == 0 || again > mostAgain {
			if lost > 0 {
				s.log.Error().Str("book", p.Book).Int("rows", lost).Msg("ClickHouse does not keep these rows of a segment")
			}
			break
		}
		token = fmt.Sprintf("%s/again-%d", m.token(), again)
	}
	if p.Book == "requests" && kept.Rows > 0 {
		err = s.recount(ctx, m, kept)
	}
	return rejected, err
}

// sendPart inserts the rows of one book under a token.
func (s *Store) sendPart(ctx context.Context, w waiting, m *manifest, p part, body []byte, token string) (rejected []int, err error) {
	b := bookOf(p.Book)
	if w.attempted && time.Since(w.made) > askAfter {
		there, err := s.count(ctx, b, m.segmentID, p)
		if err != nil || there >= uint64(p.Rows) { //nolint:gosec // not negative
			return nil, err
		}
	}
	err = s.insert(ctx, b, token, p.Rows, body)
	if errors.Is(err, errUnwritten) {
		if there, cerr := s.count(ctx, b, m.segmentID, p); cerr == nil && there >= uint64(p.Rows) { //nolint:gosec // not negative
			err = nil
		}
	}
	if err == nil || !s.refuses(w, err) {
		return nil, err
	}
	return s.halve(ctx, w, b, m, body, token, err)
}

// refuses reports whether an error means that the server refuses rows of a
// segment. After an unclear answer it does if it has taken others since.
func (s *Store) refuses(w waiting, err error) bool {
	kind, _ := classOf(err)
	return kind == poison || kind == unclear && w.stuck && s.segments.Load() > w.taken
}

// insert sends one block under a token.
func (s *Store) insert(ctx context.Context, b book, token string, rows int, body []byte) error {
	ctx, done := context.WithTimeout(ctx, s.client.server.Timeout)
	defer done()
	settings := clickhouse.WithSettings(s.client.insertSettings(token))
	statement := "INSERT INTO " + s.client.schema.name(b.name) + " (" + b.columns().names() + ")"
	if !s.client.http {
		return s.insertNative(clickhouse.Context(ctx, settings), b, statement, body)
	}
	var w written
	if err := s.client.conn.InsertFormat(clickhouse.Context(watchWritten(ctx, &w), settings), "Native", statement, bytes.NewReader(body)); err != nil {
		return fmt.Errorf("cannot insert: %w", err)
	}
	if !w.told || w.rows < int64(rows) {
		return fmt.Errorf("%w: it says %d of %d", errUnwritten, w.rows, rows)
	}
	return nil
}

// errUnwritten is an answer that looks like a success and does not say that the
// rows were written.
var errUnwritten = errors.New("ClickHouse has answered without saying that it has written the rows")

// insertNative sends the block's rows over the native protocol, whose blocks
// the driver makes: the same rows in the same order.
func (s *Store) insertNative(ctx context.Context, b book, statement string, body []byte) error {
	c := b.columns()
	n, err := c.decode(body)
	if err != nil {
		return err
	}
	batch, err := s.client.conn.PrepareBatch(ctx, statement)
	if err != nil {
		return fmt.Errorf("cannot insert: %w", err)
	}
	defer batch.Close() //nolint:errcheck // after Send it does nothing
	for i := range n {
		if err := batch.Append(c.values(i)...); err != nil {
			return fmt.Errorf("cannot insert: %w", err)
		}
	}
	if batch.Rows() != n {
		return fmt.Errorf("cannot insert: the driver holds %d of %d rows", batch.Rows(), n)
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("cannot insert: %w", err)
	}
	return nil
}

// halve inserts what can be of a block that the server refuses, in halves down
// to single rows; those that are refused alone go to the table of rejects. The
// halves' tokens follow from the block's, so that a second time is no other.
func (s *Store) halve(ctx context.Context, w waiting, b book, m *manifest, body []byte, token string, why error) (rejected []int, err error) {
	all, err := b.decode(body)
	if err != nil {
		return nil, err
	}
	return s.insertRange(ctx, w, b, m, all, token, 0, len(all), why)
}

func (s *Store) insertRange(ctx context.Context, w waiting, b book, m *manifest, all []meter.Row, token string, from, to int, why error) (rejected []int, err error) {
	if to-from == 1 {
		return []int{from}, s.reject(ctx, b, m, all[from], why)
	}
	middle := (from + to) / 2
	var pace pace.Pace
	for _, half := range [][2]int{{from, middle}, {middle, to}} {
		var body proto.Buffer
		err := b.encode(&body, b.columns(), m.segmentID, all[half[0]:half[1]], &pace)
		if err != nil {
			return rejected, err
		}
		err = s.insert(ctx, b, fmt.Sprintf("%s/%d-%d", token, half[0], half[1]), half[1]-half[0], body.Buf)
		if err != nil && s.refuses(w, err) {
			refused, herr := s.insertRange(ctx, w, b, m, all, token, half[0], half[1], err)
			rejected, err = append(rejected, refused...), herr
		}
		if err != nil {
			return rejected, err
		}
	}
	return rejected, nil
}

// reject keeps a row that the server refuses where an operator finds it: in the
// table of rejects, or in the quarantine if the server refuses it there as well.
func (s *Store) reject(ctx context.Context, b book, m *manifest, r meter.Row, why error) error {
	_, code := classOf(why)
	var line bytes.Buffer
	meter.NewPrinter(&line).Print(r)
	id := meter.EventIDOf(meter.Encode(nil, r))
	s.rejects(b.name, id, code)
	err := s.exec(ctx, m.token()+"/reject/"+id.String(), "INSERT INTO "+s.client.schema.name("rejects")+
		" (gateway, epoch, seq, book, event_id, code, reason, row) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		m.Gateway.String(), m.Epoch, m.Seq, b.name, id, code, reasonOf(why), line.String())
	if kind, _ := classOf(err); err == nil || kind != poison && kind != unclear {
		return err
	}
	return s.quarantine.Add(quarantine.Of(r, "refused by ClickHouse: "+reasonOf(why), time.Now()))
}

// errorName is how ClickHouse's messages end.
var errorName = regexp.MustCompile(`\(([A-Z][A-Z0-9_]{3,})\)`)

// reasonOf is the server's name for an error. Its message stays behind: it may
// quote the row.
func reasonOf(err error) string {
	if m := errorName.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return "unknown"
}

// note writes down that a segment is there: sums over the table of batches
// prove that none is missing.
func (s *Store) note(ctx context.Context, w waiting, m *manifest, rejected []int) error {
	places, values := make([]string, 0, len(m.Parts)), make([]any, 0, 9*len(m.Parts))
	for i, p := range m.Parts {
		places = append(places, "(?, ?, ?, ?, ?, ?, ?, ?, ?)")
		values = append(values, m.Gateway.String(), m.Epoch, m.Seq, p.Book, uint64(p.Rows), uint64(rejected[i]), //nolint:gosec // not negative
			p.First.UTC().Format(timeFormat), p.Last.UTC().Format(timeFormat), p.SHA256)
	}
	statement := "INSERT INTO " + s.client.schema.name("batches") +
		" (gateway, epoch, seq, book, rows, rejected, first_at, last_at, sha256) VALUES " + strings.Join(places, ", ")
	if err := s.exec(ctx, m.token(), statement, values...); err != nil || !w.attempted {
		return err
	}
	var there uint64
	row := s.client.conn.QueryRow(ctx, "SELECT uniqExact(book) FROM "+s.client.schema.name("batches")+" WHERE gateway = ? AND epoch = ? AND seq = ?",
		m.Gateway.String(), m.Epoch, m.Seq)
	if err := row.Scan(&there); err != nil {
		return fmt.Errorf("cannot ask for a segment: %w", err)
	}
	if there >= uint64(len(m.Parts)) {
		return nil
	}
	return s.exec(ctx, m.token()+"/"+uuid.NewString(), statement, values...)
}

// timeFormat is how ClickHouse reads a DateTime64(6).
const timeFormat = "2006-01-02 15:04:05.000000"

func (s *Store) exec(ctx context.Context, token, statement string, values ...any) error {
	ctx, done := context.WithTimeout(ctx, s.client.server.Timeout)
	defer done()
	if err := s.client.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(s.client.insertSettings(token))), statement, values...); err != nil {
		return fmt.Errorf("cannot insert: %w", err)
	}
	return nil
}

// count asks how many rows of a segment are there.
func (s *Store) count(ctx context.Context, b book, id segmentID, p part) (n uint64, err error) {
	row := s.client.conn.QueryRow(ctx, "SELECT count() FROM "+s.client.schema.name(b.name)+" FINAL WHERE gateway = ? AND epoch = ? AND seq = ? AND "+
		b.at+" >= toDateTime64(?, 6, 'UTC') AND "+b.at+" <= toDateTime64(?, 6, 'UTC')",
		id.Gateway.String(), id.Epoch, id.Seq, p.First.UTC().Format(timeFormat), p.Last.UTC().Format(timeFormat))
	if err := row.Scan(&n); err != nil {
		return 0, fmt.Errorf("cannot ask for a segment: %w", err)
	}
	return n, nil
}
