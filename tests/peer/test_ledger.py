"""Own requests and late answers."""

from __future__ import annotations

from btresearch.peer import Block
from btresearch.peer.ledger import MAX_LATE, Ledger

BLOCK = Block(0, 0, 16384)


def test_an_answer_counts_once() -> None:
    ledger = Ledger()
    assert ledger.settle(BLOCK) is None
    ledger.add(BLOCK)
    assert ledger.settle(BLOCK) is True
    assert ledger.settle(BLOCK) is None


def test_a_late_answer_is_legal_once() -> None:
    ledger = Ledger()
    assert not ledger.take_back(BLOCK)
    ledger.add(BLOCK)
    assert ledger.take_back_all() == (BLOCK,)
    assert ledger.settle(BLOCK) is False
    assert ledger.settle(BLOCK) is None


def test_asked_again_two_answers_may_come() -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.add(BLOCK)
        ledger.take_back(BLOCK)
    ledger.add(BLOCK)
    assert [ledger.settle(BLOCK) for _ in range(3)] == [True, False, None]


def test_memory_is_bounded() -> None:
    ledger = Ledger()
    for index in range(MAX_LATE + 1):
        ledger.add(Block(index, 0, 1))
        ledger.take_back(Block(index, 0, 1))
    assert ledger.settle(Block(0, 0, 1)) is None
    assert ledger.settle(Block(1, 0, 1)) is False
