"""Vectors of discovery: what trackers are asked and answer, and the extension handshake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from btresearch.bep.examples import SECRET, V1, V2
from btresearch.bep.vector import Family, Plain, Vector, example_bytes
from btresearch.peer import bencode, extension, pex, signals
from btresearch.peer.address import Address
from btresearch.peer.announce import AnnounceRequest
from btresearch.peer.known import KnownPeer
from btresearch.peer.tls_info import origin_of
from btresearch.transport.btls.keys import TorrentKey

_NAMED = "https://tracker.example.org"
_PARAMETERS: Mapping[str, Plain] = {
    "peer_id": bytes(range(20)),
    "port": 6881,
    "uploaded": 0,
    "downloaded": 0,
    "left": 0,
    "compact": 1,
    "numwant": 50,
}
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
        "The announce to url_text of a torrent whose tls names trackers_text; null: this URL is not asked. The "
        "order of parameters is free.",
        [_request(*case) for case in _requests()],
    )


def _requests() -> Iterator[tuple[str, TorrentKey, str, bytes | None, str]]:
    basic, strict = TorrentKey.basic(V1), TorrentKey.derive(V1, "strict", SECRET)
    full = TorrentKey.derive(V2, "full", SECRET)
    other, named = "https://example.org/announce", f"{_NAMED}/announce"
    yield "https_require", strict, other, None, "a Strict torrent: the discovery id"
    yield "https_support", basic, other, None, "a Basic torrent: the infohash"
    yield "http", strict, "http://example.org/announce", None, "in clear text nothing is said of TLS"
    yield "named", strict, named, None, "an origin of trackers: the infohash"
    yield "named_host", strict, "http://tracker.example.org/announce", None, "a host of trackers: not asked"
    yield "named_port", strict, f"{_NAMED}:8443/announce", None, "another port of it: not asked"
    yield "full_v2", full, other, None, "a v2 torrent: its discovery id"
    yield "full_named", full, named, _PEERS[2].pin, "the first 20 bytes of the infohash, and a pin"


def _request(name: str, key: TorrentKey, url: str, pin: bytes | None, comment: str) -> Vector:
    secure = key.level != "basic"
    origins = (_NAMED,) if secure else ()
    inputs: dict[str, Plain] = {
        "level_text": key.level,
        "infohash": key.infohash,
        "secret32": SECRET if secure else None,
        "trackers_text": origins,
        "url_text": url,
        "parameters": _PARAMETERS,
        "supports_tls": True,
        "requires_tls": secure,
        "pin": pin,
    }
    if name in ("named_host", "named_port"):  # what the session leaves out: it alone knows all URLs
        return Vector(name, inputs, {"request_text": None}, comment)
    announced = key.infohash[:20] if not secure or origin_of(url) in origins else key.discovery_id
    request = AnnounceRequest(
        announced, bytes(range(20)), 6881, supports_tls=True, requires_tls=secure, tls_pin=pin
    )
    return Vector(name, inputs, {"request_text": request.url(url)}, comment)


def answers() -> Family:
    """Responses in compact form, and one peer in dictionary form."""
    compact = bencode.encode({b"interval": 1800, **signals.encode_compact(_PEERS)})
    entry = bencode.encode(
        {b"ip": _PEERS[2].address.host, b"port": _PEERS[2].address.port, **signals.encode_entry(_PEERS[2])}
    )
    listed: dict[str, Plain] = {"form_text": "compact", "interval": 1800}
    listed |= {"peers": [_peer(peer) for peer in _PEERS]}
    one: dict[str, Plain] = {"form_text": "dictionary", "peers": [_peer(_PEERS[2])]}
    return Family(
        "tracker",
        "Discovery",
        "Responses over HTTPS, interval in seconds. flags is the byte of each peer.",
        [
            Vector(
                "compact",
                listed,
                {"response": compact},
                "IPv4 and IPv6",
            ),
            Vector(
                "dictionary",
                one,
                {"peer": entry},
                "one peer of a list",
            ),
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
        "The payload of an ut_pex message (BEP 11). flags is the byte of each added peer. Empty keys are left out.",
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
