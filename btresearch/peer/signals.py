"""What an HTTPS tracker says of its peers and TLS: `tls_flags` and `tls_pins`, one item a peer.

`tls_flags` (1 byte a peer) and `tls_pins` (32 bytes a peer, zeros for none) stand beside `peers`,
`tls_flags6` and `tls_pins6` beside `peers6`; a peer in dictionary form has the keys `tls_flags` (a number)
and `tls_pin` (32 bytes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from btresearch.peer import compact
from btresearch.peer.address import Address
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.known import PIN_BYTES, KnownPeer

_LISTS = ((b"peers", b"", compact.IPV4_BYTES), (b"peers6", b"6", compact.IPV6_BYTES))
NO_PIN = bytes(PIN_BYTES)


def encode_compact(peers: Sequence[KnownPeer]) -> dict[bytes, bytes]:
    """`peers` and `peers6` (names are left out), and beside them what is known of any peer's TLS."""
    fields: dict[bytes, bytes] = {}
    for key, suffix, size in _LISTS:
        members = [peer for peer in peers if len(compact.pack(peer.address)) == size]
        fields[key] = b"".join(compact.pack(peer.address) for peer in members)
        if any(peer.flags for peer in members):
            fields[b"tls_flags" + suffix] = bytes(peer.flags for peer in members)
        if any(peer.pin for peer in members):
            fields[b"tls_pins" + suffix] = b"".join(peer.pin or NO_PIN for peer in members)
    return fields if fields[b"peers6"] else {k: v for k, v in fields.items() if k != b"peers6"}


def decode_compact(fields: Mapping[bytes, Value], warnings: list[str]) -> list[KnownPeer]:
    """The peers of both compact lists; port 0 is left out.

    A list of signals whose length does not fit the peers says nothing: it is ignored, and `warnings` say so.
    Raises RemoteProtocolError for a list of peers of an odd length.
    """
    found: list[KnownPeer] = []
    for key, suffix, size in _LISTS:
        listed = fields.get(key)
        addresses = compact.entries(listed, size) if isinstance(listed, bytes) else []
        flags = _fitting(fields, b"tls_flags" + suffix, len(addresses), 1, warnings)
        pins = _fitting(fields, b"tls_pins" + suffix, len(addresses), PIN_BYTES, warnings)
        found += [
            KnownPeer.flagged(address, flags[at], pins[at * PIN_BYTES : (at + 1) * PIN_BYTES])
            for at, address in enumerate(addresses)
            if address
        ]
    return found


def encode_entry(peer: KnownPeer) -> dict[bytes, Encodable]:
    """What a peer's dictionary says of TLS; empty if nothing is known."""
    said: dict[bytes, Encodable] = {b"tls_flags": peer.flags} if peer.flags else {}
    return said | {b"tls_pin": peer.pin} if peer.pin else said


def decode_entry(address: Address, entry: Mapping[bytes, Value], warnings: list[str]) -> KnownPeer:
    """A peer in dictionary form; a signal of the wrong kind is ignored, and `warnings` say so."""
    flags, pin = entry.get(b"tls_flags", 0), entry.get(b"tls_pin", NO_PIN)
    if not isinstance(flags, int) or not 0 <= flags <= 255:
        warnings.append("tls_flags of a peer ignored: expected a number from 0 to 255")
        flags = 0
    if not isinstance(pin, bytes) or len(pin) != PIN_BYTES:
        warnings.append(f"tls_pin of a peer ignored: expected {PIN_BYTES} bytes")
        pin = NO_PIN
    return KnownPeer.flagged(address, flags, pin)


def _fitting(fields: Mapping[bytes, Value], key: bytes, count: int, size: int, warnings: list[str]) -> bytes:
    value = fields.get(key)
    if isinstance(value, bytes) and len(value) == count * size:
        return value
    if value is not None:
        shown = f"{len(value)} bytes" if isinstance(value, bytes) else "no string"
        warnings.append(f"{key.decode()} ignored: {shown} for {count} peers, expected {count * size}")
    return bytes(count * size)
