#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: the Bifrost gateway (the program
# DIR/bifrost) in the foreground on 127.0.0.1:LISTEN_PORT in front of an OpenAI provider
# on 127.0.0.1:UPSTREAM_PORT.
set -eu
USAGE='usage: start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK'
DIR=$(cd "${1:?$USAGE}" && pwd)
LISTEN=${2:?$USAGE}
UPSTREAM=${3:?$USAGE}
WORK=${4:?$USAGE}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# Workers, queue and pools by the table's row for 5000 requests a second:
# https://docs.getbifrost.ai/providers/performance (2026-11-25).
# No configuration store, no log store, so no database and no web interface:
# https://docs.getbifrost.ai/quickstart/gateway/setting-up (2026-11-25).
# The price list is by default fetched from the maker's site; the address given here
# refuses, so the gateway runs without prices.
cat >"$WORK/config.json" <<JSON
{
  "\$schema": "https://www.getbifrost.ai/schema",
  "client": {
    "initial_pool_size": 7500,
    "drop_excess_requests": false,
    "enable_logging": false,
    "disable_content_logging": true,
    "disable_db_pings_in_health": true
  },
  "config_store": {"enabled": false},
  "logs_store": {"enabled": false},
  "framework": {"pricing": {"pricing_url": "http://127.0.0.1:9/none"}},
  "providers": {
    "openai": {
      "keys": [{"name": "bench", "value": "sk-bench", "models": ["gpt-4o-mini"], "weight": 1}],
      "network_config": {
        "base_url": "http://127.0.0.1:$UPSTREAM",
        "default_request_timeout_in_seconds": 600,
        "max_retries": 0
      },
      "concurrency_and_buffer_size": {"concurrency": 5000, "buffer_size": 7500}
    }
  }
}
JSON

# https://docs.getbifrost.ai/deployment-guides/docker-tuning (2026-11-25): GOGC=200 for
# throughput, GOMEMLIMIT of nine tenths of 4 GB, 65536 files; GOMAXPROCS is found by
# itself from the cores the process may use.
export GOGC=200
export GOMEMLIMIT=3600MiB
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy || :
cd "$WORK"
exec "$DIR/bifrost" -host 127.0.0.1 -port "$LISTEN" -app-dir "$WORK" \
  -log-level error -log-style json
