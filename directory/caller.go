package directory

import "time"

// CallerOf finds a tenant and one of its tokens by their ids, for work that the
// token has caused before. An empty token gives the tenant alone. A token that
// can no longer be used, or is another tenant's, is ErrInvalidToken; a tenant that
// is gone is ErrNotFound.
func (d *Directory) CallerOf(tenant, token string, now time.Time) (Caller, error) {
	t, err := d.Tenant(tenant)
	if err != nil || token == "" {
		return Caller{Tenant: t}, err
	}
	var id tokenID
	copy(id[:], token)
	k, ok := d.tokens.Load(id)
	if !ok || k.ID != token || k.TenantID != tenant || !d.Usable(token, now) {
		return Caller{}, ErrInvalidToken
	}
	return Caller{t, k}, nil
}
