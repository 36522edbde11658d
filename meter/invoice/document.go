package invoice

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"
)

// State says whether a document can still change.
type State string

// The states of a document.
const (
	Draft  State = "draft"  // computed when it was asked for
	Closed State = "closed" // stored; it never changes again
)

// inference is on every invoice.
const inference = "Inference is billed by the provider to the tenant. This invoice carries no amount for it."

// Document is the invoice of a tenant for a month. Its JSON is its stored form:
// members keep their names and order.
type Document struct {
	Tenant string `json:"tenant"`
	Month  Month  `json:"month"`
	State  State  `json:"state"`
	// Closes is from when on the month is closed by whoever asks for it.
	Closes time.Time `json:"closes_at"`
	// ClosedAt is when it was; nil for a draft.
	ClosedAt *time.Time `json:"closed_at"`
	// Watermark is up to when the store had taken in the events that were
	// counted. A draft counts memories up to there.
	Watermark time.Time `json:"watermark"`
	// Events and SHA256 are number and digest of the rows of the month.
	Events int64  `json:"events"`
	SHA256 string `json:"events_sha256"`
	// Inference states who bills it.
	Inference string `json:"inference"`
	Plan      Plan   `json:"plan"`
	// Lines are the buckets', Usage is their sum, and Allowance what is taken
	// back of it.
	Lines     []Line   `json:"lines"`
	Usage     Charge   `json:"usage"`
	Allowance Charge   `json:"allowance"`
	FlatFee   MicroUSD `json:"flat_fee_micro_usd"`
	// Adjustments are what came late for months that were closed.
	Adjustments []Adjustment `json:"adjustments"`
	// Total is what the tenant owes; below zero it is a credit.
	Total MicroUSD `json:"total_micro_usd"`

	rendered map[Format][]byte // of a closed one: as stored
}

// Adjustment is the difference that events make which were taken in after their
// month was closed.
type Adjustment struct {
	Month Month `json:"month"`
	// Charge is the difference: of quantities, and of amounts after the
	// allowance, by the prices of that month's invoice.
	Charge
	// Invoiced is what the month was charged until now, adjustments before this
	// one included and the flat fee left out; Recomputed is what it should be.
	Invoiced   MicroUSD `json:"invoiced_micro_usd"`
	Recomputed MicroUSD `json:"recomputed_micro_usd"`
	Amount     MicroUSD `json:"amount_micro_usd"`
	// Events and SHA256 are of the rows that Recomputed follows from.
	Events int64  `json:"events"`
	SHA256 string `json:"events_sha256"`
}

// net is what a month was charged when it was closed, after the allowance.
func (d *Document) net() Charge {
	return (&charges{usage: d.Usage, allowance: d.Allowance}).net()
}

// sum sets the total.
func (d *Document) sum() error {
	net := d.net()
	total := new(big.Int)
	for _, part := range []MicroUSD{net.MemoryAmount, net.RetrievalsAmount, d.FlatFee} {
		total.Add(total, big.NewInt(int64(part)))
	}
	for _, a := range d.Adjustments {
		total.Add(total, big.NewInt(int64(a.Amount)))
	}
	if !total.IsInt64() {
		return fmt.Errorf("total %w", ErrTooLarge)
	}
	d.Total = MicroUSD(total.Int64())
	return nil
}

// close makes a closed document of a draft: every form of it is fixed now.
func (d *Document) close(now time.Time) error {
	d.State, d.ClosedAt = Closed, &now
	rendered := map[Format][]byte{}
	for _, f := range Formats {
		b, err := d.render(f)
		if err != nil {
			return err
		}
		rendered[f] = b
	}
	d.rendered = rendered
	return nil
}

// open reads a stored document.
func open(stored []byte) (*Document, error) {
	d := &Document{}
	if err := json.Unmarshal(stored, d); err != nil {
		return nil, fmt.Errorf("cannot read stored invoice: %w", err)
	}
	return d, nil
}
