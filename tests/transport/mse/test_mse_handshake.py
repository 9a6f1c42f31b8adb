from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import (
    LocalProtocolError,
    MseInitiator,
    MseResponder,
    PadRange,
    ProtocolError,
    RemoteProtocolError,
    SkeyIndex,
    classify,
)
from btresearch.transport.mse.crypto import KEY_BYTES, KeyPair, P, rc4
from tests.transport.link import CHUNKINGS, Chunking, Link, seeded, whole

INFOHASH = hashlib.sha1(b"torrent").digest()
OTHERS = [hashlib.sha1(bytes([n])).digest() for n in range(50)]
POLICIES: list[tuple[str, ...]] = [("rc4",), ("plain",), ("rc4", "plain"), ("plain", "rc4")]

# The responder prefers; the initiator only offers.
OUTCOME = {
    (offered, preferred): next((method for method in preferred if method in offered), None)
    for offered, preferred in itertools.product(POLICIES, POLICIES)
}


def link(
    *,
    offered: tuple[str, ...] = ("rc4", "plain"),
    preferred: tuple[str, ...] = ("rc4", "plain"),
    pads: tuple[int | None, ...] = (None, None, None, None),
    ia: bytes = b"",
    chunking: Chunking = whole,
    seed: int = 1,
) -> Link:
    a, b, c, d = (PadRange() if n is None else PadRange(n, n) for n in pads)
    initiator = MseInitiator(INFOHASH, entropy=seeded(seed), methods=offered, ia=ia, pad_a=a, pad_c=c)  # type: ignore[arg-type]
    responder = MseResponder(
        [*OTHERS, INFOHASH],
        entropy=seeded(seed + 1),
        methods=preferred,  # type: ignore[arg-type]
        pad_b=b,
        pad_d=d,
    )
    return Link(initiator, responder, chunking)


@pytest.mark.parametrize(("policies", "method"), list(OUTCOME.items()))
def test_every_pair_of_policies(
    policies: tuple[tuple[str, ...], tuple[str, ...]], method: str | None
) -> None:
    wire = link(offered=policies[0], preferred=policies[1])
    if method is None:
        with pytest.raises(RemoteProtocolError, match="crypto_provide"):
            wire.start()
        return
    wire.start()
    assert [end.name for end in wire.ends] == [f"mse_{method}"] * 2
    wire.send(0, b"\x13BitTorrent protocol")
    assert (b"BitTorrent" in wire.wires[0]) == (method == "plain")
    assert wire.apps[1] == b"\x13BitTorrent protocol"


@pytest.mark.parametrize("method", ["rc4", "plain"])
@pytest.mark.parametrize("pads", list(itertools.product((0, 512), repeat=4)))
def test_padding_extremes(pads: tuple[int, ...], method: str) -> None:
    wire = link(pads=pads, offered=(method,), ia=b"hello")
    wire.start()
    wire.send(1, b"from responder")
    wire.send(0, b" and more")
    assert wire.apps == (b"from responder", b"hello and more")
    assert len(wire.wires[0]) == 96 + pads[0] + 20 + 20 + 14 + pads[2] + 2 + 5 + 9
    assert len(wire.wires[1]) == 96 + pads[1] + 8 + 6 + pads[3] + 14


@pytest.mark.parametrize("chunking", list(CHUNKINGS.values()), ids=list(CHUNKINGS))
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (512, 512, 512, 512), (None,) * 4])
@pytest.mark.parametrize("method", ["rc4", "plain"])
def test_chunking_makes_no_difference(chunking: Chunking, pads: tuple[int | None, ...], method: str) -> None:
    wire = link(pads=pads, chunking=chunking, offered=(method,), ia=b"i" * 300).start()
    wire.send(0, b"a" * 500)
    wire.send(1, b"b" * 500)
    assert wire.apps == (b"b" * 500, b"i" * 300 + b"a" * 500)


def test_same_entropy_same_bytes() -> None:
    assert link(seed=7).start().wires == link(seed=7).start().wires
    assert link(seed=7).start().wires != link(seed=8).start().wires


def test_send_before_ready_is_queued_and_ia_takes_64_kib_of_it() -> None:
    wire = link()
    early = bytes(range(256)) * 300
    assert wire.ends[0].send(early) == b""
    assert wire.ends[1].send(b"early too") == b""
    wire.start()
    assert wire.apps == (b"early too", early)


