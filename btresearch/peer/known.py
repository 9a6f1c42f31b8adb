"""A peer as discovery hands it over: where it listens, and what it is said to do about TLS."""

from __future__ import annotations

from dataclasses import dataclass

from btresearch.peer.address import Address

TLS_SUPPORTED, TLS_REQUIRED = 0x01, 0x02
"""Bits of a peer's byte in `tls_flags`; the other six are reserved: sent as 0, ignored on receipt."""
PIN_BYTES = 32


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """An address with its signals.

    `tls`: it speaks BitTorrent over TLS on that port; `requires_tls`: and nothing else. `pin`: SHA-256 of
    the SPKI of the certificate that it presents at level Full.
    """

    address: Address
    tls: bool = False
    requires_tls: bool = False
    pin: bytes | None = None

    @property
    def flags(self) -> int:
        """Its byte in `tls_flags`."""
        return TLS_SUPPORTED * self.tls | (TLS_SUPPORTED | TLS_REQUIRED) * self.requires_tls

    @classmethod
    def flagged(cls, address: Address, flags: int, pin: bytes | None = None) -> KnownPeer:
        """From its byte in `tls_flags`; who requires TLS speaks it. A pin of zeros is none."""
        return cls(
            address,
            tls=bool(flags & (TLS_SUPPORTED | TLS_REQUIRED)),
            requires_tls=bool(flags & TLS_REQUIRED),
            pin=pin if pin and any(pin) else None,
        )
