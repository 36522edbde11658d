#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: the LiteLLM proxy in the foreground on
# 127.0.0.1:LISTEN_PORT in front of an OpenAI provider on 127.0.0.1:UPSTREAM_PORT.
set -eu
USAGE='usage: start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK'
DIR=$(cd "${1:?$USAGE}" && pwd)
LISTEN=${2:?$USAGE}
UPSTREAM=${3:?$USAGE}
WORK=${4:?$USAGE}
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

# set_verbose, request_timeout, master key, simple-shuffle:
# https://docs.litellm.ai/docs/proxy/prod (2026-11-25).
# callbacks: [] and num_retries: 0 are in the project's own benchmark set-up:
# https://litellm.vercel.app/docs/benchmarks (2026-11-25).
# No database, no Redis, no cache: none is configured.
cat >"$WORK/config.yaml" <<YAML
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:$UPSTREAM/v1
      api_key: sk-bench
litellm_settings:
  set_verbose: false
  request_timeout: 600
  callbacks: []
  num_retries: 0
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 0
general_settings:
  master_key: sk-bench
YAML

# "Silence per-request info logs", "Disable load_dotenv":
# https://docs.litellm.ai/docs/proxy/prod (2026-11-25).
export LITELLM_LOG=ERROR
export LITELLM_MODE=PRODUCTION
# The price list of the package instead of one fetched at the start, and a keep-alive
# longer than the default 5 s: https://docs.litellm.ai/docs/proxy/server_tuning
# (2026-11-25). aiohttp is the default transport to providers, no setting needed:
# https://docs.litellm.ai/docs/aiohttp_benchmarks (2026-11-25).
export LITELLM_LOCAL_MODEL_COST_MAP=True
export KEEPALIVE_TIMEOUT=75
export PYTHONDONTWRITEBYTECODE=1
unset DATABASE_URL REDIS_HOST REDIS_URL HTTP_PROXY HTTPS_PROXY http_proxy https_proxy || :
cd "$WORK"
# One Uvicorn worker: https://docs.litellm.ai/docs/proxy/prod#workers-and-scaling
# (2026-11-25).
exec "$DIR/venv/bin/litellm" --config "$WORK/config.yaml" \
  --host 127.0.0.1 --port "$LISTEN" --num_workers 1
