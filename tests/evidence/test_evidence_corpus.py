"""Labels reach their flows by five-tuple, in either direction; captures that can't be trusted are refused by name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from btresearch import flow
from btresearch.capture import Capture, read_labels, sha256_of, write_labels
from btresearch.errors import InputError
from btresearch.evidence import e1, gather
from btresearch.evidence.corpus import claims_of, load

SAMPLES = Path(__file__).parents[2] / "captures"
BAD, GOOD = "lt_clear-000", "cover_ssl_rpc-000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (BAD, GOOD):
        shutil.copytree(SAMPLES / name, tmp_path / "captures" / name)
    return tmp_path / "captures"


def relabel(place: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = place / "labels.parquet"
    write_labels(change(read_labels(path)), path)


def remanifest(place: Path, pattern: str, replacement: str) -> None:
    path = place / "manifest.toml"
    text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)


def swap(labels: pd.DataFrame) -> pd.DataFrame:
    return labels.rename(columns={"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"})


def test_every_flow_has_the_truth_of_its_own_label(folder: Path) -> None:
    corpus = load(folder)
    labels = pd.concat([read_labels(folder / name / "labels.parquet") for name in (BAD, GOOD)])
    keys = ["session", "src", "sport", "dst", "dport"]
    joined = corpus.flows.merge(labels, left_on=["truth_session", *keys[1:]], right_on=keys)
    assert len(joined) == len(corpus.flows) == len(labels) == 6
    assert (joined["truth_torrent"] == joined["torrent"]).all()
    assert (joined["truth_class"] == joined["class"]).all()
    assert (corpus.unlabelled, corpus.unseen, corpus.duplicates, corpus.refused) == (0, 0, 0, {})


def test_a_label_in_the_other_direction_claims_the_same_flow(folder: Path) -> None:
    before = load(folder).flows
    relabel(folder / BAD, swap)
    pd.testing.assert_frame_equal(load(folder).flows, before)


def test_a_five_tuple_of_one_capture_says_nothing_of_another(folder: Path) -> None:
    shutil.copy(folder / BAD / "labels.parquet", folder / GOOD / "labels.parquet")
    corpus = load(folder)
    assert set(corpus.flows["truth_capture_name"]) == {BAD}
    assert (corpus.unlabelled, corpus.unseen) == (3, 3)


def test_a_recurring_five_tuple_goes_by_time() -> None:
    key = {"proto": "tcp", "src": "10.0.0.1", "sport": 5, "dst": "10.0.0.2", "dport": 443}
    second = 10**9
    labels = pd.DataFrame([key | {"t_first_ns": t * second} for t in (100, 50)])
    flows = pd.DataFrame([key | {"t_first_ns": t * second} for t in (51, 101, 10)])
    assert claims_of(flows, labels).tolist() == [1, 0, 1]
    reverse = swap(flows)
    assert claims_of(reverse, labels).tolist() == [1, 0, 1]
    assert claims_of(flows.assign(sport=6), labels).tolist() == [-1, -1, -1]


def test_unlabelled_flows_are_counted_and_dropped(folder: Path) -> None:
    relabel(folder / BAD, lambda labels: labels.iloc[1:])
    corpus = load(folder)
    assert corpus.unlabelled == 1
    assert len(corpus.flows) == 5


def test_a_label_without_a_flow_is_counted(folder: Path) -> None:
    relabel(folder / BAD, lambda labels: labels.assign(sport=[1, *labels["sport"].iloc[1:]]))
    corpus = load(folder)
    assert (corpus.unlabelled, corpus.unseen) == (1, 1)


def test_captures_of_another_plan_are_passed_over(folder: Path) -> None:
    assert set(load(folder, sessions=frozenset({BAD})).inputs) == {BAD}


def test_identical_flows_are_dropped_and_counted(folder: Path) -> None:
    shutil.copytree(folder / BAD, folder / "again")
    corpus = load(folder)
    assert corpus.duplicates == 3
    assert len(corpus.flows) == 6


def drops(place: Path) -> None:
    remanifest(place, r"^dropped = 0", "dropped = 7")


def hash_differs(place: Path) -> None:
    with (place / "capture.pcapng").open("ab") as file:
        file.write(b"\0\0\0\0")


def breaks_off(place: Path) -> None:
    capture = place / "capture.pcapng"
    capture.write_bytes(capture.read_bytes()[:20_000])
    remanifest(place, r'^sha256 = "\w+"', f'sha256 = "{sha256_of(capture)}"')


def lacks_packets(place: Path) -> None:
    remanifest(place, r"^packets = \d+", "packets = 1000000")


def no_labels(place: Path) -> None:
    (place / "labels.parquet").unlink()


def broken_labels(place: Path) -> None:
    (place / "labels.parquet").write_bytes(b"PAR1 and then nothing")


def broken_manifest(place: Path) -> None:
    (place / "manifest.toml").write_text("scenario = [[[")


FAULTS = {
    drops: "7 packets were dropped",
    hash_differs: "expected SHA-256",
    breaks_off: "block body",
    lacks_packets: "the manifest says 1000000",
    no_labels: "labels.parquet",
    broken_labels: "a Parquet table of labels",
    broken_manifest: "a TOML file",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_a_faulty_capture_is_refused_and_named(
    folder: Path, fault: Callable[[Path], None], reason: str
) -> None:
    fault(folder / BAD)
    corpus = load(folder)
    assert reason in corpus.refused[BAD]
    assert "\n" not in corpus.refused[BAD]
    assert set(corpus.inputs) == set(corpus.flows["truth_capture_name"]) == {GOOD}


def test_the_report_names_the_refused_capture(folder: Path) -> None:
    drops(folder / BAD)
    notes = e1.evidence(gather(folder, detectors=["fet"])).notes
    assert f"capture refused: {BAD}: 7 packets were dropped" in notes


def test_nothing_usable_is_one_line(folder: Path) -> None:
    for name in (BAD, GOOD):
        drops(folder / name)
    with pytest.raises(InputError, match=r"usable capture \(cover_ssl_rpc-000: 7 packets") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected captures"):
        load(tmp_path)


def test_flow_tables_are_kept_and_a_broken_one_is_made_anew(folder: Path, tmp_path: Path) -> None:
    fresh, cache = load(folder).flows, tmp_path / "flows"
    load(folder, cache=cache)
    kept = sorted(cache.iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:300])  # as an interrupted copy leaves it
    again = load(folder, cache=cache).flows
    assert again[["src", "sport", "truth_torrent"]].equals(fresh[["src", "sport", "truth_torrent"]])
    assert len(flow.from_parquet(kept[0])) == 3


def test_a_kept_flow_table_is_not_read_again(folder: Path, tmp_path: Path, monkeypatch) -> None:
    cache = tmp_path / "flows"
    load(folder, cache=cache)
    monkeypatch.setattr(flow, "read", lambda path: pytest.fail(f"{path} was read again"))
    assert len(load(folder, cache=cache).flows) == 6


def test_the_samples_are_usable_as_they_are() -> None:
    for place in sorted(p.parent for p in SAMPLES.rglob("manifest.toml")):
        assert Capture.open(place).usable
