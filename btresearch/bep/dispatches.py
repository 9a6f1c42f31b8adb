"""Vectors of the dispatch: what a port that serves all transports makes of first bytes."""

from __future__ import annotations

from collections.abc import Iterator

from btresearch.bep.vector import Family, Vector
from btresearch.transport.dispatch import classify

_CASES = (
    ("clear", "13426974546f7272656e742070726f746f636f6c", "a BitTorrent handshake"),
    ("clear_4", "13426974", "four bytes are enough"),
    ("clear_3", "134269", "three are not"),
    ("not_clear", "13426975", "an MSE key may begin with 13"),
    ("tls_10", "160301020001", "a ClientHello's usual record version"),
    ("tls_12", "160303020001", "legal as well"),
    ("tls_minor_4", "160304020001", "the highest"),
    ("tls_minor_5", "160305", "no TLS record; decided at the third byte"),
    ("tls_short", "1603010200", "the sixth byte is not there yet"),
    ("not_hello", "160301020002", "a handshake record, but no ClientHello"),
    ("alert", "150301", "no handshake record"),
    ("http", "474554202f20", "clear-text HTTP; a port of require hands it to the decoy"),
    ("mse", "a1b2c3d4e5f6", "all else"),
    ("tls_00", "160300020001", "the lowest minor version"),
    ("clear_1", "13", "one byte of a BitTorrent handshake, or of an MSE key"),
    ("tls_1", "16", "one byte of a record"),
    ("tls_major_4", "1604", "no TLS record"),
    ("nothing", "", "no byte yet"),
)


def families() -> Iterator[Family]:
    """The family of this module."""
    vectors = [_vector(name, bytes.fromhex(first), comment) for name, first, comment in _CASES]
    yield Family(
        "dispatch",
        "Transport and Dispatch",
        "The first bytes of an accepted connection and what they are; 'wait' means that more are needed.",
        vectors,
    )


def _vector(name: str, first: bytes, comment: str) -> Vector:
    return Vector(name, {"first_bytes": first}, {"transport_text": classify(first) or "wait"}, comment)
