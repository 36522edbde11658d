package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/linear"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// joined is a report with its findings.
type joined struct {
	*Report
	WithoutUnseal []Request
	Foreign       []Foreign
}

// closed reads all findings of a report, from JSON, as its readers do.
func closed(t *testing.T, b *Books) *joined {
	t.Helper()
	r, err := b.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var text strings.Builder
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var all struct {
		WithoutUnseal []Request `json:"requests_without_unseal"`
		Foreign       []Foreign `json:"foreign_unseals"`
	}
	if err := json.Unmarshal([]byte(text.String()), &all); err != nil {
		t.Fatalf("%v: %s", err, &text)
	}
	first, err := r.Foreign.First(3)
	if err != nil || !reflect.DeepEqual(first, append([]Foreign(nil), all.Foreign[:min(3, len(all.Foreign))]...)) {
		t.Errorf("%v: first %+v of %+v", err, first, all.Foreign)
	}
	return &joined{r, all.WithoutUnseal, all.Foreign}
}

// books joins lines made at minutes after noon; the window is the first hour.
func books(t *testing.T, records, vault string) *joined {
	t.Helper()
	b := New("transit", Window{noon, noon.Add(time.Hour)})
	if err := b.AddRecords(strings.NewReader(records)); err != nil {
		t.Fatal(err)
	}
	if err := b.AddVaultLog(strings.NewReader(vault)); err != nil {
		t.Fatal(err)
	}
	return closed(t, b)
}

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

func unsealed(minute int, id, tenant string) string {
	return fmt.Sprintf(`{"level":"info","unseal":%q,"at":%q,"tenant":%q,"credential":"c","keyring":"vault","message":"unseal"}`+"\n", id, at(minute).Format(time.RFC3339Nano), tenant)
}

func hedged(minute int, id, tenant string) string {
	return strings.Replace(unsealed(minute, id, tenant), `"message"`, `"hedge":true,"message"`, 1)
}

func requested(minute int, id, tenant, unseal string) string {
	return fmt.Sprintf(`{"level":"info","request_id":%q,"started_at":%q,"tenant":%q,"credential":"c","unseal":%q,"message":"request done"}`+"\n", id, at(minute).Format(time.RFC3339Nano), tenant, unseal)
}

var calls int

func decrypted(minute int, tenant, header string, items int) string {
	calls++
	batch := strings.TrimSuffix(strings.Repeat(`{"ciphertext":"x"},`, items), ",")
	line := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"time":%q,"auth":{"display_name":"approle","accessor":"hmac-sha256:a"},"request":{"id":"v%d","path":"transit/decrypt/ownkey-%s","remote_address":"10.0.0.9","data":{"batch_input":[%s]},"headers":{"ownkey-unseal-id":[%q]}}}`+"\n",
			kind, at(minute).Format(time.RFC3339Nano), calls, tenant, batch, header)
	}
	return line("request") + line("response")
}

func TestHonestBooksMatch(t *testing.T) {
	records := unsealed(-1, "early", "acme") + requested(1, "r1", "acme", "early") + // unsealed before the window
		unsealed(2, "one", "acme") + unsealed(2, "two", "acme") + hedged(2, "one", "acme") + hedged(2, "two", "acme") + requested(2, "r2", "acme", "one") + requested(3, "r3", "acme", "one") +
		unsealed(4, "idle", "zoo") + unsealed(5, "lost", "zoo") +
		`{"request_id":"r4","started_at":"1970-01-01T00:00:00Z","tenant":"acme","message":"request done"}` + "\n" + // refused: no credential
		requested(70, "r5", "acme", "nothing") + // after the window
		"\x00\x00\x00" + `{"half`
	vault := decrypted(-1, "acme", "early", 1) + decrypted(2, "acme", "one,two", 2) + decrypted(2, "acme", "one,two,hedge", 2) +
		decrypted(4, "zoo", "idle", 1) + decrypted(80, "acme", "later", 1) +
		`{"type":"response","request":{"path":"transit/encrypt/ownkey-acme"}}` + "\n" +
		strings.ReplaceAll(decrypted(6, "zoo", "", 1), `"request":`, `"error":"permission denied","request":`)
	r := books(t, records, vault+vault) // two audit devices
	if !r.Match || r.Calls != 3 || r.Refused != 1 || r.Unseals != 3 || r.Idle != 2 || r.Unanswered != 1 || r.MostRequests != 2 || r.Requests != 3 ||
		len(r.Served) != 2 || r.Served[1] != (Served{2, 1}) {
		t.Errorf("%+v", r)
	}
}

