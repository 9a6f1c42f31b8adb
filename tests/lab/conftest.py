"""Captures are made once and looked at by several tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from btresearch import lab
from btresearch.capture import Capture
from btresearch.lab.scenario import Scenario


def small(name: str, flows: int = 3) -> Scenario:
    """A ready-made scenario with fewer and smaller flows."""
    scenario = lab.find(name)
    traffic = tuple(replace(one, flows=flows, size_bytes=(20_000, 120_000)) for one in scenario.traffic)
    return replace(scenario, traffic=traffic, repeats=1)


@pytest.fixture(scope="session")
def wire_kind() -> str:
    """The kind `wire`; the test is skipped where namespaces can't be made."""
    ability = lab.probe()
    if not ability.ok:
        pytest.skip(str(ability))
    return "wire"


@pytest.fixture(scope="session")
def lt_clear_wire(wire_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """A wire capture of libtorrent in clear text."""
    pytest.importorskip("libtorrent", reason="libtorrent is not here: pip install btresearch[lab]")
    return lab.capture(small("lt_clear"), tmp_path_factory.mktemp("wire"), seed=3, kind=wire_kind)


@pytest.fixture(scope="session")
def lt_clear_packetised(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """The same, packetised, from the same seed."""
    pytest.importorskip("libtorrent", reason="libtorrent is not here: pip install btresearch[lab]")
    return lab.capture(small("lt_clear"), tmp_path_factory.mktemp("packetised"), seed=3, kind="packetised")
