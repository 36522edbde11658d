#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: HAProxy as a plain proxy, in the
# foreground. One thread for one core, no log, connections to the provider shared
# (http-reuse always), chunks passed on at once (option http-no-delay;
# https://docs.haproxy.org/2.6/configuration.html, 2026-11-25).
set -eu
cat >"$4/haproxy.cfg" <<CONF
global
  nbthread 1
defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend front
  bind 127.0.0.1:$2 backlog 4096
  default_backend provider
backend provider
  server provider 127.0.0.1:$3 pool-max-conn 1024
CONF
exec haproxy -q -f "$4/haproxy.cfg" -db
