"""The accounts that a user has at secure trackers: credentials go to these origins and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import ssl
import stat
import tomllib
from asyncio import BaseTransport
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from btresearch.errors import InputError, printable
from btresearch.peer import tls_info
from btresearch.session.errors import EnrolmentError

MAX_FILE_BYTES = 1024 * 1024
MAX_URL_CHARS = 2048
MAX_TEXT_BYTES = 256
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_KEYS = {"user", "password", "pin", "ca"}


def origin_of(url: str) -> str:
    """The origin of an HTTPS URL, in the one spelling of info.tls. Raises InputError for any other URL."""
    origin = tls_info.origin_of(url) if len(url) <= MAX_URL_CHARS else None
    if origin is None:
        # Without its user part, which may hold a password.
        raise InputError(printable(url.rpartition("@")[2], 200), "an https URL, without user or password")
    return origin


@dataclass(frozen=True)
class Account:
    """One account. Its server is verified by `pin` (SHA-256 of its SPKI), by `ca` (a PEM file), or by WebPKI."""

    origin: str
    user: str
    password: str = field(repr=False)
    pin: bytes | None = None
    ca: Path | None = None

    @property
    def authorization(self) -> str:
        """The value of HTTP's Authorization header (RFC 7617). Only for this account's origin."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def trust(self) -> ssl.SSLContext | aiohttp.Fingerprint:
        """What verifies the server: for aiohttp's `ssl`. Raises InputError for a `ca` that is none."""
        if self.pin is not None:
            return SpkiPin(self.pin)
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise InputError(str(self.ca), "a CA's certificate in PEM") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class SpkiPin(aiohttp.Fingerprint):
    """A server's public key, checked after the handshake and before the first byte of the request."""

    def check(self, transport: BaseTransport) -> None:
        """Raise aiohttp.ServerFingerprintMismatch for another key."""
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        found = _spki_sha256(der) if der else b""
        if found != self.fingerprint:
            host, port, *_ = transport.get_extra_info("peername")
            raise aiohttp.ServerFingerprintMismatch(self.fingerprint, found, host, port)


@dataclass(frozen=True)
class Accounts:
    """All of a user's accounts, by origin; read from a TOML file that only its owner may read.

    ["https://tracker.example:8443"]
    user = "ann"
    password = "..."
    pin = "64 hexadecimal digits"        # or ca = "file.pem", or neither: then WebPKI
    """

    by_origin: Mapping[str, Account]
    source: str = "--accounts"

    @classmethod
    def load(cls, path: Path) -> Accounts:
        """Read the file. Raises InputError; no text of the file is quoted."""
        try:
            fields = tomllib.loads(_private(path))
        except (ValueError, RecursionError):  # no text, no TOML, or absurd TOML
            raise InputError(path, "a TOML file") from None
        accounts = [_account(path, url, entry) for url, entry in fields.items()]
        return cls({account.origin: account for account in accounts}, str(path))

    def get(self, url: str) -> Account | None:
        """The account for a URL's origin, if there is one."""
        return self.by_origin.get(tls_info.origin_of(url) or "")

    def at(self, url: str) -> Account:
        """The account for a URL's origin. Raises EnrolmentError that says how to configure one; InputError."""
        origin = origin_of(url)
        if (account := self.get(url)) is None:
            raise EnrolmentError(
                f"{origin}: the torrent names this server and {self.source} has no account for it. If you trust "
                f'it, add ["{origin}"] with user, password and, unless its certificate is a public one, pin'
            )
        return account


def _private(path: Path) -> str:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS:
            raise InputError(
                path, "a file that only its owner may read (chmod 600), since it holds passwords"
            )
        return file.read(MAX_FILE_BYTES).decode()


def _account(path: Path, url: str, entry: object) -> Account:
    origin = origin_of(url)
    if urlsplit(url).path.strip("/") or urlsplit(url).query:
        raise InputError(path, f"an origin without a path: {origin}")
    where = f"{path}: {origin}"
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS:
        raise InputError(where, "the keys user, password, and pin or ca")
    user, password = _text(where, entry, "user"), _text(where, entry, "password")
    if ":" in user:
        raise InputError(where, "a user without a colon")
    pin, ca = entry.get("pin"), entry.get("ca")
    if pin is not None and ca is not None:
        raise InputError(where, "pin or ca, not both")
    return Account(origin, user, password, _pin(where, pin), _file(path, where, ca))


def _text(where: str, entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not 0 < len(value.encode()) <= MAX_TEXT_BYTES or not value.isprintable():
        raise InputError(where, f"{key}: a text of at most {MAX_TEXT_BYTES} bytes")
    return value


def _pin(where: str, value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise InputError(where, "pin: 64 hexadecimal digits, the SHA-256 of the server's SPKI")
    return bytes.fromhex(value)


def _file(path: Path, where: str, value: object) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InputError(where, "ca: a file name")
    return path.parent / value


def _spki_sha256(der: bytes) -> bytes:
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
