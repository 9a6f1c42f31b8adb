"""The audit flags what separates on its own, whatever its kind, and leaves noise alone."""

from __future__ import annotations

import struct

import numpy as np
import pandas as pd
import pytest

from btresearch.detect import detectors
from btresearch.evidence import leaks
from btresearch.evidence.splits import session_folds
from tests.evidence.made import corpus, sessions


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    return corpus(sessions()).flows


def shortcuts(flows: pd.DataFrame, *columns: str) -> set[str]:
    found = leaks.audit(flows, "wire", seed=1, columns=columns or None)
    return set(found[found["shortcut"]]["feature"])


def test_flows_without_a_shortcut_have_none(flows: pd.DataFrame) -> None:
    assert shortcuts(flows) == set()


def test_the_planted_column_is_caught_and_noise_is_not(flows: pd.DataFrame) -> None:
    planted = leaks.planted(flows, seed=1)
    found = leaks.audit(planted, "wire", seed=1, columns=[leaks.PLANTED, leaks.NOISE]).set_index("column")
    assert found.loc[[leaks.PLANTED], "shortcut"].all()
    assert (found.loc[[leaks.PLANTED], "low"] > 0.9).all()
    assert not found.loc[[leaks.NOISE], "shortcut"].any()


PLANTS = {
    "dport": (6881, 443),
    "sni": ("a" * 40, "b" * 40),
    "client_hello": (b"\x01\x00\x02\x00", b"\x01\x00\x03\x00"),
    "is_tls": (True, False),
    "tls_len": (np.array([100, 16384]), np.array([100, 200])),
    "pkt_payload": ([b"abc"], [b"abcdef"]),
}


@pytest.mark.parametrize("column", PLANTS)
def test_a_shortcut_is_caught_in_any_kind_of_column(flows: pd.DataFrame, column: str) -> None:
    ours, theirs = PLANTS[column]
    values = [ours if class_ == "bittorrent" else theirs for class_ in flows["truth_class"]]
    found = shortcuts(flows.assign(**{column: values}))
    assert found
    assert all(name.startswith(column) for name in found)


def test_a_port_between_others_is_caught_by_its_value(flows: pd.DataFrame) -> None:
    """No threshold separates 443 from 80 and 6881, so the number alone would not be caught."""
    cover = np.where(np.arange(len(flows)) % 2, 80, 6881)
    ports = np.where(flows["truth_class"] == "bittorrent", 443, cover)
    assert shortcuts(flows.assign(dport=ports), "dport") == {"dport.value"}


def frame(ttl: int, ip_id: int) -> bytes:
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, ip_id, 0x4000, ttl, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return bytes(12) + b"\x08\x00" + ip + bytes(20)


def test_a_ttl_in_the_frames_is_caught(flows: pd.DataFrame) -> None:
    random = np.random.default_rng(1)
    made = [
        [frame(64 if class_ == "bittorrent" else 128, int(random.integers(65536)))]
        for class_ in flows["truth_class"]
    ]
    assert shortcuts(flows.assign(raw_frames=made), "raw_frames") == {"raw_frames.ttl"}


def test_who_sees_a_column_and_what_is_withheld(flows: pd.DataFrame) -> None:
    battery = [detectors()[name] for name in ("infohash_scan", "record_tail")]
    found = (
        leaks.audit(flows, "wire", seed=1, detectors=battery).drop_duplicates("column").set_index("column")
    )
    assert found.loc["sni", ["withheld", "seen_by"]].tolist() == [True, "infohash_scan"]
    assert found.loc["tls_len", ["withheld", "seen_by"]].tolist() == [False, "record_tail"]
    assert found.loc["dport", ["withheld", "seen_by"]].tolist() == [True, ""]
    assert not any(column.startswith("truth_") for column in found.index)


def test_a_category_is_learned_from_other_sessions_only(flows: pd.DataFrame) -> None:
    """A value that no two sessions share would separate perfectly if a session could teach itself."""
    positive = (flows["truth_class"] == "bittorrent").to_numpy()
    tokens = flows["truth_session"].to_numpy(object)
    numbers = leaks.encoded(tokens, positive, session_folds(flows, 4))
    assert set(numbers) == {0.0}


def test_one_class_has_nothing_to_audit(flows: pd.DataFrame) -> None:
    assert leaks.audit(flows[flows["truth_class"] == "cover"], "wire", seed=1).empty
