#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: the Helicone AI gateway (the program
# DIR/ai-gateway) in the foreground on 127.0.0.1:LISTEN_PORT in front of an OpenAI
# provider on 127.0.0.1:UPSTREAM_PORT.
set -eu
USAGE='usage: start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK'
DIR=$(cd "${1:?$USAGE}" && pwd)
LISTEN=${2:?$USAGE}
UPSTREAM=${3:?$USAGE}
WORK=${4:?$USAGE}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# features: none means no control plane, no authentication and no request log; the
# project measured itself with authentication and without the log, and its control
# plane is a service of its own:
# https://github.com/Helicone/ai-gateway/blob/main/benchmarks/README.md (2026-11-25),
# https://github.com/Helicone/ai-gateway/blob/main/ai-gateway/config/load-test.yaml
# (2026-11-25). Cache, rate limit and retries are off unless configured:
# https://docs.helicone.ai/ai-gateway/config (2026-11-25).
cat >"$WORK/config.yaml" <<YAML
server:
  address: 127.0.0.1
  port: $LISTEN
helicone:
  features: none
telemetry:
  level: error
  exporter: stdout
  format: compact
providers:
  openai:
    models: ["gpt-4o-mini"]
    base-url: "http://127.0.0.1:$UPSTREAM"
YAML

export OPENAI_API_KEY=sk-bench
# One worker thread for the one core it is given (a setting of its runtime, Tokio).
export TOKIO_WORKER_THREADS=1
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy RUST_LOG || :
cd "$WORK"
exec "$DIR/ai-gateway" -c "$WORK/config.yaml"