func TestWhatWeDidNotMakeIsNamed(t *testing.T) {
	records := unsealed(1, "one", "acme") + hedged(1, "one", "acme") + unsealed(1, "two", "zoo") + requested(1, "r1", "acme", "one")
	soon := func(vault string) string { // at the time of our calls
		return strings.ReplaceAll(vault, at(9).Format(time.RFC3339Nano), at(1).Format(time.RFC3339Nano))
	}
	for what, vault := range map[string]string{
		"no unseal id":                       decrypted(9, "acme", "", 1),
		"id is not in our records":           decrypted(9, "acme", "made-up", 1),
		"ours, but of tenant acme":           decrypted(9, "zoo", "one", 1),
		"ours, and was used again":           soon(decrypted(9, "acme", "one", 1)),
		"carries no unseal id":               soon(decrypted(9, "zoo", "two", 2)), // one more ciphertext in a call of ours
		"is ours, and was used again":        soon(decrypted(9, "acme", "one,hedge", 1) + decrypted(9, "acme", "one,hedge", 1)),
		"a second call that we did not make": decrypted(9, "zoo", "two,hedge", 1),
		"its unseal id is not in our record": decrypted(9, "acme", "hmac-sha256:00", 1),
	} {
		r := books(t, records, decrypted(1, "acme", "one", 1)+vault)
		if r.Match || len(r.Foreign) != 1 || !strings.Contains(r.Foreign[0].Why, what) || r.Foreign[0].RemoteAddress != "10.0.0.9" {
			t.Errorf("%s: %+v", what, r.Foreign)
		}
	}
}

// TestIDsThatWereNotAnswered: an id that we recorded and that Vault did not
// answer, because it was sealed or refused the call, serves nobody later. A second
// call of ours may succeed where the first was refused.
func TestIDsThatWereNotAnswered(t *testing.T) {
	refused := func(vault string) string {
		return strings.ReplaceAll(vault, `"request":`, `"error":"permission denied","request":`)
	}
	second := func(s int) string { return at(1).Add(time.Duration(s) * time.Second).Format(time.RFC3339Nano) }
	after := func(s int, vault string) string {
		return strings.ReplaceAll(vault, at(1).Format(time.RFC3339Nano), second(s))
	}
	records := unsealed(1, "one", "acme") + after(3, hedged(1, "one", "acme"))
	for name, c := range map[string]struct{ vault, why string }{
		"at once":                       {after(1, decrypted(1, "acme", "one", 1)), ""},
		"clocks differ":                 {after(-3, decrypted(1, "acme", "one", 1)), ""},
		"the hedge, at its end":         {after(8, decrypted(1, "acme", "one,hedge", 1)), ""},
		"at the first moment":           {after(-5, decrypted(1, "acme", "one", 1)), ""},
		"at the last moment":            {after(3+10, decrypted(1, "acme", "one", 1)), ""},
		"minutes later":                 {decrypted(9, "acme", "one", 1), "at another time"},
		"just too late":                 {after(14, decrypted(1, "acme", "one", 1)), "at another time"},
		"before we asked":               {after(-6, decrypted(1, "acme", "one", 1)), "at another time"},
		"the hedge, minutes later":      {decrypted(9, "acme", "one,hedge", 1), "at another time"},
		"refused, then used":            {refused(decrypted(1, "acme", "one", 1)) + after(2, decrypted(1, "acme", "one", 1)), "had refused it before"},
		"refused, then the hedge":       {refused(decrypted(1, "acme", "one", 1)) + after(4, decrypted(1, "acme", "one,hedge", 1)), ""},
		"the hedge refused, then used":  {refused(decrypted(1, "acme", "one,hedge", 1)) + after(4, decrypted(1, "acme", "one,hedge", 1)), "had refused it before"},
		"another tenant's call refused": {refused(decrypted(1, "zoo", "one", 1)) + after(2, decrypted(1, "acme", "one", 1)), ""},
	} {
		r := books(t, records, c.vault)
		if c.why == "" && !r.Match || c.why != "" && (r.Match || len(r.Foreign) != 1 || !strings.Contains(r.Foreign[0].Why, c.why)) {
			t.Errorf("%s: %+v", name, r.Foreign)
		}
	}
}

