"""The first flights of a connection, so that the first block needs no round trip more than it must.

Where the responder speaks first (btls), it says what it has before it has heard anything: a bitfield is legal
then (BEP 3), have_all and allowed-fast are not, since they need BEP 6 at both ends. The initiator therefore
computes by BEP 6 itself which pieces it may fetch while choked, and asks for them with its own handshake.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from btresearch.peer.bencode import Encodable
from btresearch.peer.connection import PeerConnection
from btresearch.peer.fast import allowed_fast_set
from btresearch.peer.pieces import PieceSet


def speak(connection: PeerConnection, have: PieceSet, *, unchoke: bool = False) -> None:
    """The transport is ready: the handshake; a responder that speaks unasked adds what it has.

    `unchoke`: there is a free slot, so that nobody need wait for it, whose address BEP 6 knows no set for.
    """
    connection.handshake()
    if not connection.initiator and have.count:
        connection.early_bitfield(have)
        if unchoke:
            connection.unchoke()


def answer(
    connection: PeerConnection, have: PieceSet, fields: Mapping[bytes, Encodable], *, peer_host: str
) -> None:
    """The peer's handshake has come: all that is left to say, and its allowed-fast set."""
    if not connection.established:
        connection.handshake()
    connection.pieces(have)
    if connection.extended:
        connection.extended_handshake(fields)
    if connection.fast:
        for index in _set_of(connection, peer_host):
            if index in have:
                connection.allowed_fast(index)


def expect(connection: PeerConnection, own_host: str) -> None:
    """Ask early for what the peer is going to grant this side, whose address it sees as `own_host`."""
    connection.expect_fast(_set_of(connection, own_host))


def seen_as(own_host: str, peer_host: str, external_host: str = "") -> str:
    """The address under which the peer sees this side; empty if a NAT stands between and hides it."""
    own, peer = _ip(own_host), _ip(peer_host)
    if own is None or peer is None:
        return external_host
    return own_host if own.is_global or not peer.is_global else external_host


def _set_of(connection: PeerConnection, host: str) -> list[int]:
    """BEP 6's set for the peer at `host`; none for IPv6, where BEP 6 defines nothing."""
    ip, infohash, layout = _ip(host), connection.infohash, connection.layout
    if not isinstance(ip, ipaddress.IPv4Address) or infohash is None or layout is None:
        return []
    return allowed_fast_set(infohash, ip, layout.piece_count)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
