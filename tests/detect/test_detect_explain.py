"""Why every detector says what it says of one flow: the rule, the bytes, the reason; and captures that changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from btresearch import detect, flow
from btresearch.cli import app
from btresearch.detect.dissect import HEX_BYTES, LINES_SHOWN, bounded, hexdump, sections
from btresearch.errors import InputError
from tests.conftest import ROOT
from tests.detect.wire import clear_conversation, frames, mse_conversation, pcap, tls_conversation

ASKED = ["fet", "infohash_scan", "record_tail", "tls_fingerprint", "wireshark"]
INFOHASH = "6590369d57d9a4f068b73f5bced7222a487e8bef"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    talks = (clear_conversation(), mse_conversation(1), tls_conversation(INFOHASH, [30, 16401] * 8))
    path = tmp_path / "three.pcap"
    path.write_bytes(pcap([frames(talk, ports=(40000 + i, 46881)) for i, talk in enumerate(talks)]))
    return path


@pytest.fixture
def flows(capture: Path) -> pd.DataFrame:
    return flow.read(capture)


def test_the_text_has_rule_bytes_and_reason(flows):
    told = str(detect.explain(flows, 0, ASKED))
    assert "tcp 10.77.0.2:40000" in told
    assert "infohash_scan 2: bittorrent (1.000)" in told and "peer handshake at byte 28" in told
    assert "rule: Scan for infohashes" in told and "source: BEP 3" in told
    assert "13 42 69 74 54 6f 72 72 65 6e 74" in told and ".BitTorrent" in told


def test_a_hello_is_dissected_and_has_its_npf_string(flows):
    told = str(detect.explain(flows, 2, ["tls_fingerprint", "record_tail"]))
    assert "TLS Extension - Server Name" in told and INFOHASH in told
    assert "tls/1/(0301)(13011302)" in told
    assert "s2c  application_data  16401 B" in told


def test_every_reason_is_the_verdict_table_s_own(flows):
    table = detect.run(flows, ASKED)
    for flow_id in flows["flow_id"]:
        found = detect.explain(flows, int(flow_id), ASKED)
        rows = table[table["flow_id"] == flow_id].set_index("detector")
        assert {r.detector: (r.verdict, r.score, r.why) for r in found.reasons} == {
            name: (row.verdict, row.score, row.why) for name, row in rows.iterrows()
        }


def test_only_what_a_detector_sees_is_shown(flows):
    found = detect.explain(flows, 2, ["record_tail"])
    assert [section.title for section in found.sections] == ["TLS records"]
    assert found.reasons[0].rests_on == ("TLS records",)


def test_the_notebook_s_form_is_escaped(flows):
    page = detect.explain(flows, 0, ASKED)._repr_html_()
    assert page.count("<tr>") == 1 + len(ASKED) and "<details>" in page
    assert "-&gt;" in page and "->" not in page


@pytest.mark.parametrize(
    ("flow_id", "capture_", "words"), [(9, "", "there is none"), (0, "nosuch", "there is none")]
)
def test_a_flow_that_is_not_there(flows, flow_id, capture_, words):
    with pytest.raises(InputError, match=words):
        detect.explain(flows, flow_id, ASKED, capture=capture_)


def test_of_two_captures_one_must_be_named(flows):
    both = pd.concat([flows, flows.assign(capture="ff00")], ignore_index=True)
    with pytest.raises(InputError, match="2 captures have it: say CAPTURE:0"):
        detect.explain(both, 0, ASKED)
    assert detect.explain(both, 0, ASKED, capture="ff").capture == "ff00"


def test_the_command_tells_the_same(capture, flows):
    result = CliRunner().invoke(app, ["detect", str(capture), "--explain", "1", "--detector", "fet"])
    assert result.exit_code == 0
    assert result.output.rstrip("\n") == str(detect.explain(flows, 1, ["fet"])).rstrip("\n")
    assert CliRunner().invoke(app, ["detect", str(capture), "--explain", "x"]).exit_code == 2


def test_dumps_are_bounded():
    assert hexdump(bytes(HEX_BYTES)).count("\n") == HEX_BYTES // 16 - 1
    assert hexdump(bytes(HEX_BYTES + 5)).endswith("... 5 more bytes")
    assert bounded("a\n" * (LINES_SHOWN + 3)).endswith("... 3 more lines")
    assert hexdump(b"") == "" and hexdump(b"\x7f~") == f"{'000000  7f 7e':<55}  .~"


def test_a_damaged_row_is_shown_as_far_as_it_goes():
    row = {"client_hello": b"\x01\xff", "pkt_dir": None, "pkt_len": 3, "raw_frames": [b"\0" * 5], "sni": None}
    assert "ClientHello" in [section.title for section in sections(row)]


def test_a_capture_that_is_not_its_manifest_s_is_refused(tmp_path):
    folder = tmp_path / "lt_clear-000"
    shutil.copytree(ROOT / "captures" / "lt_clear-000", folder)
    assert len(detect.load([folder]))
    data = bytearray((folder / "capture.pcapng").read_bytes())
    data[-5] ^= 0xFF
    (folder / "capture.pcapng").write_bytes(data)
    for source in (folder, folder / "capture.pcapng"):
        with pytest.raises(InputError, match=r"as in manifest\.toml, not"):
            detect.load([source])
    (folder / "manifest.toml").write_text("packets = 3")
    with pytest.raises(InputError, match="sha256"):
        detect.load([folder])
