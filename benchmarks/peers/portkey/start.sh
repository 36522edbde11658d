#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: the Portkey gateway in the
# foreground on 127.0.0.1:LISTEN_PORT. It has no configuration file: the provider's
# address and kind come with every request (see README.md), so UPSTREAM_PORT is not
# used here.
set -eu
USAGE='usage: start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK'
DIR=$(cd "${1:?$USAGE}" && pwd)
LISTEN=${2:?$USAGE}
UPSTREAM=${3:?$USAGE}
WORK=${4:?$USAGE}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# The gateway has no setting for its listening address and takes all interfaces;
# this preload gives net.Server.listen(port) the loopback address, nothing else.
cat >"$WORK/loopback.cjs" <<'JS'
const net = require('node:net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === 'number' || typeof port === 'string') {
    if (typeof rest[0] !== 'string') {
      if (rest[0] === undefined || rest[0] === null) rest.shift();
      rest.unshift('127.0.0.1');
    }
  }
  return listen.call(this, port, ...rest);
};
JS

# NODE_ENV=production and --headless leave out the console page and its log stream.
# The documentation names no other setting for speed; one Node process is what it
# runs: https://github.com/Portkey-AI/gateway/blob/main/docs/installation-deployments.md
# (2026-11-25).
# Caches and retries are off unless a request's x-portkey-config asks for them:
# https://portkey.ai/docs/product/ai-gateway/configs (2026-11-25).
export NODE_ENV=production
unset REDIS_CONNECTION_STRING HTTP_PROXY HTTPS_PROXY http_proxy https_proxy || :
cd "$WORK"
exec node --require "$WORK/loopback.cjs" \
  "$DIR/node_modules/@portkey-ai/gateway/build/start-server.js" \
  "--port=$LISTEN" --headless
