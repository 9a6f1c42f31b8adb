"""What a stranger sees on our port: a web server that answers as a stock nginx with an empty site does.

Sans-IO, so that a TLS responder can hand it the bytes of a connection that proved nothing. It answers as nginx
1.22.1 of Debian 12 does, over TLS and, for `tls=False`, to plain bytes on its TLS port; `btresearch probe` compares
the two. The site is empty on purpose: a page of our own would name every one of our hosts.
"""

from __future__ import annotations

from typing import Literal

from btresearch.session.decoy_body import Body
from btresearch.session.decoy_pages import (
    PLAIN_ON_TLS,
    accepts_gzip,
    page,
    response,
    wants_padding,
)
from btresearch.session.decoy_request import BAD, Fault, Request, RequestReader

MAX_BODY_BYTES = 1 << 20  # nginx: client_max_body_size 1m
MAX_REQUESTS = 1000  # nginx: keepalive_requests 1000

Phase = Literal["head", "keepalive", "body"]
PHASE_LIMIT_S: dict[Phase, float] = {"head": 60.0, "keepalive": 75.0, "body": 5.0}
"""nginx: client_header_timeout (the whole head), keepalive_timeout, lingering_timeout (a silence)."""

# 413 is among them: nginx reads no more of a body that it does not want
_CLOSING = frozenset({"400", "413", "414", "500", "501"})
_STATIC = frozenset({b"GET", b"HEAD", b"POST"})


class Decoy:
    """One connection's web server.

    `closed`: hang up after sending what was returned; with `lingers` nginx goes on reading for a while, so that
    what the visitor still sends meets no reset; `silent`: without close_notify. `phase` says which of
    `PHASE_LIMIT_S` runs.
    """

    def __init__(self, *, tls: bool = True) -> None:
        self.closed = self.lingers = self.silent = False
        self.phase: Phase = "head"
        self._tls = tls
        self._reader = RequestReader()
        self._body = Body(0)
        self._keeps = True
        self._requests = 0

    def receive(self, data: bytes, *, now_s: float) -> bytes:
        """Bytes to answer with."""
        return b"".join(self.answers(data, now_s=now_s))

    def answers(self, data: bytes, *, now_s: float) -> list[bytes]:
        """The same, each in the record or segment of its own that nginx makes of it."""
        made: list[bytes] = []
        self._reader.rest += data
        while not self.closed and self._may_begin():
            found = self._reader.next()
            if found is None:
                break
            made.append(self._refuse(found, now_s) if isinstance(found, Fault) else self._serve(found, now_s))
        self._settle()
        return made

    def _may_begin(self) -> bool:
        """Whether the body of the request before is read: then another request may come, or the end."""
        self._body.take(self._reader.rest)
        if self._body.bad or (self._body.done and not self._keeps):
            self.closed, self.silent = True, self._body.bad
        return self._body.done and not self.closed

    def _settle(self) -> None:
        if not self._body.done:
            self.phase = "body"
        else:
            self.phase = "keepalive" if self._requests and not self._reader.begun else "head"
        self.lingers = self.closed and self._reader.begun

    def _refuse(self, fault: Fault, now_s: float) -> bytes:
        self.closed = True
        body = page(fault.status, fault.detail)
        if fault.bare:
            return body
        return response(fault.status, body, now_s=now_s, keep_alive=False, head_only=fault.head_only)

    def _serve(self, request: Request, now_s: float) -> bytes:
        self._requests += 1
        status, detail = self._judge(request)
        self._body = _body_of(request)
        self._body.take(self._reader.rest)
        self._keeps = _asks_to_keep(request) and self._requests < MAX_REQUESTS
        self._keeps = self._keeps and status[:3] not in _CLOSING and not self._body.bad
        self.closed = self._body.bad or (self._body.done and not self._keeps)
        if request.old:
            return page(status, detail)
        return response(
            status,
            page(status, detail, padded=wants_padding(request.field(b"user-agent"))),
            now_s=now_s,
            keep_alive=self._keeps,
            head_only=request.method == b"HEAD",
            gzip=_may_gzip(request),
        )

    def _judge(self, request: Request) -> tuple[str, str]:
        if not self._tls:
            return BAD, PLAIN_ON_TLS
        if int(request.field(b"content-length") or b"0") > MAX_BODY_BYTES:
            return "413 Request Entity Too Large", ""
        if request.path != b"/":
            return "404 Not Found", ""
        return ("403 Forbidden" if request.method in _STATIC else "405 Not Allowed"), ""


def _body_of(request: Request) -> Body:
    chunked = b"transfer-encoding" in request.fields
    return Body(None if chunked else int(request.field(b"content-length") or b"0"))


def _asks_to_keep(request: Request) -> bool:
    asked = request.field(b"connection").lower()
    if b"close" in asked or request.old:
        return False
    return request.minor >= 1 or b"keep-alive" in asked


def _may_gzip(request: Request) -> bool:
    accepted = accepts_gzip(request.field(b"accept-encoding"))
    return accepted and request.minor >= 1 and b"via" not in request.fields
