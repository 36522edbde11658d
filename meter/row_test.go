package meter

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// kinds are the rows there are.
var kinds = map[string]func() Row{
	"request": func() Row { return &Record{} },
	"unseal":  func() Row { return &Unseal{} },
	"memory":  func() Row { return &MemoryEvent{} },
}

// TestRowsHaveNoRoomForText: every field is a number, a time, or a string whose
// source is named here. A new string has to be argued for.
func TestRowsHaveNoRoomForText(t *testing.T) {
	named := map[string]string{
		"TenantID": "ours", "TokenID": "ours", "CredentialID": "ours", "Provider": "table", "Endpoint": "table",
		"ModelAsked": "identifier", "ModelServed": "identifier", "ProviderRequestID": "identifier", "ProviderOrganization": "identifier",
		"SDK": "table", "ErrorCode": "table", "Fingerprint": "ours", "UnsealID": "ours", "ID": "ours", "Keyring": "ours", "BucketID": "ours",
	}
	closed := []reflect.Type{
		reflect.TypeFor[time.Time](), reflect.TypeFor[Count](), reflect.TypeFor[uuid.UUID](), reflect.TypeFor[time.Duration](), reflect.TypeFor[int64](),
		reflect.TypeFor[bool](), reflect.TypeFor[Outcome](), reflect.TypeFor[ErrorCause](), reflect.TypeFor[UsageSource](), reflect.TypeFor[MemoryOutcome](), reflect.TypeFor[MemoryOp](),
	}
	for name, make := range kinds {
		for field := range reflect.TypeOf(make()).Elem().Fields() {
			known := false
			for _, c := range closed {
				known = known || field.Type == c
			}
			if field.Type == reflect.TypeFor[string]() {
				known = named[field.Name] != ""
			}
			if !known {
				t.Errorf("%s: %s is a %s that nobody has vouched for", name, field.Name, field.Type)
			}
			lower := strings.ToLower(field.Name)
			for _, word := range []string{"price", "cost", "usd", "prompt", "content", "message", "body", "query"} {
				if strings.Contains(lower, word) {
					t.Errorf("%s: %s does not belong here", name, field.Name)
				}
			}
		}
	}
}

// fill gives every field of a row a random value, within what it can hold.
func fill(r Row, random *rand.Rand) {
	for field, f := range reflect.ValueOf(r).Elem().Fields() {
		switch at := f.Addr().Interface().(type) {
		case *uuid.UUID:
			for i := range at {
				at[i] = byte(random.Uint32())
			}
		case *time.Time:
			*at = time.UnixMicro(1 + random.Int64N(4e15)).UTC()
		case *time.Duration:
			*at = time.Duration(random.Int64N(1e9)) * time.Microsecond
		case *Count:
			if random.IntN(2) == 0 {
				*at = Count{random.Int64N(MaxNumber), true}
			}
		case *string:
			most := 64 // of names and ids of ours
			if slices.Contains([]string{"ModelAsked", "ModelServed", "ProviderRequestID", "ProviderOrganization", "Provider"}, field.Name) {
				most = 128 // what others call something
			}
			*at = strings.Repeat(string(rune('a'+random.IntN(26))), random.IntN(most+1))
		case *int64:
			*at = random.Int64N(1 << uint(1+random.IntN(36)))
		case *bool:
			*at = random.IntN(2) == 0
		case *Outcome:
			*at = Outcome(random.IntN(len(OutcomeNames)))
		case *ErrorCause:
			*at = ErrorCause(random.IntN(len(ErrorCauseNames)))
		case *UsageSource:
			*at = UsageSource(random.IntN(len(UsageSourceNames)))
		case *MemoryOutcome:
			*at = MemoryOutcome(random.IntN(len(MemoryOutcomeNames)))
		case *MemoryOp:
			*at = MemoryOp(random.IntN(len(MemoryOpNames)))
		default:
			panic("fill does not know " + f.Type().String())
		}
	}
}

// TestRowsSurviveTheLedger: what is encoded comes back, every field of it, and
// fits into the room that is reserved.
func TestRowsSurviveTheLedger(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, make := range kinds {
		for range 3000 {
			in, out := make(), make()
			fill(in, random)
			b := Encode(nil, in)
			if err := Decode(b, out); err != nil || !reflect.DeepEqual(in, out) {
				t.Fatalf("%s: %v\n%+v\n%+v", name, err, in, out)
			}
			if id := reflect.ValueOf(in).Elem().FieldByName("EventID").Interface(); id != EventIDOf(b) {
				t.Fatalf("%s: event id %v is not %v", name, EventIDOf(b), id)
			}
			if len(b) > maxRowBytes {
				t.Fatalf("%s: %d bytes", name, len(b))
			}
		}
	}
}

// TestOlderRowsAreRead: a row that ends before columns which are newer than it.
func TestOlderRowsAreRead(t *testing.T) {
	r := Record{TenantID: "acme", TotalTime: time.Second, CacheHit: true}
	b := Encode(nil, &r)
	var older Record
	if err := Decode(b[:len(b)-3], &older); err != nil || older.TenantID != "acme" || older.CacheHit {
		t.Errorf("%v %+v", err, older)
	}
	b[0]++
	if err := Decode(b, &older); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a row of another version: %v", err)
	}
}

