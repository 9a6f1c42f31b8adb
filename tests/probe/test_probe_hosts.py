"""Whom a probe may visit, and what the command says to the rest."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from btresearch.cli import app
from btresearch.errors import BtresearchError, InputError
from btresearch.peer.address import Address
from btresearch.probe import hosts, own


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fe80::1", "fd00::1"])
def test_local_and_private_hosts_are_one_s_own(host: str) -> None:
    assert asyncio.run(own(host, 443)) == Address(host, 443)


@pytest.mark.parametrize("host", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "0.0.0.0"])
def test_public_hosts_are_refused_with_the_reason(host: str) -> None:
    with pytest.raises(InputError, match="only one's own may be visited"):
        asyncio.run(own(host, 443))


def test_a_public_host_may_be_mine() -> None:
    assert asyncio.run(own("8.8.8.8", 443, mine=True)) == Address("8.8.8.8", 443)


def test_what_resolves_to_nothing_is_no_host() -> None:
    with pytest.raises(InputError, match="name or address"):
        asyncio.run(own("no-such-host.invalid", 443))


def test_one_public_address_among_private_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(self: object, *args: object, **options: object) -> list[object]:
        return [(2, 1, 6, "", ("127.0.0.1", 443)), (2, 1, 6, "", ("8.8.8.8", 443))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    with pytest.raises(InputError):
        asyncio.run(own("mixed.example", 443))


@pytest.mark.parametrize(
    "arguments",
    [
        ["8.8.8.8:443"],
        ["127.0.0.1:443", "--against", "8.8.8.8:443"],
        ["127.0.0.1"],
        ["127.0.0.1:443", "--infohash", "xyz"],
    ],
)
def test_the_command_visits_nobody_it_may_not(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*args: object, **options: object) -> None:
        raise AssertionError("visited")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", forbidden)
    done = CliRunner().invoke(app, ["probe", *arguments, "--quick"])
    assert isinstance(done.exception, BtresearchError)


def test_why_is_said() -> None:
    assert "--mine" in hosts.WHY
