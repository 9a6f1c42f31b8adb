"""Each decoder takes its seeds, and meets damaged ones with declared errors alone, quickly and in little memory."""

from __future__ import annotations

import resource
import sys
import time
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import run_atheris
from tests.fuzz.mutation import mutants
from tests.fuzz.targets import TARGETS

MOST_INPUTS = 1500
BUDGET_S = 0.2  # of CPU, for one target
INPUT_LIMIT_S = 1.0
MEMORY_LIMIT_BYTES = 300 << 20

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_taken(name: str) -> None:
    """Else the fuzzer would begin, and end, at the first check."""
    target = TARGETS[name]
    seeds = target.seeds()
    assert seeds and all(seeds)
    assert not target.steady or any(target.attempt(seed) for seed in seeds)


@pytest.mark.parametrize("name", TARGETS)
def test_only_declared_errors_escape(name: str) -> None:
    target, rng = TARGETS[name], Random(name)
    before, begun_s = _peak_bytes(), time.process_time()
    for data in islice(mutants(target.seeds(), rng), MOST_INPUTS):
        at_s = time.process_time()
        try:
            target.attempt(data)
        except BaseException as error:
            error.add_note(f"{name}: bytes.fromhex({data.hex()!r})")
            raise
        now_s = time.process_time()
        assert now_s - at_s < INPUT_LIMIT_S, data.hex()
        if now_s - begun_s > BUDGET_S:
            break
    assert _peak_bytes() - before < MEMORY_LIMIT_BYTES


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None, max_examples=20)
@given(data=st.binary(max_size=300))
def test_noise_raises_declared_errors_alone(name: str, data: bytes) -> None:
    TARGETS[name].attempt(data)


def test_without_atheris_one_line_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert run_atheris.main(["run_atheris", "bencode"]) == 2
    assert capsys.readouterr().err == "atheris is not here: install atheris (pip install atheris)\n"
