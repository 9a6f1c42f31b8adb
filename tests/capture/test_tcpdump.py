"""Filter expressions become BPF programs."""

from __future__ import annotations

import shutil

import pytest

from btresearch.capture.tcpdump import compile_filter
from btresearch.errors import BtresearchError, MissingTool


@pytest.fixture
def _tcpdump() -> None:
    if not (shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin")):
        pytest.skip("tcpdump is not here: install tcpdump")


def test_no_expression_needs_no_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert compile_filter("") == []
    with pytest.raises(MissingTool, match="install tcpdump"):
        compile_filter("tcp")


@pytest.mark.usefixtures("_tcpdump")
def test_a_program_loads_the_ethertype_first() -> None:
    program = compile_filter("ip")
    assert program[0] == (0x28, 0, 0, 12)  # BPF_LD|BPF_H|BPF_ABS 12
    assert [instruction[0] for instruction in program[-2:]] == [0x06, 0x06]  # BPF_RET


@pytest.mark.usefixtures("_tcpdump")
def test_a_wrong_expression_says_so() -> None:
    with pytest.raises(BtresearchError, match="'nonsense here'"):
        compile_filter("nonsense here")
