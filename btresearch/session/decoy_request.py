"""Requests as nginx 1.22.1 reads them: what it takes, at which byte it refuses, with which status.

Every rule here was checked against that server (see `btresearch probe`); the limits are its defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_BUFFER_BYTES = 1024  # client_header_buffer_size
LARGE_BUFFER_BYTES = 8192  # large_client_header_buffers
LARGE_BUFFERS = 4
MAX_LENGTH_DIGITS = 18

BAD = "400 Bad Request"

_HTTP_1 = b"HTTP/1."
_PATH = rb"/[^\x00-\x20\x7f]*"
_HOST = rb"(?:\[[^\x00-\x20\x7f/?#\]]*\]?|[A-Za-z0-9.~_!$&'()*+,;=%-]*)(?::[0-9]*)?"
_ABSOLUTE = rb"([A-Za-z][A-Za-z0-9+.-]*)://(" + _HOST + rb")([/?#][^\x00-\x20\x7f]*)?"
_LINE = re.compile(
    rb"(?P<method>[A-Z_-]+) +(?:(?P<path>" + _PATH + rb")|(?:" + _ABSOLUTE + rb"))"
    rb"(?: *| +HTTP/1\.(?P<minor>[0-9]{1,3}) *)\r?\n\Z"
)
_TOO_NEW = re.compile(rb"[A-Z_-]+ +(?:" + _PATH + rb"|" + _ABSOLUTE + rb") +HTTP/(?:[2-9]|1[0-9])")
_FIELD = re.compile(rb"(?P<name>[^\x00-\x20\x7f:]+)(?::(?P<value>[^\x00\r\n]*))?\r*\n\Z")
_FIELD_START = re.compile(rb"(?:[^\x00-\x20\x7f:]+(?::[^\x00\r\n]*)?)?\r*\Z")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_BAD_HOST = re.compile(rb"[\x00-\x20\x7f/]|\.\.")
_NAME = re.compile(rb"[A-Za-z0-9-]+\Z")


def _optional(literal: bytes, rest: bytes) -> bytes:
    """A pattern for every beginning of `literal`, and for the whole with `rest`."""
    pattern = rest
    for byte in reversed(literal):
        pattern = b"(?:" + re.escape(bytes([byte])) + pattern + b")?"
    return pattern


_VERSION_START = rb"(?: +" + _optional(_HTTP_1, rb"(?:[0-9]{1,3} *\r?)?") + rb"|\r)?"
_ABSOLUTE_START = rb"[A-Za-z][A-Za-z0-9+.-]*" + _optional(
    b"://", _HOST + rb"(?:[/?#][^\x00-\x20\x7f]*)?" + _VERSION_START
)
_LINE_START = re.compile(rb"[A-Z_-]+(?: +(?:" + _PATH + _VERSION_START + rb"|" + _ABSOLUTE_START + rb")?)?\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """A whole head. `minor` is HTTP/1's; 9 with `old` set is HTTP/0.9. `path` is decoded and normalised."""

    method: bytes
    path: bytes
    minor: int
    old: bool
    fields: dict[bytes, bytes]

    def field(self, name: bytes) -> bytes:
        """The first one of that name in lower case; b"" if there is none."""
        return self.fields.get(name, b"")


@dataclass(frozen=True, slots=True)
class Fault:
    """A head that nginx refuses: the status of its page and the title's detail."""

    status: str
    detail: str = ""
    head_only: bool = False
    bare: bool = False
    """To HTTP/0.9: the page without a head."""


