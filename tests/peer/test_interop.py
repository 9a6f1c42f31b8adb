"""PeerConnection against a real client: libtorrent seeds, this side starts with nothing but an infohash."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest

from btresearch.peer import (
    Event,
    ExtensionHandshake,
    ExtensionMessage,
    Handshake,
    MetadataFetch,
    PeerConnection,
    Picker,
    PieceSet,
    Torrent,
    extension,
    metadata,
)
from btresearch.peer.messages import Piece, Unchoke
from btresearch.session import torrent_file

pytestmark = pytest.mark.interop
LIMIT_S = 20
CONTENT = Random(3).randbytes(700_001)


class Download:
    """Metadata first, then every piece, from the one peer that there is."""

    def __init__(self, infohash: bytes, *, fast: bool) -> None:
        self.connection = PeerConnection(
            initiator=True,
            peer_id=b"-XX0001-0123456789ab",
            infohash=infohash,
            extensions={metadata.NAME: 3},
            fast=fast,
        )
        self.fetch = MetadataFetch(infohash)
        self.picker: Picker | None = None
        self.content = bytearray(len(CONTENT))
        self.torrent: Torrent | None = None
        self.connection.handshake()

    def on_event(self, event: Event) -> None:
        match event:
            case Handshake():
                self.connection.pieces(PieceSet(0))
                self.connection.extended_handshake(extension.handshake_fields({metadata.NAME: 3}))
            case ExtensionHandshake(metadata_size=int(size)):
                self.fetch.add_peer("seed", size)
                self._ask()
            case ExtensionMessage(payload=payload) if info_bytes := self.fetch.receive("seed", payload):
                self._begin(Torrent.from_info(info_bytes))
            case Unchoke():
                self._request()
            case Piece(index, begin, block):
                self._keep(index, begin, block)

    def _ask(self) -> None:
        for payload in self.fetch.requests("seed"):
            self.connection.extended_message(metadata.NAME, payload)

    def _begin(self, torrent: Torrent) -> None:
        self.torrent = torrent
        self.connection.set_layout(torrent.layout)
        self.picker = Picker(torrent.layout, rng=Random(1))
        self.picker.add_peer("seed", self.connection.peer_pieces or PieceSet(0))
        self.connection.interested()
        self._request()

    def _request(self) -> None:
        if self.picker is None or self.connection.peer_choking:
            return
        for block in self.picker.pick("seed", 10 - len(self.connection.requested)):
            self.connection.request(block)

    def _keep(self, index: int, begin: int, block: bytes | memoryview) -> None:
        assert self.picker is not None
        assert self.torrent is not None
        layout = self.torrent.layout
        start = index * layout.piece_length_bytes
        self.content[start + begin : start + begin + len(block)] = block
        if self.picker.received("seed", layout.block(index, begin // 16384)).piece_complete:
            piece = self.content[start : start + layout.piece_bytes(index)]
            assert self.torrent.piece_hash(index).fits(piece)
            self.picker.passed(index)
        self._request()


@pytest.mark.parametrize("fast", [True, False])
def test_download_from_libtorrent(tmp_path: Path, fast: bool) -> None:
    libtorrent = pytest.importorskip("libtorrent")
    (tmp_path / "content.bin").write_bytes(CONTENT)
    torrent = torrent_file.create(tmp_path / "content.bin", piece_length_bytes=65536)
    session, port = seed(libtorrent, torrent, tmp_path)
    download = Download(torrent.infohash, fast=fast)
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as stream:
        while download.picker is None or not download.picker.complete:
            stream.sendall(b"".join(download.connection.data_to_send()))
            data = stream.recv(1 << 16)
            assert data, "libtorrent hung up"
            for event in download.connection.receive(data):
                download.on_event(event)
    session.pause()
    assert bytes(download.content) == CONTENT
    assert download.torrent == torrent


def seed(libtorrent: Any, torrent: Torrent, folder: Path) -> tuple[Any, int]:
    """A libtorrent session that seeds `torrent` on loopback without any discovery; and its port."""
    quiet = dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False)
    session = libtorrent.session({"listen_interfaces": "127.0.0.1:0", "in_enc_policy": 2, **quiet})
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(libtorrent.bdecode(torrent.dump()))
    parameters.save_path = str(folder)
    handle = session.add_torrent(parameters)
    end_s = monotonic() + LIMIT_S
    while not handle.status().is_seeding:
        assert monotonic() < end_s, "libtorrent does not seed"
        sleep(0.05)
    return session, session.listen_port()
