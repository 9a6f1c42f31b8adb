"""Enrolment over Secure Transport, the client's end: RFC 7030 with HTTP Basic over TLS (protocol.md, Full Strict).

The torrent's author chose the server, so its URL proves nothing: credentials go to an origin that the user has
configured and that TLS has verified, and no redirect is followed.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import aiohttp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from btresearch.errors import printable
from btresearch.session.accounts import Account, origin_of
from btresearch.session.errors import EnrolmentError, EnrolmentRefused
from btresearch.transport.btls import chain as path
from btresearch.transport.btls.credential import Credential
from btresearch.transport.errors import RemoteProtocolError

TIMEOUT_S = 20.0
MAX_BODY_BYTES = 64 * 1024
MAX_CERTIFICATES = 8
MAX_RETRY_AFTER_S = 3600
_MALFORMED = (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error, x509.InvalidVersion)


@dataclass(frozen=True)
class Est:
    """Where a torrent's certificates come from: `origin` from info.tls, the torrent's full infohashes, and `ca`."""

    origin: str
    infohashes: tuple[bytes, ...]
    ca: frozenset[bytes]

    def url(self, operation: str) -> str:
        """RFC 7030 section 3.2.2; the label is the infohash, v2 where there is one."""
        return f"{origin_of(self.origin)}/.well-known/est/{self.infohashes[-1].hex()}/{operation}"


async def enrol(
    est: str,
    infohashes: Sequence[bytes],
    account: Account,
    *,
    ca: Collection[bytes],
    key: ec.EllipticCurvePrivateKey | None = None,
    renewing: bool = False,
) -> Credential:
    """Get a member's certificate for `key`, or for a fresh one; `renewing` says that there was one before.

    `infohashes`: the full ones, v1 before v2. `ca`: the SPKI hashes that the torrent accepts. The chain is checked
    as a peer would before it is returned.

    Raises:
        EnrolmentRefused: not a member, or of another torrent.
        EnrolmentError: unreachable, not verified, or no use.
        InputError: `est` is no HTTPS origin.
    """
    place = Est(est, tuple(infohashes), frozenset(ca))
    if origin_of(est) != account.origin:
        raise EnrolmentError(f"{origin_of(est)}: this account is for {account.origin}")
    operation = "simplereenroll" if renewing else "simpleenroll"
    key = key or ec.generate_private_key(ec.SECP256R1())
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
        conversation = _Conversation(http, place, account)
        issuers = await conversation.cacerts()
        issued = await conversation.enroll(operation, _request(key))
    return _credential(place, key, issued, issuers)


@dataclass(frozen=True)
class _Conversation:
    http: aiohttp.ClientSession
    est: Est
    account: Account

    async def cacerts(self) -> list[x509.Certificate]:
        """Without credentials. The torrent names the CA, so what else the server sends does not count."""
        issuers = _certificates(await self._ask("GET", "cacerts", None, {}))
        if not any(path.spki_sha256(issuer) in self.est.ca for issuer in issuers):
            raise EnrolmentError(f"{self.account.origin}: has no CA that the torrent names")
        return issuers

    async def enroll(self, operation: str, request: bytes) -> list[x509.Certificate]:
        headers = {
            "Authorization": self.account.authorization,
            "Content-Type": "application/pkcs10",
            "Content-Transfer-Encoding": "base64",
        }
        return _certificates(await self._ask("POST", operation, request, headers))

    async def _ask(self, method: str, operation: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        name, trust = self.account.origin, self.account.trust()
        try:
            async with self.http.request(
                method,
                self.est.url(operation),
                data=body,
                headers=headers,
                ssl=trust,
                allow_redirects=False,
            ) as response:
                _check(name, response)
                return await _read(response)
        except aiohttp.ServerFingerprintMismatch:
            raise EnrolmentError(f"{name}: shows another key than the account's pin") from None
        except TimeoutError:
            raise EnrolmentError(f"{name}: no answer in {TIMEOUT_S:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EnrolmentError(f"{name}: {printable(str(error), 200)}") from None


def _check(name: str, response: aiohttp.ClientResponse) -> None:
    if response.status in (401, 403):
        raise EnrolmentRefused(f"{name}: refused (HTTP {response.status}): no member of this torrent")
    if 300 <= response.status < 400:
        raise EnrolmentError(f"{name}: redirects elsewhere, where credentials don't go")
    if response.status != 200:
        text = response.headers.get("Retry-After", "")
        wait_s = min(int(text), MAX_RETRY_AFTER_S) if text.isdecimal() and len(text) < 10 else None
        raise EnrolmentError(f"{name}: HTTP status {response.status}", retry_after_s=wait_s)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(MAX_BODY_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise EnrolmentError(f"answer over {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _certificates(body: bytes) -> list[x509.Certificate]:
    """Read a certs-only PKCS #7 in base64 (RFC 7030 section 4.1.3). Raises EnrolmentError."""
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
        found = pkcs7.load_der_pkcs7_certificates(der)[: MAX_CERTIFICATES + 1]
        parsed = [path.parse(each.public_bytes(Encoding.DER)) for each in found]
        for each in parsed:
            _ = each.subject, each.issuer  # they are read when they are asked for, and may be unreadable
    except (*_MALFORMED, RemoteProtocolError):
        raise EnrolmentError("the server's certificates can't be read") from None
    if not 0 < len(parsed) <= MAX_CERTIFICATES:
        raise EnrolmentError(f"the server sent no certificate, or over {MAX_CERTIFICATES}")
    return parsed


def _request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A PKCS #10 request without a name: the server knows who asks, and for what."""
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    return base64.encodebytes(request.public_bytes(Encoding.DER))


def _credential(
    est: Est,
    key: ec.EllipticCurvePrivateKey,
    issued: list[x509.Certificate],
    issuers: list[x509.Certificate],
) -> Credential:
    leaf = next((one for one in issued if one.public_key() == key.public_key()), None)
    if leaf is None:
        raise EnrolmentError("the server certified another key")
    chain = [one.public_bytes(Encoding.DER) for one in _path(leaf, issued + issuers, est.ca)]
    for infohash in est.infohashes:
        try:
            found = path.validate(chain, ca=est.ca, infohash=infohash, now_s=time.time())
        except RemoteProtocolError as error:
            raise EnrolmentError(f"the server's certificate is of no use: {error}") from error
    if not set(found.hashes) <= set(est.infohashes):
        raise EnrolmentError("the server's certificate names another torrent too")
    return Credential(tuple(chain), key)


def _path(
    leaf: x509.Certificate, others: list[x509.Certificate], ca: Collection[bytes]
) -> list[x509.Certificate]:
    """From the leaf upward by name, to the first CA of the torrent; signatures are checked afterwards."""
    found = [leaf]
    while len(found) < path.MAX_CHAIN and path.spki_sha256(found[-1]) not in ca:
        above = [one for one in others if one.subject == found[-1].issuer and one not in found]
        above.sort(key=lambda one: path.spki_sha256(one) not in ca)
        found += above[:1]
        if not above:
            break
    return found
