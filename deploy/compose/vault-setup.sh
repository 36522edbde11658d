# Makes a fresh Vault ready for the gateway, and opens one that was restarted.
# Can be run again. The unseal key and the root token are kept in KEYS: for
# trying only. Wants VAULT_ADDR, KEYS, IDENTITIES, AUDIT_LOG, SETUP and OWNER.
set -eu
umask 077

# 2 is: not initialized.
status=0
vault operator init -status >/dev/null 2>&1 || status=$?
if [ "$status" -eq 2 ]; then
  vault operator init -key-shares=1 -key-threshold=1 > "$KEYS/init.new"
  mv "$KEYS/init.new" "$KEYS/init"
fi
vault operator unseal "$(sed -n 's/^Unseal Key 1: //p' "$KEYS/init")" >/dev/null
VAULT_TOKEN=$(sed -n 's/^Initial Root Token: //p' "$KEYS/init")
export VAULT_TOKEN
until vault token lookup >/dev/null 2>&1; do sleep 1; done

vault audit list 2>/dev/null | grep -q '/' || vault audit enable file file_path="$AUDIT_LOG"
cd "$IDENTITIES"
sh "$SETUP"
chown "$OWNER" . ownkey-*
