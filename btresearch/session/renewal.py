"""Keeps a member's certificate fresh while a torrent runs.

async with Renewal(est, infohashes, account, ca=ca, rng=rng) as renewal:
    ... renewal.member ...
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec

from btresearch.session.accounts import Account, Accounts
from btresearch.session.enrolment import enrol
from btresearch.session.errors import EnrolmentError, EnrolmentRefused
from btresearch.session.membership import Enrol, Membership
from btresearch.transport.btls.credential import Credential, Member

RENEW_AT = (0.4, 0.5)  # of the time left, drawn: members that enrolled together renew apart
BACK_OFF_S, MAX_BACK_OFF_S = 5.0, 300.0

log = logging.getLogger(__name__)


def enrolling(accounts: Accounts, *, rng: random.Random) -> Enrol:
    """What `Access` takes: a credential for a torrent from the account at the origin that it names."""

    def enrol_in(membership: Membership) -> Renewal:
        if membership.tls is None or membership.tls.est is None:
            raise EnrolmentError("the torrent names no server to enrol at")
        est = membership.tls.est
        return Renewal(est, membership.infohashes, accounts.at(est), ca=membership.tls.ca, rng=rng)

    return enrol_in


class Renewal:
    """An async context manager: enrols when entered, and renews at half life with the same key.

    The key stays, so that the pin which the tracker gives to others holds until the program ends.
    """

    def __init__(
        self,
        est: str,
        infohashes: Sequence[bytes],
        account: Account,
        *,
        ca: Collection[bytes],
        rng: random.Random,
        now_s: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._est, self._infohashes, self._account, self._ca = est, tuple(infohashes), account, frozenset(ca)
        self._rng, self._now_s, self._sleep = rng, now_s, sleep
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._credential: Credential | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def member(self) -> Member | None:
        """The present credential; None once it has expired, or where the server refuses."""
        held = self._credential
        return Member(held, self._ca) if held and self._now_s() < held.not_after_s else None

    async def __aenter__(self) -> Self:
        """Enrol. Raises EnrolmentError, InputError."""
        await self._renew()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        failures, pause_s = 0, self._half_life_s()
        while True:
            await self._sleep(pause_s)
            try:
                await self._renew()
                failures, pause_s = 0, self._half_life_s()
            except EnrolmentRefused as error:
                log.warning("%s; what is left of the certificate is used, and no new one asked for", error)
                return
            except EnrolmentError as error:
                failures += 1
                pause_s = max(error.retry_after_s or 0, self._back_off_s(failures))
                log.warning("%s; trying again in %.0f s", error, pause_s)

    async def _renew(self) -> None:
        self._credential = await enrol(
            self._est,
            self._infohashes,
            self._account,
            ca=self._ca,
            key=self._key,
            renewing=self._credential is not None,
        )

    def _half_life_s(self) -> float:
        left_s = self._credential.not_after_s - self._now_s() if self._credential else 0.0
        return max(1.0, left_s * self._rng.uniform(*RENEW_AT))

    def _back_off_s(self, failures: int) -> float:
        longest_s = min(BACK_OFF_S * 2.0 ** min(failures, 10), MAX_BACK_OFF_S)
        return longest_s * self._rng.uniform(0.5, 1.0)
