package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// whenForms is what --from and --to take.
const whenForms = "now, today, yesterday, 2 hours ago, 2026-11, 2026-11-23 or 2026-11-23T10:00:00Z"

var ago = regexp.MustCompile(`^(\d{1,6}) ?(m|minute|h|hour|d|day|w|week)s?( ago)?$`)

var agoUnits = map[string]time.Duration{
	"m": time.Minute, "minute": time.Minute, "h": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

// parseWhen reads a time as people write it, in UTC. A day or a month is its
// beginning.
func parseWhen(text string, now time.Time) (time.Time, error) {
	text, now = strings.ToLower(strings.TrimSpace(text)), now.UTC()
	today := now.Truncate(24 * time.Hour)
	switch text {
	case "now":
		return now, nil
	case "today":
		return today, nil
	case "yesterday":
		return today.AddDate(0, 0, -1), nil
	}
	if m := ago.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err == nil && time.Duration(n) < 100*365*24*time.Hour/agoUnits[m[2]] {
			return now.Add(-time.Duration(n) * agoUnits[m[2]]), nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04", time.DateOnly, "2006-01"} {
		if t, err := time.Parse(layout, strings.ToUpper(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("want a time such as %s (UTC)", whenForms)
}

// whenMapper lets every flag that is a time take what parseWhen reads.
var whenMapper = kong.TypeMapper(reflect.TypeFor[time.Time](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	t, err := parseWhen(text, time.Now())
	if err != nil {
		return err
	}
	target.Set(reflect.ValueOf(t))
	return nil
}))

// lifetime is how long something is valid, as people write it.
type lifetime time.Duration

// UnmarshalText reads what Go's durations and --from take: 720h, 30d, 2 weeks.
func (l *lifetime) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	d, err := time.ParseDuration(s)
	if m := ago.FindStringSubmatch(s); err != nil && m != nil && m[3] == "" {
		var n int
		if n, err = strconv.Atoi(m[1]); time.Duration(n) < 100*365*24*time.Hour/agoUnits[m[2]] {
			d = time.Duration(n) * agoUnits[m[2]]
		}
	}
	if err != nil || d < time.Second {
		return errors.New("want a time from now, such as 30d, 12h or 2 weeks")
	}
	*l = lifetime(d)
	return nil
}
