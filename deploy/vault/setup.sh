# Run as an operator of Vault (VAULT_ADDR, VAULT_TOKEN). Safe to run again.
# Made by: ownkey vault policy
set -eu

# The transit engine, and an audit device. Ownkey's unseal ids are logged in clear.
vault secrets list | grep -q '^transit/' || vault secrets enable -path=transit transit
vault audit list 2>/dev/null | grep -q '/' || vault audit enable file file_path=/var/log/vault/audit.log
vault write sys/config/auditing/request-headers/ownkey-unseal-id hmac=false

# The key of fingerprints. It is never rotated, so that equal secrets stay equal.
vault read transit/keys/ownkey_fingerprint >/dev/null 2>&1 || vault write transit/keys/ownkey_fingerprint type=hmac key_size=32

# Two identities: one opens, one seals, neither does both.
vault policy write ownkey-data - <<'POLICY'
# Ownkey data plane: opens tenants' credentials, nothing else.
path "transit/decrypt/ownkey-*" {
  capabilities = ["update"]
}
POLICY
vault policy write ownkey-admin - <<'POLICY'
# Ownkey admin plane: makes, rotates, configures and deletes tenants' keys.
path "transit/keys/ownkey-*" {
  capabilities = ["create", "read", "update", "delete"]
}
# Seals. No "create": a mistyped name must not make a key of other settings.
path "transit/encrypt/ownkey-*" {
  capabilities = ["update"]
}
path "transit/rewrap/ownkey-*" {
  capabilities = ["update"]
}
# Fingerprints: a MAC that says which secret was used and not what it is.
path "transit/hmac/ownkey_fingerprint" {
  capabilities = ["update"]
}
path "transit/keys/ownkey_fingerprint" {
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
POLICY

# How they log in. AppRole here; Kubernetes, JWT, TLS certificates, token files
# and Vault Agent work as well (docs/config.md, keyring.vault.data.method).
vault auth list | grep -q '^approle/' || vault auth enable approle
for identity in data admin; do
  vault write auth/approle/role/ownkey-$identity token_policies=ownkey-$identity \
    token_ttl=1h token_max_ttl=24h secret_id_ttl=2160h
done

# What the gateway reads at each login. Put the four files where only it can
# read them, and name them in the configuration file. A secret id ends after
# 2160h: before that, run this again where the files are. It writes new secret
# ids in their place and ends the old ones; the gateway needs no restart. Vault
# keeps with each when it ends, and says so at each login: the gateway's metric
# ownkey_vault_secret_id_not_after_timestamp_seconds has it.
umask 077
for identity in data admin; do
  role=auth/approle/role/ownkey-$identity file=ownkey-$identity.secret-id
  vault read -field=role_id $role/role-id > ownkey-$identity.role-id
  vault write -field=secret_id $role/secret-id metadata="{\"ends_at\":\"$(($(date +%s) + 7776000))\"}" > $file.new
  if [ -s $file ]; then
    mv $file $file.old
    mv $file.new $file
    vault write $role/secret-id/destroy secret_id=@$file.old || echo "the old secret id had ended already" >&2
    rm $file.old
  else
    mv $file.new $file
  fi
done
