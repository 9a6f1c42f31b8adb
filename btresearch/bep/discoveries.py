"""Vectors of discovery: what trackers are asked and answer, and the extension handshake."""

from __future__ import annotations

from collections.abc import Iterator

from btresearch.bep.examples import SECRET, V1
from btresearch.bep.vector import Family, Plain, Vector, example_bytes
from btresearch.peer import bencode, extension, pex, signals
from btresearch.peer.address import Address
from btresearch.peer.announce import AnnounceRequest
from btresearch.peer.known import KnownPeer
from btresearch.transport.btls.keys import TorrentKey

_ANNOUNCE_ID = TorrentKey.derive(V1, "strict", SECRET).discovery_id
_PEERS = (
    KnownPeer(Address.of("192.0.2.1", 6881)),
    KnownPeer(Address.of("192.0.2.2", 6882), tls=True),
    KnownPeer(Address.of("192.0.2.3", 6883), tls=True, requires_tls=True, pin=example_bytes("pin")),
    KnownPeer(Address.of("2001:db8::1", 6884), tls=True),
)


def requests() -> Family:
    """Announces; what stands for the infohash, and the two parameters."""
    return Family(
        "announce",
        "Discovery",
        "The announce to url_text, for a Strict v1 torrent or a Basic one; the order of parameters is free.",
        [_request(*case) for case in _requests()],
    )


def _requests() -> Iterator[tuple[str, bytes, str, bool, str]]:
    yield (
        "https_require",
        _ANNOUNCE_ID,
        "https://example.org/announce",
        True,
        "a Strict torrent: the discovery id",
    )
    yield "https_support", V1, "https://example.org/announce", False, "a Basic torrent: the infohash"
    yield "http", V1, "http://example.org/announce", True, "in clear text nothing is said of TLS"


def _request(name: str, identity: bytes, url: str, requires: bool, comment: str) -> Vector:
    request = AnnounceRequest(identity, bytes(range(20)), 6881, supports_tls=True, requires_tls=requires)
    inputs: dict[str, Plain] = {
        "announced": identity,
        "url_text": url,
        "peer_id": bytes(range(20)),
        "port": 6881,
        "supports_tls": True,
        "requires_tls": requires,
    }
    return Vector(name, inputs, {"request_text": request.url(url)}, comment)


def answers() -> Family:
    """Responses in compact form, and one peer in dictionary form."""
    compact = bencode.encode({b"interval": 1800, **signals.encode_compact(_PEERS)})
    entry = bencode.encode(
        {b"ip": _PEERS[2].address.host, b"port": _PEERS[2].address.port, **signals.encode_entry(_PEERS[2])}
    )
    return Family(
        "tracker",
        "Discovery",
        "Responses over HTTPS with an interval of 1800 seconds. flags is the byte of each peer.",
        [
            Vector(
                "compact", {"peers": [_peer(peer) for peer in _PEERS]}, {"response": compact}, "IPv4 and IPv6"
            ),
            Vector("dictionary", {"peers": [_peer(_PEERS[2])]}, {"peer": entry}, "one peer of a list"),
        ],
    )


def _peer(peer: KnownPeer) -> dict[str, Plain]:
    return {
        "host_text": peer.address.host,
        "port": peer.address.port,
        "flags": bytes([peer.flags]),
        "pin": peer.pin,
    }


def exchanges() -> Family:
    """A PEX message that adds peers with and without the flag, and drops one."""
    added = [
        pex.PexPeer(peer.address, pex.BTLS if peer.tls else 0) for peer in (_PEERS[0], _PEERS[1], _PEERS[3])
    ]
    payload = pex.encode(pex.PexMessage(tuple(added), (_PEERS[2].address,)))
    inputs: dict[str, Plain] = {
        "added": [_flagged(peer) for peer in added],
        "dropped": [{"host_text": _PEERS[2].address.host, "port": _PEERS[2].address.port}],
    }
    return Family(
        "pex",
        "Discovery",
        "The payload of an ut_pex message (BEP 11). flags is the byte of each added peer.",
        [Vector("message", inputs, {"payload": payload})],
    )


def _flagged(peer: pex.PexPeer) -> dict[str, Plain]:
    return {"host_text": peer.address.host, "port": peer.address.port, "flags": bytes([peer.flags])}


def handshakes() -> Family:
    """The extension handshake with `tls`."""
    payload = extension.encode_handshake(
        extension.handshake_fields({b"ut_pex": 1, b"ut_metadata": 2}, tls=True)
    )
    return Family(
        "extension",
        "BitTorrent Inside the Channel",
        "The payload of extended message 0 with the key tls.",
        [
            Vector(
                "handshake",
                {"m": {"ut_pex": 1, "ut_metadata": 2}, "reqq": 500, "tls": 1},
                {"payload": payload},
            )
        ],
    )


def families() -> Iterator[Family]:
    """The families of this module."""
    yield requests()
    yield answers()
    yield exchanges()
    yield handshakes()
