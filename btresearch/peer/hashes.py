"""The messages of BEP 52 that carry hashes of a file's Merkle tree: hash request, hashes, hash reject."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from btresearch.peer.errors import RemoteProtocolError
from btresearch.peer.merkle import HASH_BYTES, depth_of, split

MAX_HASHES = 8192
"""In one request: the blocks of a piece of 128 MiB. BEP 52 recommends 512, which is what is asked for here."""
MAX_PROOF_LAYERS = 48
"""A file of 2^48 blocks is larger than any."""

_RANGE = struct.Struct(f">{HASH_BYTES}sIIII")


class HashRange(NamedTuple):
    """Hashes `index` to `index + length` of level `base` in the tree of the file with the pieces root `root`.

    `base` counts levels above the leaves; `proof_layers` the levels above `base` that uncles are wanted of.
    """

    root: bytes
    base: int
    index: int  # type: ignore[assignment]  # the field of BEP 52 hides tuple.index, which nobody needs
    length: int
    proof_layers: int

    @property
    def uncle_count(self) -> int:
        """Uncles in the answer: none for the levels that the hashes themselves give (BEP 52)."""
        return max(0, self.proof_layers - depth_of(self.length) + 1)


@dataclass(frozen=True, slots=True)
class HashRequest:
    """The sender wants these hashes and their proof."""

    id: ClassVar[int] = 21
    range: HashRange


@dataclass(frozen=True, slots=True)
class Hashes:
    """The answer: `range.length` hashes of the base level, then uncles, the nearest to the root last."""

    id: ClassVar[int] = 22
    range: HashRange
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HashReject:
    """The sender will not answer this request."""

    id: ClassVar[int] = 23
    range: HashRange


def encode(message: HashRequest | Hashes | HashReject) -> bytes:
    """The bytes of one message, length prefix included."""
    tail = b"".join(message.hashes) if isinstance(message, Hashes) else b""
    body = _RANGE.pack(*message.range) + tail
    return struct.pack(">IB", 1 + len(body), message.id) + body


def pull_request(body: memoryview) -> HashRequest:
    """A hash request from its id on. Raises RemoteProtocolError."""
    return HashRequest(_pull_range(body, exact=True))


def pull_reject(body: memoryview) -> HashReject:
    """A hash reject from its id on. Raises RemoteProtocolError."""
    return HashReject(_pull_range(body, exact=True))


def pull_hashes(body: memoryview) -> Hashes:
    """A hashes message from its id on; RemoteProtocolError if it has not as many hashes as its range says."""
    wanted = _pull_range(body, exact=False)
    hashes = bytes(body[1 + _RANGE.size :])
    if wanted.length > MAX_HASHES or wanted.proof_layers > MAX_PROOF_LAYERS:
        raise RemoteProtocolError(f"hashes of {wanted.length} and {wanted.proof_layers} layers")
    if len(hashes) != (wanted.length + wanted.uncle_count) * HASH_BYTES:
        raise RemoteProtocolError(
            f"hashes of {len(hashes)} bytes, expected {wanted.length + wanted.uncle_count} hashes"
        )
    return Hashes(wanted, tuple(split(hashes)))


def _pull_range(body: memoryview, *, exact: bool) -> HashRange:
    size = 1 + _RANGE.size
    if len(body) < size or (exact and len(body) != size):
        raise RemoteProtocolError(f"message id {body[0]} of {len(body)} bytes, expected {size}")
    return HashRange(*_RANGE.unpack_from(body, 1))
