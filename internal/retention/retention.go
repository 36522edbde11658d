// Package retention reads and writes how long something is kept.
package retention

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Never is a time to keep something that does not end. Zero is none that was said.
const Never time.Duration = -1

// Bounds of a time to keep something.
const (
	least = time.Hour
	most  = 100 * 365 * 24 * time.Hour
)

// ErrInvalid is a text that Parse does not take.
var ErrInvalid = errors.New("must be a number of hours, days or weeks such as 12h, 90d or 4w, at most 100 years, or never")

// Parse reads 12h, 90d, 4w or never; an empty text is zero.
func Parse(text string) (time.Duration, error) {
	switch text {
	case "":
		return 0, nil
	case "never":
		return Never, nil
	}
	unit := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 20)
	if err != nil || unit == 0 || strings.HasPrefix(text, "+") {
		return 0, ErrInvalid
	}
	d := time.Duration(n) * unit
	if d < least || d > most {
		return 0, ErrInvalid
	}
	return d, nil
}

// Text writes what Parse reads.
func Text(d time.Duration) string {
	switch {
	case d < 0:
		return "never"
	case d == 0:
		return ""
	case d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	return strconv.Itoa(int(d/time.Hour)) + "h"
}
