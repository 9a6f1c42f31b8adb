"""Live capture on a veth pair, in a network namespace that goes with the child that owns it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from btresearch.capture.live import main
from tests.capture.sniff_child import frame
from tests.conftest import ROOT

pytestmark = pytest.mark.netns


def unshared() -> list[str]:
    """Return the command prefix that makes a network namespace, or skip where it can't be made."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("no network namespaces: install util-linux and iproute2")
    for prefix in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        done = subprocess.run([*prefix, "ip", "link"], capture_output=True, check=False)
        if done.returncode == 0:
            return prefix
    pytest.skip("no network namespaces: this user may not create them")


def seen(scenario: str, tmp_path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.capture.sniff_child", scenario, str(tmp_path / "live.pcapng")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*unshared(), *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def needs_tcpdump() -> None:
    if not (shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin")):
        pytest.skip("tcpdump is not here: install tcpdump")


def test_both_directions_once_each_in_time_order(tmp_path: Path) -> None:
    found = seen("both_ways", tmp_path)
    assert [packet["hex"] for packet in found["packets"]] == [frame(number).hex() for number in range(200)]
    times = [packet["t_ns"] for packet in found["packets"]]
    began_ns, ended_ns = found["between_ns"]
    assert times == sorted(times)
    assert began_ns <= times[0] < times[-1] <= ended_ns
    assert any(t_ns % 1000 for t_ns in times)
    assert found["statistics"]["dropped"] == found["dropped"] == 0
    assert found["statistics"]["written"] == found["statistics"]["received"] >= 200


def test_vlan_tags_are_put_back(tmp_path: Path) -> None:
    packets = seen("vlan", tmp_path)["packets"]
    expected = [frame(1, tag=bytes.fromhex("8100a00c")), frame(2, tag=bytes.fromhex("88a80005"))]
    assert [packet["hex"] for packet in packets] == [one.hex() for one in expected]
    assert [packet["orig_len"] for packet in packets] == [len(one) for one in expected]


def test_loopback_shows_a_packet_once(tmp_path: Path) -> None:
    assert seen("loopback", tmp_path) == {"count": 1}


def test_what_finds_no_room_is_counted(tmp_path: Path) -> None:
    found = seen("lossy", tmp_path)
    assert found["dropped"] > 0
    assert found["again"] == [found["received"], found["dropped"]]
    assert 0 < found["kept"] <= found["received"] - found["dropped"]


def test_frames_above_the_mtu_are_counted_and_kept_whole(tmp_path: Path) -> None:
    found = seen("oversize", tmp_path)
    assert found["oversize"] == 1
    assert [packet["hex"] for packet in found["packets"]] == [frame(1, size=3000).hex()]


def test_a_filter_is_the_kernels_work(tmp_path: Path) -> None:
    needs_tcpdump()
    found = seen("filtered", tmp_path)
    assert [packet["hex"] for packet in found["packets"]] == [frame(7).hex()]
    assert found["received"] == 1


@pytest.mark.parametrize("backend", ["program", "tcpdump"])
def test_the_program_drains_and_ends_at_sigterm(backend: str, tmp_path: Path) -> None:
    if backend == "tcpdump":
        needs_tcpdump()
        if "--user" in unshared():
            pytest.skip("tcpdump can't start in an unprivileged user namespace")
    found = seen(backend, tmp_path)
    assert (found["ready"], found["status"], found["dropped"]) == ("ready\n", 0, 0)
    assert [packet["hex"] for packet in found["packets"]] == [frame(number).hex() for number in range(50)]
    assert found["statistics"]["written"] >= 50
    assert found["left"] == ["live.pcapng"]


def test_no_such_interface_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["nosuch0", str(tmp_path / "x.pcapng")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "nosuch0" in said
    assert list(tmp_path.iterdir()) == []
