package retention

import (
	"testing"
	"time"
)

// TestRetention: what is read is written again, and nothing else is read.
func TestRetention(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "never": Never, "12h": 12 * time.Hour, "90d": 90 * 24 * time.Hour, "36500d": most} {
		if got, err := Parse(text); err != nil || got != want || Text(got) != text {
			t.Errorf("%q: %v %v %q", text, got, err, Text(got))
		}
	}
	if got, err := Parse("4w"); err != nil || Text(got) != "28d" {
		t.Errorf("4w: %v %v", got, err)
	}
	for _, text := range []string{"0h", "0d", "1", "d", "-1d", "+1d", "1m", "1.5d", "36501d", "999999999999d", "90 d", "forever", "Never"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
