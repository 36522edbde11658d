package main

import (
	"testing"
	"time"
)

func TestTimesAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"now": "2026-11-27T09:30:00Z", "today": "2026-11-27T00:00:00Z", "Yesterday": "2026-11-26T00:00:00Z",
		"2 hours ago": "2026-11-27T07:30:00Z", "90m": "2026-11-27T08:00:00Z", "1 day ago": "2026-11-26T09:30:00Z", "2w": "2026-11-13T09:30:00Z",
		"2026-11": "2026-11-01T00:00:00Z", "2026-11-23": "2026-11-23T00:00:00Z", "2026-11-23 10:15": "2026-11-23T10:15:00Z",
		"2026-11-23T10:00:00Z": "2026-11-23T10:00:00Z", "2026-11-23T12:00:00+02:00": "2026-11-23T10:00:00Z",
	} {
		if got, err := parseWhen(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s %v, want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "tomorrow", "2026-13", "-1h", "999999 weeks ago", "10", "2026-11-31", "1 fortnight ago"} {
		if got, err := parseWhen(text, now); err == nil {
			t.Errorf("%q is taken as %s", text, got)
		}
	}
}

func TestLifetimesAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]time.Duration{"720h": 720 * time.Hour, "30d": 720 * time.Hour, "2 weeks": 336 * time.Hour, "1h30m": 90 * time.Minute, "1 day": 24 * time.Hour, "45s": 45 * time.Second} {
		var got lifetime
		if err := got.UnmarshalText([]byte(text)); err != nil || time.Duration(got) != want {
			t.Errorf("%s: %v %v, want %v", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{"", "0", "0d", "-5h", "30", "tomorrow", "2 hours ago", "1 month", "999999 weeks", "1ms"} {
		var got lifetime
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as %v", text, time.Duration(got))
		}
	}
}
