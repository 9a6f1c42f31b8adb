"""Torrent files, the dictionaries within, and links."""

from __future__ import annotations

import base64
import contextlib

from btresearch.errors import InputError
from btresearch.peer import Magnet, Torrent, bencode
from btresearch.peer.file_tree import read_tree
from btresearch.peer.info import read_info
from btresearch.peer.layers import read_layers
from btresearch.peer.secret import commit_of
from btresearch.peer.ssl_root import ssl_root
from btresearch.peer.tls_info import Kdf, TlsInfo, decode_link, encode_link, origin_of
from btresearch.session.decoy_site import DecoySite
from btresearch.session.membership import Membership
from tests.fuzz.target import Target, as_text
from tests.peer import test_torrent as v1
from tests.peer import test_torrent_v2 as v2

SECRET, CA, EST = bytes(range(32)), b"h" * 32, "https://tracker.example:8443"
STRICT = TlsInfo.create("strict", commit_of(SECRET), kdf=Kdf(b"a" * 16))
FULL = TlsInfo.create("full", commit_of(SECRET), ca=(CA,), est=EST, trackers=("https://t.example",))


def _torrents() -> list[bytes]:
    announce = {b"announce": b"http://t/a", b"announce-list": [[b"http://t/a"], [b"udp://u:1"]]}
    wish = {b"tls": {b"require": 1}, b"tls secret": SECRET}
    roots = [
        {b"info": v1.info()} | announce,
        {b"info": v1.folder([b"a", b"b"], [b"c"], private=1)},
        {b"info": v1.info() | {b"tls": bencode.decode(STRICT.encode())}} | wish,
        {b"info": v1.info() | {b"tls": bencode.decode(FULL.encode())}},
        {b"info": v1.info() | {b"ssl-cert": b"-----BEGIN CERTIFICATE-----"}},
        v2.root(),
        v2.hybrid(),
    ]
    return [bencode.encode(root) for root in roots]  # type: ignore[arg-type]


def _infos() -> list[bytes]:
    return [bencode.encode(bencode.decode(torrent)[b"info"]) for torrent in _torrents()]  # type: ignore[index,call-overload]


def _links() -> list[bytes]:
    hashes = f"xt=urn:btih:{'0a' * 20}&xt=urn:btmh:1220{'0b' * 32}"
    peers = "x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:51413&xl=123&so=1&tr.1=udp://u:1&dn=a%20name"
    xtls = [encode_link(STRICT, SECRET), encode_link(FULL)]
    return [f"magnet:?{hashes}&{peers}".encode(), *(f"magnet:?{hashes}&x.tls={tls}".encode() for tls in xtls)]


def torrent(data: bytes) -> None:
    """What is taken can be written, read back, and asked for its memberships."""
    found = Torrent.load(data)
    again = Torrent.load(found.dump(with_secret=True))
    assert again.infohashes == found.infohashes and again.tls_info == found.tls_info
    assert sum(file.length_bytes for file in found.files) == found.total_bytes
    with contextlib.suppress(InputError):
        Membership.of(found)
    with contextlib.suppress(InputError):
        ssl_root(found)


def file_tree(data: bytes) -> None:
    """Read as the value of `file tree`."""
    read_tree(bencode.decode(data), lambda expected: InputError("tree", expected), 1 << 60)


def piece_layers(data: bytes) -> None:
    """Read as the value of `piece layers` beside an info dictionary that has one file with layers."""
    root = v2.root()
    info = read_info(bencode.encode(root[b"info"]), "test")
    read_layers(
        bencode.decode(data),
        info.files,
        info.piece_length_bytes,
        lambda expected: InputError("root", expected),
    )


def magnet(data: bytes) -> None:
    """What is taken reads the same once it is written."""
    found = Magnet.parse(as_text(data))
    assert Magnet.parse(found.format()).infohashes == found.infohashes
    Membership.of(found)


def link(data: bytes) -> None:
    """`x.tls`: what is taken is bytes for bytes what is written again."""
    tls, secret = decode_link(as_text(data))
    assert decode_link(encode_link(tls, secret)) == (tls, secret)


def link_inside(data: bytes) -> None:
    """The same below its base64."""
    link(base64.urlsafe_b64encode(data).rstrip(b"="))


TARGETS = {
    "bencode": Target(lambda data: bencode.encode(bencode.decode(data)), _torrents, (InputError,)),
    "torrent": Target(torrent, _torrents, (InputError,)),
    "info": Target(Torrent.from_info, _infos, (InputError,)),
    "file_tree": Target(file_tree, lambda: [bencode.encode(v2.TREE)], (InputError,)),
    "piece_layers": Target(piece_layers, lambda: [bencode.encode(v2.root()[b"piece layers"])], (InputError,)),
    "magnet": Target(magnet, _links, (InputError,)),
    "tls_info": Target(
        lambda data: TlsInfo.decode(data, "test"), lambda: [STRICT.encode(), FULL.encode()], (InputError,)
    ),
    "x_tls": Target(
        link, lambda: [encode_link(STRICT, SECRET).encode(), encode_link(FULL).encode()], (InputError,)
    ),
    "x_tls_inside": Target(
        link_inside, lambda: [base64.urlsafe_b64decode(encode_link(STRICT, SECRET) + "==")], (InputError,)
    ),
    "origin": Target(
        lambda data: origin_of(as_text(data)),
        lambda: [b"https://t.example:8443", b"https://[2001:db8::1]/a?b"],
    ),
    "decoy_site": Target(
        lambda data: DecoySite.parse(as_text(data)),
        lambda: [b"https://127.0.0.1:8443", b"http://[::1]"],
        (InputError,),
    ),
}
