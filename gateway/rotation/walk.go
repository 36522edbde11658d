package rotation

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/vaultbridge"
	"golang.org/x/sync/errgroup"
)

const (
	// batchRows are rewrapped and stored together.
	batchRows = 64
	// saveInterval is how often progress is stored, and that we live.
	saveInterval = time.Second
)

// run does what the walk's state asks for, and moves it on.
func (w *walk) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var saver sync.WaitGroup
	saver.Go(func() {
		defer crash.Exit()
		w.saveRegularly(ctx, stop)
	})
	defer saver.Wait() // what it saves must not come after what the caller does
	defer stop()
	tenants := []string{w.job.TenantID}
	if w.job.TenantID == "" {
		tenants = tenants[:0]
		for _, t := range w.directory.Tenants() {
			tenants = append(tenants, t.ID)
		}
	}
	w.set(func(j *directory.Rewrap) { j.State, j.Tenants = directory.RewrapRewrapping, len(tenants) })
	if err := w.each(ctx, tenants, w.rewrapTenant); err != nil {
		return err
	}
	w.set(func(j *directory.Rewrap) { j.State = directory.RewrapSettling })
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(w.settle):
	}
	w.set(func(j *directory.Rewrap) { j.State, j.TenantsDone = directory.RewrapRetiring, 0 })
	if err := w.each(ctx, tenants, w.retireTenant); err != nil {
		return err
	}
	w.set(func(j *directory.Rewrap) { j.State, j.FinishedAt = directory.RewrapDone, time.Now() })
	return nil
}

// each calls f for every tenant, a few at a time.
func (w *walk) each(ctx context.Context, tenants []string, f func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, tenant := range tenants {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			defer crash.Exit()
			if err := f(ctx, tenant); err != nil {
				return err
			}
			w.set(func(j *directory.Rewrap) { j.TenantsDone++ })
			return nil
		})
	}
	return group.Wait()
}

func (w *walk) set(change func(*directory.Rewrap)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.job)
}

func (w *walk) save(ctx context.Context) error {
	w.mu.Lock()
	job := w.job
	w.mu.Unlock()
	job.Trouble, _ = w.trouble.Load().(string)
	return w.directory.UpdateRewrap(ctx, w.name, &job)
}

