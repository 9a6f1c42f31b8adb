"""Constants, fields and paddings of MSE's five steps.

1 A->B: Ya, PadA
2 B->A: Yb, PadB
3 A->B: HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
        ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)
4 B->A: ENCRYPT(VC, crypto_select, len(PadD), PadD), payload
5 A->B: payload
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.protocol import Entropy

Method = Literal["rc4", "plain"]
METHODS: dict[Method, int] = {"plain": 0x01, "rc4": 0x02}

VC = bytes(8)
MAX_PAD_BYTES = 512
MAX_IA_BYTES = 0xFFFF
HASH_BYTES = 20
SELECT = struct.Struct(">IH")
PROVIDE = struct.Struct(">8sIH")


@dataclass(frozen=True)
class PadRange:
    """How long a padding may be, both ends included; the length is drawn uniformly."""

    low: int = 0
    high: int = MAX_PAD_BYTES

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= MAX_PAD_BYTES:
            raise LocalProtocolError(f"MSE: padding {self.low}..{self.high} is outside 0..{MAX_PAD_BYTES}")

    def draw(self, entropy: Entropy) -> int:
        """Draw one length."""
        span = self.high - self.low + 1
        fair = 0x10000 - 0x10000 % span
        # Rejection keeps the draw uniform: padding lengths are what detectors of MSE look at.
        while (value := int.from_bytes(entropy(2), "big")) >= fair:
            pass
        return self.low + value % span


def provide_bits(methods: Collection[Method]) -> int:
    """crypto_provide for a policy. Raises LocalProtocolError for an empty or unknown one."""
    if not methods or not METHODS.keys() >= set(methods):
        raise LocalProtocolError(f"MSE: methods {tuple(methods)} are not among {tuple(METHODS)}")
    return sum(METHODS[method] for method in set(methods))


def chosen_method(crypto_select: int, provided: Collection[Method]) -> Method:
    """The initiator's reading of crypto_select: exactly one of the bits that it provided."""
    for method in provided:
        if METHODS[method] == crypto_select:
            return method
    raise RemoteProtocolError(f"MSE: crypto_select {crypto_select:#x} was not offered")


def select_method(crypto_provide: int, preferred: Collection[Method]) -> Method:
    """The responder's choice: the first of its own methods that the initiator provides."""
    for method in preferred:
        if METHODS[method] & crypto_provide:
            return method
    raise RemoteProtocolError(f"MSE: crypto_provide {crypto_provide:#x} has none of {tuple(preferred)}")


def check_pad(name: str, length: int) -> int:
    """Bound a padding length read from the wire."""
    if length > MAX_PAD_BYTES:
        raise RemoteProtocolError(f"MSE: len({name}) {length} is over {MAX_PAD_BYTES}")
    return length
