# Ownkey data plane: opens tenants' credentials, nothing else.
path "transit/decrypt/ownkey-*" {
  capabilities = ["update"]
}
