"""Which addresses speak BitTorrent over TLS, as far as is known: there, nothing else is dialled."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from btresearch.peer.address import Address
from btresearch.session.rates import NS_PER_S

MAX_SPEAKERS = 8192
MAX_HEARSAY = 8192
MAX_FAILURES = 4096
FAILURE_NS = 600 * NS_PER_S
"""How long a failed dial over TLS is remembered, where nothing says that the peer speaks it."""

_T = TypeVar("_T")


class TlsMemory:
    """Of one endpoint; the addresses that were heard of longest ago make room."""

    def __init__(self) -> None:
        self._speakers: OrderedDict[Address, None] = OrderedDict()
        # Apart: a peer that names thousands of addresses must not make us forget those that did speak TLS.
        self._hearsay: OrderedDict[Address, None] = OrderedDict()
        self._failures: OrderedDict[Address, int] = OrderedDict()

    def speaks(self, address: Address) -> None:
        """It does speak TLS, or an HTTPS tracker says so."""
        _remember(self._speakers, address, None, MAX_SPEAKERS)
        self._failures.pop(address, None)

    def heard(self, address: Address) -> None:
        """A peer says that it speaks TLS: of a third one, or of a port of its own that nobody has dialled."""
        if address not in self._speakers:
            _remember(self._hearsay, address, None, MAX_HEARSAY)
            self._failures.pop(address, None)

    def knows(self, address: Address) -> bool:
        """Whether it speaks TLS; failures never change that."""
        return address in self._speakers or address in self._hearsay

    def failed(self, address: Address, now_ns: int) -> None:
        """TLS came to nothing there. That says nothing about a peer which is known to speak it."""
        if not self.knows(address):
            _remember(self._failures, address, now_ns, MAX_FAILURES)

    def failed_lately(self, address: Address, now_ns: int) -> bool:
        """Whether something else may be tried, under a policy that lets it be."""
        failed_ns = self._failures.get(address)
        return failed_ns is not None and now_ns - failed_ns < FAILURE_NS


def _remember(those: OrderedDict[Address, _T], address: Address, value: _T, limit: int) -> None:
    those[address] = value
    those.move_to_end(address)
    while len(those) > limit:
        those.popitem(last=False)