// FuzzDecode: a row is read, or is ErrUnreadable; what was read is written and
// read again as the same row.
func FuzzDecode(f *testing.F) {
	r := Record{TenantID: "acme", OutputTokens: Count{3, true}}
	f.Add(Encode(nil, &r))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, make := range kinds {
			row, again := make(), make()
			if err := Decode(b, row); err != nil {
				if !errors.Is(err, ErrUnreadable) {
					t.Error(err)
				}
				continue
			}
			if err := Decode(Encode(nil, row), again); err != nil || !reflect.DeepEqual(row, again) {
				t.Errorf("%v\n%+v\n%+v", err, row, again)
			}
		}
	})
}

// FuzzLine: whatever row can be read, it is printed as one line of JSON in which
// every column stands once, and its strings as they are.
func FuzzLine(f *testing.F) {
	r := Record{TenantID: "a\"b\n\u2028", ModelAsked: "\xff", Start: time.UnixMicro(1).UTC(), OutputTokens: Count{-3, true}, TotalTime: time.Second}
	f.Add(Encode(nil, &r))
	f.Add(Encode(nil, &Unseal{ID: "u\x00", At: time.UnixMicro(-1 << 62)}))
	f.Add(Encode(nil, &MemoryEvent{TenantID: "\\"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, make := range kinds {
			row := make()
			if Decode(b, row) != nil {
				continue
			}
			var out bytes.Buffer
			NewPrinter(&out).Print(row)
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil || bytes.IndexByte(out.Bytes(), '\n') != out.Len()-1 {
				t.Fatalf("%q, %v", out.Bytes(), err)
			}
			row.Columns(printed{t, line})
			delete(line, "level")
			delete(line, "message")
			if len(line) > 0 {
				t.Fatalf("%q has no column of %v", out.Bytes(), line)
			}
		}
	})
}

// printed takes the columns of a row out of the line that it was printed as.
type printed struct {
	t    *testing.T
	line map[string]any
}

func (p printed) take(name string, want any) {
	got, ok := p.line[name]
	if delete(p.line, name); !ok && want != nil || ok && got != want {
		p.t.Helper()
		p.t.Fatalf("%s is %v, want %v", name, got, want)
	}
}

func (p printed) UUID(name string, v *uuid.UUID) {
	if *v == uuid.Nil {
		p.take(name, nil)
		return
	}
	p.take(name, v.String())
}

func (p printed) Time(name string, v *time.Time) {
	text, _ := p.line[name].(string)
	if got, err := time.Parse(time.RFC3339Nano, text); v.Year() >= 0 && v.Year() <= 9999 && (err != nil || !got.Equal(*v)) {
		p.t.Fatalf("%s is %s, want %v", name, text, v)
	}
	delete(p.line, name)
}

func (p printed) Name(name string, v *string) {
	if *v == "" {
		p.take(name, nil)
		return
	}
	p.take(name, string([]rune(*v))) // each byte that is not UTF-8 is a U+FFFD
}

func (p printed) ID(name string, v *string)                { p.Name(name, v) }
func (p printed) Enum(name string, v *uint8, all []string) { p.take(name, all[*v]) }

func (p printed) Number(name string, v *int64) {
	if *v == 0 {
		p.take(name, nil)
		return
	}
	p.take(name, float64(*v))
}

func (p printed) Count(name string, v *Count) {
	if !v.Set {
		p.take(name, nil)
		return
	}
	p.take(name, float64(v.N))
}

func (p printed) Duration(name string, v *time.Duration) {
	micros := v.Microseconds()
	if *v != 0 && micros == 0 {
		p.take(name, 0.0)
		return
	}
	p.Number(name, &micros)
}

func (p printed) Flag(name string, v *bool) {
	if !*v {
		p.take(name, nil)
		return
	}
	p.take(name, true)
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	p := NewPrinter(&out)
	p.Print(&Record{TenantID: "acme", Start: time.UnixMicro(1_764_000_000_000_001), InputTokens: Count{0, true}, Outcome: OutcomeCompleted, Status: 200})
	p.Print(&Unseal{ID: "u"})
	var r map[string]any
	if err := json.NewDecoder(&out).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r["tenant"] != "acme" || r["started_at"] != "2025-11-24T16:00:00.000001Z" || r["input_tokens"] != 0.0 || r["output_tokens"] != nil ||
		r["outcome"] != "completed" || r["message"] != MessageRequest || r["request_id"] != nil {
		t.Errorf("%v", r)
	}
}

func BenchmarkOpenAndClose(b *testing.B) {
	j, err := OpenJournal(JournalOptions{Dir: b.TempDir(), MaxBytes: 1 << 40, Alarm: nil})
	if err != nil {
		b.Fatal(err)
	}
	r := &Record{
		RequestID: NewEventID(), TenantID: "acme", TokenID: "NV1XWBnhavL2", CredentialID: "01a20a41-411c-722d-a950-936473620511", UnsealID: "01a20a41-411c-722d-a950-936473620512",
		KeyVersion: 1, Provider: "openai", Endpoint: "chat_completions", ModelAsked: "gpt-4o-mini", ModelServed: "gpt-4o-mini", Outcome: OutcomeCompleted,
		Status: 200, Attempt: 1, RequestBytes: 1000, ResponseBytes: 900, InputTokens: Count{200, true}, OutputTokens: Count{150, true}, Start: time.Now(),
	}
	b.ReportAllocs()
	for b.Loop() {
		if j.Admit() != nil || j.Open(r) != nil || j.Close(r) != nil {
			b.Fatal("not kept")
		}
		j.Leave()
		if held, _ := j.Bytes(); held > 1<<28 {
			b.StopTimer()
			_ = j.Trim(j.End())
			b.StartTimer()
		}
	}
	b.StopTimer()
	_ = j.Shut()
}