class RequestReader:
    """Bytes in, requests or one fault out. What follows a head stays in `rest`."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self._begin()

    @property
    def begun(self) -> bool:
        """Part of a head is there."""
        return self._line is not None or bool(self.rest) or self._fill > 0

    def next(self) -> Request | Fault | None:
        """The next one; None while more bytes are needed."""
        if self._line is None:
            self._skip_newlines()
        while True:
            end = self.rest.find(b"\n") + 1
            line = bytes(self.rest[: end or len(self.rest)])
            if not line:
                return None
            fault = self._judge(line, whole=bool(end))
            if fault is not None or not end:
                return fault
            del self.rest[:end]
            if line in (b"\r\n", b"\n") or (self._line is not None and self._line["minor"] is None):
                return self._finish()

    def _begin(self) -> None:
        self._line: re.Match[bytes] | None = None
        self._path = b""
        self._fields: dict[bytes, bytes] = {}
        self._fill, self._room, self._buffers = 0, FIRST_BUFFER_BYTES, 0

    def _skip_newlines(self) -> None:
        kept = self.rest.lstrip(b"\r\n")
        skipped = len(self.rest) - len(kept)
        if skipped:
            del self.rest[:skipped]
            self._fill = (self._fill + skipped) % self._room

    def _judge(self, line: bytes, *, whole: bool) -> Fault | None:
        if self._line is None:
            return self._judge_line(line, whole=whole)
        if not self._fits(len(line), whole=whole):
            return Fault(BAD, "Request Header Or Cookie Too Large")
        if line in (b"\r\n", b"\n"):
            return None
        if not whole:
            return None if _FIELD_START.match(line) else Fault(BAD)
        field = _FIELD.match(line)
        return self._take(field) if field else Fault(BAD)

    def _judge_line(self, line: bytes, *, whole: bool) -> Fault | None:
        sound = (_LINE if whole else _LINE_START).match(line)
        if _TOO_NEW.match(line):
            return Fault("505 HTTP Version Not Supported")
        if sound is None and not self._is_long(line):
            return Fault(BAD)
        if not self._fits(len(line), whole=whole):
            return Fault("414 Request-URI Too Large")
        if not whole:
            return None
        return self._take_line(sound) if sound else Fault(BAD)

    def _is_long(self, line: bytes) -> bool:
        """It is refused for its length before its end is read."""
        return len(line) > LARGE_BUFFER_BYTES and bool(_LINE_START.match(line[:LARGE_BUFFER_BYTES]))

    def _take_line(self, line: re.Match[bytes]) -> Fault | None:
        path = normalised(line["path"] or _rooted(line[5] or b""))
        old = line["minor"] is None
        wrong = path is None or (line["path"] is None and bad_host(line[4]))
        if path is None or wrong or (old and line["method"] != b"GET"):
            return Fault(BAD, bare=old)
        self._line, self._path = line, path
        return None

    def _take(self, field: re.Match[bytes]) -> Fault | None:
        name, value = field["name"].lower(), (field["value"] or b"").strip(b" ")
        if not _NAME.match(name):  # underscores and the like: nginx drops such a field
            return None
        if name == b"host" and (name in self._fields or bad_host(value)):
            return Fault(BAD)
        if name in (b"content-length", b"transfer-encoding") and name in self._fields:
            return Fault(BAD)
        self._fields.setdefault(name, value)
        return None

    def _fits(self, length: int, *, whole: bool) -> bool:
        """Whether the line so far fits nginx's buffers, into which lines are laid end to end."""
        while self._fill + length + (not whole) > self._room:
            if self._room - self._fill >= LARGE_BUFFER_BYTES or self._buffers == LARGE_BUFFERS:
                return False
            self._fill, self._room = 0, LARGE_BUFFER_BYTES
            self._buffers += 1
        if whole:
            self._fill += length
        return True

    def _finish(self) -> Request | Fault:
        line, fields, path = self._line, self._fields, self._path
        assert line is not None
        self._begin()
        old = line["minor"] is None
        request = Request(line["method"], path, 9 if old else int(line["minor"]), old, fields)
        return refused(request) or request


def refused(request: Request) -> Fault | None:
    """What nginx says to a head that is well formed and yet wrong."""
    length, encoding = request.field(b"content-length"), request.fields.get(b"transfer-encoding")
    head_only = request.method == b"HEAD"
    if request.old:
        return None
    if request.minor >= 1 and b"host" not in request.fields:
        return Fault(BAD, head_only=head_only)
    if b"content-length" in request.fields and not is_length(length):
        return Fault(BAD, head_only=head_only)
    if encoding is not None:
        if request.minor < 1:
            return Fault(BAD, head_only=head_only)
        if encoding.lower() != b"chunked":
            return Fault("501 Not Implemented", head_only=head_only)
        if b"content-length" in request.fields:
            return Fault(BAD, head_only=head_only)
    if request.method in (b"TRACE", b"CONNECT"):
        return Fault("405 Not Allowed")
    return None


def is_length(value: bytes) -> bool:
    """A number that nginx takes for a Content-Length."""
    return value.isdigit() and len(value) <= MAX_LENGTH_DIGITS


def bad_host(host: bytes) -> bool:
    """A name that no server block may have."""
    name = host.partition(b":")[0] if not host.startswith(b"[") else host
    return not name or bool(_BAD_HOST.search(name))


def normalised(target: bytes) -> bytes | None:
    """The path without query, escapes, dot segments and doubled slashes; None where nginx says 400."""
    path = re.split(rb"[?#]", target, maxsplit=1)[0]
    if any(match[1] in (None, b"00") for match in _ESCAPE.finditer(path)):
        return None
    path = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), path)
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    is_folder = segments[-1] in (b"", b".", b"..") or not kept
    return b"/" + b"/".join(kept) + (b"/" if is_folder and kept else b"")


def _rooted(target: bytes) -> bytes:
    return target if target.startswith(b"/") else b"/" + target
