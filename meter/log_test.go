package meter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := OpenLog(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
}

func TestLogHoldsEveryRecordInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	const runs, each = 3, 4000 // more than a window
	for run := range runs {
		l := open(t, path)
		for i := range each {
			if err := l.Append(&Record{RequestID: fmt.Sprintf("%d-%d", run, i), TenantID: strings.Repeat("t", 200), Start: time.Unix(1, 0)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	all := lines(t, path)
	if len(all) != runs*each {
		t.Fatalf("%d lines, want %d", len(all), runs*each)
	}
	for i, line := range all {
		var r struct {
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.RequestID != fmt.Sprintf("%d-%d", i/each, i%each) {
			t.Fatalf("line %d: %v %s", i, err, line)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() > 8<<20 {
		t.Errorf("%v %v", err, info)
	}
}

func TestLogIsSafeForManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	l := open(t, path)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 1000 {
				_ = l.Append(&Record{RequestID: fmt.Sprintf("%d-%d", w, i)})
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range lines(t, path) {
		if !json.Valid([]byte(line)) || seen[line] {
			t.Fatalf("broken or double: %s", line)
		}
		seen[line] = true
	}
	if len(seen) != 8000 {
		t.Errorf("%d records, want 8000", len(seen))
	}
}

// TestRecordsOutliveKill runs itself as a child that appends, says so, and is
// killed: what was acknowledged is there, once.
func TestRecordsOutliveKill(t *testing.T) {
	if path := os.Getenv("METER_TEST_CHILD"); path != "" {
		l, err := OpenLog(path, nil)
		if err != nil {
			panic(err)
		}
		for i := 0; ; i++ {
			if l.Append(&Record{RequestID: fmt.Sprintf("id-%d", i)}) == nil {
				fmt.Println(i)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "records.jsonl")
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestRecordsOutliveKill$")
		child.Env = append(os.Environ(), "METER_TEST_CHILD="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		for last < 2000*(round+1) {
			if _, err := fmt.Fscan(out, &last); err != nil {
				t.Fatal(err)
			}
		}
		_ = child.Process.Kill()
		rest := 0
		for _, err := fmt.Fscan(out, &rest); err == nil; _, err = fmt.Fscan(out, &rest) {
			last = max(last, rest)
		}
		_ = child.Wait()
		before := strings.Count(strings.Join(lines(t, path), ""), `"id-0"`)
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		all := lines(t, path)
		if before != round+1 || !strings.Contains(all[len(all)-1], "id-") {
			t.Fatalf("round %d: %d beginnings", round, before)
		}
		if n := strings.Count(strings.Join(all, ""), fmt.Sprintf(`"id-%d"`, last)); n < 1 {
			t.Errorf("round %d: record %d was acknowledged and is gone", round, last)
		}
	}
}

func TestTornLineIsCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	if err := os.WriteFile(path, []byte("{\"request_id\":\"a\"}\n{\"request_id\":\"tor\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	_ = l.Append(&Record{RequestID: "b"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all := lines(t, path)
	if len(all) != 2 || !strings.Contains(all[0], `"a"`) || !strings.Contains(all[1], `"b"`) {
		t.Errorf("%q", all)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	l := open(t, path)
	if _, err := OpenLog(path, nil); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFullDiskKeepsRecords limits the file's size in place of filling a disk.
func TestFullDiskKeepsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	l := open(t, path)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	full := old
	full.Cur = windowBytes
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	n, err := 0, error(nil)
	for ; err == nil && n < 20_000; n++ {
		err = l.Append(&Record{RequestID: fmt.Sprint("id-", n), TenantID: strings.Repeat("t", 500)})
	}
	if restored := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, ErrNotWritten) {
		t.Fatalf("a full disk was not noticed: %v", err)
	}
	if err := l.Ready(); err != nil {
		t.Errorf("not ready with room again: %v", err)
	}
	_ = l.Append(&Record{RequestID: fmt.Sprint("id-", n)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all := lines(t, path)
	if len(all) != n+1 {
		t.Fatalf("%d records, want %d", len(all), n+1)
	}
	for i, line := range all {
		if !strings.Contains(line, fmt.Sprintf(`"id-%d"`, i)) {
			t.Fatalf("record %d: %s", i, line)
		}
	}
}

// TestRecordHasNoRoomForText: every field is a number, a time, or a string
// whose source is named here. A new string has to be argued for.
func TestRecordHasNoRoomForText(t *testing.T) {
	named := map[string]string{
		"RequestID": "ours", "TenantID": "ours", "TokenID": "ours", "CredentialID": "ours", "Provider": "table", "Endpoint": "table",
		"ModelAsked": "identifier", "ModelServed": "identifier", "ProviderRequestID": "identifier", "ProviderOrganization": "identifier",
		"SDK": "table", "ErrorCode": "table", "Fingerprint": "ours", "UnsealID": "ours",
	}
	for field := range reflect.TypeFor[Record]().Fields() {
		switch field.Type.Kind() {
		case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Bool:
		case reflect.String:
			if named[field.Name] == "" {
				t.Errorf("%s is a string that nobody has vouched for", field.Name)
			}
		default:
			if field.Type != reflect.TypeFor[time.Time]() && field.Type != reflect.TypeFor[Count]() {
				t.Errorf("%s is a %s", field.Name, field.Type)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l, err := OpenLog(filepath.Join(b.TempDir(), "records.jsonl"), nil)
	if err != nil {
		b.Fatal(err)
	}
	r := &Record{
		RequestID: "01a20a41-99f0-72e1-bdc1-58e62a2cb6d0", TenantID: "acme", TokenID: "NV1XWBnhavL2", CredentialID: "01a20a41-411c-722d-a950-936473620511",
		KeyVersion: 1, Provider: "openai", Endpoint: "chat_completions", ModelAsked: "gpt-4o-mini", ModelServed: "gpt-4o-mini", Outcome: OutcomeCompleted,
		Status: 200, Attempts: 1, RequestBytes: 1000, ResponseBytes: 900, InputTokens: Count{200, true}, OutputTokens: Count{150, true},
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Append(r)
	}
	b.StopTimer()
	_ = l.Close()
}
