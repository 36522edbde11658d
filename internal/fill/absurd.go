package fill

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
)

// Absurd makes a row of one of the three kinds in which every number, count,
// duration and time is any int64 at all. Its ids and names are sound.
func Absurd(random *rand.Rand, tenant string) meter.Row {
	id := meter.NewEventID()
	var row meter.Row
	switch random.IntN(3) {
	case 0:
		row = &meter.Record{EventID: id, RequestID: id, TenantID: tenant, TokenID: "hostile", Provider: "own", ModelServed: "m", Attempt: 1}
	case 1:
		row = &meter.Unseal{EventID: id, ID: id.String(), TenantID: tenant, CredentialID: "c", Keyring: "local"}
	default:
		row = &meter.MemoryEvent{EventID: id, RequestID: id, TenantID: tenant, TokenID: "hostile", BucketID: "b"}
	}
	row.Columns(absurd{random})
	return row
}

// absurd is a visitor that sets what is a number.
type absurd struct{ random *rand.Rand }

func (a absurd) number() int64 {
	extremes := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 1 << 53, -1 << 53, 1 << 62, meter.MaxNumber, meter.MaxNumber + 1}
	if i := a.random.IntN(2 * len(extremes)); i < len(extremes) {
		return extremes[i]
	}
	return int64(a.random.Uint64()) //nolint:gosec // any bits will do
}

func (a absurd) UUID(string, *uuid.UUID) {}
func (a absurd) Name(string, *string)    {}
func (a absurd) ID(string, *string)      {}
func (a absurd) Time(_ string, v *time.Time) {
	*v = time.UnixMicro(a.number()).UTC()
}

func (a absurd) Enum(_ string, v *uint8, names []string) {
	*v = uint8(a.random.IntN(len(names))) //nolint:gosec // a handful
}
func (a absurd) Number(_ string, v *int64) { *v = a.number() }
func (a absurd) Count(_ string, v *meter.Count) {
	*v = meter.Count{N: a.number(), Set: a.random.IntN(4) > 0}
}
func (a absurd) Duration(_ string, v *time.Duration) { *v = time.Duration(a.number()) }
func (a absurd) Flag(_ string, v *bool)              { *v = a.random.IntN(2) == 0 }

// Unbounded encodes a row as the ledger does, without its bounds: what a program
// without them has left behind.
func Unbounded(r meter.Row) []byte {
	u := &unbounded{b: []byte{1}} // the version of the ledger's rows
	r.Columns(u)
	return u.b
}

type unbounded struct{ b []byte }

func (u *unbounded) number(n int64)                      { u.b = binary.AppendVarint(u.b, n) }
func (u *unbounded) UUID(_ string, v *uuid.UUID)         { u.b = append(u.b, v[:]...) }
func (u *unbounded) Time(_ string, v *time.Time)         { u.number(v.UnixMicro()) }
func (u *unbounded) ID(name string, v *string)           { u.Name(name, v) }
func (u *unbounded) Enum(_ string, v *uint8, _ []string) { u.b = append(u.b, *v) }
func (u *unbounded) Number(_ string, v *int64)           { u.number(*v) }
func (u *unbounded) Duration(_ string, v *time.Duration) { u.number(int64(*v)) } // as if they were microseconds
func (u *unbounded) Name(_ string, v *string) {
	u.b = binary.AppendUvarint(u.b, uint64(len(*v)))
	u.b = append(u.b, *v...)
}

func (u *unbounded) Count(_ string, v *meter.Count) {
	u.Flag("", &v.Set)
	if v.Set {
		u.number(v.N)
	}
}

func (u *unbounded) Flag(_ string, v *bool) {
	b := byte(0)
	if *v {
		b = 1
	}
	u.b = append(u.b, b)
}
