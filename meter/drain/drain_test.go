package drain_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/rs/zerolog"
)

// sink keeps batches in memory and fails when told to.
type sink struct {
	mu      sync.Mutex
	at      drain.Checkpoint
	rows    []*meter.Record
	unseals int
	earlier []bool // of each batch
	fail    error
	tries   int
}

func (s *sink) Checkpoint(context.Context, uuid.UUID) (drain.Checkpoint, error) { return s.at, nil }

func (s *sink) Take(_ context.Context, b *drain.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.fail != nil {
		return s.fail
	}
	for _, r := range b.Requests {
		row := *r
		s.rows = append(s.rows, &row)
	}
	s.unseals, s.at, s.earlier = s.unseals+len(b.Unseals), b.Checkpoint, append(s.earlier, b.Earlier)
	return nil
}

func (s *sink) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *sink) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

func journal(t *testing.T, dir string) *meter.Journal {
	t.Helper()
	j, err := meter.OpenJournal(meter.JournalOptions{Dir: dir, MaxBytes: 32 << 20, Alarm: func(x ledger.Trouble) { t.Errorf("%+v", x) }})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func start(t *testing.T, j *meter.Journal, s drain.Sink, log *bytes.Buffer) *drain.Drain {
	t.Helper()
	logger := zerolog.New(log)
	d, err := drain.Start(t.Context(), drain.Options{Journal: j, Sink: s, Quarantine: openQuarantine(t, t.TempDir(), 0), Log: &logger, Lines: log, Interval: 10 * time.Millisecond, BatchRows: 100})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func flush(t *testing.T, d *drain.Drain) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	if err := d.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func record() *meter.Record {
	return &meter.Record{EventID: meter.NewEventID(), TenantID: "acme", Start: time.Now(), Attempt: 1}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpenRequestsOfADeadProcess: what was open when the process died becomes
// one row; what is open in this process does not.
func TestOpenRequestsOfADeadProcess(t *testing.T) {
	dir, s, log := t.TempDir(), &sink{}, &bytes.Buffer{}
	j := journal(t, dir)
	d := start(t, j, s, log)
	lost, late, whole := record(), record(), record()
	must(t, j.Open(lost))
	must(t, j.Open(whole))
	must(t, j.Close(whole))
	flush(t, d)
	must(t, j.Open(late))
	d.Close() // late is in the ledger only, lost is in the checkpoint
	must(t, j.Shut())
	if len(s.rows) != 1 || len(s.at.Open) != 1 {
		t.Fatalf("%d rows, %d open", len(s.rows), len(s.at.Open))
	}
	for range 3 { // restarts
		j = journal(t, dir)
		mine := record()
		must(t, j.Open(mine))
		d = start(t, j, s, log)
		flush(t, d)
		must(t, j.Close(mine))
		flush(t, d)
		d.Close()
		must(t, j.Shut())
	}
	seen := map[uuid.UUID]meter.Outcome{}
	for _, r := range s.rows {
		if _, twice := seen[r.EventID]; twice {
			t.Errorf("%v comes twice", r.EventID)
		}
		seen[r.EventID] = r.Outcome
	}
	if len(seen) != 6 || seen[lost.EventID] != meter.OutcomeInterrupted || seen[late.EventID] != meter.OutcomeInterrupted || seen[whole.EventID] == meter.OutcomeInterrupted {
		t.Errorf("%v", seen)
	}
	if strings.Count(log.String(), `"interrupted"`) != 2 || !strings.Contains(log.String(), `"usage_source":"partial"`) {
		t.Errorf("%s", log)
	}
}

func TestSinkThatFails(t *testing.T) {
	s, log := &sink{}, &bytes.Buffer{}
	s.set(errors.New("away"))
	j := journal(t, t.TempDir())
	d := start(t, j, s, log)
	for range 250 {
		must(t, j.Close(record()))
	}
	for end := time.Now().Add(5 * time.Second); s.tried() < 2 && time.Now().Before(end); { // after the second, the first was told
		time.Sleep(time.Millisecond)
	}
	if d.Lag() == 0 || d.Taken() != 0 {
		t.Errorf("lag %v with %d taken", d.Lag(), d.Taken())
	}
	s.set(nil)
	flush(t, d)
	if len(s.rows) != 250 || d.Lag() != 0 || d.Taken() != 250 {
		t.Errorf("%d rows, lag %v", len(s.rows), d.Lag())
	}
	d.Close()
	must(t, j.Shut())
	if n := strings.Count(log.String(), "cannot hand records on"); n != 1 || !strings.Contains(log.String(), "handed on again") {
		t.Errorf("%d complaints", n)
	}
}

// slow is a sink that waits for leave before it takes a batch, and there is
// always another row behind it.
type slow struct {
	sink
	journal *meter.Journal
	leave   chan struct{}
}

func (s *slow) Take(ctx context.Context, b *drain.Batch) error {
	<-s.leave
	return errors.Join(s.sink.Take(ctx, b), s.journal.Close(record()))
}

// TestOnePassIsForAllWhoWait: however many wait for the newest rows, two passes
// are enough: the one that goes on, and one more.
func TestOnePassIsForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiting = 20
		j := journal(t, t.TempDir())
		s := &slow{journal: j, leave: make(chan struct{})}
		d := start(t, j, s, &bytes.Buffer{})
		must(t, j.Close(record()))
		time.Sleep(time.Second) // the first pass waits for its sink
		flushed := make(chan error, waiting)
		for range waiting {
			go func() { flushed <- d.Flush(t.Context()) }()
		}
		synctest.Wait()
		close(s.leave)
		for range waiting {
			must(t, <-flushed)
		}
		if tried := s.tried(); tried > 3 {
			t.Errorf("%d passes for %d who waited", tried, waiting)
		}
		d.Close()
		must(t, j.Shut())
	})
}

