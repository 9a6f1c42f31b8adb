"""Records the ClientHellos of the TLS stacks of this machine, and writes the table that `tls_fingerprint` reads.

Every client is the real program: it is pointed at a listener on loopback that takes its first flight and hangs
up. Stacks that need a whole lab (libtorrent's SSL torrents) come from labelled captures. What stands in the table
already with a source of its own (`recorded = false`) is kept.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from btresearch.capture import toml
from btresearch.detect.npf import npf, npf_hash
from btresearch.detect.tls_stacks import TABLE
from btresearch.flow import ClientHello, HelloError, parse_client_hello, read
from btresearch.flow.ja3 import ja3
from btresearch.flow.ja4 import ja4

HANDSHAKE, CLIENT_HELLO = 22, 1
HOST = "localhost"
CLIENT_S, READ_S = 30.0, 10.0
MAX_HELLO_BYTES = 1 << 16
MAX_JA3 = 4  # a stack with more is one that shuffles its extensions
COMMON = {"browser": 0.95, "library": 0.5, "bittorrent": 0.1}
HEADER = (
    "# TLS client stacks, written by `btresearch stacks captures` (btresearch/stacks.py): do not edit what is\n"
    "# recorded; entries with recorded = false have a source of their own and are kept.\n"
    "# common: 1 a crowd shares it (browsers), 0.5 programs on a common library, 0.1 few programs. A judgement by\n"
    "# kind, no measurement of anybody's traffic. hello_bytes: least and most, without the server name.\n\n"
)

Recorded = tuple[int, bytes]  # record version, ClientHello message


@dataclass(frozen=True)
class Client:
    """A program that can be told to connect: `command` has {python}, {host}, {port} and {folder} to fill in."""

    name: str
    kind: str
    library: str
    command: tuple[str, ...]
    version: Callable[[], str]


def _said(*command: str) -> Callable[[], str]:
    def version_of() -> str:
        program = shutil.which(command[0])
        if program is None:
            return ""
        ran = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=CLIENT_S, check=False
        )
        return next((word.lstrip("v") for word in ran.stdout.split() if word.lstrip("v")[:1].isdigit()), "")

    return version_of


def _package(name: str) -> Callable[[], str]:
    def version_of() -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    return version_of


def _python(code: str) -> tuple[str, ...]:
    return ("{python}", "-c", code)


URL = "https://{host}:{port}/"
_SSL = (
    "import socket, ssl; c = ssl._create_unverified_context(); {extra}"
    "c.wrap_socket(socket.create_connection(('{{host}}', {{port}})), server_hostname='{{host}}')"
)
_HTTPX = "import httpx; httpx.Client(verify=False, http2={http2}).get('https://{{host}}:{{port}}/')"
_AIOHTTP = """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession() as session:
        await session.get("https://{host}:{port}/", ssl=False)
