"""What the secure tracker's handlers share: their HTTP answers, and whose address a request counts to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from btresearch.peer import Address
from btresearch.session.quota import network
from btresearch.session.secure.errors import MembersError, Refused

REALM = 'Basic realm="members", charset="UTF-8"'

RETRY_S = 30

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def headers_of(refusal: Refused) -> dict[str, str]:
    """The headers that belong to a refusal's status."""
    headers = {"WWW-Authenticate": REALM} if refusal.status == 401 else {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    return headers


def source(request: web.Request) -> str:
    """The network whose failures count together: an IPv4 address, an IPv6 /56."""
    return network(Address.of(request.remote or "", 0).host)


def refusal(error: Refused | MembersError) -> Refused:
    """What a client is told; the trouble with this server's own disk goes to its log alone."""
    if isinstance(error, Refused):
        return error
    log.error("%s", error)
    return Refused(503, "try again later", retry_after_s=RETRY_S)


def http_log() -> logging.Logger:
    """The log of the HTTP server."""
    of_http = logging.getLogger(f"{__name__}.http")
    of_http.addFilter(_is_own_fault)
    return of_http


def _is_own_fault(record: logging.LogRecord) -> bool:
    """A stranger's bytes that are no HTTP get their 400; a traceback of them says nothing."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)
