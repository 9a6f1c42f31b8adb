"""Own peer with libtorrent: clear and MSE, both roles, both directions of dialling."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.session.swarming import HOST, Content, fetch, free_port, seeding, several

pytestmark = pytest.mark.interop
lt: Any = pytest.importorskip("libtorrent")

# enc_policy: forced 0, disabled 2; enc_level: plaintext 1, rc4 2
ENCRYPTION = {
    "clear": {"in_enc_policy": 2, "out_enc_policy": 2},
    "mse_rc4": {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2},
    "mse_plain": {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 1},
}


class Libtorrent:
    """A session with one torrent and nobody to talk to but the peer it is told of."""

    def __init__(self, content: Content, folder: Path, transport: str, *, seed: bool) -> None:
        self.port = free_port()
        off = (
            "enable_dht",
            "enable_lsd",
            "enable_upnp",
            "enable_natpmp",
            "enable_incoming_utp",
            "enable_outgoing_utp",
        )
        self.session = lt.session(
            {
                "listen_interfaces": f"{HOST}:{self.port}",
                "allow_multiple_connections_per_ip": True,
                **dict.fromkeys(off, False),
                **ENCRYPTION[transport],
            }
        )
        parameters = lt.load_torrent_buffer(content.torrent.dump())
        parameters.save_path = str(folder)
        if seed:
            parameters.flags |= lt.torrent_flags.seed_mode
        self.handle = self.session.add_torrent(parameters)

    async def finish(self, port: int) -> None:
        """Dial until the download is complete; a first call is often lost."""
        deadline = time.monotonic() + 20
        while not self.handle.status().is_seeding:
            assert time.monotonic() < deadline, self.handle.status().state
            if not self.handle.get_peer_info():
                self.handle.connect_peer((HOST, port))
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("transport", list(ENCRYPTION))
def test_get_from_libtorrent(tmp_path: Path, transport: str) -> None:
    async def main() -> None:
        content = several(tmp_path / "in")
        other = Libtorrent(content, content.folder, transport, seed=True)
        await fetch(content.torrent, tmp_path / "out", other.port, transports=[transport])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


@pytest.mark.parametrize("transport", list(ENCRYPTION))
def test_seed_to_libtorrent(tmp_path: Path, transport: str) -> None:
    async def main() -> None:
        content = several(tmp_path / "in")
        async with seeding(content, transports=[transport]) as end:
            other = Libtorrent(content, tmp_path / "out", transport, seed=False)
            await other.finish(end.port)
            del other
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_seed_dials_libtorrent(tmp_path: Path) -> None:
    async def main() -> None:
        content = several(tmp_path / "in")
        other = Libtorrent(content, tmp_path / "out", "mse_rc4", seed=False)
        await asyncio.sleep(0.3)
        async with seeding(content, transports=["mse_rc4"], peers=[(HOST, other.port)]):
            deadline = time.monotonic() + 20
            while not other.handle.status().is_seeding and time.monotonic() < deadline:
                await asyncio.sleep(0.1)
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_clear_is_refused_where_rc4_is_required(tmp_path: Path) -> None:
    async def main() -> None:
        content = several(tmp_path / "in")
        other = Libtorrent(content, content.folder, "mse_rc4", seed=True)
        with pytest.raises(TimeoutError):
            await fetch(content.torrent, tmp_path / "out", other.port, transports=["clear"], patience_s=2)

    asyncio.run(main())
