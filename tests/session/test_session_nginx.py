"""Our port beside a real nginx on this machine: the differential table, and nginx's timeouts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from btresearch import probe
from btresearch.peer.address import Address
from btresearch.probe import Comparison, Probe
from btresearch.session import identity
from btresearch.transport.btls import ServerIdentity
from tests.session import nginx
from tests.session.swarming import HOST, seeding, single

# Where OpenSSL 4 (cryptography's) answers otherwise than OpenSSL 3.0 (nginx's) and no setting changes it.
LIBRARY = {
    "hello: ssl 3.0": "alert 70, not 40: SSL 3.0 is no longer known",
    "hello: suites: none": "alert 50, not 47",
    "hello: compression alone": "alert 47, not 50",
    "hello: alpn: http/1.1, tls 1.2": "order of the ServerHello's extensions",
    "hello: sni: name, tls 1.2": "order of the ServerHello's extensions",
    "record: ssl 2.0 hello": "no alert: SSL 2.0 hellos are no longer known",
    "record: ssl 2.0 hello that offers 3.1": "no alert: SSL 2.0 hellos are no longer known",
    "order: plain http inside the channel": "alert 10, not 70",
}

pytestmark = pytest.mark.skipif(nginx.MISSING, reason=nginx.WHY_MISSING)


@pytest.fixture
def pem(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """One identity for both, so that the sizes of certificates are equal."""
    made = ServerIdentity.create(now_s=int(time.time()), entropy=os.urandom)
    monkeypatch.setattr(identity, "fresh", lambda: made)
    return made.pem()


async def _compare(folder: Path, pem: bytes, probes: Sequence[Probe]) -> Comparison:
    content = single(folder / "in", 100_000)
    with nginx.nginx(folder / "nginx", pem) as port:
        async with seeding(content, transports=["btls_basic"], keep_identity=False) as ours:
            reports = await asyncio.gather(
                *(probe.run(Address(HOST, where), probes) for where in (ours.port, port))
            )
    return probe.compare(*reports)


def _again(folder: Path, pem: bytes, probes: Sequence[Probe]) -> Comparison:
    """A difference counts if it is there twice: on a busy machine a FIN and a reset may change places."""
    folder.mkdir()
    return asyncio.run(_compare(folder, pem, probes))


@pytest.mark.slow
def test_nothing_but_the_tls_library_tells_us_from_nginx(tmp_path: Path, pem: bytes) -> None:
    first = _again(tmp_path / "first", pem, probe.QUICK)
    assert len(first.rows) > 300
    names = {row.probe for row in first.residual} - set(LIBRARY)
    if names:
        second = _again(tmp_path / "second", pem, [one for one in probe.QUICK if one.name in names])
        assert not second.residual, second.text()


def test_a_handful_of_probes_sees_no_difference(tmp_path: Path, pem: bytes) -> None:
    names = {
        "hello: ordinary",
        "hello: alpn: h2",
        "plain: get /",
        "plain: bittorrent handshake",
        "size: junk 51 bytes",
        "size: mse first bytes",
        "size: bittorrent handshake",
        "method: get /",
        "body: chunked",
        "order: pipelined",
        "order: record with a bad mac",
        "tls 1.2: get /",
        "resume: tls 1.3",
        "certificate chain",
        "ticket lifetime",
    }
    found = _again(tmp_path / "both", pem, [one for one in probe.QUICK if one.name in names])
    assert {row.probe for row in found.rows} == names
    assert not found.residual, found.text()
