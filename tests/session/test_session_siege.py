"""Strangers who come slowly or in crowds, while members go about their business."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from btresearch.peer.address import Address
from btresearch.session import quota
from btresearch.session.keylog import MemoryKeyLog
from btresearch.session.listener import MAX_UNDECIDED
from btresearch.session.membership import Membership
from btresearch.session.policy import Policy
from btresearch.session.wires import Wires
from btresearch.transport.btls import Initiator, Keyring, Responder, TorrentKey, best_client
from tests.session.levels import club
from tests.session.swarming import HOST, fetch, seeding
from tests.transport.link import Link

SLOW = MAX_UNDECIDED + 40


@pytest.mark.slow
@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_slow_arrivals_take_no_peers_place(tmp_path: Path, first: bytes) -> None:
    """More than the undecided may be; a member comes last, and is served at once."""

    async def main() -> None:
        torrents = club(tmp_path / "in", "strict", 100_000)
        async with seeding(torrents.content, access=torrents.access()) as end:
            slow = [await asyncio.open_connection(HOST, end.port) for _ in range(SLOW)]
            for _, writer in slow:
                writer.write(first)
            await fetch(
                torrents.content.torrent, tmp_path / "out", end.port, access=torrents.access(), patience_s=10
            )
            assert max(progress.peers for progress in end.progress) <= 1
            for _, writer in slow:
                writer.transport.abort()
            await asyncio.sleep(0.05)
        assert torrents.content.same_in(tmp_path / "out")

    asyncio.run(main())


def test_a_flood_of_proofs_from_one_address_meets_the_decoy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit not even a right proof is looked at; other addresses are not affected."""
    monkeypatch.setattr(quota, "LOOKUPS_PER_MINUTE", 3)
    membership = Membership.basic(bytes(range(20)))
    wires = Wires(Policy())
    asyncio.run(wires.prepare("192.0.2.2", keep_identity=False))
    wires.serve(membership, wires.policy)
    looked: list[bytes] = []
    lookup = Keyring.lookup
    monkeypatch.setattr(Keyring, "lookup", lambda self, tag, K: looked.append(tag) or lookup(self, tag, K))

    def arrive(address: Address, key: TorrentKey) -> str:
        responder = wires.incoming("tls", address)
        assert isinstance(responder, Responder)
        Link(Initiator(key, client=best_client(MemoryKeyLog())), responder).start()
        return responder.verdict

    wrong = TorrentKey.basic(b"w" * 20)
    flooder, other = Address("192.0.2.1", 1), Address("192.0.2.9", 1)
    assert [arrive(flooder, wrong) for _ in range(3)] == ["decoy"] * 3
    assert len(looked) == 3
    assert arrive(flooder, membership.dial_key) == "decoy"
    assert len(looked) == 3
    assert arrive(other, membership.dial_key) == "proven"
