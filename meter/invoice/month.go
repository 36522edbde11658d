package invoice

import "time"

// Month is a calendar month in UTC. Months compare with ==.
type Month struct{ index int } // months since January of year 0

const monthLayout = "2006-01"

// MonthOf gives the month that t is in.
func MonthOf(t time.Time) Month {
	t = t.UTC()
	return Month{t.Year()*12 + int(t.Month()) - 1}
}

// ParseMonth reads YYYY-MM. The error is ErrMonth.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse(monthLayout, s)
	if err != nil || len(s) != len(monthLayout) {
		return Month{}, ErrMonth
	}
	return MonthOf(t), nil
}

// Start gives the month's first moment.
func (m Month) Start() time.Time {
	return time.Date(m.index/12, time.Month(m.index%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// End gives the first moment after the month.
func (m Month) End() time.Time { return m.Next().Start() }

// Next gives the month after this one.
func (m Month) Next() Month { return Month{m.index + 1} }

func (m Month) previous() Month { return Month{m.index - 1} }

// Before reports whether m lies before other.
func (m Month) Before(other Month) bool { return m.index < other.index }

// Milliseconds gives the month's length.
func (m Month) Milliseconds() int64 { return m.End().Sub(m.Start()).Milliseconds() }

// String gives YYYY-MM.
func (m Month) String() string { return m.Start().Format(monthLayout) }

// MarshalText gives YYYY-MM.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMonth.
func (m *Month) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMonth(string(text))
	return err
}
