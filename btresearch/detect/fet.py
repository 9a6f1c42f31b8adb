"""The Great Firewall's passive rule for fully encrypted traffic: is the first client message noise?

The first payload-bearing packet from client to server of a TCP flow is suspect unless one of five
exemptions holds; each profile is one implementation's reading of them, as a row of PROFILES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import blob, flag
from btresearch.detect.contract import Verdict, abstain, answers, flagged, other

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

PRINTABLE = np.zeros(256, dtype=bool)
PRINTABLE[0x20:0x7F] = True  # 0x20..0x7e, section 4 of the paper
PREFIX_BYTES = 6
TLS_TYPES = (0x16, 0x17)


@dataclass(frozen=True)
class Profile:
    """One implementation's constants; popcounts are in tenths of a bit per byte, so borders are exact."""

    source: str
    popcount_low_tenths: int = 34  # Ex1: exempt at or below 3.4 set bits per byte
    popcount_high_tenths: int = 46  # Ex1: ... or at or above 4.6
    printable_run_bytes: int = 21  # Ex4: "more than 20 contiguous bytes"
    tls_minor_max: int = 0x09  # Ex5: third byte of a TLS record header
    http_verbs: tuple[bytes, ...] = (b"GET ", b"PUT ", b"POST ", b"HEAD ")


PROFILES = {
    "paper": Profile(source="Wu et al., USENIX Security 2023, Algorithm 1"),
    "artifact": Profile(source="gfw-report/usenixsecurity23-artifact utils/detect.py", tls_minor_max=0x0F),
}


@dataclass(frozen=True)
class Packets:
    """First packets laid end to end; packet i is `data[start[i]:start[i] + length[i]]`, none is empty."""

    data: Bytes
    start: Ints
    length: Ints

    @classmethod
    def of(cls, payloads: list[bytes]) -> Packets:
        """Lay the payloads end to end."""
        length = np.array([len(payload) for payload in payloads], dtype=np.int64)
        return cls(np.frombuffer(b"".join(payloads), np.uint8), np.cumsum(length) - length, length)

    def total(self, per_byte: npt.NDArray[np.generic]) -> Ints:
        """Sum of a per-byte quantity over each packet."""
        return np.add.reduceat(per_byte, self.start, dtype=np.int64)

    def byte(self, offset: int) -> Ints:
        """The byte at `offset` of each packet; -1 where the packet is shorter."""
        at = np.minimum(self.start + offset, len(self.data) - 1)
        return np.where(self.length > offset, self.data[at].astype(np.int64), -1)

    def starts_with(self, prefix: bytes) -> Bools:
        """Whether each packet begins with `prefix`."""
        same = [self.byte(offset) == value for offset, value in enumerate(prefix)]
        return np.asarray(np.logical_and.reduce(same))


Exemption = Callable[[Packets, Profile], Bools]


def ex1_popcount(packets: Packets, profile: Profile) -> Bools:
    """Set bits per byte are few or many."""
    tenths = 10 * packets.total(np.bitwise_count(packets.data))
    low, high = profile.popcount_low_tenths, profile.popcount_high_tenths
    return (tenths <= low * packets.length) | (tenths >= high * packets.length)


def ex2_printable_prefix(packets: Packets, profile: Profile) -> Bools:
    """The first six bytes are printable."""
    heads = [packets.byte(offset) for offset in range(PREFIX_BYTES)]
    return np.asarray(np.logical_and.reduce([(head >= 0) & PRINTABLE[head] for head in heads]))


def ex3_mostly_printable(packets: Packets, profile: Profile) -> Bools:
    """Strictly more than half of the bytes are printable."""
    return 2 * packets.total(PRINTABLE[packets.data]) > packets.length


def ex4_printable_run(packets: Packets, profile: Profile) -> Bools:
    """A run of more than 20 printable bytes."""
    return longest_runs(PRINTABLE[packets.data], packets.start) >= profile.printable_run_bytes


def ex5_known_protocol(packets: Packets, profile: Profile) -> Bools:
    """A TLS record header or an HTTP request's verb comes first."""
    minor = packets.byte(2)
    record = np.isin(packets.byte(0), TLS_TYPES) & (packets.byte(1) == 0x03)
    tls = record & (minor >= 0) & (minor <= profile.tls_minor_max)
    return np.asarray(
        np.logical_or.reduce([tls, *(packets.starts_with(verb) for verb in profile.http_verbs)])
    )


EXEMPTIONS: tuple[tuple[str, Exemption], ...] = (
    ("Ex1 popcount", ex1_popcount),
    ("Ex2 printable prefix", ex2_printable_prefix),
    ("Ex3 mostly printable", ex3_mostly_printable),
    ("Ex4 printable run", ex4_printable_run),
    ("Ex5 known protocol", ex5_known_protocol),
)


def longest_runs(mask: Bools, start: Ints) -> Ints:
    """Longest run of True in each packet, for packets that begin at `start`."""
    position = np.arange(1, len(mask) + 1, dtype=np.int64)
    barrier = np.where(mask, 0, position)  # 1-based position of the last False
    barrier[start] = np.maximum(barrier[start], start)  # a run ends at a packet's border
    run = position - np.maximum.accumulate(barrier)
    return np.maximum.reduceat(run, start)


def exemptions(payloads: list[bytes], profile: Profile) -> Bools:
    """Which exemption (column, in the order of EXEMPTIONS) holds for which packet (row).

    No payload may be empty.
    """
    if not payloads:
        return np.zeros((0, len(EXEMPTIONS)), dtype=bool)
    packets = Packets.of(payloads)
    return np.column_stack([rule(packets, profile) for _, rule in EXEMPTIONS])


@dataclass(frozen=True, kw_only=True)
class Fet:
    """Replay of the rule over first packets; it flags, since noise is no name."""

    profile: str = "paper"
    name: str = "fet"
    version: str = "1"
    cites: tuple[str, ...] = (
        "Wu et al., How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic, USENIX Security 2023",
        "github.com/gfw-report/usenixsecurity23-artifact, utils/detect.py",
    )
    question: int = 1
    sees: tuple[str, ...] = ("proto", "syn_seen", "first_payload_c2s")
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Verdict per flow: flagged, other (exempt), or abstain (not TCP, no start, no client data)."""
        payloads = [blob(payload) for payload in flows["first_payload_c2s"]]
        facts = zip(flows["proto"], flows["syn_seen"], payloads, strict=True)
        excuses = [_excuse(*fact) for fact in facts]
        scored = iter(self._scored([p for p, excuse in zip(payloads, excuses, strict=True) if not excuse]))
        return answers(flows.index, [abstain(excuse) if excuse else next(scored) for excuse in excuses])

    def _scored(self, payloads: list[bytes]) -> list[Verdict]:
        rows = exemptions(payloads, PROFILES[self.profile])
        return [self._verdict(payload, row) for payload, row in zip(payloads, rows, strict=True)]

    def _verdict(self, payload: bytes, row: Bools) -> Verdict:
        bits = int.from_bytes(payload, "big").bit_count() / len(payload)
        facts = f"({self.profile}): first client packet {len(payload)} B, {bits:.3f} set bits per byte"
        held = [label for (label, _), holds in zip(EXEMPTIONS, row, strict=True) if holds]
        return (
            other(f"exempt by {', '.join(held)} {facts}") if held else flagged(f"no exemption holds {facts}")
        )


def _excuse(proto: object, syn_seen: object, payload: bytes) -> str:
    if proto != "tcp":
        return "the rule looks at TCP only"
    if not flag(syn_seen):
        return "the flow's start was not captured"
    return "" if payload else "no client data"


DETECTOR = Fet()
