"""The key material of an endpoint, and the transports made from it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from btresearch.errors import InputError
from btresearch.peer.address import Address
from btresearch.session import identity
from btresearch.session.membership import Membership
from btresearch.session.policy import Policy
from btresearch.session.wires import Wires
from btresearch.transport import Clear, LocalProtocolError, MseInitiator, MseResponder
from btresearch.transport.btls import Initiator, Responder, TorrentKey
from tests.transport.btls.certificates import Authority, ca, leaf
from tests.transport.link import Link

IH = bytes(range(20))
BASIC = Membership.basic(IH)
STRICT, FULL = (
    Membership((TorrentKey.derive(IH, level, bytes(32)),))  # type: ignore[arg-type]
    for level in ("strict", "full")
)


def test_transports_made() -> None:
    wires, address = Wires(Policy()), Address("192.0.2.1", 1)
    wires.serve(BASIC, Policy())
    asyncio.run(wires.prepare("192.0.2.2", keep_identity=False))
    made = [wires.outgoing(name, BASIC) for name in ("clear", "mse_rc4", "mse_plain", "btls_basic")]
    assert [type(transport) for transport in made] == [Clear, MseInitiator, MseInitiator, Initiator]
    taken = [wires.incoming(wire, address) for wire in ("clear", "mse", "tls")]  # type: ignore[arg-type]
    assert [type(transport) for transport in taken] == [Clear, MseResponder, Responder]


@pytest.mark.parametrize("membership", [STRICT, FULL])
def test_nothing_but_btls_is_ever_made_above_basic(membership: Membership) -> None:
    for name in ("clear", "mse_rc4", "mse_plain"):
        with pytest.raises(LocalProtocolError, match="level"):
            Wires(Policy()).outgoing(name, membership)


def test_the_level_is_the_torrents_whatever_it_is_called() -> None:
    assert Wires(Policy()).outgoing("btls_basic", STRICT).name == "btls_strict"
    with pytest.raises(LocalProtocolError, match="credential"):
        Wires(Policy()).outgoing("btls_full", FULL)


def test_above_basic_mse_finds_nothing_and_forgotten_torrents_are_found_nowhere() -> None:
    wires = Wires(Policy())
    wires.serve(STRICT, Policy().of(STRICT))
    assert (len(wires._keyring), len(wires._skeys)) == (1, 0)
    wires.serve(BASIC, Policy())
    assert (len(wires._keyring), len(wires._skeys)) == (1, 1)
    wires.forget(BASIC)
    assert (len(wires._keyring), len(wires._skeys)) == (0, 0)


def test_new_connections_show_the_renewed_certificate_and_old_ones_go_on() -> None:
    """Both ends renew; nothing but the holder's member is exchanged."""
    now_s, authority = int(time.time()), Authority(replace(ca(), begin_s=0, end_s=2**31))
    recipe = replace(leaf(names=[f"urn:btih:{IH.hex()}"]), begin_s=now_s - 60)
    first, second = (authority.member(replace(recipe, end_s=now_s + life_s)) for life_s in (600, 1200))
    held = [first]
    membership = FULL.joined_by(lambda: held[0])
    dialling, serving = Wires(Policy()), Wires(Policy())
    asyncio.run(serving.prepare("192.0.2.2", keep_identity=False))
    serving.serve(membership, Policy().of(membership))

    def meet() -> Link:
        responder = serving.incoming("tls", Address("192.0.2.1", 1))
        return Link(dialling.outgoing("btls_full", membership), responder).start()

    def shown(link: Link) -> list[int]:
        return [end.peer_leaf.not_after_s for end in link.ends]  # type: ignore[attr-defined]

    before = meet()
    held[0] = second
    after = meet()
    assert shown(before) == [now_s + 600] * 2
    assert shown(after) == [now_s + 1200] * 2
    before.send(0, b"still here")
    assert before.apps[1] == b"still here"


def test_a_torrent_that_requires_tls_needs_an_endpoint_that_has_it() -> None:
    with pytest.raises(InputError, match="btls"):
        Wires(Policy(("clear",))).serve(STRICT, Policy().of(STRICT))


def test_an_expiring_identity_is_replaced_while_the_endpoint_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (
        SimpleNamespace(
            leaf=SimpleNamespace(
                not_valid_before_utc=datetime.now(UTC) - timedelta(days=300),
                not_valid_after_utc=datetime.now(UTC) + timedelta(days=days),
            )
        )
        for days in (13, 300)
    )
    made: list[Any] = [old, new]
    monkeypatch.setattr(identity, "fresh", lambda: made.pop(0))

    async def main() -> None:
        wires = Wires(Policy())
        await wires.prepare("192.0.2.2", keep_identity=False)
        assert wires._identity is old  # type: ignore[comparison-overlap]
        keeper = asyncio.create_task(wires.keep_current())
        async with asyncio.timeout(5):
            while wires._identity is old:  # type: ignore[comparison-overlap]
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        keeper.cancel()
        assert wires._identity is new and not made  # type: ignore[comparison-overlap]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("left_s", "ca_left_s", "present"), [(60, 60, True), (-1, 60, False), (60, -1, False)]
)
def test_without_a_valid_certificate_a_full_torrent_is_neither_served_nor_dialled(
    left_s: int, ca_left_s: int, present: bool
) -> None:
    """Whoever holds the secret must meet the decoy, also where nobody renews what the user brought."""
    now_s = int(time.time())
    authority = Authority(replace(ca(), end_s=now_s + ca_left_s))
    member = authority.member(replace(leaf(), end_s=now_s + left_s))
    wires, membership = Wires(Policy()), FULL.joined_by(lambda: member)
    wires.serve(membership, Policy().of(membership))
    assert (wires._member_of(FULL.dial_key) is not None) == present
    if present:
        assert wires.outgoing("btls_full", membership).name == "btls_full"
        return
    with pytest.raises(LocalProtocolError, match="credential"):
        wires.outgoing("btls_full", membership)
