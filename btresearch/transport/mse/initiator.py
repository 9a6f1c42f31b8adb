"""MSE's A: dials, names the torrent, offers methods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum, auto

from btresearch.transport.errors import LocalProtocolError, RemoteProtocolError
from btresearch.transport.mse.crypto import KEY_BYTES, KeyPair, Update, sha1, stream_ciphers
from btresearch.transport.mse.skey import obfuscate
from btresearch.transport.mse.wire import (
    MAX_IA_BYTES,
    MAX_PAD_BYTES,
    PROVIDE,
    SELECT,
    VC,
    Method,
    PadRange,
    check_pad,
    chosen_method,
    provide_bits,
)
from btresearch.transport.protocol import Bytes, Entropy

_ANY_PAD = PadRange()


class _State(Enum):
    YB = auto()
    VC = auto()
    SELECT = auto()
    PAD_D = auto()
    STREAM = auto()
    FAILED = auto()


class MseInitiator:
    """The dialling end of one MSE connection.

    What is sent before step 3 leaves (that includes `ia`) travels as IA, at most 65,535 bytes of it. `methods`
    is the policy that crypto_provide states; `pad_a` and `pad_c` bound the paddings' lengths.
    """

    def __init__(
        self,
        infohash: bytes,
        *,
        entropy: Entropy,
        methods: Collection[Method] = ("rc4", "plain"),
        ia: bytes = b"",
        pad_a: PadRange = _ANY_PAD,
        pad_c: PadRange = _ANY_PAD,
    ) -> None:
        self.infohash: bytes | None = infohash[:20]
        self.method: Method | None = None
        self._SKEY, self._entropy = infohash[:20], entropy
        self._methods, self._provide = tuple(methods), provide_bits(methods)
        self._pad_a, self._pad_c = pad_a, pad_c
        self._state = _State.YB
        self._wire, self._queue, self._reply = bytearray(), bytearray(ia), bytearray()
        self._pad_d = 0
        self._encrypt: Update = bytes
        self._decrypt: Update = bytes
        self._vc = b""

    @property
    def name(self) -> str:
        """`mse_rc4` or `mse_plain`; `mse` until it is negotiated."""
        return f"mse_{self.method}" if self.method else "mse"

    @property
    def ready(self) -> bool:
        """Step 4 was read to its end."""
        return self._state is _State.STREAM

    def start(self) -> bytes:
        """Step 1: Ya, PadA."""
        self._keys = _draw_unambiguous(self._entropy)
        return self._keys.public + self._entropy(self._pad_a.draw(self._entropy))

    def receive(self, wire: Bytes) -> tuple[bytes, bytes]:
        """Take wire bytes; return (application bytes, reply). Raises RemoteProtocolError."""
        if self._streaming():
            return self._decrypt(wire), b""
        self._wire += wire
        self._advance()
        reply, self._reply = bytes(self._reply), bytearray()
        if not self._streaming():
            return b"", reply
        app = self._decrypt(self._take(len(self._wire)))
        return app, reply + self._release()

    def send(self, app: Bytes) -> bytes:
        """Encrypt, or queue until the method is known."""
        if self._state is _State.STREAM:
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

    def _release(self) -> bytes:
        queued, self._queue = bytes(self._queue), bytearray()
        return self._encrypt(queued)

    def _read_yb(self) -> bool:
        if len(self._wire) < KEY_BYTES:
            return False
        S = self._keys.agree(self._take(KEY_BYTES))
        self._encrypt, self._decrypt = stream_ciphers(S, self._SKEY)
        # VC is eight zero bytes, so what is searched for is the key stream's own beginning.
        self._vc = self._decrypt(VC)
        self._reply += sha1(b"req1", S) + obfuscate(self._SKEY, S) + self._encrypt(self._offer())
        return True

    def _offer(self) -> bytes:
        # Current implementations zero PadC and PadD: they are room for extensions.
        pad_c = bytes(self._pad_c.draw(self._entropy))
        ia = bytes(self._queue[:MAX_IA_BYTES])
        del self._queue[:MAX_IA_BYTES]
        return PROVIDE.pack(VC, self._provide, len(pad_c)) + pad_c + len(ia).to_bytes(2, "big") + ia

    def _find_vc(self) -> bool:
        limit = MAX_PAD_BYTES + len(VC)
        at = self._wire.find(self._vc, 0, limit)
        if at < 0:
            if len(self._wire) >= limit:
                raise RemoteProtocolError(f"MSE: no VC within {KEY_BYTES + limit} bytes")
            return False
        del self._wire[: at + len(VC)]
        return True

    def _read_select(self) -> bool:
        if len(self._wire) < SELECT.size:
            return False
        crypto_select, pad_d = SELECT.unpack(self._decrypt(self._take(SELECT.size)))
        self.method = chosen_method(crypto_select, self._methods)
        self._pad_d = check_pad("PadD", pad_d)
        return True

    def _read_pad_d(self) -> bool:
        if len(self._wire) < self._pad_d:
            return False
        self._decrypt(self._take(self._pad_d))
        if self.method == "plain":
            self._encrypt = self._decrypt = bytes
        return True


def _draw_unambiguous(entropy: Entropy) -> KeyPair:
    # A listener with several transports would take these for clear text or TLS (see `dispatch`).
    while (keys := KeyPair.draw(entropy)).public.startswith((b"\x13", b"\x16\x03")):
        pass
    return keys


_STEPS: Mapping[_State, tuple[Callable[[MseInitiator], bool], _State]] = {
    _State.YB: (MseInitiator._read_yb, _State.VC),
    _State.VC: (MseInitiator._find_vc, _State.SELECT),
    _State.SELECT: (MseInitiator._read_select, _State.PAD_D),
    _State.PAD_D: (MseInitiator._read_pad_d, _State.STREAM),
}
"""state -> (step that reads it, next state); a step returns False while it needs more bytes."""
