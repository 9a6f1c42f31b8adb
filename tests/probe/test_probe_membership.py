"""The adversary table's row "prober with infohash": at level Basic he confirms; without it he meets a web server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from btresearch import probe
from btresearch.errors import InputError
from btresearch.peer.address import Address
from btresearch.probe.cable import ProbeError
from btresearch.probe.membership import ask, asking, parse_infohash
from btresearch.probe.visit import Web
from tests.session.swarming import HOST, free_port, seeding, single


def test_who_knows_the_infohash_confirms_and_who_does_not_sees_a_web_server(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content, transports=["btls_basic"]) as end:
            address = Address(HOST, end.port)
            assert await ask(address, content.torrent.infohash) == "takes part"
            assert await ask(address, bytes(20)) == "web server"
            seen = await asking(content.torrent.infohash.hex()).visit(address)
            assert seen.answers == ("takes part",)

    asyncio.run(main())


def test_a_run_of_a_few_probes(tmp_path: Path) -> None:
    async def main() -> None:
        content = single(tmp_path / "in", 100_000)
        async with seeding(content, transports=["btls_basic"]) as end:
            lines: list[str] = []
            report = await probe.run(
                Address(HOST, end.port),
                [Web("get", (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",))],
                progress=lines.append,
            )
            assert (
                report.observations["get"]
                .answers[0]
                .startswith("HTTP/1.1 403 Forbidden | Server: nginx/1.22.1")
            )
            assert report.observations["get"].end == "open"
            assert lines[-1].endswith("1 of 1 probes")

    asyncio.run(main())


def test_nobody_there_is_one_error() -> None:
    with pytest.raises(ProbeError, match="can't connect"):
        asyncio.run(probe.run(Address(HOST, free_port()), []))


@pytest.mark.parametrize("text", ["", "xyz", "00" * 19, "00" * 33])
def test_what_is_no_infohash(text: str) -> None:
    with pytest.raises(InputError, match="hexadecimal"):
        parse_infohash(text)
