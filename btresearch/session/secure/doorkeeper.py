"""HTTP Basic authentication (RFC 7617) of members: slow hashes off the event loop, failures limited.

A member that does not exist, one that was removed and a wrong password are answered alike and take the same time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable

from btresearch.session.secure import passwords
from btresearch.session.secure.errors import Refused
from btresearch.session.secure.limits import Failures
from btresearch.session.secure.members import Members

MAX_HEADER_CHARS = 1024
MAX_HASHING = 2  # 32 MiB each
MAX_WAITING = 64
REMEMBERED_S = 600.0
MAX_REMEMBERED = 10_000
FAILURES_PER_ADDRESS, FAILURES_PER_MEMBER, FAILURES_S = 10, 30, 600.0


def read(header: str) -> tuple[str, str]:
    """Name and password of an Authorization header. Raises Refused (401)."""
    scheme, _, encoded = header[:MAX_HEADER_CHARS].partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    name, colon, password = text.partition(":")
    if scheme.lower() != "basic" or not colon or len(password.encode()) > passwords.MAX_BYTES:
        raise _unknown()
    return name, password


class Doorkeeper:
    """Tells members from strangers."""

    def __init__(self, members: Members, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._members, self._now_s = members, now_s
        self._addresses = Failures(FAILURES_PER_ADDRESS, FAILURES_S)
        self._names = Failures(FAILURES_PER_MEMBER, FAILURES_S)
        self._secret = os.urandom(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._hashing = asyncio.Semaphore(MAX_HASHING)
        self._waiting = 0

    async def admit(self, header: str | None, address: str) -> str:
        """The name of the member who sent `header` from `address` (a network, as limits count them).

        Raises Refused: 401 for no member, 429 after too many failures, 503 when too many wait.
        """
        if header is None:
            raise _unknown()
        now_s = self._now_s()
        name, password = self._read(header, address, now_s)
        stored = await asyncio.to_thread(self._members.password_hash, name)
        mark = self._mark(name, password, stored)
        if self._remembers(mark, now_s):
            return name
        # Counted before it is known, so that no burst side by side slips past the limit.
        self._count(name, address, now_s)
        if not await self._hold(stored, password):
            raise _unknown()
        self._addresses.forgive(address)
        self._names.forgive(name)
        self._remember(mark, now_s)
        return name

    def _read(self, header: str, address: str, now_s: float) -> tuple[str, str]:
        try:
            return read(header)
        except Refused:
            self._count(None, address, now_s)
            raise

    def _count(self, name: str | None, address: str, now_s: float) -> None:
        wait_s = max(self._addresses.wait_s(address, now_s), self._names.wait_s(name, now_s))
        if wait_s:
            raise Refused(429, "too many failures", retry_after_s=wait_s)
        self._addresses.add(address, now_s)
        if name is not None:
            self._names.add(name, now_s)

    async def _hold(self, stored: str | None, password: str) -> bool:
        if self._waiting >= MAX_WAITING:
            raise Refused(503, "busy", retry_after_s=5)
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(passwords.holds, stored, password)
        finally:
            self._waiting -= 1

    def _mark(self, name: str, password: str, stored: str | None) -> bytes:
        """Names a password that was right; of no use to who reads this process's memory later."""
        digests = b"".join(hashlib.sha256(part.encode()).digest() for part in (name, password, stored or ""))
        return hmac.digest(self._secret, digests, "sha256")

    def _remembers(self, mark: bytes, now_s: float) -> bool:
        return self._remembered.get(mark, 0.0) > now_s

    def _remember(self, mark: bytes, now_s: float) -> None:
        self._remembered[mark] = now_s + REMEMBERED_S
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)


def _unknown() -> Refused:
    return Refused(401, "name or password is wrong")
