"""Level Full's mutual authentication inside the proven channel: two requests, two authenticators."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType

from btresearch.transport.btls import authenticator, chain, frame, request
from btresearch.transport.btls.authenticator import AuthenticatorKeys
from btresearch.transport.btls.chain import Leaf
from btresearch.transport.btls.credential import Member
from btresearch.transport.btls.engine import TlsEngine
from btresearch.transport.btls.keys import Role
from btresearch.transport.errors import RemoteProtocolError
from btresearch.transport.protocol import Bytes, Entropy


class Step(Enum):
    """One message of the exchange, seen from one end."""

    SEND_REQUEST = auto()
    TAKE_REQUEST = auto()
    SEND_AUTHENTICATOR = auto()
    TAKE_AUTHENTICATOR = auto()


SCRIPT: Mapping[Role, tuple[Step, ...]] = MappingProxyType(
    {
        "responder": (Step.SEND_REQUEST, Step.TAKE_REQUEST, Step.TAKE_AUTHENTICATOR, Step.SEND_AUTHENTICATOR),
        "initiator": (Step.TAKE_REQUEST, Step.SEND_REQUEST, Step.SEND_AUTHENTICATOR, Step.TAKE_AUTHENTICATOR),
    }
)
"""The order of the messages; there is no other, and each comes once. The responder, who took an initiator's
word that it holds the secret, shows its certificate last."""

_OTHER: Mapping[Role, Role] = MappingProxyType({"initiator": "responder", "responder": "initiator"})


class Exchange:
    """One end of it. `leaf` is set once the other end's authenticator holds; `done` once all is said.

    `keys` are each sender's (`of` exports them); `pin` is the SPKI SHA-256 that the other end's leaf must have.
    """

    def __init__(
        self,
        role: Role,
        keys: Mapping[Role, AuthenticatorKeys],
        infohash: bytes,
        member: Member,
        *,
        entropy: Entropy,
        now_s: Callable[[], float],
        pin: bytes | None = None,
    ) -> None:
        self.leaf: Leaf | None = None
        self._role, self._keys, self._infohash, self._member = role, keys, infohash, member
        self._now_s, self._pin = now_s, pin
        self._context = entropy(request.CONTEXT_BYTES)
        self._asked = request.encode(role, self._context)
        self._steps = deque(SCRIPT[role])
        self._unread = bytearray()
        self._request = self._peer_context = b""

    @classmethod
    def of(
        cls,
        role: Role,
        engine: TlsEngine,
        infohash: bytes,
        member: Member,
        *,
        entropy: Entropy,
        now_s: Callable[[], float],
        pin: bytes | None = None,
    ) -> Exchange:
        """Begin on a TLS connection whose proofs hold."""
        keys = {sender: authenticator.export_keys(engine, sender) for sender in SCRIPT}
        return cls(role, keys, infohash, member, entropy=entropy, now_s=now_s, pin=pin)

    @property
    def done(self) -> bool:
        """All four messages were sent and taken."""
        return not self._steps

    def receive(self, data: Bytes) -> bytes:
        """Take what the channel brought; return the frames that are due. Raises RemoteProtocolError."""
        self._unread += data
        said = b""
        while self._steps:
            message = self._advance(self._steps[0])
            if message is None:
                break
            said += message
            self._steps.popleft()
        return said

    def rest(self) -> bytes:
        """Return, once, what came after the last frame: BitTorrent's."""
        rest, self._unread = bytes(self._unread), bytearray()
        return rest

    def _advance(self, step: Step) -> bytes | None:
        """Take one step; return what it says, None while it waits for more."""
        if step in (Step.SEND_REQUEST, Step.SEND_AUTHENTICATOR):
            if self._unread:
                raise RemoteProtocolError("btls: the other end spoke out of turn")
            return frame.encode(self._asked if step is Step.SEND_REQUEST else self._prove())
        message = frame.take(self._unread)
        if message is None:
            return None
        if step is Step.TAKE_REQUEST:
            self._take_request(message)
        else:
            self._take_authenticator(message)
        return b""

    def _take_request(self, message: bytes) -> None:
        context, schemes = request.decode(_OTHER[self._role], message)
        if context == self._context:
            raise RemoteProtocolError("btls: both requests have the same context")
        scheme = self._member.credential.scheme
        if scheme not in schemes:
            raise RemoteProtocolError(f"btls: the other end does not accept {scheme.name}")
        self._request, self._peer_context = message, context

    def _prove(self) -> bytes:
        return authenticator.build(
            self._keys[self._role], self._request, self._peer_context, self._member.credential
        )

    def _take_authenticator(self, message: bytes) -> None:
        certificates = authenticator.verified(
            self._keys[_OTHER[self._role]], self._asked, self._context, message
        )
        leaf = chain.validate(certificates, ca=self._member.ca, infohash=self._infohash, now_s=self._now_s())
        if self._pin is not None and not hmac.compare_digest(self._pin, leaf.spki_sha256):
            raise RemoteProtocolError("btls: the other end is a member, but not the one that was pinned")
        self.leaf = leaf
