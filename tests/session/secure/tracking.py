"""A secure tracker on loopback with one member and one hybrid torrent, and a raw HTTPS client for it."""

from __future__ import annotations

import base64
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from btresearch.session.accounts import Account
from btresearch.session.secure import Members, SecureTracker, passwords

NOW_S = 1_900_000_000
V1, V2 = bytes(range(20)), bytes(range(100, 132))
OTHER = bytes(range(50, 70))
PASSWORD = "correct horse battery"
_HASHED = passwords.hashed(PASSWORD)


def registered(folder: Path, *names: str) -> Members:
    """Members `names` of the hybrid torrent V1/V2; OTHER is known and nobody's."""
    members = Members(folder)
    members.register((V1, V2), "hybrid")
    members.register((OTHER,), "other")
    for name in names:
        members.add(name, _HASHED, now_s=NOW_S)
        members.entitle(name, V1)
    return members


@dataclass
class Tracked:
    """A running tracker and a second handle to its state."""

    tracker: SecureTracker
    members: Members
    http: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        return self.tracker.origin

    def account(self, name: str = "ann", password: str = PASSWORD) -> Account:
        return Account(self.origin, name, password, self.tracker.pin)

    async def ask(
        self,
        path: str,
        body: bytes | None = None,
        *,
        name: str | None = "ann",
        password: str = PASSWORD,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """GET, or POST of a PKCS #10 body."""
        said = {} if body is None else {"Content-Type": "application/pkcs10"}
        if name is not None:
            said["Authorization"] = basic(name, password)
        async with self.http.request(
            "GET" if body is None else "POST",
            f"{self.origin}{path}",
            data=body,
            headers=said | (headers or {}),
            ssl=False,
            allow_redirects=False,
        ) as response:
            return response.status, dict(response.headers), await response.read()

    async def enroll(
        self, label: bytes = V2, body: bytes | None = None, **more: Any
    ) -> tuple[int, dict[str, str], bytes]:
        return await self.ask(
            f"/.well-known/est/{label.hex()}/simpleenroll", request() if body is None else body, **more
        )


@contextlib.asynccontextmanager
async def tracked(folder: Path, *names: str, **options: Any) -> AsyncIterator[Tracked]:
    with registered(folder, *(names or ("ann",))) as members:
        async with SecureTracker(folder, **options) as tracker, aiohttp.ClientSession() as http:
            yield Tracked(tracker, members, http)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def request(
    key: Any = None,
    extensions: Sequence[x509.ExtensionType] = (),
    subject: x509.Name | None = None,
    digest: Any = None,
) -> bytes:
    """A PKCS #10 request in base64."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder(subject or x509.Name([]))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return base64.b64encode(builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.DER))


def certificates(body: bytes) -> list[x509.Certificate]:
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))


def names_of(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in extension.value]


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def rng() -> random.Random:
    return random.Random(7)
