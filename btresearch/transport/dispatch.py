"""Which transport an accepted connection speaks, told from its first bytes, which are read, not consumed."""

from __future__ import annotations

from typing import Literal

from btresearch.transport.protocol import Bytes

Wire = Literal["clear", "tls", "mse"]

DISPATCH_BYTES = 6
"""`classify` never needs more than this."""

_CLEAR = b"\x13Bit"
_TLS = b"\x16\x03"
_MAX_TLS_MINOR = 4
_CLIENT_HELLO = 1


def classify(first: Bytes) -> Wire | None:
    """Classify a connection by its first bytes; None while more are needed.

    `13 42 69 74` is clear text, `16 03 0X` (X <= 4) with byte 5 = 01 is TLS, all else is MSE, whose initiators
    redraw a key that would begin like either (see `MseInitiator`).
    """
    head = bytes(first[:DISPATCH_BYTES])
    if head.startswith(_CLEAR):
        return "clear"
    if _CLEAR.startswith(head):
        return None
    return _classify_tls(head)


def _classify_tls(head: bytes) -> Wire | None:
    if not _TLS.startswith(head[:2]) or (len(head) > 2 and head[2] > _MAX_TLS_MINOR):
        return "mse"
    if len(head) < DISPATCH_BYTES:
        return None
    return "tls" if head[5] == _CLIENT_HELLO else "mse"
