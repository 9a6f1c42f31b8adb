"""What an HTTP server answered, with all that may differ between two runs of one server masked."""

from __future__ import annotations

import hashlib
import re
import zlib

MASKED = frozenset({"date", "etag", "last-modified"})
MAX_ANSWERS = 64

_STATUS = re.compile(rb"HTTP/\d\.\d \d{3}")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")


def describe(wire: bytes) -> tuple[str, ...]:
    """One line an answer: status, headers in order, size and hash of the body (after gzip)."""
    answers: list[str] = []
    while wire and len(answers) < MAX_ANSWERS:
        if not _STATUS.match(wire):
            answers.append(f"bare {_digest(wire)}")
            break
        head, found, rest = wire.partition(b"\r\n\r\n")
        if not found:
            answers.append(f"unfinished {_digest(wire)}")
            break
        lines = head.decode("latin-1").split("\r\n")
        body, wire = _body(lines, rest)
        answers.append(" | ".join([lines[0], *(_masked(line) for line in lines[1:]), body]))
    return tuple(answers)


def _masked(line: str) -> str:
    name, _, value = line.partition(": ")
    return f"{name}: *" if name.lower() in MASKED else f"{name}: {value}"


def _body(lines: list[str], rest: bytes) -> tuple[str, bytes]:
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    if rest.startswith(b"HTTP/1.") or lines[0].split()[1][0] == "1":  # HEAD, 304 or an interim answer
        return "no body", rest
    if fields.get("transfer-encoding") == "chunked":
        body, rest = _unchunk(rest)
    else:
        said = fields.get("content-length", "")
        length = int(said) if _LENGTH.fullmatch(said) else len(rest)
        body, rest = rest[:length], rest[length:]
    if fields.get("content-encoding") == "gzip":
        body = _gunzip(body)
    return (_digest(body) if body else "no body"), rest


def _unchunk(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while size := _CHUNK.match(rest):
        length, start = int(size[1], 16), size.end()
        body += rest[start : start + length]
        rest = rest[start + length + 2 :]
        if not length:
            break
    return body, rest


def _gunzip(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(body, 1 << 20)
    except zlib.error:
        return body


def _digest(body: bytes) -> str:
    return f"{len(body)} bytes {hashlib.sha256(body).hexdigest()[:12]}"
