package gateway

// HeldBytes is how much of the budget of held bodies is taken.
func (g *Gateway) HeldBytes() int64 { return g.held.used.Load() }
