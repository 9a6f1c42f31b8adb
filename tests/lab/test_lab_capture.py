"""Real captures of real programs: whole, labelled, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from btresearch import lab
from btresearch.capture import Capture, parse_comment
from btresearch.lab import catalog
from btresearch.lab.errors import LabError
from btresearch.lab.plan import Job, Plan, draw_up
from btresearch.lab.record import PARTIAL, Take
from btresearch.lab.runner import Outcome, is_complete, run
from btresearch.lab.scenario import dumps
from tests.lab.conftest import small
from tests.lab.processes import all_gone, descendants, network_namespaces

pytestmark = [pytest.mark.netns, pytest.mark.interop]


def test_a_wire_capture_is_whole(lt_clear_wire: Capture) -> None:
    manifest = lt_clear_wire.manifest
    assert (manifest.kind, manifest.scenario, manifest.seed) == ("wire", "lt_clear", 3)
    assert (manifest.dropped, manifest.oversize) == (0, 0)
    assert "unlabelled flows: 0" in manifest.notes
    assert manifest.tools["libtorrent"].startswith("2.")
    assert manifest.packets == sum(1 for _ in lt_clear_wire.packets()) > 50
    assert sorted(path.name for path in lt_clear_wire.folder.iterdir()) == [
        "capture.pcapng",
        "labels.parquet",
        "manifest.toml",
    ]


def test_tshark_reads_the_same_packets_and_comments(lt_clear_wire: Capture, tshark: str) -> None:
    command = [
        tshark,
        "-r",
        str(lt_clear_wire.path),
        "-T",
        "fields",
        "-e",
        "frame.len",
        "-e",
        "frame.comment",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen = [line.split("\t") for line in done.stdout.splitlines()]
    ours = [(str(packet.orig_len), packet.comment or "") for packet in lt_clear_wire.packets()]
    assert [tuple(line) for line in seen] == ours
    assert max(int(length) for length, _ in ours) <= 1514


def test_every_flow_has_its_label(lt_clear_wire: Capture) -> None:
    labels = lt_clear_wire.labels()
    assert len(labels) == 3
    assert set(labels["client"]) == set(labels["server"]) == {"libtorrent"}
    assert set(labels["transport"]) == {"clear"}
    assert labels["torrent"].str.fullmatch("[0-9a-f]{40}").all()
    assert labels["torrent"].is_unique
    samples = [parse_comment(packet.comment) for packet in lt_clear_wire.packets() if packet.comment]
    assert {int(sample.sample_id) for sample in samples if sample} == set(labels["sample_id"])


def test_the_infohash_of_each_label_is_in_its_flow(lt_clear_wire: Capture) -> None:
    """Truth is from the process; here the wire confirms it (BEP 3: the handshake holds the infohash)."""
    for _, row in lt_clear_wire.labels().iterrows():
        ports = int(row["sport"]).to_bytes(2, "big") + int(row["dport"]).to_bytes(2, "big")
        sent = b"".join(packet.data for packet in lt_clear_wire.packets() if packet.data[34:38] == ports)
        assert b"\x13BitTorrent protocol" in sent
        assert bytes.fromhex(row["torrent"]) in sent


def test_the_same_seed_moves_the_same_content(lt_clear_wire: Capture, lt_clear_packetised: Capture) -> None:
    columns = ["torrent", "dport", "class", "transport", "session", "sample_id"]
    wire, packetised = (
        one.labels()[columns].sort_values("torrent").drop(columns="sample_id").reset_index(drop=True)
        for one in (lt_clear_wire, lt_clear_packetised)
    )
    pd.testing.assert_frame_equal(wire, packetised)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "lt_mse_rc4",
        "lt_utp",
        "lt_ssl_torrent",
        "own_lt_clear",
        "lt_own_mse_rc4",
        "own_btls_basic_rechunk",
        "cover_ssl_rpc",
        "cover_httpx_h2",
        "cover_upload",
        "cover_websocket_chat",
        "cover_chrome_pages",
        "cover_curl_nginx",
    ],
)
def test_each_program_fills_a_capture(name: str, wire_kind: str, tmp_path: Path) -> None:
    scenario = small(name, flows=2)
    plan = draw_up([scenario], seed=1)
    if plan.skipped:
        pytest.skip(plan.skipped[name])
    made = lab.capture(scenario, tmp_path, seed=1, kind=wire_kind)
    assert len(made.labels()) >= 2
    assert made.usable
    assert "unlabelled flows: 0" in made.manifest.notes


def outcomes(plan: Plan, out: Path, kind: str) -> dict[str, str]:
    return {outcome.session: outcome.result for outcome in run(plan, out, seed=1, jobs=1, kind=kind).outcomes}


def test_a_second_run_keeps_what_is_whole_and_redoes_what_is_not(wire_kind: str, tmp_path: Path) -> None:
    plan = draw_up([small("cover_ssl_rpc", flows=1)], seed=1, repeats=2)
    assert set(outcomes(plan, tmp_path, wire_kind).values()) == {"made"}
    assert set(outcomes(plan, tmp_path, wire_kind).values()) == {"kept"}
    (tmp_path / "cover_ssl_rpc-001" / "capture.pcapng").write_bytes(b"damaged")
    leftover = tmp_path / f"{PARTIAL}cover_ssl_rpc-000-x"
    leftover.mkdir()
    assert outcomes(plan, tmp_path, wire_kind) == {"cover_ssl_rpc-000": "kept", "cover_ssl_rpc-001": "made"}
    assert not leftover.exists()


def test_a_capture_of_another_seed_scenario_or_kind_is_not_taken_for_this_one(lt_clear_wire: Capture) -> None:
    take = Take(scenario=small("lt_clear"), seed=3, repeat=0, kind="wire")
    assert is_complete(lt_clear_wire.folder, take)
    for other in (
        Take(scenario=small("lt_clear"), seed=4, repeat=0, kind="wire"),
        Take(scenario=small("lt_clear", flows=9), seed=3, repeat=0, kind="wire"),
        Take(scenario=small("lt_clear"), seed=3, repeat=0, kind="packetised"),
    ):
        assert not is_complete(lt_clear_wire.folder, other)
    assert not is_complete(lt_clear_wire.folder / "nowhere", take)


RUN = "from btresearch.cli import main; main()"


def start_runner(out: Path, scenario: Path, repeats: int) -> subprocess.Popen[bytes]:
    arguments = ["capture", str(scenario), "--out", str(out), "--repeat", str(repeats), "--jobs", "2"]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_nothing_is_left_behind_and_the_run_goes_on(
    number: signal.Signals, wire_kind: str, tmp_path: Path
) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text(dumps(small("lt_clear")), encoding="utf-8")
    out, interfaces = tmp_path / "out", socket.if_nameindex()
    with start_runner(out, scenario, 6) as runner:
        deadline = time.monotonic() + 60
        while not (list(out.glob("lt_clear-*")) and len(descendants(runner.pid)) > 5):
            assert time.monotonic() < deadline, "the runner did not get going"
            assert runner.poll() is None, "the runner ended too soon"
            time.sleep(0.01)
        left = descendants(runner.pid)
        assert len(network_namespaces(left)) > 1
        runner.send_signal(number)
        _, stderr = runner.communicate(timeout=30)
    assert runner.returncode == (-9 if number is signal.SIGKILL else 130)
    assert b"Traceback" not in stderr
    assert all_gone(left)
    assert socket.if_nameindex() == interfaces
    whole = {folder.name for folder in out.glob("lt_clear-*") if Capture.open(folder).usable}
    plan = Plan(tuple(Job(small("lt_clear"), repeat) for repeat in range(2)), {})
    report = run(plan, out, seed=0, jobs=2, kind=wire_kind)
    assert {outcome.session for outcome in report.outcomes if outcome.result == "kept"} == whole & {
        "lt_clear-000",
        "lt_clear-001",
    }
    assert not report.failed
    assert not list(out.glob(f"{PARTIAL}*"))


def test_a_second_runner_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    plan = draw_up([small("cover_ssl_rpc", flows=1)], seed=1)

    def second(ended: int, total: int, outcome: Outcome) -> None:
        with pytest.raises(LabError, match="another runner"):
            run(plan, tmp_path, seed=1, kind="packetised")

    assert run(plan, tmp_path, seed=1, kind="packetised", progress=second).outcomes[0].result == "made"


def test_an_actor_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = catalog.Kind(catalog.Program("btresearch.lab.actors.no_such_actor"), catalog.SSL_SERVER, "rpc")
    monkeypatch.setitem(catalog.KINDS, "ssl_rpc", broken)
    before = descendants(os.getpid())
    with pytest.raises(LabError, match=r"3 attempts failed.*No module named"):
        lab.capture(small("cover_ssl_rpc", flows=1), tmp_path, kind="packetised")
    assert list(tmp_path.iterdir()) == []
    assert all_gone(descendants(os.getpid()) - before)
