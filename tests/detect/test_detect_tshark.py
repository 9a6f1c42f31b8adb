"""tshark's dissectors, and that flows of one address are kept apart."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from btresearch.detect.tshark import DETECTOR, frames_of, readdressed
from btresearch.errors import MissingTool
from tests.detect.wire import clear_conversation, flow, frames, http_conversation, mse_conversation, table

engine = pytest.mark.skipif(shutil.which("tshark") is None, reason="apt-get install tshark")


def rows(*conversations):
    made = [flow(raw_frames=f[:32], raw_t_ns=np.arange(len(f[:32]))) for f in conversations]
    return table(made)[list(DETECTOR.sees)]


@engine
def test_clear_text_is_dissected_and_noise_is_not_even_on_the_same_ports():
    clear, noise = frames(clear_conversation()), frames(mse_conversation(1))
    page = frames(http_conversation(), ports=(40001, 80))
    answer = DETECTOR(rows(noise, clear, noise, page))
    assert answer["verdict"].tolist() == ["other", "bittorrent", "other", "other"]
    assert answer["why"].iloc[1] == "dissected as bittorrent"


@engine
def test_frames_that_it_cannot_use_are_abstained_on():
    answer = DETECTOR(rows([b"\0" * 60], []))
    assert answer["verdict"].tolist() == ["abstain", "abstain"]


def test_both_directions_get_the_same_pair_of_addresses():
    there, back = (f.data[26:34] for f in list(frames_of(7, frames(http_conversation())))[:2])
    assert there == back[4:] + back[:4]
    assert {there[:4], there[4:]} == {bytes([10, 0, 0, 14]), bytes([10, 0, 0, 15])}


def test_nothing_but_the_addresses_changes():
    [frame, *_] = frames(http_conversation())
    changed = readdressed(frame, 3, frame[26:30])
    assert (changed[:26], changed[34:]) == (frame[:26], frame[34:])


def test_without_tshark_one_line_names_the_package(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="apt-get install tshark"):
        DETECTOR(rows(frames(http_conversation())))
