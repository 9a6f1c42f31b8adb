"""Enrolment over Secure Transport, the server's end: RFC 7030 sections 4.1 and 4.2, one label a torrent.

/.well-known/est/<full infohash, hexadecimal>/cacerts, simpleenroll and simplereenroll. Renewal is enrolment: the
certificate says what the member is entitled to now, whatever it said before.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Callable

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from btresearch.session.secure import csr, reply
from btresearch.session.secure.authority import LIFE_S, Authority, not_after_s, spki_sha256
from btresearch.session.secure.doorkeeper import Doorkeeper
from btresearch.session.secure.errors import MembersError, Refused, not_entitled
from btresearch.session.secure.members import Issue, Members

BASE = "/.well-known/est"
BODY_S = 10.0
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"
_LABEL = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_LINE = 64


class Enrolment:
    """The handlers of EST."""

    def __init__(
        self,
        members: Members,
        authority: Authority,
        doorkeeper: Doorkeeper,
        *,
        life_s: int = LIFE_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._members, self._authority, self._doorkeeper = members, authority, doorkeeper
        self._life_s, self._now_s = life_s, now_s

    def add_to(self, app: web.Application) -> None:
        """Route the three operations."""
        app.router.add_get(f"{BASE}/{{label}}/cacerts", _refusing(self.cacerts))
        for operation in ("simpleenroll", "simplereenroll"):
            app.router.add_post(f"{BASE}/{{label}}/{operation}", _refusing(self.enroll))

    async def cacerts(self, request: web.Request) -> web.Response:
        """Section 4.1: the CA, for everyone and whatever the label, which so says nothing of what is here."""
        _infohash(request)
        return _certificates(self._authority.certificate)

    async def enroll(self, request: web.Request) -> web.Response:
        """Section 4.2: a certificate for the request's key and the label's torrent."""
        infohash = _infohash(request)
        name = await self._doorkeeper.admit(request.headers.get("Authorization"), reply.source(request))
        if request.content_type != "application/pkcs10":
            raise Refused(415, "expected application/pkcs10")
        body = await _body(request)
        return _certificates(await asyncio.to_thread(self._issue, name, infohash, body))

    def _issue(self, name: str, infohash: bytes, body: bytes) -> x509.Certificate:
        held = self._members.entitlement(name, infohash)
        if infohash not in held.infohashes:  # the announced half of a v2 infohash
            raise not_entitled()
        key, now_s = csr.public_key(body), int(self._now_s())
        serial = x509.random_serial_number()
        issue = Issue(serial.to_bytes(20, "big"), spki_sha256(key), now_s, not_after_s(now_s, self._life_s))
        self._members.log(held, issue)
        return self._authority.issue(key, held.infohashes, serial=serial, from_s=now_s, life_s=self._life_s)


def _refusing(handler: reply.Handler) -> reply.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (Refused, MembersError) as error:
            refusal = reply.refusal(error)
            headers = reply.headers_of(refusal)
            return web.Response(status=refusal.status, text=f"{refusal}\n", headers=headers)

    return answer


def _infohash(request: web.Request) -> bytes:
    label = request.match_info["label"]
    if not _LABEL.fullmatch(label):
        raise Refused(404, "expected an infohash in hexadecimal")
    return bytes.fromhex(label)


async def _body(request: web.Request) -> bytes:
    """All of it, bounded by the application's client_max_size (413) and in time."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise Refused(408, "the request took too long") from error


def _certificates(certificate: x509.Certificate) -> web.Response:
    """RFC 7030 section 4.1.3: a certs-only CMC Simple PKI Response, base64."""
    text = base64.b64encode(pkcs7.serialize_certificates([certificate], Encoding.DER)).decode()
    lines = "".join(f"{text[at : at + _LINE]}\r\n" for at in range(0, len(text), _LINE))
    headers = {"Content-Type": CERTS_ONLY, "Content-Transfer-Encoding": "base64"}
    return web.Response(body=lines.encode(), headers=headers)
