package load

// call is one request from its moment to its end, seen from both sides.
type call struct {
	id   int
	plan *Call
	due  int64 // when it should have been sent; all times are the loop's

	asked    int   // how often the provider was asked
	received int64 // by the provider, whole
	chunks   []int64

	over bool // for the provider: all sent, or the gateway has closed the connection

	aborted int64 // the client closed its connection; zero if it did not
	wasted  int64 // chunks that the provider sent after that
	run     *run  // that waits for the provider to learn of it
}

// sends notes that the provider sends a chunk.
func (c *call) sends(n int, now int64) {
	if c.aborted != 0 {
		c.wasted++
	}
	if n < len(c.chunks) {
		c.chunks[n] = now
	}
}

// ends notes that the provider is done with the call, in one way or the other.
func (c *call) ends(now int64) {
	c.over = true
	if c.run == nil {
		return
	}
	c.run.result.Closed.add(now - c.aborted)
	c.run.result.Wasted += c.wasted
	c.run.closing--
	c.run = nil
}

// calls are those of the last while. Their numbers go up, and a place is taken
// again long after its call has ended.
type calls struct {
	places [1 << 17]call
	last   int
}

func (c *calls) begin(plan *Call, due int64) *call {
	c.last++
	a := c.at(c.last)
	*a = call{id: c.last, plan: plan, due: due, chunks: a.chunks[:0]}
	for range plan.Chunks {
		a.chunks = append(a.chunks, 0)
	}
	return a
}

func (c *calls) at(id int) *call { return &c.places[id&(len(c.places)-1)] }
