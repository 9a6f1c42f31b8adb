"""Rules on single packets as literal tables, and the detector that looks them up.

A rule is a name (the original's identifier, or its place in the source) and a test over all packets at once. The
earliest packet that any rule matches decides, and among the rules of one packet the first of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, other
from btresearch.detect.payloads import COLUMNS, Bools, Payloads

Test = Callable[[Payloads], Bools]

PROTOCOL = b"BitTorrent protocol"
HANDSHAKE = b"\x13" + PROTOCOL  # BEP 3, peer protocol


@dataclass(frozen=True)
class Rule:
    """One rule: what the answer calls it, and which packets it matches."""

    name: str
    test: Test


@dataclass(frozen=True, kw_only=True)
class Signatures:
    """A table of rules over the first `packets` payload packets of a flow."""

    name: str
    version: str
    cites: tuple[str, ...]
    rules: tuple[Rule, ...]
    packets: int
    question: int = 1
    sees: tuple[str, ...] = COLUMNS
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """BitTorrent with the rule and the packet, other, or abstain on a flow without payload."""
        payloads = Payloads.of(flows, self.packets)
        verdicts = [_NOTHING_TO_SEE] * len(flows)
        for row in np.flatnonzero(np.bincount(payloads.row, minlength=len(flows))):
            verdicts[row] = _NO_RULE
        for at, verdict in self._hits(payloads).items():
            verdicts[at] = verdict
        return answers(flows.index, verdicts)

    def _hits(self, payloads: Payloads) -> dict[int, Verdict]:
        """Per flow the verdict of its earliest match."""
        found: dict[int, tuple[int, Verdict]] = {}
        for rule in self.rules:
            for at in np.flatnonzero(rule.test(payloads)):
                row, k = int(payloads.row[at]), int(payloads.k[at])
                if row not in found or k < found[row][0]:
                    found[row] = (k, bittorrent(_why(rule, payloads, int(at))))
        return {row: verdict for row, (_, verdict) in found.items()}


_NOTHING_TO_SEE = abstain("no payload")
_NO_RULE = other("no rule matches")


def _why(rule: Rule, payloads: Payloads, at: int) -> str:
    way = "c2s" if payloads.way[at] > 0 else "s2c"
    proto = "UDP" if payloads.udp[at] else "TCP"
    head = payloads.payload[at][:8].hex(" ")
    return f"{rule.name}: {proto} payload packet {payloads.k[at] + 1}, {way}, {payloads.length[at]} B, begins {head}"


def tcp(test: Test) -> Test:
    """The test, of TCP packets only."""
    return lambda p: test(p) & p.tcp


def udp(test: Test) -> Test:
    """The test, of UDP packets only."""
    return lambda p: test(p) & p.udp


def starts(*prefixes: bytes, at: int = 0) -> Test:
    """One of the prefixes stands at offset `at`."""
    return lambda p: np.logical_or.reduce([p.starts(prefix, at) for prefix in prefixes])


def within(first: Test, *needles: bytes) -> Test:
    """Packets that pass the first test and hold all the needles."""

    def test(p: Payloads) -> Bools:
        passed = first(p)
        for needle in needles:
            passed = p.contains(needle, passed)
        return passed

    return test
