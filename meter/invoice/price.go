package invoice

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
)

// Plan is a list of prices. No number of it is negative.
type Plan struct {
	Name string `json:"name"`
	// MemoryMonths is the price of 1,000 memory-months, Retrievals that of 1,000
	// retrievals.
	MemoryMonths MicroUSD `json:"per_1000_memory_months_micro_usd"`
	Retrievals   MicroUSD `json:"per_1000_retrievals_micro_usd"`
	// What nothing is charged for in a month, over all buckets together.
	FreeMemoryMonths int64 `json:"free_memory_months"`
	FreeRetrievals   int64 `json:"free_retrievals"`
	// FlatFee is charged for each month in which the tenant exists.
	FlatFee MicroUSD `json:"flat_fee_micro_usd"`
}

// Charge is a quantity of memory-time, a number of retrievals, and the amount
// for each. What is taken back is negative.
type Charge struct {
	// Memory is exact, MemoryHours and MemoryMonths are rounded for people.
	Memory           MemoryTime `json:"memory_ms"`
	MemoryHours      string     `json:"memory_hours"`
	MemoryMonths     string     `json:"memory_months"`
	MemoryAmount     MicroUSD   `json:"memory_micro_usd"`
	Retrievals       int64      `json:"retrievals"`
	RetrievalsAmount MicroUSD   `json:"retrievals_micro_usd"`
}

// Line is what one bucket used.
type Line struct {
	Bucket string `json:"bucket"`
	Charge
}

// amount is the sum of both amounts.
func (c Charge) amount() (MicroUSD, error) { return addMoney(c.MemoryAmount, c.RetrievalsAmount) }

// charges are a month's lines, their sum, and what the free allowance takes
// back of it.
type charges struct {
	lines     []Line
	usage     Charge
	allowance Charge
}

// net is what was used, with the amounts that are left after the allowance.
func (c *charges) net() Charge {
	n := c.usage
	n.MemoryAmount += c.allowance.MemoryAmount // not above zero, not below -n
	n.RetrievalsAmount += c.allowance.RetrievalsAmount
	return n
}

// price applies a plan to what was used in a month. Lines are ordered by
// bucket; the amount of each is rounded half up to the micro-dollar.
func price(p Plan, m Month, used usage) (*charges, error) {
	c := &charges{lines: []Line{}}
	for _, bucket := range slices.Sorted(maps.Keys(used)) {
		line, err := p.charge(m, used[bucket])
		if err != nil {
			return nil, fmt.Errorf("charge for bucket %s %w", bucket, err)
		}
		if c.usage, err = c.usage.plus(m, line); err != nil {
			return nil, fmt.Errorf("sum of buckets %w", err)
		}
		c.lines = append(c.lines, Line{bucket, line})
	}
	c.usage = c.usage.shown(m) // also when there is no line
	allowance, err := p.allowance(m, c.usage)
	if err != nil {
		return nil, fmt.Errorf("free allowance %w", err)
	}
	c.allowance = allowance
	return c, nil
}

// charge prices one quantity.
func (p Plan) charge(m Month, q quantity) (Charge, error) {
	memory, err := cost(q.memory.big(), p.MemoryMonths, thousand*m.Milliseconds())
	if err != nil {
		return Charge{}, err
	}
	retrievals, err := cost(big.NewInt(q.retrievals), p.Retrievals, thousand)
	if err != nil {
		return Charge{}, err
	}
	return Charge{Memory: q.memory, MemoryAmount: memory, Retrievals: q.retrievals, RetrievalsAmount: retrievals}.shown(m), nil
}

// allowance is what the free quantities take back, never more than was charged.
// When all of a quantity is free, all of its charges are taken back, whatever
// they were rounded to.
func (p Plan) allowance(m Month, used Charge) (Charge, error) {
	freeMemory := new(big.Int).Mul(big.NewInt(p.FreeMemoryMonths), big.NewInt(m.Milliseconds()))
	allMemory := freeMemory.Cmp(used.Memory.big()) >= 0
	if allMemory {
		freeMemory = used.Memory.big()
	}
	free, err := p.charge(m, quantity{MemoryTime{freeMemory}, min(p.FreeRetrievals, used.Retrievals)})
	if err != nil {
		return Charge{}, err
	}
	if allMemory || free.MemoryAmount > used.MemoryAmount {
		free.MemoryAmount = used.MemoryAmount
	}
	if free.Retrievals == used.Retrievals || free.RetrievalsAmount > used.RetrievalsAmount {
		free.RetrievalsAmount = used.RetrievalsAmount
	}
	return free.negative(m), nil
}

// shown fills in what people read.
func (c Charge) shown(m Month) Charge {
	c.MemoryHours, c.MemoryMonths = c.Memory.Hours(), c.Memory.Months(m)
	return c
}

func (c Charge) plus(m Month, o Charge) (Charge, error) {
	var err error
	if c.MemoryAmount, err = addMoney(c.MemoryAmount, o.MemoryAmount); err != nil {
		return c, err
	}
	if c.RetrievalsAmount, err = addMoney(c.RetrievalsAmount, o.RetrievalsAmount); err != nil {
		return c, err
	}
	if c.Retrievals, err = addCount(c.Retrievals, o.Retrievals); err != nil {
		return c, err
	}
	c.Memory = c.Memory.plus(o.Memory)
	return c.shown(m), nil
}

// negative is what takes c back. No number of c is the smallest one of its
// type: they are sums and differences of what is not negative.
func (c Charge) negative(m Month) Charge {
	return Charge{
		Memory: MemoryTime{}.minus(c.Memory), MemoryAmount: -c.MemoryAmount,
		Retrievals: -c.Retrievals, RetrievalsAmount: -c.RetrievalsAmount,
	}.shown(m)
}

func (c Charge) zero() bool {
	return c.Memory.big().Sign() == 0 && c.MemoryAmount == 0 && c.Retrievals == 0 && c.RetrievalsAmount == 0
}
