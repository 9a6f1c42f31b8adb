"""The TLS identity that stays: one per listening address, for its user alone, renewed in time."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from btresearch.session import identity as module
from btresearch.session.node import Node
from btresearch.session.policy import Policy
from btresearch.transport.btls import ServerIdentity
from tests.session.swarming import HOST

DAY_S = 86_400


def _made(*, age_days: int = 0) -> ServerIdentity:
    return ServerIdentity.create(now_s=int(time.time()) - age_days * DAY_S, entropy=os.urandom)


def _serial(host: str) -> int:
    return module.kept(host).leaf.serial_number


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "btresearch"


def test_an_address_keeps_its_identity_and_shares_it_with_no_other(folder: Path) -> None:
    assert _serial("192.0.2.1") == _serial("192.0.2.1") != _serial("2001:db8::1")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["identity-192.0.2.1.pem", "identity-2001_db8__1.pem"]


def test_only_its_user_may_read_it(folder: Path) -> None:
    module.kept(HOST)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_every_address_is_known_by_the_one_that_strangers_see(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANY_STRANGER", ((socket.AF_INET, HOST),))
    assert _serial("") == _serial(HOST)
    monkeypatch.setattr(module, "_ANY_STRANGER", ())
    module.kept("")
    assert (folder / "identity-any.pem").exists()


@pytest.mark.parametrize(("age_days", "stays"), [(0, True), (120, False), (-120, False)])
def test_renewed_before_it_expires(folder: Path, age_days: int, stays: bool) -> None:
    folder.mkdir()
    old = _made(age_days=age_days)
    (folder / f"identity-{HOST}.pem").write_bytes(old.pem())
    now = _serial(HOST)
    assert (now == old.leaf.serial_number) is stays
    assert _serial(HOST) == now


def _encrypted() -> bytes:
    seal = serialization.BestAvailableEncryption(b"secret")
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    one = _made()
    return one.pem().replace(
        one.key.private_bytes(*formats, serialization.NoEncryption()), one.key.private_bytes(*formats, seal)
    )


def _of_two() -> bytes:
    one, other = _made(), _made()
    return ServerIdentity(one.leaf, one.issuer, other.key).pem()


DAMAGED: list[Callable[[], bytes]] = [
    bytes,
    lambda: b"\xff" * 100,
    lambda: _made().pem()[:-400],
    _encrypted,
    _of_two,
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=["empty", "noise", "cut", "encrypted", "of two"])
def test_a_damaged_file_is_replaced_with_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture, damaged: Callable[[], bytes]
) -> None:
    folder.mkdir()
    (folder / f"identity-{HOST}.pem").write_bytes(damaged())
    assert _serial(HOST) == _serial(HOST)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_without_a_folder_it_lasts_as_long_as_the_process(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, module.__name__)
    folder.write_bytes(b"in the way")
    assert _serial(HOST) != _serial(HOST)
    assert [record.levelno for record in caplog.records] == [logging.DEBUG] * 2
    assert folder.read_bytes() == b"in the way"


def test_state_folder_follows_the_base_directory_specification(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unset in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", unset)
        assert module.state_folder() == tmp_path / "home/.local/state/btresearch"


async def _shown(*, transports: tuple[str, ...] = ("btls_basic",), keep_identity: bool = True) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with Node(host=HOST, policy=Policy(transports), keep_identity=keep_identity) as node:
        _, writer = await asyncio.open_connection(HOST, node.port, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return bytes(shown)


def test_restarts_show_the_same_certificate_unless_told_otherwise(folder: Path) -> None:
    assert asyncio.run(_shown()) == asyncio.run(_shown())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert asyncio.run(_shown(keep_identity=False)) != asyncio.run(_shown(keep_identity=False))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_port_without_tls_needs_none(folder: Path) -> None:
    async def main() -> None:
        async with Node(host=HOST, policy=Policy(("clear",))):
            pass

    asyncio.run(main())
    assert not folder.exists()
