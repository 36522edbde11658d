package invoice

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
)

// state is what the months after one need to know of it and of all before it:
// with it, their invoices are computed without reading those events again.
type state struct {
	// Rows and Hash are number and running SHA-256 of the rows of all stored and
	// deleted events before the month's end.
	Rows int64  `json:"rows"`
	Hash []byte `json:"hash"`
	// Held is the balance of each bucket that holds a memory.
	Held map[string]int64 `json:"held"`
	// Taken counts the tenant's events, of any time, that the store had taken in by
	// the watermark of the state.
	Taken int64 `json:"taken"`
}

// rows goes on after the state's rows.
func (s *state) rows() (*rows, error) {
	r := newRows()
	if err := r.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.Hash); err != nil { //nolint:forcetypeassert // crypto/sha256 promises it
		return nil, fmt.Errorf("cannot go on from stored state: %w", err)
	}
	r.n = s.Rows
	return r, nil
}

// readable reports whether this program can go on from the state.
func (s *state) readable() bool {
	_, err := s.rows()
	return err == nil
}

// rows counts and digests canonical rows.
type rows struct {
	n    int64
	hash hash.Cloner
}

func newRows() *rows { return &rows{hash: sha256.New().(hash.Cloner)} } //nolint:forcetypeassert // crypto/sha256 promises it

func (r *rows) add(row []byte) {
	r.n++
	r.hash.Write(row)
}

// clone gives a copy that goes its own way.
func (r *rows) clone() *rows {
	c, err := r.hash.Clone()
	if err != nil {
		panic("BUG: SHA-256 cannot be copied: " + err.Error())
	}
	return &rows{r.n, c}
}

func (r *rows) digest() string { return hex.EncodeToString(r.hash.Sum(nil)) }

func (r *rows) marshal() []byte {
	b, err := r.hash.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // crypto/sha256 promises it
	if err != nil {
		panic("BUG: SHA-256 cannot be encoded: " + err.Error())
	}
	return b
}
