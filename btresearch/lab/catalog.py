"""Which programs the lab can run: peers, kinds of cover traffic, and what each of them needs installed.

This module says names only; it imports no actor, since an actor's libraries may be absent.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass

PROFILES = ("lan",)
TRANSPORTS = (
    "clear",
    "mse_rc4",
    "mse_plain",
    "utp",
    "utp_mse",
    "ssl_torrent",
    "btls_basic",
    "tls",
)
MAX_OBJECT_BYTES = 1 << 30

ACTORS = "btresearch.lab.actors"


@dataclass(frozen=True)
class Program:
    """One program in one role: the module that runs it, and the packages or commands without which it can't."""

    module: str
    packages: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """(command, package that brings it) pairs."""

    def missing(self) -> str:
        """One line that names what to install; empty when nothing is missing."""
        absent = [f"pip package {name}" for name in self.packages if importlib.util.find_spec(name) is None]
        absent += [f"package {package}" for command, package in self.commands if not find_command(command)]
        return f"needs {', '.join(absent)}" if absent else ""


def find_command(name: str) -> str | None:
    """Path of a command, also where an ordinary user's PATH doesn't look."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


PEER_PROGRAMS = {
    "libtorrent": Program(f"{ACTORS}.libtorrent_peer", packages=("libtorrent",)),
    "btresearch": Program(f"{ACTORS}.own_peer"),
}
PEERS = tuple(PEER_PROGRAMS)

SUPPORTED = {
    "libtorrent": ("clear", "mse_rc4", "mse_plain", "utp", "utp_mse", "ssl_torrent"),
    "btresearch": ("clear", "mse_rc4", "mse_plain", "btls_basic"),
}

SSL = Program(f"{ACTORS}.cover_ssl")
SSL_SERVER = Program(f"{ACTORS}.cover_ssl_server")
AIOHTTP = Program(f"{ACTORS}.cover_aiohttp", packages=("aiohttp",))
WEB_SERVER = Program(f"{ACTORS}.cover_web_server", packages=("aiohttp",))
HTTPX = Program(f"{ACTORS}.cover_httpx", packages=("httpx", "h2"))
H2_SERVER = Program(f"{ACTORS}.cover_h2_server", packages=("h2",))
CURL_CFFI = Program(f"{ACTORS}.cover_curl_cffi", packages=("curl_cffi",))
CURL = Program(f"{ACTORS}.cover_curl", commands=(("curl", "curl"),))
CHROMIUM = Program(f"{ACTORS}.cover_chromium", commands=(("chromium", "chromium"),))
NGINX = Program(f"{ACTORS}.cover_nginx", commands=(("nginx", "nginx-light"),))


@dataclass(frozen=True)
class Kind:
    """One kind of cover traffic: who connects to whom, and what the client does (`behaviour`)."""

    client: Program
    server: Program
    behaviour: str
    browser: str = ""

    def missing(self) -> str:
        """One line that names what to install; empty when nothing is missing."""
        return "; ".join(filter(None, (self.client.missing(), self.server.missing())))


KINDS = {
    "ssl_rpc": Kind(SSL, SSL_SERVER, "rpc"),
    "sync": Kind(SSL, SSL_SERVER, "sync"),
    "httpx_h2": Kind(HTTPX, H2_SERVER, "pages"),
    "upload": Kind(HTTPX, WEB_SERVER, "upload"),
    "aiohttp_download": Kind(AIOHTTP, WEB_SERVER, "download"),
    "websocket_chat": Kind(AIOHTTP, WEB_SERVER, "websocket"),
    "long_poll": Kind(AIOHTTP, WEB_SERVER, "long_poll"),
    "chrome_pages": Kind(CURL_CFFI, H2_SERVER, "pages", "chrome"),
    "chrome_by_address": Kind(CURL_CFFI, H2_SERVER, "pages_by_address", "chrome"),
    "firefox_pages": Kind(CURL_CFFI, H2_SERVER, "pages", "firefox"),
    "safari_pages": Kind(CURL_CFFI, H2_SERVER, "pages", "safari"),
    "bulk": Kind(CURL_CFFI, WEB_SERVER, "bulk", "chrome"),
    "segments": Kind(CURL_CFFI, WEB_SERVER, "segments", "safari"),
    "curl_nginx": Kind(CURL, NGINX, "pages"),
    "firefox_nginx": Kind(CURL_CFFI, NGINX, "pages", "firefox"),
    "chromium_nginx": Kind(CHROMIUM, NGINX, "pages"),
}
