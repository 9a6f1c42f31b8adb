"""Announces of members: HTTP Basic, `tls_flags` and `tls_pins` in the answer (protocol.md, Full Strict).

The pin of a peer is that of a certificate issued to the member who announced it: the one that the request names
(`tls_pin`, 32 bytes) or, without a name, the last one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from btresearch.peer import Address, RemoteProtocolError, announce
from btresearch.session.secure import reply
from btresearch.session.secure.doorkeeper import Doorkeeper
from btresearch.session.secure.errors import MembersError, Refused
from btresearch.session.secure.members import Entitlement, Issue, Members
from btresearch.session.secure.swarms import Swarms

PATH = "/announce"


@dataclass(frozen=True)
class _Standing:
    """What the database says of a member and a torrent."""

    held: Entitlement
    issues: Sequence[Issue]
    entitled: frozenset[str]


class Announces:
    """The handler of /announce."""

    def __init__(
        self,
        members: Members,
        doorkeeper: Doorkeeper,
        swarms: Swarms,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._members, self._doorkeeper, self._swarms, self._now_s = members, doorkeeper, swarms, now_s

    def add_to(self, app: web.Application) -> None:
        """Route it."""
        app.router.add_get(PATH, self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        """Every refusal is a tracker's answer too, so that BEP 3 clients show its text."""
        try:
            name = await self._doorkeeper.admit(request.headers.get("Authorization"), reply.source(request))
            return _bencoded(await self._announce(request, name))
        except RemoteProtocolError as error:
            return _bencoded(announce.encode_failure(str(error)))
        except (Refused, MembersError) as error:
            refusal = reply.refusal(error)
            body, headers = announce.encode_failure(str(refusal)), reply.headers_of(refusal)
            return _bencoded(body, status=refusal.status, headers=headers)

    async def _announce(self, request: web.Request, name: str) -> bytes:
        said, now_s = announce.parse_query(request.rel_url.raw_query_string), self._now_s()
        standing = await asyncio.to_thread(self._standing, name, said.infohash, now_s)
        response, peer_ids = self._swarms.announce(
            standing.held.torrent,
            said,
            Address.of(request.remote or "", said.port),
            member=name,
            issue=_announced(standing.issues, said.tls_pin),
            entitled=standing.entitled,
            now_s=now_s,
        )
        return announce.encode_response(response, peer_ids=None if said.compact else peer_ids)

    def _standing(self, name: str, infohash: bytes, now_s: float) -> _Standing:
        held = self._members.entitlement(name, infohash)
        issues = self._members.issues(held, now_s=int(now_s))
        return _Standing(held, issues, self._members.entitled(held.torrent))


def _announced(issues: Sequence[Issue], pin: bytes | None) -> Issue | None:
    if pin is None:
        return issues[0] if issues else None
    for issue in issues:
        if issue.pin == pin:
            return issue
    raise Refused(403, "tls_pin is of no certificate issued to this member")


def _bencoded(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="text/plain")
