"""The fallback without namespaces: the same programs, the same outputs, marked as packetised."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from btresearch import lab
from btresearch.capture import Capture
from btresearch.capture.key import key_of, reverse
from btresearch.cli import app
from btresearch.lab import label
from tests.lab.conftest import small


@pytest.mark.interop
def test_a_packetised_capture_says_so_and_is_labelled(lt_clear_packetised: Capture) -> None:
    assert lt_clear_packetised.manifest.kind == "packetised"
    assert "unlabelled flows: 0" in lt_clear_packetised.manifest.notes
    assert len(lt_clear_packetised.labels()) == 3


@pytest.mark.interop
def test_its_flows_begin_with_the_bittorrent_handshake(lt_clear_packetised: Capture) -> None:
    owned, first = label.keys(lt_clear_packetised.labels()), {}
    for packet in lt_clear_packetised.packets():
        key = key_of(packet.data, packet.linktype)
        assert key in owned
        payload = packet.data[34 + (packet.data[46] >> 4) * 4 :]  # Ethernet 14, IPv4 20, TCP's data offset
        if payload and reverse(key) not in first:
            first.setdefault(key, payload)
    assert len(first) == 3
    assert all(payload.startswith(b"\x13BitTorrent protocol") for payload in first.values())


@pytest.mark.parametrize(
    "name",
    [
        "cover_httpx_h2",
        "own_clear",
        pytest.param("lt_utp", marks=pytest.mark.interop),
        pytest.param("own_btls_basic_rechunk", marks=pytest.mark.slow),
        pytest.param("cover_curl_nginx", marks=pytest.mark.slow),
    ],
)
def test_each_program_can_be_packetised(name: str, tmp_path: Path, tshark: str) -> None:
    scenario = small(name, flows=2)
    plan = lab.draw_up([scenario])
    if plan.skipped:
        pytest.skip(plan.skipped[name])
    made = lab.capture(scenario, tmp_path, seed=2, kind="packetised")
    assert made.manifest.kind == "packetised"
    assert made.manifest.oversize == 0
    assert len(made.labels()) >= 2
    assert "unlabelled flows: 0" in made.manifest.notes


def test_the_command_falls_back_and_says_why(tmp_path: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(lab.dumps(small("cover_ssl_rpc", flows=1)), encoding="utf-8")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["capture", str(scenario), "--out", str(out), "--no-netns"])
    assert done.exit_code == 0, done.output
    assert "no wire captures: step 'switched off'" in done.output
    assert Capture.open(out / "cover_ssl_rpc-000").manifest.kind == "packetised"


def test_dry_run_makes_nothing(tmp_path: Path) -> None:
    arguments = ["capture", "cover_ssl_rpc", "--out", str(tmp_path / "out"), "--repeat", "2", "--dry-run"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert sorted(done.output.split()[:2]) == ["cover_ssl_rpc-000", "cover_ssl_rpc-001"]
    assert not (tmp_path / "out").exists()
