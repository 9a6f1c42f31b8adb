"""A member's certificate stays fresh, with one key, until the server refuses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from btresearch.session import renewal as module
from btresearch.session.errors import EnrolmentError, EnrolmentRefused
from btresearch.session.renewal import MAX_BACK_OFF_S, Renewal
from tests.session.secure.tracking import PASSWORD, V1, V2, Account, Tracked, tracked

Sleep = Callable[[float], Any]


def _renewal(held: Tracked, sleep: Sleep) -> Renewal:
    return Renewal(
        held.origin, (V1, V2), held.account(), ca={held.tracker.ca}, rng=random.Random(1), sleep=sleep
    )


class _Clockwork:
    """Sleeps as long as the test has told it to, and notes how long it should have been."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._go = asyncio.Semaphore(0)
        self._asleep = asyncio.Semaphore(0)

    async def __call__(self, pause_s: float) -> None:
        self.asked.append(pause_s)
        self._asleep.release()
        await self._go.acquire()

    async def tick(self) -> None:
        """Until it sleeps, and one sleep over."""
        await self._asleep.acquire()
        self._go.release()


def test_renewed_at_half_life_with_the_same_key(tmp_path: Path) -> None:
    async def main() -> None:
        clock = _Clockwork()
        async with tracked(tmp_path) as held, _renewal(held, clock) as renewal:
            first = renewal.member
            assert first is not None and first.ca == {held.tracker.ca}
            await clock.tick()
            async with asyncio.timeout(5):
                await clock.tick()
            second = renewal.member
            assert second is not None
            assert second.credential.spki_sha256 == first.credential.spki_sha256
            assert second.credential.chain != first.credential.chain
            left_s = first.credential.not_after_s - time.time()
            assert all(0.39 * left_s < pause < 0.51 * left_s for pause in clock.asked)
            held_by_ann = held.members.entitlement("ann", V1)
            pins = {one.pin for one in held.members.issues(held_by_ann, now_s=0)}
            assert pins == {first.credential.spki_sha256}

    asyncio.run(main())


def test_removal_ends_it_and_the_certificate_lapses(tmp_path: Path) -> None:
    async def main() -> None:
        clock, now_s = _Clockwork(), time.time()
        async with tracked(tmp_path) as held:
            renewal = Renewal(
                held.origin,
                (V1, V2),
                held.account(),
                ca={held.tracker.ca},
                rng=random.Random(1),
                now_s=lambda: now_s,
                sleep=clock,
            )
            async with renewal:
                held.members.remove("ann")
                await clock.tick()
                assert renewal._task is not None
                async with asyncio.timeout(5):
                    await renewal._task
                assert renewal.member is not None
                now_s = renewal.member.credential.not_after_s - 0.5
                assert renewal.member is not None
                now_s += 0.5
                assert renewal.member is None
                assert len(clock.asked) == 1

    asyncio.run(main())


def test_first_refusal_is_raised(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            held.members.remove("ann")
            with pytest.raises(EnrolmentRefused):
                await _renewal(held, asyncio.sleep).__aenter__()

    asyncio.run(main())


def test_troubles_are_waited_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def failing(*_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            return _Credential()
        raise EnrolmentError("tracker: down", retry_after_s=900 if calls == 4 else None)

    async def main() -> list[float]:
        clock = _Clockwork()
        account = Account("https://t.example", "ann", PASSWORD)
        renewal = Renewal(account.origin, (V1,), account, ca={bytes(32)}, rng=random.Random(1), sleep=clock)
        async with renewal:
            for _ in range(12):
                async with asyncio.timeout(5):
                    await clock.tick()
        return clock.asked[1:]

    monkeypatch.setattr(module, "enrol", failing)
    pauses = asyncio.run(main())
    assert pauses[2] == 900
    del pauses[2]
    assert 5 <= pauses[0] <= 10 and all(pause <= MAX_BACK_OFF_S for pause in pauses)
    assert min(pauses[6:]) >= MAX_BACK_OFF_S / 2
    assert "trying again" in caplog.text and PASSWORD not in caplog.text


class _Credential:
    not_after_s = int(time.time()) + 3600