func TestRequestsWithoutAnUnsealAreNamed(t *testing.T) {
	for what, records := range map[string]string{
		"unknown id":         requested(1, "r1", "acme", "never"),
		"no id":              requested(1, "r1", "acme", ""),
		"never answered":     unsealed(1, "lost", "acme") + requested(1, "r1", "acme", "lost"),
		"of somebody else's": unsealed(1, "one", "zoo") + requested(1, "r1", "acme", "one"),
	} {
		r := books(t, records, decrypted(1, "zoo", "one", 1))
		if len(r.WithoutUnseal) != 1 || r.WithoutUnseal[0].ID != "r1" || r.Match {
			t.Errorf("%s: %+v", what, r)
		}
	}
}

// lines gives what line makes of the numbers below n, one after the other.
func lines(n int, line func(i int) string) io.Reader {
	var rest string
	i := 0
	return readFunc(func(p []byte) (int, error) {
		for rest == "" {
			if i == n {
				return 0, io.EOF
			}
			rest = line(i)
			i++
		}
		c := copy(p, rest)
		rest = rest[c:]
		return c, nil
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestMemoryDoesNotGrowWithTheLogs: eight times as many requests, unseals, calls
// and findings need no more memory, and each of them is found.
func TestMemoryDoesNotGrowWithTheLogs(t *testing.T) {
	const few = 1500
	held := func(n int) int64 {
		return linear.Held(func() {
			b := newBooks("transit", Window{noon, noon.Add(time.Hour)}, 256<<10)
			id := func(i int) string { return fmt.Sprint("unseal-", i) }
			// Every second request is without an unseal, every second call not ours.
			err := b.AddRecords(lines(n, func(i int) string {
				return unsealed(1, id(2*i), "acme") + requested(2, fmt.Sprint("r", i), "acme", id(i))
			}))
			err = errors.Join(err, b.AddVaultLog(lines(n, func(i int) string { return decrypted(1, "acme", id(i), 1) })))
			r, closing := b.Close()
			if err = errors.Join(err, closing); err != nil {
				t.Error(err)
				return
			}
			if r.Requests != n || r.WithoutUnseal.Len() != n/2 || r.Foreign.Len() != n/2 || r.Unseals != n/2 || r.Unanswered != n/2 || r.Calls != n {
				t.Errorf("%+v with %d and %d findings", r, r.WithoutUnseal.Len(), r.Foreign.Len())
			}
			if err := errors.Join(r.WriteJSON(io.Discard), r.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	small, large := held(few), held(8*few)
	if large > 2*small+2<<20 {
		t.Errorf("%d requests: %d bytes, %d requests: %d bytes", few, small, 8*few, large)
	}
}

func TestBrokenLogIsAnError(t *testing.T) {
	b := New("transit", Window{noon, at(60)})
	if err := b.AddRecords(strings.NewReader("{broken\n" + unsealed(1, "one", "acme"))); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v", err)
	}
}

// FuzzBooks: whatever stands in the logs, the report's numbers fit together, a
// log that is given twice counts once, and nothing hides a decrypt that we did
// not make.
func FuzzBooks(f *testing.F) {
	f.Add(unsealed(1, "one", "acme")+requested(1, "r1", "acme", "one"), decrypted(1, "acme", "one", 1))
	f.Add(unsealed(1, "one", "acme")+hedged(1, "one", "acme")+requested(2, "r1", "acme", "one")+"\x00\x00{\"half", decrypted(1, "acme", "one, hedge", 2)+decrypted(2, "zoo", "", 0))
	f.Add("{broken\n"+unsealed(1, "one", "acme"), strings.ReplaceAll(decrypted(6, "zoo", "", 1), `"request":`, `"error":"permission denied","request":`))
	f.Add(`{"message":"unseal","unseal":"","tenant":"","at":"0001-01-01T00:00:00Z"}`, `{"type":"response","request":{"path":"transit/decrypt/ownkey-","headers":{"ownkey-unseal-id":[",","hedge"]}}}`)
	f.Add("null\n[]\n7", "null \"transit/decrypt/ownkey-\"")
	foreign := strings.Replace(decrypted(9, "acme", "made-up", 1), `"id":"v`, `"id":"foreign`, 2)
	f.Fuzz(func(t *testing.T, records, vault string) {
		if strings.Contains(records+vault, "made-up") || strings.Contains(vault, "foreign") {
			return
		}
		read := func(logs ...string) (*joined, bool) {
			b := New("transit", Window{noon, noon.Add(time.Hour)})
			ok := b.AddRecords(strings.NewReader(records)) == nil
			for _, l := range logs {
				ok = ok && b.AddVaultLog(strings.NewReader(l)) == nil
			}
			return closed(t, b), ok
		}
		once, ok := read(vault)
		if !ok {
			return
		}
		served := once.Idle
		for i, s := range once.Served {
			if served += s.Unseals; s.Least != 1<<i {
				t.Fatalf("%+v", once)
			}
		}
		if served != once.Unseals || len(once.WithoutUnseal) > once.Requests || once.Match != (len(once.WithoutUnseal)+len(once.Foreign) == 0) {
			t.Fatalf("%+v", once)
		}
		if twice, ok := read(vault, vault); !ok || !reflect.DeepEqual(once, twice) {
			t.Fatalf("once %+v, twice %+v", once, twice)
		}
		if more, ok := read(vault + "\n" + foreign); ok && (more.Match || len(more.Foreign) != len(once.Foreign)+1) {
			t.Fatalf("a foreign decrypt is not named: %+v", more)
		}
		if more, ok := read(vault, foreign); !ok || more.Match || len(more.Foreign) != len(once.Foreign)+1 {
			t.Fatalf("a foreign decrypt is not named: %+v", more)
		}
	})
}

// TestTheTimeOfACallIsBounded: to the millisecond, and as the documentation says.
// Only within that time does an id that Vault never answered serve anybody else.
func TestTheTimeOfACallIsBounded(t *testing.T) {
	const before, after = 5 * time.Second, 10 * time.Second
	said := fmt.Sprintf("more than %d s before it, or %d s after it or its one repetition, is not ours", before/time.Second, after/time.Second)
	if text, err := os.ReadFile("../../docs/security-audit.md"); err != nil || !strings.Contains(strings.ReplaceAll(string(text), "\n", " "), said) {
		t.Errorf("the documentation does not say %q: %v", said, err)
	}
	shifted := func(by time.Duration, line string) string {
		return strings.ReplaceAll(line, at(1).Format(time.RFC3339Nano), at(1).Add(by).Format(time.RFC3339Nano))
	}
	const repeated = 2 * time.Second
	once := unsealed(1, "one", "acme")
	twice := once + shifted(repeated, hedged(1, "one", "acme"))
	for _, c := range []struct {
		records string
		by      time.Duration
		foreign int
	}{
		{once, -before - time.Millisecond, 1},
		{once, -before, 0},
		{once, 0, 0},
		{once, after, 0},
		{once, after + time.Millisecond, 1},
		{twice, repeated + after, 0},
		{twice, repeated + after + time.Millisecond, 1},
	} {
		if r := books(t, c.records, shifted(c.by, decrypted(1, "acme", "one", 1))); len(r.Foreign) != c.foreign || r.Match != (c.foreign == 0) {
			t.Errorf("%v after the call: %+v", c.by, r.Foreign)
		}
	}
	// The id serves once, also within that time.
	if r := books(t, once, decrypted(1, "acme", "one", 1)+shifted(time.Second, decrypted(1, "acme", "one", 1))); len(r.Foreign) != 1 {
		t.Errorf("twice: %+v", r.Foreign)
	}
}

// TestFileThatIsNoAuditLog: another file is refused, not read as a Vault that saw
// nothing; an audit log of other calls, or of none yet, is taken.
func TestFileThatIsNoAuditLog(t *testing.T) {
	for _, f := range []struct {
		text string
		good bool
	}{
		{"", true},
		{"\n", true},
		{decrypted(1, "acme", "u", 1), true},
		{`{"type":"request","time":"2026-11-01T00:00:00Z","request":{"path":"sys/health"}}` + "\n", true},
		{"\x00\x00" + `{"type":"response","time":"2026-11-01T00:00:00Z","request":{"path":"auth/token/lookup-self"}}`, true},
		{`{"level":"info","message":"request"}` + "\n", false},
		{requested(2, "r", "acme", "u"), false},
		{"2026-11-01 Vault server started!\n==> log follows\n", false},
		{"{}\n[]\n", false},
		{"\x1f\x8b\x08", false},
	} {
		err := New("transit", Window{noon, noon.Add(time.Hour)}).AddVaultLog(strings.NewReader(f.text))
		if (err == nil) != f.good || err != nil && !strings.Contains(err.Error(), "no line is an entry") {
			t.Errorf("%q: %v", f.text, err)
		}
	}
}