func TestLedgerForgetsWhatIsTaken(t *testing.T) {
	s := &sink{}
	j := journal(t, t.TempDir())
	d := start(t, j, s, &bytes.Buffer{})
	r := record()
	r.ModelAsked = strings.Repeat("m", 128)
	for range 100_000 { // 25 MB through files of 2 MB
		for j.Admit() != nil {
			time.Sleep(time.Millisecond)
		}
		r.EventID = meter.NewEventID()
		must(t, j.Close(r))
		j.Leave()
	}
	flush(t, d)
	if held, most := j.Bytes(); held > most/4 || len(s.rows) != 100_000 {
		t.Errorf("%d of %d bytes are held, %d rows", held, most, len(s.rows))
	}
	d.Close()
	must(t, j.Shut())
}

func TestRowThatCanNotBeReadIsSetAside(t *testing.T) {
	dir, s, log := t.TempDir(), &sink{}, &bytes.Buffer{}
	l, err := ledger.Open(ledger.Options{Dir: dir, Alarm: func(ledger.Trouble) {}})
	must(t, err)
	must(t, l.Append(meter.FrameRequest, []byte("from the future")))
	must(t, l.Append(99, []byte("unknown kind")))
	must(t, l.Append(meter.FrameRequest, meter.Encode(nil, record())))
	must(t, l.Close())
	j := journal(t, dir)
	logger, q := zerolog.New(log), openQuarantine(t, dir, 0)
	d, err := drain.Start(t.Context(), drain.Options{Journal: j, Sink: s, Quarantine: q, Log: &logger, Interval: 10 * time.Millisecond})
	must(t, err)
	flush(t, d)
	d.Close()
	must(t, j.Shut())
	var kept []string
	must(t, q.Each(func(r *quarantine.Row) error { kept = append(kept, string(r.Encoded)); return nil }))
	if len(s.rows) != 1 || !slices.Equal(kept, []string{"from the future", "unknown kind"}) || strings.Count(log.String(), "set aside") != 2 {
		t.Errorf("%d rows, %v\n%s", len(s.rows), kept, log)
	}
}

// TestNothingIsLostOrDoubledByKills runs itself as a child that opens, closes
// and acknowledges rows, and kills it at random moments. At the end each row
// that was closed is there once, as closed; each that was only opened is there
// once, as interrupted; and the sums agree.
func TestNothingIsLostOrDoubledByKills(t *testing.T) {
	if dir := os.Getenv("DRAIN_TEST_CHILD"); dir != "" {
		child(dir, os.Getenv("DRAIN_TEST_LAST") != "")
		return
	}
	dir := t.TempDir()
	opened, closed := map[string]bool{}, map[string]bool{}
	run := func(last string, kill time.Duration) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNothingIsLostOrDoubledByKills$")
		cmd.Env = append(os.Environ(), "DRAIN_TEST_CHILD="+dir, "DRAIN_TEST_LAST="+last)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if kill > 0 {
			time.AfterFunc(kill, func() { _ = cmd.Process.Kill() })
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			switch what, id, _ := strings.Cut(lines.Text(), " "); {
			case len(id) != 36:
			case what == "opened":
				opened[id] = true
			case what == "closed":
				closed[id] = true
			}
		}
		_ = cmd.Wait()
	}
	for range 12 {
		run("", 150*time.Millisecond+time.Duration(rand.IntN(400))*time.Millisecond)
	}
	run("last", 0)

	d, err := db.Open(t.Context(), filepath.Join(dir, "usage.db"))
	must(t, err)
	defer d.Close()
	store, err := sqlite.Open(t.Context(), d)
	must(t, err)
	found := map[string]string{}
	interrupted, rows := 0, 0
	must(t, store.ListRequests(t.Context(), "", time.Unix(0, 0), time.Now().Add(time.Hour), func(r *meter.Record) error {
		rows++
		found[r.EventID.String()] = r.Outcome.String()
		if r.Outcome == meter.OutcomeInterrupted {
			interrupted++
		}
		return nil
	}))
	if rows != len(found) {
		t.Errorf("%d rows of %d requests", rows, len(found))
	}
	for id := range closed {
		if found[id] != "completed" {
			t.Fatalf("%s was closed and is %q", id, found[id])
		}
	}
	for id := range opened {
		if found[id] == "" {
			t.Fatalf("%s was opened and is not there", id)
		}
	}
	var sum int
	must(t, d.Read.QueryRow("SELECT sum(requests) FROM requests_1h").Scan(&sum))
	if sum != len(found) || len(closed) < 1000 || interrupted == 0 || interrupted > 200 {
		t.Errorf("%d rows, %d in the sums, %d closed, %d interrupted", len(found), sum, len(closed), interrupted)
	}
	t.Logf("%d rows after 12 kills, %d of them interrupted", len(found), interrupted)
}

