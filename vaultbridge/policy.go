package vaultbridge

import (
	"fmt"
	"strings"
	"time"
)

// DataPolicy lets the data plane open credentials and nothing else.
func DataPolicy(mount string) string {
	return fmt.Sprintf(`# Ownkey data plane: opens tenants' credentials, nothing else.
path "%s/decrypt/ownkey-*" {
  capabilities = ["update"]
}
`, mount)
}

// AdminPolicy lets the admin plane seal, rewrap, rotate and destroy, and check
// that Vault's audit is on; it can not decrypt.
func AdminPolicy(mount string) string {
	return fmt.Sprintf(`# Ownkey admin plane: makes, rotates, configures and deletes tenants' keys.
path "%[1]s/keys/ownkey-*" {
  capabilities = ["create", "read", "update", "delete"]
}
# Seals. No "create": a mistyped name must not make a key of other settings.
path "%[1]s/encrypt/ownkey-*" {
  capabilities = ["update"]
}
path "%[1]s/rewrap/ownkey-*" {
  capabilities = ["update"]
}
# Fingerprints: a MAC that says which secret was used and not what it is.
path "%[1]s/hmac/ownkey_fingerprint" {
  capabilities = ["update"]
}
path "%[1]s/keys/ownkey_fingerprint" {
  capabilities = ["read"]
}
# ownkey doctor: is the audit device on, is our header in clear? Vault wants
# sudo to read these two.
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
path "sys/config/auditing/request-headers/ownkey-unseal-id" {
  capabilities = ["read", "sudo"]
}
`, mount)
}

// SecretIDLife is how long the secret ids live that SetupScript makes.
const SecretIDLife = 90 * 24 * time.Hour

// SetupScript is what a Vault operator runs once, with the vault program: the
// transit engine, the audit device, both policies, and an AppRole for each
// identity. It may be run again.
func SetupScript(mount, auditFile string) string {
	return strings.NewReplacer("{mount}", mount, "{audit}", auditFile, "{header}", strings.ToLower(UnsealHeader), "{ttl}", fmt.Sprintf("%dh", SecretIDLife/time.Hour), "{seconds}", fmt.Sprint(int(SecretIDLife/time.Second)), "{ends}", endsAt,
		"{data}", DataPolicy(mount), "{admin}", AdminPolicy(mount)).Replace(setupScript)
}

const setupScript = `# Run as an operator of Vault (VAULT_ADDR, VAULT_TOKEN). Safe to run again.
# Made by: ownkey vault policy
set -eu

# The transit engine, and an audit device. Ownkey's unseal ids are logged in clear.
vault secrets list | grep -q '^{mount}/' || vault secrets enable -path={mount} transit
vault audit list 2>/dev/null | grep -q '/' || vault audit enable file file_path={audit}
vault write sys/config/auditing/request-headers/{header} hmac=false

# The key of fingerprints. It is never rotated, so that equal secrets stay equal.
vault read {mount}/keys/ownkey_fingerprint >/dev/null 2>&1 || vault write {mount}/keys/ownkey_fingerprint type=hmac key_size=32

# Two identities: one opens, one seals, neither does both.
vault policy write ownkey-data - <<'POLICY'
{data}POLICY
vault policy write ownkey-admin - <<'POLICY'
{admin}POLICY

# How they log in. AppRole here; Kubernetes, JWT, TLS certificates, token files
# and Vault Agent work as well (docs/config.md, keyring.vault.data.method).
vault auth list | grep -q '^approle/' || vault auth enable approle
for identity in data admin; do
  vault write auth/approle/role/ownkey-$identity token_policies=ownkey-$identity \
    token_ttl=1h token_max_ttl=24h secret_id_ttl={ttl}
done

# What the gateway reads at each login. Put the four files where only it can
# read them, and name them in the configuration file. A secret id ends after
# {ttl}: before that, run this again where the files are. It writes new secret
# ids in their place and ends the old ones; the gateway needs no restart. Vault
# keeps with each when it ends, and says so at each login: the gateway's metric
# ownkey_vault_secret_id_not_after_timestamp_seconds has it.
umask 077
for identity in data admin; do
  role=auth/approle/role/ownkey-$identity file=ownkey-$identity.secret-id
  vault read -field=role_id $role/role-id > ownkey-$identity.role-id
  vault write -field=secret_id $role/secret-id metadata="{\"{ends}\":\"$(($(date +%s) + {seconds}))\"}" > $file.new
  if [ -s $file ]; then
    mv $file $file.old
    mv $file.new $file
    vault write $role/secret-id/destroy secret_id=@$file.old || echo "the old secret id had ended already" >&2
    rm $file.old
  else
    mv $file.new $file
  fi
done
`
