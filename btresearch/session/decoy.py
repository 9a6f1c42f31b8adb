"""What a stranger sees on our port: a small HTTP/1.1 server that answers like an empty nginx.

Sans-IO, so that a TLS responder can hand it the bytes of a connection that proved nothing. Statuses, header
order and page texts are what nginx 1.22.1 with `server_tokens off` and an empty root answered when asked
over TLS and, for `tls=False`, with plain bytes on its TLS port.
"""

from __future__ import annotations

import re
from email.utils import formatdate

MAX_HEAD_BYTES = 32 * 1024  # nginx: large_client_header_buffers 4 8k
MAX_BODY_BYTES = 1 << 20  # nginx: client_max_body_size 1m
MAX_REQUESTS = 1000  # nginx: keepalive_requests 1000

_REQUEST = re.compile(rb"([A-Z_-]{1,32}) ([!-~]{1,8192}) HTTP/(\d)\.(\d{1,3})\Z")
_OLD_REQUEST = re.compile(rb"GET [!-~]{1,8192}\Z")
_METHOD_START = re.compile(rb"[A-Z_-]{1,32}(?: .*)?\Z", re.DOTALL)
_FOUND_NOTHING = {b"GET", b"HEAD", b"POST"}
_TOO_LARGE = "Request Header Or Cookie Too Large"
_PLAIN = "The plain HTTP request was sent to HTTPS port"


def _page(status: str, detail: str = "") -> bytes:
    title = f"{status[:3]} {detail}" if detail else status
    shown = f"<center>{detail}</center>\r\n" if detail else ""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n"
        f"{shown}<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


def _response(status: str, body: bytes, *, now_s: float, keep_alive: bool, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nServer: nginx\r\nDate: {formatdate(now_s, usegmt=True)}\r\n"
        f"Content-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)


class Decoy:
    """One connection's web server: every path is 404, every malformed request 400.

    `tls=False` is a connection that sent plain bytes to the TLS port: 400 and goodbye, whatever it asks.
    """

    def __init__(self, *, tls: bool = True) -> None:
        self.closed = False
        self._tls = tls
        self._buffer = bytearray()
        self._body_bytes = 0
        self._requests = 0

    def receive(self, data: bytes, *, now_s: float) -> bytes:
        """Bytes to answer with; once `closed` is set the caller hangs up after sending them."""
        answer = bytearray()
        self._buffer += data
        while not self.closed:
            self._drop_body()
            line, ended, _ = self._buffer.partition(b"\r\n")
            if not line and not ended:
                break
            if not line:  # nginx skips empty lines before a request
                del self._buffer[:2]
                continue
            step = self._step(bytes(line), bool(ended), now_s)
            if step is None:
                break
            answer += step
        return bytes(answer)

    def _drop_body(self) -> None:
        dropped = min(self._body_bytes, len(self._buffer))
        del self._buffer[:dropped]
        self._body_bytes -= dropped

    def _step(self, line: bytes, ended: bool, now_s: float) -> bytes | None:
        """Judge what is buffered; None waits for more."""
        if not _METHOD_START.match(line):
            return self._hang_up("400 Bad Request", now_s)
        if ended and _OLD_REQUEST.match(line):
            self.closed = True
            return _page("404 Not Found")
        request = _REQUEST.match(line)
        if ended and not request:
            return self._hang_up("400 Bad Request", now_s)
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or request is None:
            too_long = len(self._buffer) > MAX_HEAD_BYTES
            return self._hang_up("400 Bad Request", now_s, _TOO_LARGE) if too_long else None
        fields = bytes(self._buffer[: end + 2]).split(b"\r\n")[1:-1]
        del self._buffer[: end + 4]
        return self._respond(request, fields, now_s)

    def _hang_up(self, status: str, now_s: float, detail: str = "") -> bytes:
        self.closed = True
        return _response(status, _page(status, detail), now_s=now_s, keep_alive=False)

    def _respond(self, request: re.Match[bytes], fields: list[bytes], now_s: float) -> bytes:
        method, minor = request[1], int(request[4])
        headers = {
            name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)
        }
        length = headers.get(b"content-length", b"0")
        if request[3] != b"1":
            return self._hang_up("505 HTTP Version Not Supported", now_s)
        missing_host = minor >= 1 and b"host" not in headers
        if missing_host or method == b"CONNECT" or not length.isdigit() or len(length) > 18:
            return self._hang_up("400 Bad Request", now_s)
        if not self._tls:
            return self._hang_up("400 Bad Request", now_s, _PLAIN)
        if method == b"TRACE":
            return self._hang_up("405 Not Allowed", now_s)
        if int(length) > MAX_BODY_BYTES:
            return self._hang_up("413 Request Entity Too Large", now_s)
        self._body_bytes = int(length)
        return self._error_page(method, minor, headers.get(b"connection", b"").lower(), now_s)

    def _error_page(self, method: bytes, minor: int, asked: bytes, now_s: float) -> bytes:
        self._requests += 1
        keep = asked != b"close" and (minor >= 1 or asked == b"keep-alive") and self._requests < MAX_REQUESTS
        self.closed = not keep
        status = "404 Not Found" if method in _FOUND_NOTHING else "405 Not Allowed"
        return _response(status, _page(status), now_s=now_s, keep_alive=keep, head_only=method == b"HEAD")
