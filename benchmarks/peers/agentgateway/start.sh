#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: the program DIR/agentgateway in the
# foreground on port LISTEN_PORT in front of an OpenAI provider on
# 127.0.0.1:UPSTREAM_PORT.
set -eu
USAGE='usage: start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK'
DIR=$(cd "${1:?$USAGE}" && pwd)
LISTEN=${2:?$USAGE}
UPSTREAM=${3:?$USAGE}
WORK=${4:?$USAGE}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# As in the project's own benchmark of its AI gateway: a fixed number of worker threads
# (there 2 for 2 cores, here 1 for 1) and no access log, which is what logging.filter
# "false" means; no database is configured:
# https://github.com/agentgateway/benchmarks/blob/main/ai-gateway/configs/agentgateway.yaml
# (2026-11-25). Retries are a policy that is not set.
cat >"$WORK/config.yaml" <<YAML
config:
  enableIpv6: false
  workerThreads: 1
  adminAddr: "off"
  statsAddr: "off"
  readinessAddr: "off"
  logging:
    level: error
    filter: "false"
llm:
  port: $LISTEN
  models:
  - name: gpt-4o-mini
    provider: openAI
    params:
      baseUrl: http://127.0.0.1:$UPSTREAM/v1
      model: gpt-4o-mini
      apiKey: sk-bench
YAML

unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy || :
cd "$WORK"
exec "$DIR/agentgateway" -f "$WORK/config.yaml"
