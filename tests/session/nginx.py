"""A stock nginx on loopback: Debian's configuration, an empty site, TLS 1.2 and 1.3, a given identity."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.session.swarming import HOST, free_port

MISSING = shutil.which("nginx") is None
WHY_MISSING = "nginx is not here: install nginx"
START_S = 5.0

# What /etc/nginx/nginx.conf and sites-enabled/default of Debian 12 say, but for paths, port and protocols.
CONFIG = """
worker_processes 1;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  types {{ text/html html htm; }}
  default_type application/octet-stream;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_prefer_server_ciphers on;
  access_log off;
  gzip on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {host}:{port} ssl default_server;
    ssl_certificate {folder}/identity.pem;
    ssl_certificate_key {folder}/identity.pem;
    root {folder}/html;
    index index.html index.htm index.nginx-debian.html;
    server_name _;
    location / {{ try_files $uri $uri/ =404; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, identity_pem: bytes) -> Iterator[int]:
    """Run one in `folder`; its port."""
    folder.mkdir(exist_ok=True)
    (folder / "html").mkdir()
    (folder / "identity.pem").write_bytes(identity_pem)
    port = free_port()
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, host=HOST, port=port))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield port
    finally:
        server.kill()
        server.wait()


def _wait(port: int) -> None:
    limit_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((HOST, port), 1.0).close()
            return
        except ConnectionError:
            if time.monotonic() > limit_s:
                raise
            time.sleep(0.05)
