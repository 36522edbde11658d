package main

import (
	"context"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// openRing makes the keyring that seals and, if there is one, the one before
// it.
func (a *app) openRing(ctx context.Context) (*vaultbridge.Ring, error) {
	c := &a.cfg.Keyring
	current, err := a.openKeyring(ctx, c.MasterKeyFile, &c.Vault)
	if err != nil {
		return nil, err
	}
	previous, err := a.openKeyring(ctx, c.Previous.MasterKeyFile, &c.Previous.Vault)
	if err != nil {
		current.Close()
		return nil, err
	}
	return vaultbridge.NewRing(current, previous)
}

// openRingAlone makes the keyrings of a configuration for a command that is no
// gateway: nothing is decrypted with them.
func openRingAlone(ctx context.Context, cfg *config.Config) (*vaultbridge.Ring, error) {
	log := zerolog.Nop()
	return (&app{cfg: cfg, log: &log, metrics: prometheus.NewRegistry(), meter: &books{}}).openRing(ctx)
}

// openKeyring makes one keyring; nil when neither kind is configured.
func (a *app) openKeyring(ctx context.Context, keyFile string, v *config.Vault) (vaultbridge.Keyring, error) {
	if v.Configured() {
		return vaultbridge.NewTransit(ctx, vaultbridge.TransitOptions{
			Name: v.Name, Installation: a.installationID(), Address: v.Address, Namespace: v.Namespace, Mount: v.Mount, CAFile: v.CAFile, Timeout: v.Timeout, Refusals: a.cfg.Data,
			Data: login(&v.Data), Admin: login(&v.Admin), Journal: a.meter.unseal, Notify: a.vaultEvent, Metrics: a.metrics,
		})
	}
	if keyFile == "" {
		return nil, nil
	}
	local, err := vaultbridge.OpenLocal(keyFile)
	if err != nil {
		return nil, err
	}
	if a.installation == nil {
		return local, nil
	}
	return local, a.installation.Keys(ctx, local.Digests())
}

// installationID is empty for a command that is no gateway, and makes no keys.
func (a *app) installationID() string {
	if a.installation == nil {
		return ""
	}
	return a.installation.ID()
}

func login(l *config.VaultLogin) vaultbridge.Login {
	return vaultbridge.Login{
		Method: vaultbridge.Method(l.Method), Mount: l.Mount, Role: l.Role, RoleIDFile: l.RoleIDFile, SecretIDFile: l.SecretIDFile,
		JWTFile: l.JWTFile, TokenFile: l.TokenFile, CertFile: l.CertFile, KeyFile: l.KeyFile, Address: l.Address,
	}
}

// vaultEvent writes one line for a change of state.
func (a *app) vaultEvent(e vaultbridge.Event) {
	if e.Good {
		message := map[string]string{"login": "logged in to Vault again", "vault": "Vault is usable again"}[e.What]
		a.log.Info().Str("identity", e.Identity).Int64("after_ms", e.After.Milliseconds()).Msg(message)
		return
	}
	message := map[string]string{"login": "cannot log in to Vault", "vault": "Vault is not usable; credentials in memory go on for their time"}[e.What]
	a.log.Warn().Str("identity", e.Identity).Str("reason", string(e.Reason)).AnErr("detail", e.Detail).Msg(message)
}
