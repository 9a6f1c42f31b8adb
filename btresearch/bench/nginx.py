"""A stock nginx on loopback, to be compared with: Debian's configuration, an empty site, TLS 1.2 and 1.3."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from btresearch.errors import BtresearchError

ADDRESS = "127.0.0.1"
START_S = 5.0

# What /etc/nginx/nginx.conf and sites-enabled/default of Debian 12 say, but for paths, port and protocols.
_CONFIG = """
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
    listen {address}:{port} ssl default_server;
    ssl_certificate {folder}/identity.pem;
    ssl_certificate_key {folder}/identity.pem;
    root {folder}/html;
    index index.html index.htm index.nginx-debian.html;
    server_name _;
    location / {{ try_files $uri $uri/ =404; }}
  }}
}}
"""


class NoNginx(BtresearchError):
    """It is not installed, or does not start; the message says which."""


@contextmanager
def nginx(folder: Path, identity_pem: bytes) -> Iterator[int]:
    """Run one for the length of the block; its port. `identity_pem` is private key and chain. Raises NoNginx."""
    if shutil.which("nginx") is None:
        raise NoNginx("nginx is not here: install nginx")
    (folder / "html").mkdir(parents=True, exist_ok=True)
    (folder / "identity.pem").touch(mode=0o600)
    (folder / "identity.pem").write_bytes(identity_pem)
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, address=ADDRESS, port=port), encoding="ascii")
    command = ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield port
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    limit_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((ADDRESS, port), 1.0).close()
        except ConnectionError as error:
            if time.monotonic() > limit_s:
                raise NoNginx("nginx does not start") from error
            time.sleep(0.05)
        else:
            return
