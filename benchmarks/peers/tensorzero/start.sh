#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: the TensorZero gateway (the program
# DIR/gateway) in the foreground on 127.0.0.1:LISTEN_PORT in front of an OpenAI provider
# on 127.0.0.1:UPSTREAM_PORT.
set -eu
USAGE='usage: start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK'
DIR=$(cd "${1:?$USAGE}" && pwd)
LISTEN=${2:?$USAGE}
UPSTREAM=${3:?$USAGE}
WORK=${4:?$USAGE}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# observability.enabled = false (so no database) is how the project measures itself:
# https://www.tensorzero.com/docs/gateway/benchmarks (2026-11-25). The page for
# production, https://www.tensorzero.com/docs/deployment/optimize-latency-and-throughput
# (2026-11-25), has nothing else that applies without a database.
# Usage statistics are off, as
# https://www.tensorzero.com/docs/deployment/tensorzero-gateway (2026-11-25) shows.
# Retries and caches are off unless asked for:
# https://www.tensorzero.com/docs/gateway/configuration-reference (2026-11-25).
cat >"$WORK/tensorzero.toml" <<TOML
[gateway]
bind_address = "127.0.0.1:$LISTEN"
disable_pseudonymous_usage_analytics = true
observability.enabled = false

[models."gpt-4o-mini"]
routing = ["openai"]

[models."gpt-4o-mini".providers.openai]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:$UPSTREAM/v1"
api_key_location = "env::BENCH_PROVIDER_KEY"
TOML

export BENCH_PROVIDER_KEY=sk-bench
# One worker thread for the one core it is given (a setting of its runtime, Tokio).
export TOKIO_WORKER_THREADS=1
export RUST_LOG=error
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy || :
unset TENSORZERO_CLICKHOUSE_URL TENSORZERO_POSTGRES_URL TENSORZERO_VALKEY_URL || :
cd "$WORK"
exec "$DIR/gateway" --config-file "$WORK/tensorzero.toml"