// child works until it is killed; the last one only hands over what is there.
func child(dir string, last bool) {
	j, err := meter.OpenJournal(meter.JournalOptions{Dir: filepath.Join(dir, "ledger"), MaxBytes: 64 << 20, Alarm: func(ledger.Trouble) {}})
	if err != nil {
		panic(err)
	}
	d, err := db.Open(context.Background(), filepath.Join(dir, "usage.db"))
	if err != nil {
		panic(err)
	}
	s, err := sqlite.Open(context.Background(), d)
	if err != nil {
		panic(err)
	}
	log := zerolog.New(os.Stderr)
	dr, err := drain.Start(context.Background(), drain.Options{Journal: j, Sink: s, Quarantine: &quarantine.File{}, Log: &log, Interval: 5 * time.Millisecond, BatchRows: 500})
	if err != nil {
		panic(err)
	}
	if last {
		if err := dr.Flush(context.Background()); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	for range 8 {
		go func() {
			for {
				r := record()
				if j.Admit() != nil {
					time.Sleep(time.Millisecond)
					continue
				}
				if j.Open(r) == nil {
					_, _ = os.Stdout.WriteString("opened " + r.EventID.String() + "\n")
				}
				r.Outcome, r.Status, r.TotalTime = meter.OutcomeCompleted, 200, time.Millisecond
				if j.Close(r) == nil {
					_, _ = fmt.Fprintf(os.Stdout, "closed %s\n", r.EventID)
				}
				j.Leave()
			}
		}()
	}
	select {}
}

// TestRefusalsAreAllOnTheBooks: what has no line has its row, and the end of the
// drain says how many lines were left out.
func TestRefusalsAreAllOnTheBooks(t *testing.T) {
	s, log := &sink{}, &bytes.Buffer{}
	j := journal(t, t.TempDir())
	d := start(t, j, s, log)
	for range 1000 {
		r := record()
		r.Outcome, r.ErrorCode = meter.OutcomeRefused, "rate_limited"
		must(t, j.Close(r))
	}
	flush(t, d)
	d.Close()
	must(t, j.Shut())
	if len(s.rows) != 1000 {
		t.Errorf("%d rows", len(s.rows))
	}
	if n := strings.Count(log.String(), "request done"); n != 10 || !strings.Contains(log.String(), `"lines":990`) {
		t.Errorf("%d lines: %s", n, log)
	}
}

// TestRowsOfAnEarlierProcessAreMarked: rows that it finished, those that it left
// open, and no others.
func TestRowsOfAnEarlierProcessAreMarked(t *testing.T) {
	for name, write := range map[string]func(*meter.Journal) error{
		"finished": func(j *meter.Journal) error { return j.Close(record()) },
		"open":     func(j *meter.Journal) error { return j.Open(record()) },
	} {
		dir, s := t.TempDir(), &sink{}
		j := journal(t, dir)
		must(t, write(j))
		must(t, j.Shut())
		j = journal(t, dir)
		d := start(t, j, s, &bytes.Buffer{})
		flush(t, d)
		must(t, j.Close(record()))
		flush(t, d)
		d.Close()
		must(t, j.Shut())
		if len(s.earlier) != 2 || !s.earlier[0] || s.earlier[1] {
			t.Errorf("%s: %v", name, s.earlier)
		}
	}
}

// TestLedgerThatLostItsFiles: somebody has removed them, to make room, or a disk
// has forgotten them. What is written from then on is handed on.
func TestLedgerThatLostItsFiles(t *testing.T) {
	dir, s := t.TempDir(), &sink{}
	for range 3 { // numbers of files grow
		j := journal(t, dir)
		d := start(t, j, s, &bytes.Buffer{})
		must(t, j.Close(record()))
		flush(t, d)
		d.Close()
		must(t, j.Shut())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	must(t, err)
	for _, f := range files {
		must(t, os.Remove(f))
	}
	var log bytes.Buffer
	j := journal(t, dir)
	d := start(t, j, s, &log)
	r := record()
	must(t, j.Close(r))
	flush(t, d)
	d.Close()
	must(t, j.Shut())
	if len(s.rows) != 4 || s.rows[3].EventID != r.EventID {
		t.Errorf("%d rows: %s", len(s.rows), &log)
	}
	if !strings.Contains(log.String(), "files of the ledger are gone") {
		t.Errorf("%s", &log)
	}
}
