#!/bin/sh
# start.sh DIR LISTEN_PORT UPSTREAM_PORT WORK: nginx as a plain proxy, in the
# foreground. One worker for one core, no log, connections to the provider kept
# (https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive,
# 2026-11-25), nothing buffered (proxy_buffering off: events pass at once).
set -eu
cat >"$4/nginx.conf" <<CONF
daemon off; worker_processes 1; worker_rlimit_nofile $(ulimit -n); pid $4/nginx.pid; error_log $4/error.log crit;
events { worker_connections 65536; }
http {
  access_log off;
  client_max_body_size 64m; client_body_buffer_size 16m;
  client_body_temp_path $4/t1; proxy_temp_path $4/t2; fastcgi_temp_path $4/t3; uwsgi_temp_path $4/t4; scgi_temp_path $4/t5;
  keepalive_requests 100000000;
  upstream provider { server 127.0.0.1:$3; keepalive 1024; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:$2 backlog=4096;
    location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
CONF
exec nginx -c "$4/nginx.conf" -p "$4" -e "$4/error.log"
