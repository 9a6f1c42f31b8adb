"""MSE's B: accepts, finds the torrent, selects the method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum, auto

from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.mse.crypto import KEY_BYTES, KeyPair, Update, sha1, stream_ciphers
from btresearch.transport.mse.skey import SkeyIndex
from btresearch.transport.mse.wire import (
    HASH_BYTES,
    MAX_PAD_BYTES,
    METHODS,
    PROVIDE,
    SELECT,
    VC,
    Method,
    PadRange,
    check_pad,
    provide_bits,
    select_method,
)
from btresearch.transport.protocol import Bytes, Entropy

_ANY_PAD = PadRange()


class _State(Enum):
    YA = auto()
    REQ1 = auto()
    SKEY = auto()
    PROVIDE = auto()
    PAD_C = auto()
    IA = auto()
    STREAM = auto()
    FAILED = auto()


class MseResponder:
    """The accepting end of one MSE connection.

    Give a `SkeyIndex` when many torrents are served, so that they are hashed once and not per connection.
    `methods` is the policy, most preferred first; `pad_b` and `pad_d` bound the paddings' lengths.
    """

    def __init__(
        self,
        infohashes: Collection[bytes] | SkeyIndex,
        *,
        entropy: Entropy,
        methods: Collection[Method] = ("rc4", "plain"),
        pad_b: PadRange = _ANY_PAD,
        pad_d: PadRange = _ANY_PAD,
    ) -> None:
        provide_bits(methods)
        self.infohash: bytes | None = None
        self.method: Method | None = None
        self._torrents = infohashes if isinstance(infohashes, SkeyIndex) else SkeyIndex(infohashes)
        self._entropy, self._methods = entropy, tuple(methods)
        self._pad_b, self._pad_d = pad_b, pad_d
        self._state = _State.YA
        self._wire, self._queue, self._reply = bytearray(), bytearray(), bytearray()
        self._app = bytearray()
        self._pad_c = self._ia = 0
        self._S = b""
        self._encrypt: Update = bytes
        self._decrypt: Update = bytes

    @property
    def name(self) -> str:
        """`mse_rc4` or `mse_plain`; `mse` until it is selected."""
        return f"mse_{self.method}" if self.method else "mse"

    @property
    def ready(self) -> bool:
        """Step 4 is on its way; IA may still be arriving."""
        return self._state in (_State.IA, _State.STREAM)

    def start(self) -> bytes:
        """Return nothing: a responder waits for Ya."""
        return b""

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Take wire bytes; return (application bytes, reply). Raises RemoteProtocolError."""
        if self._streaming():
            return self._decrypt(wire), b""
        self._wire += wire
        self._advance()
        if self._streaming():
            self._app += self._decrypt(self._take(len(self._wire)))
        app, self._app = bytes(self._app), bytearray()
        reply, self._reply = bytes(self._reply), bytearray()
        return app, reply

    def send(self, app: Bytes) -> bytes:
        """Encrypt, or queue until step 4."""
        if self.ready:
            return self._encrypt(app)
        self._queue += app
        return b""

    def flush(self) -> bytes:
        """MSE holds nothing back."""
        return b""

    def close(self) -> bytes:
        """MSE has no goodbye."""
        return b""

    def _streaming(self) -> bool:
        return self._state is _State.STREAM

    def _advance(self) -> None:
        if self._state is _State.FAILED:
            raise LocalProtocolError("MSE: used after it failed")
        try:
            while self._state in _STEPS:
                step, following = _STEPS[self._state]
                if not step(self):
                    break
                self._state = following
        except RemoteProtocolError:
            self._state = _State.FAILED
            raise

    def _take(self, count: int) -> bytes:
        taken = bytes(self._wire[:count])
        del self._wire[:count]
        return taken

    def _read_ya(self) -> bool:
        if len(self._wire) < KEY_BYTES:
            return False
        keys = KeyPair.draw(self._entropy)
        self._S = keys.agree(self._take(KEY_BYTES))
        self._reply += keys.public + self._entropy(self._pad_b.draw(self._entropy))
        return True

    def _find_req1(self) -> bool:
        limit = MAX_PAD_BYTES + HASH_BYTES
        at = self._wire.find(sha1(b"req1", self._S), 0, limit)
        if at < 0:
            if len(self._wire) >= limit:
                raise RemoteProtocolError(f"MSE: no HASH('req1', S) within {KEY_BYTES + limit} bytes")
            return False
        del self._wire[: at + HASH_BYTES]
        return True

    def _read_skey(self) -> bool:
        if len(self._wire) < HASH_BYTES:
            return False
        self.infohash = self._torrents.find(self._take(HASH_BYTES), self._S)
        if self.infohash is None:
            raise RemoteProtocolError("MSE: SKEY is of no torrent here")
        self._decrypt, self._encrypt = stream_ciphers(self._S, self.infohash)
        return True

    def _read_provide(self) -> bool:
        if len(self._wire) < PROVIDE.size:
            return False
        vc, crypto_provide, pad_c = PROVIDE.unpack(self._decrypt(self._take(PROVIDE.size)))
        if vc != VC:
            raise RemoteProtocolError("MSE: VC is not zero")
        self.method = select_method(crypto_provide, self._methods)
        self._pad_c = check_pad("PadC", pad_c)
        return True

    def _read_pad_c(self) -> bool:
        if len(self._wire) < self._pad_c + 2:
            return False
        self._ia = int.from_bytes(self._decrypt(self._take(self._pad_c + 2))[-2:], "big")
        self._reply += self._encrypt(self._answer())
        if self.method == "plain":
            self._encrypt = bytes
        self._reply += self._encrypt(bytes(self._queue))
        return True

    def _answer(self) -> bytes:
        assert self.method is not None
        pad_d = bytes(self._pad_d.draw(self._entropy))
        return VC + SELECT.pack(METHODS[self.method], len(pad_d)) + pad_d

    def _read_ia(self) -> bool:
        # IA is under RC4 whatever the method, and is handed up as it comes: it may be 64 KiB.
        part = self._take(self._ia)
        self._app += self._decrypt(part)
        self._ia -= len(part)
        if self._ia:
            return False
        if self.method == "plain":
            self._decrypt = bytes
        return True


_STEPS: Mapping[_State, tuple[Callable[[MseResponder], bool], _State]] = {
    _State.YA: (MseResponder._read_ya, _State.REQ1),
    _State.REQ1: (MseResponder._find_req1, _State.SKEY),
    _State.SKEY: (MseResponder._read_skey, _State.PROVIDE),
    _State.PROVIDE: (MseResponder._read_provide, _State.PAD_C),
    _State.PAD_C: (MseResponder._read_pad_c, _State.IA),
    _State.IA: (MseResponder._read_ia, _State.STREAM),
}
"""state -> (step that reads it, next state); a step returns False while it needs more bytes."""
