#!/bin/sh
# install.sh DIR: the published npm package of the Portkey AI gateway, below DIR.
set -eu
VERSION=1.15.2
# The package allows any 1.x of its HTTP adapter; with a newer one streaming answers
# 500 "TypeError: immutable" (https://github.com/Portkey-AI/gateway/issues/1389).
# This is the version in the release's own package-lock.json.
ADAPTER=1.13.5
DIR=${1:?usage: install.sh DIR}
STAMP="$DIR/.installed-$VERSION-$ADAPTER"
if [ -f "$STAMP" ]; then exit 0; fi
mkdir -p "$DIR"
cat >"$DIR/package.json" <<JSON
{
  "private": true,
  "dependencies": {"@portkey-ai/gateway": "$VERSION"},
  "overrides": {"@hono/node-server": "$ADAPTER"}
}
JSON
npm install --prefix "$DIR" --no-audit --no-fund
touch "$STAMP"
