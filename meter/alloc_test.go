//go:build !race

package meter

import (
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter/ledger"
)

// TestAllocsPerRecord: what a request does to be recorded does not allocate.
func TestAllocsPerRecord(t *testing.T) {
	j, err := OpenJournal(JournalOptions{Dir: t.TempDir(), MaxBytes: 256 << 20, Alarm: func(x ledger.Trouble) { t.Errorf("%+v", x) }})
	if err != nil {
		t.Fatal(err)
	}
	r := &Record{EventID: NewEventID(), RequestID: NewEventID(), TenantID: "acme", ModelAsked: "gpt-4o", Start: time.Now(), OutputTokens: Count{9, true}}
	if n := testing.AllocsPerRun(1000, func() {
		if j.Admit() != nil || j.Open(r) != nil || j.Close(r) != nil {
			t.Fatal("not kept")
		}
		j.Leave()
	}); n != 0 {
		t.Errorf("%v allocations per record, want 0", n)
	}
	if err := j.Shut(); err != nil {
		t.Fatal(err)
	}
}
