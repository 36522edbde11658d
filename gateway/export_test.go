package gateway

// HeldBytes is how much is held of all tenants.
func (g *Gateway) HeldBytes() int64 { return g.admission.Held() }
