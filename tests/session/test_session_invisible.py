"""libtorrent, told where a Strict torrent is served: over TCP, MSE and uTP it hears nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from btresearch.session.membership import Membership
from btresearch.session.node import Node
from tests.session.levels import SECRET, club
from tests.session.swarming import HOST, free_port

pytestmark = pytest.mark.interop
lt: Any = pytest.importorskip("libtorrent")

WAYS = {
    "clear": {"out_enc_policy": 2, "enable_outgoing_utp": False},
    "mse": {"out_enc_policy": 0, "enable_outgoing_utp": False},
    "utp": {"out_enc_policy": 2, "enable_outgoing_tcp": False},
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mixed", [False, True])
def test_a_strict_torrent_is_invisible_to_libtorrent(tmp_path: Path, way: str, mixed: bool) -> None:
    async def main() -> None:
        torrents = club(tmp_path / "in", "strict", 100_000)
        torrent = torrents.content.torrent
        async with Node(host=HOST, keep_identity=False) as node:
            swarm = node.join(Membership.of(torrent, secret=SECRET), torrent)
            if mixed:  # the port answers clear text and MSE, for another torrent
                node.join(Membership.basic(bytes(20)))
            session = lt.session(
                {
                    "listen_interfaces": f"{HOST}:{free_port()}",
                    **dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False),
                    **WAYS[way],
                }
            )
            parameters = lt.load_torrent_buffer(torrent.dump())
            parameters.save_path = str(tmp_path / "out")
            handle = session.add_torrent(parameters)
            for _ in range(6):
                handle.connect_peer((HOST, node.port))
                await asyncio.sleep(0.2)
                assert not any(peer.pid.to_bytes().strip(b"\0") for peer in handle.get_peer_info())
                assert not any(remote.connection.remote for remote in swarm.remotes)
            # not total_download: the web server answers clear text, and MSE says its half before any torrent is named
            assert handle.status().total_payload_download == 0

    asyncio.run(main())