// saveRegularly stores progress until ctx ends; a walk that has become
// somebody else's is stopped.
func (w *walk) saveRegularly(ctx context.Context, stop context.CancelFunc) {
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for {
		if err := w.save(ctx); errors.Is(err, directory.ErrNotFound) {
			stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// rewrapTenant gives every row of a tenant a new ciphertext that is not of the
// newest version of the key that seals now, or not bound to a whole address.
func (w *walk) rewrapTenant(ctx context.Context, tenant string) error {
	rows, err := w.directory.SealedRows(ctx, tenant)
	if err != nil || len(rows) == 0 {
		return err
	}
	current := w.ring.Current()
	newest, err := current.Newest(ctx, tenant)
	if err != nil {
		return err
	}
	var old, foreign []directory.SealedRow
	for _, r := range rows {
		switch {
		case r.Keyring != current.Name(), r.Key != current.Key(tenant), w.addressOf(&r) != r.Address:
			foreign = append(foreign, r)
		case r.KeyVersion < newest:
			old = append(old, r)
		}
	}
	for len(old) > 0 {
		n := min(len(old), batchRows)
		if err := w.rewrapRows(ctx, tenant, old[:n]); err != nil {
			return err
		}
		old = old[n:]
	}
	for i := range foreign {
		if err := w.moveRow(ctx, &foreign[i]); err != nil {
			return err
		}
	}
	return nil
}

// addressOf is what a row's secret is to be bound to: what it is bound to, if
// that is a whole address. Empty: host:port alone, since there is no address.
func (w *walk) addressOf(r *directory.SealedRow) string {
	if r.Address != "" {
		return r.Address
	}
	return w.rebind(r.Provider, r.BaseURL, r.Host)
}

func bound(r *directory.SealedRow) vaultbridge.Bound {
	at := vaultbridge.Context{Tenant: r.TenantID, CredentialID: r.CredentialID, Provider: r.Provider, Address: cmp.Or(r.Address, r.Host)}
	return vaultbridge.Bound{Context: at, Blob: r.Sealed, Key: r.Key}
}

// rewrapRows rewraps rows together; when one of them does not open, one by one.
func (w *walk) rewrapRows(ctx context.Context, tenant string, rows []directory.SealedRow) error {
	if err := w.limiter.WaitN(ctx, len(rows)); err != nil {
		return err
	}
	blobs := make([]vaultbridge.Bound, len(rows))
	for i := range rows {
		blobs[i] = bound(&rows[i])
	}
	sealed, err := w.ring.Current().Rewrap(ctx, tenant, blobs)
	switch {
	case errors.Is(err, vaultbridge.ErrUnsealable) && len(rows) > 1:
		for i := range rows {
			if err := w.rewrapRows(ctx, tenant, rows[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	case errors.Is(err, vaultbridge.ErrUnsealable):
		w.unusable(&rows[0], err)
		return nil
	case err != nil:
		return err
	}
	changes := make([]directory.Resealed, len(rows))
	for i, s := range sealed {
		s.Fingerprint = rows[i].Fingerprint
		changes[i] = resealed(&rows[i], rows[i].Address, s)
	}
	return w.store(ctx, changes)
}

// moveRow decrypts a row with what sealed it and encrypts it with the current
// keyring, for its whole address.
func (w *walk) moveRow(ctx context.Context, r *directory.SealedRow) error {
	if err := w.limiter.Wait(ctx); err != nil {
		return err
	}
	from, err := w.ring.Of(r.Keyring)
	var sealed vaultbridge.Sealed
	before, after := bound(r), *r
	after.Address = w.addressOf(r)
	if err == nil {
		sealed, err = vaultbridge.Reseal(ctx, from, w.ring.Current(), before, bound(&after).Context)
	}
	if errors.Is(err, vaultbridge.ErrUnsealable) || errors.Is(err, vaultbridge.ErrKeySettings) {
		w.unusable(r, err)
		return nil
	}
	if err != nil {
		return err
	}
	return w.store(ctx, []directory.Resealed{resealed(r, after.Address, sealed)})
}

func resealed(r *directory.SealedRow, address string, s vaultbridge.Sealed) directory.Resealed {
	after := *r
	after.Address, after.Keyring, after.Key, after.Sealed, after.KeyVersion, after.Fingerprint = address, s.Keyring, s.Key, s.Blob, s.KeyVersion, s.Fingerprint
	return directory.Resealed{Before: *r, After: after}
}

func (w *walk) store(ctx context.Context, changes []directory.Resealed) error {
	n, err := w.directory.Reseal(ctx, changes)
	if err != nil {
		return err
	}
	w.set(func(j *directory.Rewrap) { j.RowsDone += n })
	return nil
}

// unusable counts a row that does not open, or can not be sealed anew. It stays
// as it is, and the walk goes on.
func (w *walk) unusable(r *directory.SealedRow, err error) {
	w.set(func(j *directory.Rewrap) { j.RowsFailed++ })
	w.log.Error().Str("tenant", r.TenantID).Str("credential", r.CredentialID).Str("keyring", r.Keyring).Int("key_version", r.KeyVersion).
		Err(err).Msg("a stored credential can not be rewrapped; store it again")
}

// retireTenant shuts the key versions that no row of the tenant needs. A tenant
// with a row that could not be rewrapped keeps all versions: nothing is made
// worse than it is.
func (w *walk) retireTenant(ctx context.Context, tenant string) error {
	rows, err := w.directory.SealedRows(ctx, tenant)
	if err != nil || len(rows) == 0 {
		return err
	}
	current := w.ring.Current()
	newest, err := current.Newest(ctx, tenant)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Keyring != current.Name() || r.Key != current.Key(tenant) || r.KeyVersion < newest {
			return nil // rotated again, or not to be opened
		}
	}
	return current.Retire(ctx, tenant, newest)
}
