"""Own peer with own peer: every transport, shape and role, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from btresearch.errors import InputError
from btresearch.peer import Magnet, Torrent
from btresearch.peer.tls_info import TlsInfo
from btresearch.session import StorageError, get, seed
from tests.session.swarming import HOST, fetch, free_port, seeding, several, single

WIRES = [
    ("clear", "none"),
    ("mse_rc4", "none"),
    ("mse_plain", "none"),
    ("btls_basic", "none"),
    ("btls_basic", "rechunk"),
]


@pytest.mark.parametrize(("transport", "shape"), WIRES)
def test_leech_dials_seed(tmp_path: Path, transport: str, shape: str) -> None:
    async def main() -> None:
        content = single(tmp_path / "in")
        async with seeding(content, transports=[transport], shape=shape) as end:
            result = await fetch(
                content.torrent, tmp_path / "out", end.port, transports=[transport], shape=shape
            )
        assert content.same_in(tmp_path / "out")
        assert result.downloaded_bytes == content.torrent.total_bytes
        assert end.result.result().uploaded_bytes == content.torrent.total_bytes

    asyncio.run(main())


@pytest.mark.parametrize(("transport", "shape"), WIRES)
def test_seed_dials_leech(tmp_path: Path, transport: str, shape: str) -> None:
    async def main() -> None:
        content, port = single(tmp_path / "in"), free_port()
        leech = asyncio.create_task(
            fetch(content.torrent, tmp_path / "out", port=port, transports=[transport], shape=shape)
        )
        await asyncio.sleep(0.1)
        async with seeding(content, transports=[transport], shape=shape, peers=[(HOST, port)]):
            await leech
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_folder_with_an_empty_file_and_nothing_left_behind(tmp_path: Path) -> None:
    async def main() -> None:
        content = several(tmp_path / "in")
        async with seeding(content) as end:
            await fetch(content.torrent, tmp_path / "out", end.port)
        assert content.same_in(tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["album"]

    asyncio.run(main())


@pytest.mark.parametrize("transport", ["clear", "btls_basic"])
def test_magnet_alone_is_enough(tmp_path: Path, transport: str) -> None:
    async def main() -> None:
        content = several(tmp_path / "in")
        async with seeding(content, transports=[transport]) as end:
            magnet = Magnet(infohash=content.torrent.infohash, peers=((HOST, end.port),))
            result = await fetch(magnet, tmp_path / "out", transports=[transport])
        assert result.torrent.info_bytes == content.torrent.info_bytes
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_one_port_takes_every_transport(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content) as end:
            for transport in ("clear", "mse_rc4", "mse_plain", "btls_basic"):
                await fetch(content.torrent, tmp_path / transport, end.port, transports=[transport])
                assert content.same_in(tmp_path / transport)

    asyncio.run(main())


def test_leeches_trade_with_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 2_000_000)
        ports = [free_port() for _ in range(3)]
        async with seeding(content, upload_bytes_per_s=1_500_000, transports=["clear"]) as end:
            leeches = [
                fetch(
                    content.torrent,
                    tmp_path / str(port),
                    end.port,
                    *(other for other in ports if other > port),
                    port=port,
                    transports=["clear"],
                )
                for port in ports
            ]
            await asyncio.gather(*leeches)
        assert all(content.same_in(tmp_path / str(port)) for port in ports)
        # Three copies were made; had nobody traded, the seed would have sent all three.
        assert end.result.result().uploaded_bytes < 3 * content.torrent.total_bytes

    asyncio.run(main())


def test_upload_limit_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 600_000)
        async with seeding(content, upload_bytes_per_s=600_000, transports=["clear"]) as end:
            result = await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
        # 16 blocks and a tenth of a second are let through at once
        assert result.seconds > 0.3

    asyncio.run(main())


def test_progress_tells_phases_and_port(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in")
        async with seeding(content, transports=["clear"]) as end:
            pass
        assert {progress.phase for progress in end.progress} == {"checking", "seeding"}
        assert end.progress[-1].port == end.port
        assert end.progress[-1].pieces == content.torrent.piece_count

    asyncio.run(main())


def test_seed_refuses_content_that_is_wrong(tmp_path: Path) -> None:
    content = single(tmp_path / "in")
    with (tmp_path / "in" / "content.bin").open("r+b") as file:
        file.write(b"spoilt")
    with pytest.raises(StorageError, match="1 of 22 pieces are wrong"):
        asyncio.run(seed(content.torrent, content.folder, host=HOST))


def test_unknown_transport_is_named(tmp_path: Path) -> None:
    content = single(tmp_path / "in")
    with pytest.raises(InputError, match="warp"):
        asyncio.run(get(content.torrent, tmp_path / "out", transports=["warp"]))


def test_cancelling_cleans_up_and_keeps_resume_data(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 3_000_000)
        async with seeding(content, upload_bytes_per_s=1_000_000, transports=["clear"]) as end:
            task = asyncio.create_task(
                fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
            )
            await asyncio.sleep(0.8)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(list((tmp_path / "out").glob(".btresearch-*.resume"))) == 1
        async with seeding(content, transports=["clear"]) as end:
            result = await fetch(content.torrent, tmp_path / "out", end.port, transports=["clear"])
        assert result.resumed_bytes > 0
        assert result.downloaded_bytes + result.resumed_bytes == content.torrent.total_bytes
        assert content.same_in(tmp_path / "out")
        assert not list((tmp_path / "out").glob(".btresearch-*"))

    asyncio.run(main())


def _record_lengths(wire: bytes) -> list[int]:
    """Length fields of a stream of TLS records (RFC 8446 section 5.1)."""
    lengths, at = [], 0
    while at + 5 <= len(wire):
        lengths.append(int.from_bytes(wire[at + 3 : at + 5], "big"))
        at += 5 + lengths[-1]
    return lengths


@pytest.mark.parametrize("shape", ["rechunk", "none"])
def test_shape_decides_the_records_of_a_bulk_transfer(tmp_path: Path, shape: str) -> None:
    """`none` shows each block as 16384 + 13 bytes of plaintext (17 more on the wire); `rechunk` shows full records."""
    sent = bytearray()

    def tap(t_ns: int, direction: str, wire: bytes) -> None:
        if direction == "out":
            sent.extend(wire)

    async def main() -> None:
        content = single(tmp_path / "in", 3_000_000, 262144)
        wire = {"transports": ["btls_basic"], "shape": shape}
        async with seeding(content, tap=tap, **wire) as end:
            await fetch(content.torrent, tmp_path / "out", end.port, **wire)

    asyncio.run(main())
    lengths = _record_lengths(bytes(sent))
    blocks = 3_000_000 // 16384
    assert lengths.count(16384 + 17) >= blocks * 0.9
    if shape == "none":
        assert lengths.count(13 + 17) == blocks
    else:
        assert lengths.count(13 + 17) == 0
        assert sum(length < 16384 + 17 for length in lengths) < 30


def test_without_its_secret_a_torrent_above_basic_is_not_touched(tmp_path: Path) -> None:
    """Whoever knows `info.tls` never speaks Basic, MSE or clear text for that infohash."""
    tls = TlsInfo.create("strict", bytes(32))
    strict = Torrent.create("x", [((), 5)], bytes(20), piece_length_bytes=16384, tls=tls)
    with pytest.raises(InputError, match="a secret"):
        asyncio.run(get(strict, tmp_path / "out"))
    with pytest.raises(InputError, match="a secret"):
        asyncio.run(seed(strict, tmp_path))
    with pytest.raises(InputError, match=r"x\.tls"):
        asyncio.run(get(Magnet(infohash=strict.infohash, tls="ZGU"), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_peer_whose_name_cannot_be_looked_up_is_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content) as end:
            await fetch(content.torrent, tmp_path / "out", end.port, peers=[("a..b", 80), ("x" * 70, 80)])
        assert content.same_in(tmp_path / "out")

    asyncio.run(main())