def test_wrong_skey_is_refused_without_an_answer() -> None:
    initiator = MseInitiator(INFOHASH, entropy=seeded(1))
    responder = MseResponder(OTHERS, entropy=seeded(2))
    _, yb = responder.receive(initiator.start())
    _, step3 = initiator.receive(yb)
    with pytest.raises(RemoteProtocolError, match="SKEY"):
        responder.receive(step3)
    with pytest.raises(LocalProtocolError):
        responder.receive(b"x")
    assert responder.infohash is None


def test_the_responder_learns_the_infohash() -> None:
    wire = link().start()
    assert wire.ends[1].infohash == INFOHASH


def test_responder_stops_searching_for_req1_at_628_bytes() -> None:
    responder = MseResponder([INFOHASH], entropy=seeded(2))
    start = MseInitiator(INFOHASH, entropy=seeded(1), pad_a=PadRange(0, 0)).start()
    responder.receive(start + bytes(531))
    with pytest.raises(RemoteProtocolError, match="628"):
        responder.receive(b"\0")


def test_initiator_stops_searching_for_vc_at_616_bytes() -> None:
    initiator = MseInitiator(INFOHASH, entropy=seeded(1))
    initiator.start()
    initiator.receive(MseInitiator(INFOHASH, entropy=seeded(2), pad_a=PadRange(0, 0)).start() + bytes(519))
    with pytest.raises(RemoteProtocolError, match="616"):
        initiator.receive(b"\0")


@pytest.mark.parametrize("degenerate", [0, 1, P - 1, P, 2**768 - 1])
def test_degenerate_public_keys_are_refused(degenerate: int) -> None:
    responder = MseResponder([INFOHASH], entropy=seeded(2))
    with pytest.raises(RemoteProtocolError, match="public key"):
        responder.receive(degenerate.to_bytes(KEY_BYTES, "big"))


class Replay:
    """Entropy whose first draws are given, so that Ya begins as the test wants."""

    def __init__(self, *first: bytes) -> None:
        self.first, self.rest = list(first), seeded(3)

    def __call__(self, count: int) -> bytes:
        return self.first.pop(0) if self.first else self.rest(count)


def private_key_for(prefix: bytes) -> bytes:
    """The smallest exponent whose public key begins like this."""
    y, shift, want = 2, 8 * (KEY_BYTES - len(prefix)), int.from_bytes(prefix, "big")
    exponent = 1
    while y >> shift != want:
        y, exponent = y * 2 % P, exponent + 1
    return exponent.to_bytes(20, "big")


@pytest.mark.parametrize("prefix", [b"\x13", b"\x16\x03"])
def test_initiator_redraws_a_key_that_looks_like_another_transport(prefix: bytes) -> None:
    private = private_key_for(prefix)
    assert KeyPair.draw(Replay(private)).public.startswith(prefix)
    first = MseInitiator(INFOHASH, entropy=Replay(private)).start()
    assert not first.startswith(prefix)
    assert classify(first) == "mse"


def test_skey_index_follows_additions_and_removals() -> None:
    index = SkeyIndex(OTHERS)
    index.add(INFOHASH)
    assert len(index) == 51
    index.discard(INFOHASH)
    responder = MseResponder(index, entropy=seeded(2))
    initiator = MseInitiator(INFOHASH, entropy=seeded(1))
    _, yb = responder.receive(initiator.start())
    with pytest.raises(RemoteProtocolError, match="SKEY"):
        responder.receive(initiator.receive(yb)[1])


def test_rc4_known_answer_after_1024_bytes() -> None:
    # RFC 6229 section 2, key 0102030405060708090a0b0c0d0e0f10, offset 1024.
    stream = rc4(bytes.fromhex("0102030405060708090a0b0c0d0e0f10"))
    assert stream(bytes(16)).hex() == "bdf0324e6083dcc6d3cedd3ca8c53c16"


@pytest.mark.parametrize("methods", [(), ("aes",)])
def test_a_policy_must_be_one(methods: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        MseInitiator(INFOHASH, entropy=seeded(1), methods=methods)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [(-1, 3), (4, 3), (0, 513)])
def test_padding_limits_are_the_specification_s(limits: tuple[int, int]) -> None:
    with pytest.raises(LocalProtocolError):
        PadRange(*limits)


@given(st.binary(max_size=1500), st.booleans())
@settings(deadline=None, max_examples=100)
def test_garbage_raises_only_protocol_errors(garbage: bytes, initiating: bool) -> None:
    end = (MseInitiator if initiating else MseResponder)(
        INFOHASH if initiating else [INFOHASH],  # type: ignore[arg-type]
        entropy=seeded(1),
    )
    end.start()
    try:
        app, _ = end.receive(garbage)
    except ProtocolError:
        return
    assert app == b""
    assert not end.ready
