"""Metadata from peers, BEP 9 (ut_metadata): 16 KiB pieces of the info dictionary."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

NAME = b"ut_metadata"
METADATA_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """msg_type 0."""

    piece: int


@dataclass(frozen=True, slots=True)
class MetadataData:
    """msg_type 1."""

    piece: int
    total_size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MetadataReject:
    """msg_type 2."""

    piece: int


def decode(payload: bytes) -> MetadataRequest | MetadataData | MetadataReject | None:
    """None for a msg_type that is unknown. Raises RemoteProtocolError."""


def answer(info_bytes: bytes | None, request: MetadataRequest) -> bytes:
    """The payload that answers a request: data, or reject if there is no metadata here."""


class MetadataFetch:
    """Collects the info dictionary from several peers until its SHA-1 is the infohash."""

    def __init__(self, infohash: bytes) -> None: ...
    def add_peer(self, peer: Hashable, size_bytes: int) -> None: ...
    def remove_peer(self, peer: Hashable) -> None: ...
    def requests(self, peer: Hashable) -> list[bytes]:
        """Payloads to send to this peer now."""

    def receive(self, peer: Hashable, payload: bytes) -> bytes | None:
        """The info dictionary once it is complete and its hash is right. Raises RemoteProtocolError."""
