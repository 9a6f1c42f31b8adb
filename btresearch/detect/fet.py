"""The Great Firewall's passive rule for fully encrypted traffic: is the first client message noise?

The first payload-bearing packet from client to server of a TCP flow is suspect unless one of five
exemptions holds; each profile is one implementation's reading of them, as a row of PROFILES. Two
options replay what the deployed system did with a suspect: it looked at a share of the connections
only, and blocked the (client, server, server port) of a hit for a while (`fet`).

Deviation of profile `ndpi`: its fifth exemption is "some protocol of nDPI matched", stood in for by
the flow table's TLS parser and by well-known first bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from btresearch.detect.cells import blob, flag, rows, vectors
from btresearch.detect.contract import FLAGGED, Verdict, abstain, answers, flagged, other

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

PRINTABLE = np.zeros(256, dtype=bool)
PRINTABLE[0x20:0x7F] = True  # 0x20..0x7e, section 4 of the paper
AS_BITS = PRINTABLE.tobytes()  # a table for bytes.translate: 1 for a printable byte, 0 for any other
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
    known_heads: tuple[bytes, ...] = (b"GET ", b"PUT ", b"POST ", b"HEAD ")
    short_prefix: bool = False  # Ex2 holds for a printable packet under six bytes too
    either_way: bool = False  # judges the first packet of either direction
    whole_handshake: bool = False  # wants SYN, SYN-ACK and ACK, not the SYN alone
    tls_flows: bool = False  # Ex5 holds for every flow that is TLS


VERBS = (b"GET", b"HEA", b"POS", b"PUT", b"DEL", b"CON", b"OPT", b"TRA", b"PAT")
CLEAR_HEADS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"HTTP/", b"SSH-", b"220 ", b"\x13BitTorrent protocol")

PROFILES = {
    "paper": Profile(source="Wu et al., USENIX Security 2023, Algorithm 1"),
    "artifact": Profile(source="gfw-report/usenixsecurity23-artifact utils/detect.py", tls_minor_max=0x0F),
    "opengfw": Profile(source="OpenGFW analyzer/tcp/fet.go", known_heads=VERBS, either_way=True),
    "ndpi": Profile(
        source="nDPI 2024-10, ndpi_main.c fully_enc_heuristic",
        printable_run_bytes=20,
        known_heads=CLEAR_HEADS,
        short_prefix=True,
        whole_handshake=True,
        tls_flows=True,
    ),
}

SAMPLED = 0.263  # share of connections that the deployed system looked at (the paper's geometric fit)
RESIDUAL_S = 180  # how long it then blocked the triple (README of the artifact)


@dataclass(frozen=True)
class Packets:
    """First packets laid end to end; packet i is `data[start[i]:start[i] + length[i]]`, none is empty."""

    data: Bytes
    start: Ints
    length: Ints
    payloads: list[bytes]

    @classmethod
    def of(cls, payloads: list[bytes]) -> Packets:
        """Lay the payloads end to end."""
        length = np.array([len(payload) for payload in payloads], dtype=np.int64)
        return cls(np.frombuffer(b"".join(payloads), np.uint8), np.cumsum(length) - length, length, payloads)

    @cached_property
    def bits(self) -> Ints:
        """Set bits of each packet; a whole packet as one number is the fastest way to count them."""
        counts = (int.from_bytes(payload, "little").bit_count() for payload in self.payloads)
        return np.fromiter(counts, np.int64, len(self.payloads))

    @cached_property
    def marks(self) -> list[bytes]:
        """Each packet with 1 for a printable byte and 0 for any other."""
        return [payload.translate(AS_BITS) for payload in self.payloads]

    @cached_property
    def printable(self) -> Ints:
        """Printable bytes of each packet."""
        return np.fromiter((mark.count(1) for mark in self.marks), np.int64, len(self.marks))

    def has_run(self, run_bytes: int) -> Bools:
        """Whether each packet has a run of so many printable bytes."""
        run = b"\1" * run_bytes
        return np.fromiter((run in mark for mark in self.marks), np.bool_, len(self.marks))

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
    tenths = 10 * packets.bits
    low, high = profile.popcount_low_tenths, profile.popcount_high_tenths
    return (tenths <= low * packets.length) | (tenths >= high * packets.length)


def ex2_printable_prefix(packets: Packets, profile: Profile) -> Bools:
    """The first six bytes are printable."""
    heads = [packets.byte(offset) for offset in range(PREFIX_BYTES)]
    beyond = profile.short_prefix
    return np.asarray(np.logical_and.reduce([np.where(head >= 0, PRINTABLE[head], beyond) for head in heads]))


def ex3_mostly_printable(packets: Packets, profile: Profile) -> Bools:
    """Strictly more than half of the bytes are printable."""
    return 2 * packets.printable > packets.length


def ex4_printable_run(packets: Packets, profile: Profile) -> Bools:
    """A run of more than 20 printable bytes."""
    return packets.has_run(profile.printable_run_bytes)


def ex5_known_protocol(packets: Packets, profile: Profile) -> Bools:
    """A TLS record header or a known protocol's first bytes, such as an HTTP verb."""
    minor = packets.byte(2)
    record = np.isin(packets.byte(0), TLS_TYPES) & (packets.byte(1) == 0x03)
    tls = record & (minor >= 0) & (minor <= profile.tls_minor_max)
    return np.asarray(
        np.logical_or.reduce([tls, *(packets.starts_with(head) for head in profile.known_heads)])
    )