asyncio.run(main())"""
_PYOPENSSL = """
import socket; from OpenSSL import SSL
c = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), socket.create_connection(("{host}", {port})))
c.set_tlsext_host_name(b"{host}"); c.set_connect_state(); c.do_handshake()"""
_UTLS = """
import socket, utls
c = utls.SSLContext(utls.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = utls.CERT_NONE
c.set_fingerprint(utls.Fingerprint.from_preset("chrome:stable"))
c.wrap_socket(socket.create_connection(("{host}", {port})), server_hostname="{host}")"""
_CFFI = "import curl_cffi; curl_cffi.get('https://{{host}}:{{port}}/', verify=False, impersonate='{browser}')"
_NODE = "require('https').get({{host: '{host}', port: {port}, rejectUnauthorized: false}}).on('error', () => {{}})"
_CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--disable-quic",
             "--disable-background-networking", "--no-first-run", "--user-data-dir={folder}", "--dump-dom")  # fmt: skip

CLIENTS = (
    Client("Chromium", "browser", "BoringSSL", ("chromium", *_CHROMIUM, URL), _said("chromium", "--version")),
    *(
        Client(f"curl_cffi as {b}", "browser", "BoringSSL", _python(_CFFI.format(browser=b)), _package("curl_cffi"))
        for b in ("chrome", "firefox", "safari")
    ),
    Client("utls as chrome", "browser", "BoringSSL", _python(_UTLS), _package("utls")),
    Client("curl", "library", "OpenSSL", ("curl", "-sk", URL), _said("curl", "--version")),
    Client("wget", "library", "GnuTLS", ("wget", "-q", "-t1", "-O-", "--no-check-certificate", URL),
           _said("wget", "--version")),
    Client("Node.js", "library", "OpenSSL", ("node", "-e", _NODE), _said("node", "--version")),
    Client("openssl s_client", "library", "OpenSSL", ("openssl", "s_client", "-connect", "{host}:{port}"),
           _said("openssl", "version")),
    Client("Python ssl", "library", "OpenSSL", _python(_SSL.format(extra="")), _said(sys.executable, "--version")),
    Client("Python ssl with ALPN", "library", "OpenSSL",
           _python(_SSL.format(extra="c.set_alpn_protocols(['http/1.1']); ")), _said(sys.executable, "--version")),
    Client("requests", "library", "OpenSSL",
           _python("import requests; requests.get('https://{host}:{port}/', verify=False)"), _package("requests")),
    Client("httpx", "library", "OpenSSL", _python(_HTTPX.format(http2=False)), _package("httpx")),
    Client("httpx with HTTP/2", "library", "OpenSSL", _python(_HTTPX.format(http2=True)), _package("httpx")),
    Client("aiohttp", "library", "OpenSSL", _python(_AIOHTTP), _package("aiohttp")),
    Client("pyOpenSSL", "library", "OpenSSL of cryptography", _python(_PYOPENSSL), _package("pyOpenSSL")),
    Client("tlslite-ng", "library", "tlslite-ng",
           _python("import socket; from tlslite.api import TLSConnection as C; "
                   "C(socket.create_connection(('{host}', {port}))).handshakeClientCert(serverName='{host}')"),
           _package("tlslite-ng")),
)  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """One stack's hellos."""

    name: str
    kind: str
    library: str
    source: str
    hellos: tuple[Recorded, ...]


def record(client: Client, times: int) -> Stack | None:
    """The first flights of `times` runs of the client; None where it is not installed or never connects."""
    number = client.version()
    if not number:
        return None
    found = [hello for hello in (_record_once(client) for _ in range(times)) if hello is not None]
    source = f"{times} runs against a listener on loopback"
    return (
        Stack(f"{client.name} {number}", client.kind, client.library, source, tuple(found)) if found else None
    )


def _record_once(client: Client) -> Recorded | None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        listener.settimeout(CLIENT_S)
        facts = {"python": sys.executable, "host": HOST, "port": listener.getsockname()[1], "folder": folder}
        command = [part.format(**facts) for part in client.command]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            end, _ = listener.accept()
            with end:
                return first_flight(end)
        except TimeoutError:
            return None
        finally:
            process.kill()
            process.wait()


def first_flight(end: socket.socket) -> Recorded | None:
    """Read one ClientHello, in one record or in several, from a connection."""
    end.settimeout(READ_S)
    stream = b""
    while len(stream) < MAX_HELLO_BYTES:
        if (whole := unwrapped(stream)) is not None:
            return whole
        try:
            piece = end.recv(1 << 16)
        except OSError:
            return None
        if not piece:
            return None
        stream += piece
    return None


def unwrapped(stream: bytes) -> Recorded | None:
    """Record version and ClientHello message of a stream's first records; None while it is not whole."""
    message, at = b"", 0
    while len(stream) >= at + 5 and stream[at] == HANDSHAKE:
        size = int.from_bytes(stream[at + 3 : at + 5], "big")
        message += stream[at + 5 : at + 5 + size]
        at += 5 + size
    size = 4 + int.from_bytes(message[1:4], "big")
    whole = len(message) >= 4 and message[0] == CLIENT_HELLO and len(message) >= size
    return (int.from_bytes(stream[1:3], "big"), message[:size]) if whole else None


def from_captures(folders: Iterable[Path]) -> Iterator[Stack]:
    """The stacks of labelled captures whose initiators are BitTorrent clients with a TLS library of their own."""
    key = ["src", "sport", "dst", "dport"]
    tables = [
        read(folder).merge(pd.read_parquet(folder / "labels.parquet"), on=key, suffixes=("", "_label"))
        for folder in folders
    ]
    joined = pd.concat(tables) if tables else pd.DataFrame(columns=["transport", "client_hello"])
    own = joined[(joined["transport"] == "ssl_torrent") & (joined["client_hello"].map(len) > 0)]
    for (program, number, library), flows in own.groupby(["client", "client_version", "tls_library"]):
        hellos = tuple(zip(flows["tls_record_version"], flows["client_hello"], strict=True))
        yield Stack(
            f"{program} {number}", "bittorrent", str(library), f"{len(flows)} flows of captures", hellos
        )


def entry(stack: Stack) -> dict[str, Any]:
    """One stack as a section of the table. Raises HelloError for a hello that does not parse."""
    parsed = [
        (record_version, message, parse_client_hello(message)) for record_version, message in stack.hellos
    ]
    shapes = Counter(ja4(hello).split("_", 1)[1] for _, _, hello in parsed)
    hashes = sorted({ja3(hello) for _, _, hello in parsed})
    sizes = [len(message) - name_bytes(hello) for _, message, hello in parsed]
    return {
        "name": stack.name,
        "kind": stack.kind,
        "common": COMMON[stack.kind],
        "library": stack.library,
        "source": stack.source,
        "recorded": True,
        "hellos": len(parsed),
        "ja4_bc": sorted(shapes, key=lambda shape: -shapes[shape]),
        "ja3": hashes if len(hashes) <= MAX_JA3 else [],
        "npf": sorted({npf_hash(npf(record_version, hello)) for record_version, _, hello in parsed}),
        "alpn": [name.decode("ascii", "backslashreplace") for name in parsed[0][2].alpn],
        "hello_bytes": [min(sizes), max(sizes)],
    }


def name_bytes(hello: ClientHello) -> int:
    """Bytes that the server name takes in the hello."""
    return len(hello.server_name or b"")


def write(path: Path, stacks: Iterable[Stack]) -> int:
    """Write the table to `path`, with what stands there and is not recorded; the number of recorded stacks."""
    old = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = {name: facts for name, facts in old.get("stacks", {}).items() if not facts["recorded"]}
    new = {stack.name.replace(" ", "-").lower(): entry(stack) for stack in stacks}
    table = {"stacks": kept | new, "families": old.get("families", {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + toml.dumps(table), encoding="utf-8")
    return len(new)


def update(
    captures: Path, out: Path = TABLE, *, times: int = 10, progress: Callable[[str], None] = lambda _: None
) -> int:
    """Record every client of CLIENTS, add what the captures below a folder hold, and write the table."""
    stacks = []
    for client in CLIENTS:
        found = record(client, times)
        progress(f"{client.name}: {len(found.hellos) if found else 'not here, or never connected'}")
        stacks += [found] if found else []
    folders = sorted(path.parent for path in captures.rglob("labels.parquet"))
    return write(out, [*stacks, *from_captures(folders)])


__all__ = ["CLIENTS", "TABLE", "HelloError", "Stack", "entry", "from_captures", "record", "update", "write"]
