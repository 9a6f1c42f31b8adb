"""Torrents of every level, and what their members, and those who are none, bring to them."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from btresearch.peer.secret import commit_of
from btresearch.peer.tls_info import TlsInfo
from btresearch.session import Access
from btresearch.session.membership import Enrol, Holder, Membership, Standing
from btresearch.transport.btls import Member
from tests.session.swarming import Content, single
from tests.transport.btls.certificates import HOUR_S, Authority, ca, leaf

Level = Literal["basic", "strict", "full"]
LEVELS: tuple[Level, ...] = ("basic", "strict", "full")
SECRET = bytes(range(32))
EST = "https://tracker.example"


@cache
def authority(number: int = 100) -> Authority:
    now_s = int(time.time())
    return Authority(replace(ca(number), begin_s=now_s - HOUR_S, end_s=now_s + 1000 * HOUR_S))


@dataclass(frozen=True)
class Club:
    """A torrent of some level. `access` is a member's; the others are what strangers have."""

    content: Content
    level: Level
    expires_in_s: int = HOUR_S
    numbers: list[int] = field(default_factory=lambda: [1])

    def access(self, **changes: Any) -> Access:
        if self.level == "basic":
            return Access()
        return Access(**({"secret": SECRET, "enrol": self.enrol()} | changes))

    def enrol(self, *, expires_in_s: int | None = None, by: Authority | None = None) -> Enrol | None:
        if self.level != "full":
            return None
        self.numbers[0] += 1  # a key of its own for everyone
        return holding(self.member(self.expires_in_s if expires_in_s is None else expires_in_s, by))

    def member(self, expires_in_s: int, by: Authority | None = None) -> Member:
        now_s = int(time.time())
        names = [f"urn:btih:{self.content.torrent.infohash.hex()}"]
        recipe = leaf(self.numbers[0], names=names)
        recipe = replace(recipe, begin_s=now_s - HOUR_S, end_s=now_s + expires_in_s)
        credential = (by or authority()).member(recipe).credential
        return Member(credential, frozenset({authority().anchor}))


def holding(member: Member) -> Enrol:
    @asynccontextmanager
    async def enrol(_: Membership) -> AsyncIterator[Holder]:
        yield Standing(member)

    return enrol


def club(folder: Path, level: Level, size_bytes: int = 300_000, **changes: Any) -> Club:
    if level == "basic":
        return Club(single(folder, size_bytes), level)
    at_full = {"ca": (authority().anchor,), "est": EST} if level == "full" else {}
    tls = TlsInfo.create(level, commit_of(SECRET), **at_full)  # type: ignore[arg-type]
    return Club(single(folder, size_bytes, tls=tls), level, **changes)


Make = Callable[[Path, Level], Club]


def stranger_secret() -> bytes:
    return os.urandom(32)
