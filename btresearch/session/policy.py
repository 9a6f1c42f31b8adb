"""Which transports may carry a torrent, and which one is dialled with: `require`, `prefer`, `allow`, `never`.

Nothing that happens on the network lowers a policy. Where a peer is known to speak TLS, TLS alone is dialled,
however often that fails (protocol.md, Dispatch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from btresearch.errors import InputError
from btresearch.session.membership import Membership
from btresearch.transport import TRANSPORTS
from btresearch.transport.btls import Level
from btresearch.transport.dispatch import Wire
from btresearch.transport.mse.wire import Method

TlsPolicy = Literal["require", "prefer", "allow", "never"]
TLS_POLICIES: tuple[TlsPolicy, ...] = get_args(TlsPolicy)
SHAPES = ("rechunk", "none")
DEFAULT_TRANSPORTS = ("btls_basic", "mse_rc4", "mse_plain", "clear")
_PLAIN_WIRES = ("clear", "mse")
_MSE_METHODS: dict[str, Method] = {"mse_rc4": "rc4", "mse_plain": "plain"}


@dataclass(frozen=True, slots=True)
class Policy:
    """Transports by name, the preferred one first, and the shape of TLS records; of an endpoint or a torrent.

    All are accepted. `tls` follows from their order; a torrent's level decides which btls it is.
    """

    transports: tuple[str, ...] = DEFAULT_TRANSPORTS
    shape: str = "rechunk"

    def __post_init__(self) -> None:
        unknown = [name for name in self.transports if name not in TRANSPORTS]
        if unknown or not self.transports:
            raise InputError(
                "transport", f"one or more of {', '.join(TRANSPORTS)}, not {', '.join(unknown) or 'none'}"
            )
        if self.shape not in SHAPES:
            raise InputError("shape", f"one of {', '.join(SHAPES)}, not {self.shape}")

    @classmethod
    def choose(cls, transports: Sequence[str], shape: str, tls: str | None = None) -> Policy:
        """With `tls` in place of what the order of `transports` says. Raises InputError."""
        if tls is None:
            return cls(tuple(transports), shape)
        if tls not in TLS_POLICIES:
            raise InputError("tls", f"one of {', '.join(TLS_POLICIES)}, not {tls}")
        secure = tuple(name for name in transports if _is_tls(name)) or ("btls_basic",)
        plain = tuple(name for name in transports if not _is_tls(name))
        ordered = {"require": secure, "prefer": secure + plain, "allow": plain + secure, "never": plain}
        return cls(ordered[tls], shape)

    @property
    def tls(self) -> TlsPolicy:
        """What may become of TLS."""
        secure = [_is_tls(name) for name in self.transports]
        if all(secure):
            return "require"
        if secure[0]:
            return "prefer"
        return "allow" if any(secure) else "never"

    def accepts(self, wire: Wire) -> bool:
        """Whether a connection that begins like `wire` is served."""
        return any(TRANSPORTS[name].wire == wire for name in self.transports)

    def carries(self, name: str) -> bool:
        """Whether a connection over the transport of this name may be about the torrent."""
        return TRANSPORTS[name].wire in {TRANSPORTS[own].wire for own in self.transports}

    def dial_with(self, failures: int, *, indicated: bool = False, tls_failed: bool = False) -> str:
        """The transport for the next dial, after so many failures in a row.

        `indicated`: the peer is known to speak TLS; `tls_failed`: TLS failed there not long ago.
        """
        secure = [name for name in self.transports if _is_tls(name)]
        plain = [name for name in self.transports if TRANSPORTS[name].wire in _PLAIN_WIRES]
        prefers = self.tls in ("require", "prefer") and not tls_failed
        if secure and (prefers or indicated or not plain):
            return secure[0]
        return plain[failures % len(plain)]

    def mse_methods(self) -> tuple[Method, ...]:
        """MSE's crypto methods, the preferred one first."""
        return tuple(_MSE_METHODS[name] for name in self.transports if name in _MSE_METHODS)

    def of(self, membership: Membership, *, requires_tls: bool = False) -> Policy:
        """The policy of one torrent on an endpoint with this one: above Basic, its level's btls and nothing else.

        `requires_tls` is the wish beside a torrent's info dictionary, which can only raise. Raises InputError
        where TLS is ruled out, or a higher level was asked for.
        """
        needed = membership.level != "basic" or requires_tls
        secure = [name for name in self.transports if _is_tls(name)]
        if needed and not secure:
            raise InputError(
                "transport", f"btls: the torrent's level is {membership.level}, and it requires TLS"
            )
        own = f"btls_{membership.level}"
        beneath = [name for name in secure if _LEVELS[name] > _LEVELS[own]]
        if beneath:
            raise InputError("transport", f"{own}, which is the torrent's level, not {', '.join(beneath)}")
        names = secure if needed else self.transports
        return replace(
            self, transports=tuple(dict.fromkeys(own if _is_tls(name) else name for name in names))
        )


_LEVELS: dict[str, int] = {f"btls_{level}": rank for rank, level in enumerate(get_args(Level))}


def _is_tls(name: str) -> bool:
    return name in TRANSPORTS and TRANSPORTS[name].wire == "tls"
