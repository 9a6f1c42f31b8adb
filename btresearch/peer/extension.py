"""The extension protocol's handshake, BEP 10: names of extensions and the ids that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from btresearch.errors import InputError
from btresearch.peer import bencode
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.errors import RemoteProtocolError

HANDSHAKE_ID = 0
MAX_EXTENSIONS = 64
MAX_HANDSHAKE_BYTES = 16 * 1024
REQUEST_QUEUE = 500
"""reqq: how many of the peer's requests are kept before more are turned away."""


@dataclass(frozen=True, slots=True)
class ExtensionHandshake:
    """A peer's handshake. `ids` maps an extension's name to the id under which the peer wants it; 0 = off.

    `metadata_size` in bytes (BEP 9) and `request_queue` (reqq) are None if absent or senseless; `fields`
    holds the whole dictionary.
    """

    ids: Mapping[bytes, int]
    metadata_size: int | None = None
    request_queue: int | None = None
    fields: Mapping[bytes, Value] = field(default_factory=dict, repr=False, hash=False)

    @property
    def tls(self) -> bool:
        """Whether the peer says that it speaks btls on its listening port (key `tls` = 1)."""
        return self.fields.get(b"tls") == 1

    @property
    def port(self) -> int | None:
        """The peer's listening port (key `p`); None if absent or senseless."""
        port = self.fields.get(b"p")
        return port if isinstance(port, int) and 0 < port < 65536 else None


def handshake_fields(
    ids: Mapping[bytes, int],
    *,
    metadata_size: int | None = None,
    request_queue: int = REQUEST_QUEUE,
    client: str | None = None,
    peer_address: bytes | None = None,
    tls: bool = False,
    port: int | None = None,
) -> dict[bytes, Encodable]:
    """The dictionary to send. `peer_address`: the peer's packed IP address, for its `yourip`.

    Over btls leave `client` and `peer_address` out: there the handshake carries none of v, yourip, ipv4
    and ipv6, so nothing in it tells the two ends apart. `tls` announces btls (key `tls` = 1) on the listening port,
    `port` (key `p`).
    """
    fields: dict[bytes, Encodable] = {b"m": dict(ids), b"reqq": request_queue}
    if metadata_size is not None:
        fields[b"metadata_size"] = metadata_size
    if client is not None:
        fields[b"v"] = client
    if peer_address is not None:
        fields[b"yourip"] = peer_address
    if tls:
        fields[b"tls"] = 1
    if port is not None:
        fields[b"p"] = port
    return fields


def encode_handshake(fields: Mapping[bytes, Encodable]) -> bytes:
    """The payload of extended message 0."""
    return bencode.encode(fields)


def decode_handshake(payload: bytes) -> ExtensionHandshake:
    """Read the payload of extended message 0. Raises RemoteProtocolError."""
    if len(payload) > MAX_HANDSHAKE_BYTES:
        raise RemoteProtocolError(f"extension handshake of {len(payload)} bytes")
    try:
        # some clients pad the dictionary; what follows it says nothing
        fields, _ = bencode.decode_prefix(payload, source="extension handshake")
    except InputError as error:
        raise RemoteProtocolError(str(error)) from error
    if not isinstance(fields, dict):
        raise RemoteProtocolError("extension handshake is not a dictionary")
    return ExtensionHandshake(
        ids=_ids(fields.get(b"m", {})),
        metadata_size=_positive(fields.get(b"metadata_size")),
        request_queue=_positive(fields.get(b"reqq")),
        fields=fields,
    )


def _ids(named: Value) -> dict[bytes, int]:
    if not isinstance(named, dict) or len(named) > MAX_EXTENSIONS:
        raise RemoteProtocolError(f"extension handshake: m is not a dictionary of at most {MAX_EXTENSIONS}")
    # BEP 10 leaves other kinds of values undefined; such an extension simply cannot be used
    return {name: number for name, number in named.items() if isinstance(number, int) and 0 <= number <= 255}


def _positive(value: Value | None) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