EXEMPTIONS: tuple[tuple[str, Exemption], ...] = (
    ("Ex1 popcount", ex1_popcount),
    ("Ex2 printable prefix", ex2_printable_prefix),
    ("Ex3 mostly printable", ex3_mostly_printable),
    ("Ex4 printable run", ex4_printable_run),
    ("Ex5 known protocol", ex5_known_protocol),
)


def exemptions(payloads: list[bytes], profile: Profile) -> Bools:
    """Which exemption (column, in the order of EXEMPTIONS) holds for which packet (row).

    No payload may be empty.
    """
    if not payloads:
        return np.zeros((0, len(EXEMPTIONS)), dtype=bool)
    packets = Packets.of(payloads)
    return np.column_stack([rule(packets, profile) for _, rule in EXEMPTIONS])


FACTS = (
    "proto",
    "syn_seen",
    "handshake_seen",
    "is_tls",
    "first_payload_c2s",
    "first_payload_s2c",
    "pkt_dir",
    "pkt_len",
)
TRIPLE = ("capture", "src", "dst", "dport", "t_first_ns")


@dataclass(frozen=True, kw_only=True)
class Fet:
    """Replay of the rule over first packets; it flags, since noise is no name. `fet` makes one with options."""

    profile: str = "paper"
    sampled: float = 1.0
    residual_s: int = 0
    seed: int = 0
    name: str = "fet"
    version: str = "2"
    cites: tuple[str, ...] = (
        "Wu et al., How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic, USENIX Security 2023",
        "github.com/gfw-report/usenixsecurity23-artifact, utils/detect.py",
        "apernet/OpenGFW, analyzer/tcp/fet.go; ntop/nDPI 3b1286ab, ndpi_main.c",
    )
    question: int = 1
    sees: tuple[str, ...] = FACTS
    needs: str = ""
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Verdict per flow: flagged, other (exempt, or not looked at), or abstain (no TCP, no start, no data)."""
        verdicts = self._rule([Facts(*row) for row in rows(flows, FACTS)])
        if self.sampled < 1.0:
            verdicts = self._sample(verdicts)
        if self.residual_s:
            verdicts = blocked(verdicts, list(rows(flows, TRIPLE)), self.residual_s)
        return answers(flows.index, verdicts)

    def _rule(self, facts: list[Facts]) -> list[Verdict]:
        profile = PROFILES[self.profile]
        payloads = [first_payload(fact, either_way=profile.either_way) for fact in facts]
        excuses = [_excuse(fact, payload, profile) for fact, payload in zip(facts, payloads, strict=True)]
        asked = [p for p, excuse in zip(payloads, excuses, strict=True) if excuse is None]
        scored = iter(self._scored(asked))
        return [next(scored) if excuse is None else excuse for excuse in excuses]

    def _scored(self, payloads: list[bytes]) -> list[Verdict]:
        rows_ = exemptions(payloads, PROFILES[self.profile])
        return [self._verdict(payload, row) for payload, row in zip(payloads, rows_.tolist(), strict=True)]

    def _verdict(self, payload: bytes, row: list[bool]) -> Verdict:
        bits = int.from_bytes(payload, "big").bit_count() / len(payload)
        facts = f"({self.profile}): first packet {len(payload)} B, {bits:.3f} set bits per byte"
        held = [label for (label, _), holds in zip(EXEMPTIONS, row, strict=True) if holds]
        return (
            other(f"exempt by {', '.join(held)} {facts}") if held else flagged(f"no exemption holds {facts}")
        )

    def _sample(self, verdicts: list[Verdict]) -> list[Verdict]:
        looked_at = np.random.default_rng(self.seed).random(len(verdicts)) < self.sampled
        return [
            verdict if looked or verdict.verdict != FLAGGED else other(f"not sampled; {verdict.why}")
            for verdict, looked in zip(verdicts, looked_at, strict=True)
        ]


class Facts(NamedTuple):
    """The columns of one flow, as they come."""

    proto: object
    syn_seen: object
    handshake_seen: object
    is_tls: object
    c2s: object
    s2c: object
    pkt_dir: object
    pkt_len: object


def fet(profile: str = "paper", *, sampled: float = 1.0, residual_s: int = 0, seed: int = 0) -> Fet:
    """The rule in one profile, for a share of the connections, with or without residual blocking."""
    name = "fet" if profile == "paper" else f"fet_{profile}"
    name += "_sampled" if sampled < 1.0 else ""
    if not residual_s:
        return Fet(profile=profile, sampled=sampled, seed=seed, name=name)
    return Fet(
        profile=profile,
        sampled=sampled,
        residual_s=residual_s,
        seed=seed,
        name=f"{name}_residual",
        sees=(*FACTS, *TRIPLE),
        needs="residual blocking is by address, port and time",
    )


def blocked(verdicts: list[Verdict], triples: list[tuple[Any, ...]], residual_s: int) -> list[Verdict]:
    """Flag what comes to a blocked (client, server, server port) too, capture by capture in the order of time."""
    until_ns: dict[tuple[Any, ...], int] = {}
    out = list(verdicts)
    for at in sorted(range(len(out)), key=lambda i: triples[i][-1]):
        *triple, t_ns = triples[at]
        if until_ns.get(tuple(triple), 0) > t_ns:
            out[at] = flagged(f"residual block of {residual_s} s on this address and port")
        elif out[at].verdict == FLAGGED:
            until_ns[tuple(triple)] = t_ns + residual_s * 10**9
    return out


def first_payload(fact: Facts, *, either_way: bool) -> bytes:
    """The client's first packet with data, or whichever end's came first."""
    if not either_way:
        return blob(fact.c2s)
    ways, lengths = vectors(fact.pkt_dir, fact.pkt_len)
    bearing = ways[lengths > 0]
    return blob(fact.s2c if len(bearing) and bearing[0] < 0 else fact.c2s)


def _excuse(fact: Facts, payload: bytes, profile: Profile) -> Verdict | None:
    if fact.proto != "tcp":
        return abstain("the rule looks at TCP only")
    if not flag(fact.handshake_seen if profile.whole_handshake else fact.syn_seen):
        return abstain("the flow's start was not captured")
    if not payload:
        return abstain("no data in the packet that the rule looks at")
    return other("exempt by Ex5 known protocol: TLS") if profile.tls_flows and flag(fact.is_tls) else None


DETECTOR = fet()
