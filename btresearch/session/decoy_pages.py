"""nginx's error pages and the heads that go with them (version 1.22.1, Debian's stock configuration)."""

from __future__ import annotations

import re
import zlib
from email.utils import formatdate
from functools import lru_cache

SERVER = "nginx/1.22.1"
PLAIN_ON_TLS = "The plain HTTP request was sent to HTTPS port"

# gzip_comp_level 1; 31: a gzip head
_GZIP_LEVEL, _GZIP_WINDOW_BITS = 1, 31
_GZIPPED = frozenset({"403 Forbidden", "404 Not Found"})
_PAD = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6
_ACCEPTS_GZIP = re.compile(rb"(?:^|[ ,])gzip(?:$|,|;(?! *q=0(?:\.0{0,3})?(?:$|[ ,]))| )", re.IGNORECASE)


@lru_cache(maxsize=32)
def page(status: str, detail: str = "", *, padded: bool = False) -> bytes:
    """The body of an error page; `padded` for the browsers that would show one of their own instead."""
    title = f"{status[:3]} {detail}" if detail else status
    shown = f"<center>{detail}</center>\r\n" if detail else ""
    html = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n"
        f"{shown}<hr><center>{SERVER}</center>\r\n</body>\r\n</html>\r\n"
    )
    return html.encode() + (_PAD if padded else b"")


def response(
    status: str, body: bytes, *, now_s: float, keep_alive: bool, head_only: bool = False, gzip: bool = False
) -> bytes:
    """Head and body; `gzip` where the visitor accepts it and nginx compresses this status."""
    gzip = gzip and status in _GZIPPED
    size = f"Content-Length: {len(body)}\r\n"
    if gzip:
        size = "" if head_only else "Transfer-Encoding: chunked\r\n"
    head = (
        f"HTTP/1.1 {status}\r\nServer: {SERVER}\r\nDate: {_date(int(now_s))}\r\n"
        f"Content-Type: text/html\r\n{size}"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
        + ("Content-Encoding: gzip\r\n\r\n" if gzip else "\r\n")
    )
    if gzip:
        packed = compressed(body)
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    return head.encode() + (b"" if head_only else body)


@lru_cache(maxsize=1)
def _date(now_s: int) -> str:
    """As in a head (RFC 9110 section 5.6.7); made once a second, as nginx does."""
    return formatdate(now_s, usegmt=True)


def compressed(body: bytes) -> bytes:
    """Gzip (RFC 1952) as nginx does."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS)
    return packer.compress(body) + packer.flush()


def accepts_gzip(accepted: bytes) -> bool:
    """Whether an Accept-Encoding asks for gzip."""
    return bool(_ACCEPTS_GZIP.search(accepted))


def wants_padding(user_agent: bytes) -> bool:
    """Whether nginx pads error pages for this browser."""
    if b"Opera" in user_agent or b"Gecko/" in user_agent:
        return False
    return b"MSIE " in user_agent or b"Chrome/" in user_agent
