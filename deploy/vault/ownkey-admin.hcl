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
