package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// troubles collects alarms.
type troubles struct {
	mu  sync.Mutex
	all []Trouble
}

func (t *troubles) alarm(x Trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, x)
}

func (t *troubles) count(what string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.What == what {
			n++
		}
	}
	return n
}

// small makes files small, so that tests see many.
func small(dir string, t *troubles) Options {
	return Options{Dir: dir, FileBytes: 128 << 10, MaxBytes: 4 << 20, Alarm: t.alarm}
}

func open(t *testing.T, o Options) *Ledger {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// payload is number n's: of a length and content of its own.
func payload(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	return append([]byte(strconv.Itoa(n)+" "), bytes.Repeat([]byte{byte('a' + n%26)}, r.IntN(700))...)
}

// numbers reads the ledger back and checks each payload.
func numbers(t *testing.T, l *Ledger, from Position) (all []int) {
	t.Helper()
	last := from
	err := l.Read(from, func(next Position, kind Kind, p []byte) bool {
		digits, _, _ := strings.Cut(string(p), " ")
		n, err := strconv.Atoi(digits)
		if err != nil || !bytes.Equal(p, payload(n)) || kind != Kind(1+n%200) || !last.Before(next) {
			t.Errorf("frame at %v is not what was appended: %.20q", next, p)
		}
		last = next
		all = append(all, n)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func appendNumber(t *testing.T, l *Ledger, n int) {
	t.Helper()
	if err := l.Append(Kind(1+n%200), payload(n)); err != nil {
		t.Fatal(err)
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestFramesComeBackInOrder(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	first := l.Identity()
	const n = 2000 // several files
	var middle Position
	for i := range n {
		if i == n/2 {
			middle = l.End()
		}
		appendNumber(t, l, i)
	}
	if got := numbers(t, l, Position{}); !slices.Equal(got, upTo(n)) {
		t.Errorf("%d frames, want %d in order", len(got), n)
	}
	if got := numbers(t, l, middle); !slices.Equal(got, upTo(n)[n/2:]) {
		t.Errorf("from the middle: %d frames", len(got))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, small(dir, &told))
	defer l.Close()
	if got := numbers(t, l, Position{}); !slices.Equal(got, upTo(n)) {
		t.Errorf("after a restart: %d frames", len(got))
	}
	if id := l.Identity(); id.Gateway != first.Gateway || id.Epoch <= first.Epoch {
		t.Errorf("identity %v, then %v", first, id)
	}
	if len(told.all) != 0 {
		t.Errorf("alarms: %+v", told.all)
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	var told troubles
	l := open(t, small(t.TempDir(), &told))
	defer l.Close()
	const writers, each = 8, 250
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				appendNumber(t, l, w*each+i)
			}
		})
	}
	all.Wait()
	got := numbers(t, l, Position{})
	slices.Sort(got)
	if !slices.Equal(got, upTo(writers*each)) {
		t.Errorf("%d frames", len(got))
	}
}

// TestAppendedFramesOutliveKill runs itself as a child that appends, says so,
// and is killed.
func TestAppendedFramesOutliveKill(t *testing.T) {
	if dir := os.Getenv("LEDGER_TEST_CHILD"); dir != "" {
		l, err := Open(Options{Dir: dir, FileBytes: 128 << 10, MaxBytes: 64 << 20, Alarm: func(Trouble) {}})
		if err != nil {
			panic(err)
		}
		from, _ := strconv.Atoi(os.Getenv("LEDGER_TEST_FROM"))
		for n := from; ; n++ {
			if l.Append(Kind(1+n%200), payload(n)) == nil {
				fmt.Println(n)
			}
		}
	}
	dir := t.TempDir()
	acknowledged := 0
	for range 10 {
		child := exec.Command(os.Args[0], "-test.run=^TestAppendedFramesOutliveKill$")
		child.Env = append(os.Environ(), "LEDGER_TEST_CHILD="+dir, "LEDGER_TEST_FROM="+strconv.Itoa(acknowledged))
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for until := acknowledged + 200 + rand.IntN(400); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				break
			}
			acknowledged = n + 1
			if n >= until {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait()
		var told troubles
		l := open(t, Options{Dir: dir, FileBytes: 128 << 10, MaxBytes: 64 << 20, Alarm: told.alarm})
		got := numbers(t, l, Position{})
		if len(got) < acknowledged || !slices.Equal(got[:acknowledged], upTo(acknowledged)) || told.count("damaged") != 0 {
			t.Fatalf("%d frames of %d acknowledged, %+v", len(got), acknowledged, told.all)
		}
		acknowledged = len(got) // one more may have been on its way
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// logs lists the ledger's files.
func logs(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDamageCostsItsFrameOnly flips bytes all over, each in a copy of its own:
// every other frame is read, and what is lost is kept and named.
func TestDamageCostsItsFrameOnly(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	const n = 300
	for i := range n {
		appendNumber(t, l, i)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := logs(t, dir)[0]
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		at := r.IntN(len(good))
		bad := bytes.Clone(good)
		bad[at] ^= 1 << r.IntN(8)
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var told troubles
		l := open(t, small(dir, &told))
		lost := n - len(numbers(t, l, Position{}))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		inPadding := lost == 0 && len(told.all) == 0 // bytes that say nothing
		if lost > 1 || lost == 1 && len(told.all) != 1 || !inPadding && len(told.all) == 0 {
			t.Fatalf("byte %d: %d frames lost, %+v", at, lost, told.all)
		}
		for _, trouble := range told.all {
			if kept, err := os.ReadFile(trouble.Kept); err != nil || !bytes.Contains(bad, kept) || trouble.File != file {
				t.Errorf("byte %d: %+v, %v", at, trouble, err)
			}
		}
	}
}

// TestTornEndIsCut: half a frame at the end is a crash's, not damage; it is kept
// aside all the same.
func TestTornEndIsCut(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	for i := range 10 {
		appendNumber(t, l, i)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := logs(t, dir)[0]
	frame := make([]byte, frameBytes(1000))
	putFrame(frame, 7, bytes.Repeat([]byte("x"), 1000))
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(append(frame[:400], make([]byte, 5000)...))
	_ = f.Close()
	for range 2 { // cut once and for all
		l = open(t, small(dir, &told))
		if got := numbers(t, l, Position{}); len(got) != 10 {
			t.Errorf("%d frames", len(got))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if told.count("torn") != 1 || told.count("damaged") != 0 || told.all[0].Bytes < 300 {
		t.Errorf("%+v", told.all)
	}
}

func TestFullLedgerRefusesBeforeTheWork(t *testing.T) {
	var told troubles
	o := small(t.TempDir(), &told)
	o.MaxBytes = 512 << 10
	l := open(t, o)
	defer l.Close()
	n := 0
	for ; l.Reserve(2000) == nil; n++ {
		if err := l.Append(1, make([]byte, 1000)); err != nil {
			t.Fatalf("reserved, and then: %v", err)
		}
		if err := l.Append(2, make([]byte, 1000)); err != nil {
			t.Fatalf("reserved, and then: %v", err)
		}
		l.Release(2000)
		if n%20 == 0 {
			time.Sleep(5 * time.Millisecond) // for the spare file
		}
	}
	held, most := l.Bytes()
	if err := l.Reserve(2000); !errors.Is(err, ErrFull) || held > most || held < most/2 {
		t.Errorf("after %d: %v with %d of %d bytes", n, err, held, most)
	}
	if err := l.Trim(l.End()); err != nil {
		t.Fatal(err)
	}
	err := ErrFull
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		err = l.Reserve(2000) // there may be no spare file yet
	}
	if err != nil {
		t.Errorf("after a trim: %v", err)
	}
}

// TestReservationsHoldTogether: what is reserved at once can be appended,
// whatever the order.
func TestReservationsHoldTogether(t *testing.T) {
	var told troubles
	l := open(t, small(t.TempDir(), &told))
	defer l.Close()
	n := 0
	for l.Reserve(2000) == nil {
		n++
	}
	for range n {
		if err := l.Append(1, make([]byte, 2000)); err != nil {
			t.Fatalf("of %d reserved: %v", n, err)
		}
	}
	if n < 20 {
		t.Errorf("only %d fit", n)
	}
}

// TestDiskWithoutRoom runs itself as a child that may write small files only:
// the ledger does not open, or refuses, and never dies of it.
func TestDiskWithoutRoom(t *testing.T) {
	if dir := os.Getenv("LEDGER_TEST_FULL"); dir != "" {
		l, err := Open(Options{Dir: dir, FileBytes: 128 << 10, MaxBytes: 4 << 20, Alarm: func(x Trouble) { fmt.Println("ALARM", x.What) }})
		if err != nil {
			panic(err)
		}
		// From now on the disk takes no file of this size.
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
			panic(err)
		}
		for n := 0; ; n++ {
			if err := l.Reserve(1000); err != nil {
				fmt.Println("REFUSED", errors.Is(err, ErrFull), n)
				break
			}
			if err := l.Append(1, make([]byte, 1000)); err != nil {
				fmt.Println("FAILED", err)
			}
			l.Release(1000)
			time.Sleep(time.Millisecond)
		}
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestDiskWithoutRoom$")
	child.Env = append(os.Environ(), "LEDGER_TEST_FULL="+t.TempDir())
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "REFUSED true") || !strings.Contains(string(out), "ALARM disk") || strings.Contains(string(out), "FAILED") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDirectoryThatIsGoneForAWhile stands for one that turns read-only, which
// root would not notice: what fits is kept, the rest refused, and nothing lost.
func TestDirectoryThatIsGoneForAWhile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	var told troubles
	l := open(t, small(dir, &told))
	defer l.Close()
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; l.Reserve(1000) == nil; n++ {
		appendNumber(t, l, n)
		l.Release(1000)
	}
	if told.count("disk") == 0 || n < 100 {
		t.Errorf("%d frames, %+v", n, told.all)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); l.Reserve(1000) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the ledger does not recover")
		}
	}
	for ; n < 2000; n++ {
		appendNumber(t, l, n)
		if n%50 == 0 {
			time.Sleep(2 * time.Millisecond) // for the spare file
		}
	}
	if got := numbers(t, l, Position{}); !slices.Equal(got, upTo(2000)) {
		t.Errorf("%d frames of 2000", len(got))
	}
}

func TestTrimKeepsWhatIsAfter(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	defer l.Close()
	var middle Position
	for i := range 2000 {
		if i == 1000 {
			middle = l.End()
		}
		appendNumber(t, l, i)
	}
	before := len(logs(t, dir))
	if err := l.Trim(middle); err != nil {
		t.Fatal(err)
	}
	if after := len(logs(t, dir)); after >= before {
		t.Errorf("%d files before, %d after", before, after)
	}
	if got := numbers(t, l, middle); !slices.Equal(got, upTo(2000)[1000:]) {
		t.Errorf("%d frames after the middle", len(got))
	}
}

func TestDirectoryIsOneProcessOnly(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	if _, err := Open(small(dir, &told)); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, small(dir, &told)).Close()
}

func TestDirectoryThatCanNotBeUsed(t *testing.T) {
	var told troubles
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(small(filepath.Join(file, "ledger"), &told)); err == nil || !strings.Contains(err.Error(), "cannot open ledger") {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	open(t, small(dir, &told)).Close()
	if err := os.WriteFile(filepath.Join(dir, identityFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(small(dir, &told)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged identity: %v", err)
	}
}

// TestSpareThatWasInUseIsAdopted: power went before the file's new name was on
// the disk.
func TestSpareThatWasInUseIsAdopted(t *testing.T) {
	dir := t.TempDir()
	var told troubles
	l := open(t, small(dir, &told))
	for i := range 10 {
		appendNumber(t, l, i)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(logs(t, dir)[0], filepath.Join(dir, spareName)); err != nil {
		t.Fatal(err)
	}
	l = open(t, small(dir, &told))
	defer l.Close()
	if got := numbers(t, l, Position{}); len(got) != 10 {
		t.Errorf("%d frames", len(got))
	}
}

func FuzzScan(f *testing.F) {
	b := make([]byte, 256)
	putFrame(b, 3, []byte("payload"))
	putFrame(b[16:], 4, []byte("another"))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		at, frames := 0, 0
		end, damaged := scan(b, 0, func(kind Kind, payload []byte, next int) bool {
			if kind == 0 || next <= at || next > len(b) || len(payload) > next-at {
				t.Fatalf("frame of kind %d up to %d of %d", kind, next, len(b))
			}
			at = next
			frames++
			return true
		})
		if end > len(b) || end != at || len(damaged) > frames {
			t.Fatalf("end %d, %d damaged parts, %d frames", end, len(damaged), frames)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := Open(Options{Dir: b.TempDir(), MaxBytes: 1 << 40, Alarm: func(t Trouble) { b.Error(t) }})
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 350)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := l.Append(1, p); err != nil {
			b.Fatal(err)
		}
		if i%100_000 == 99_999 {
			b.StopTimer()
			if err := l.Trim(l.End()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
	b.StopTimer()
	_ = l.Close()
}

// TestHeaderCutShortIsNoDamage: a process that dies while it writes the header of
// a new file leaves the beginning of one and no frame.
func TestHeaderCutShortIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	if err := l.Append(1, payload(0)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cut := append([]byte(nil), magic...)
	if err := os.WriteFile(filePath(dir, 99), append(cut, make([]byte, 4096)...), 0o600); err != nil {
		t.Fatal(err)
	}
	var told troubles
	l = open(t, Options{Dir: dir, Alarm: told.alarm})
	defer l.Close()
	if got := numbers(t, l, Position{}); !slices.Equal(got, upTo(1)) || len(told.all) != 0 {
		t.Errorf("%d frames, %+v", len(got), told.all)
	}
}
