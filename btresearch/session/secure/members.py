"""Who may take part in which torrent, and which certificates were issued. Blocking: not for the event loop."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from btresearch.session.secure import schema
from btresearch.session.secure.errors import MembersError, Refused, not_entitled

MAX_PER_TORRENT, PER_TORRENT_S = 12, 3600
MAX_PER_MEMBER, PER_MEMBER_S = 2000, 86400
KEPT_S = 30 * 86400
"""How long the log of issued certificates goes back."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entitlement:
    """One torrent of one member: `infohashes` are the full ones, both of a hybrid torrent."""

    member: str
    torrent: int
    infohashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Issue:
    """A certificate in the log. `pin` is the SHA-256 of its SPKI; times in seconds since 1970."""

    serial: bytes
    pin: bytes
    issued_s: int
    not_after_s: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A member as `member list` shows it."""

    name: str
    enabled: bool
    infohashes: tuple[bytes, ...]
    last_issued_s: int | None


class Members:
    """The database of one state folder; any number of threads and processes may use it. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._db = schema.connect(folder)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def add(self, name: str, password_hash: str, *, now_s: int) -> None:
        """Add a member, or give one a new password; a removed one comes back without entitlements.

        Raises MembersError for a name that is none.
        """
        if not _NAME.fullmatch(name):
            raise MembersError("a member's name is 1 to 64 letters, digits and . _ @ -")
        with self._transaction() as db:
            db.execute(
                "INSERT INTO member VALUES (?, ?, 1, ?) "
                "ON CONFLICT (name) DO UPDATE SET password = excluded.password, enabled = 1",
                (name, password_hash, now_s),
            )

    def remove(self, name: str) -> None:
        """Take back every entitlement and the password; the log of issued certificates stays."""
        with self._transaction() as db:
            _require_member(db, name)
            db.execute("DELETE FROM entitlement WHERE member = ?", (name,))
            db.execute("UPDATE member SET enabled = 0, password = '' WHERE name = ?", (name,))

    def password_hash(self, name: str) -> str | None:
        """What `passwords.hashed` made for an enabled member; None for everyone else."""
        rows = self._rows("SELECT password FROM member WHERE name = ? AND enabled = 1", name)
        return str(rows[0][0]) if rows else None

    def register(self, infohashes: Sequence[bytes], name: str = "") -> None:
        """Make a torrent known, by all its full infohashes. A hybrid known by one of them gets the other.

        Raises MembersError if they belong to different torrents already.
        """
        if not infohashes or any(len(one) not in (20, 32) for one in infohashes):
            raise MembersError("an infohash has 20 or 32 bytes, and a torrent has one")
        with self._transaction() as db:
            known = {torrent for one in infohashes if (torrent := _torrent(db, one)) is not None}
            if len(known) > 1:
                raise MembersError("these infohashes belong to two torrents here")
            torrent = known.pop() if known else _new_torrent(db, name)
            db.executemany(
                "INSERT INTO infohash VALUES (?, ?, ?) ON CONFLICT (whole) DO NOTHING",
                [(one, one[:20], torrent) for one in infohashes],
            )
            kinds = db.execute("SELECT length(whole) FROM infohash WHERE torrent = ?", (torrent,)).fetchall()
            if len(kinds) != len(set(kinds)):
                raise MembersError("a torrent has one infohash of 20 bytes (v1), one of 32 (v2), or both")

    def entitle(self, name: str, infohash: bytes) -> None:
        """Let a member take part in a registered torrent. Raises MembersError."""
        with self._transaction() as db:
            _require_member(db, name)
            if (torrent := _torrent(db, infohash)) is None:
                raise MembersError(f"{infohash.hex()}: no such torrent here")
            db.execute("INSERT OR IGNORE INTO entitlement VALUES (?, ?)", (name, torrent))

    def withdraw(self, name: str, infohash: bytes) -> None:
        """Take back one entitlement. Raises MembersError if there is none."""
        with self._transaction() as db:
            _require_member(db, name)
            torrent = _torrent(db, infohash)
            gone = db.execute("DELETE FROM entitlement WHERE member = ? AND torrent = ?", (name, torrent))
            if not gone.rowcount:
                raise MembersError(f"{name} is not entitled to {infohash.hex()}")

    def everyone(self) -> tuple[Listed, ...]:
        """Every member, by name."""
        rows = self._rows(
            "SELECT name, enabled, (SELECT max(issued_s) FROM issued WHERE member = name) "
            "FROM member ORDER BY name"
        )
        held = self._rows(
            "SELECT member, whole FROM entitlement JOIN infohash USING (torrent) ORDER BY whole"
        )
        return tuple(
            Listed(name, bool(enabled), tuple(one for of, one in held if of == name), last)
            for name, enabled, last in rows
        )

    def torrents(self) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
        """Name and full infohashes of every torrent."""
        rows = self._rows("SELECT id, name FROM torrent ORDER BY id")
        return tuple((name, self._infohashes(torrent)) for torrent, name in rows)

    def entitlement(self, name: str, infohash: bytes) -> Entitlement:
        """What the enabled member `name` may do in the torrent of a full infohash, or of the 20 bytes announced.

        Raises Refused.
        """
        rows = self._rows(
            "SELECT torrent FROM infohash JOIN entitlement USING (torrent) JOIN member ON name = member "
            "WHERE (whole = ?1 OR announced = ?1) AND member = ?2 AND enabled = 1",
            infohash,
            name,
        )
        if not rows:
            raise not_entitled()
        torrent = int(rows[0][0])
        return Entitlement(name, torrent, self._infohashes(torrent))

    def entitled(self, torrent: int) -> frozenset[str]:
        """Every member that may take part in a torrent."""
        return frozenset(
            row[0] for row in self._rows("SELECT member FROM entitlement WHERE torrent = ?", torrent)
        )

    def log(self, held: Entitlement, issue: Issue) -> None:
        """Enter a certificate in the log before it is signed.

        Raises Refused: removed meanwhile (403), or too many in an hour or a day (429).
        """
        with self._transaction() as db:
            key = (held.member, held.torrent)
            if not db.execute("SELECT 1 FROM entitlement WHERE member = ? AND torrent = ?", key).fetchone():
                raise not_entitled()
            _limit(
                db,
                "member = ? AND torrent = ?",
                key,
                count=MAX_PER_TORRENT,
                per_s=PER_TORRENT_S,
                now_s=issue.issued_s,
            )
            _limit(
                db,
                "member = ?",
                (held.member,),
                count=MAX_PER_MEMBER,
                per_s=PER_MEMBER_S,
                now_s=issue.issued_s,
            )
            row = (issue.serial, *key, issue.pin, issue.issued_s, issue.not_after_s)
            db.execute("INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute(
                "DELETE FROM issued WHERE not_after_s < ?1 AND issued_s < ?1", (issue.issued_s - KEPT_S,)
            )

    def issues(self, held: Entitlement, *, now_s: int) -> tuple[Issue, ...]:
        """The certificates of a member for a torrent that have not expired, the last one first."""
        rows = self._rows(
            "SELECT serial, pin, issued_s, not_after_s FROM issued "
            "WHERE member = ? AND torrent = ? AND not_after_s > ? ORDER BY issued_s DESC, rowid DESC",
            held.member,
            held.torrent,
            now_s,
        )
        return tuple(Issue(*row) for row in rows)

    def _infohashes(self, torrent: int) -> tuple[bytes, ...]:
        rows = self._rows("SELECT whole FROM infohash WHERE torrent = ? ORDER BY length(whole)", torrent)
        return tuple(row[0] for row in rows)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, _readable():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _readable():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise MembersError(f"the database of members: {error}") from error


def _require_member(db: sqlite3.Connection, name: str) -> None:
    if not db.execute("SELECT 1 FROM member WHERE name = ? AND enabled = 1", (name,)).fetchone():
        raise MembersError(f"no member of that name: {name[:64]}")


def _torrent(db: sqlite3.Connection, infohash: bytes) -> int | None:
    row = db.execute("SELECT torrent FROM infohash WHERE whole = ?", (infohash,)).fetchone()
    return int(row[0]) if row else None


def _new_torrent(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute("INSERT INTO torrent (name) VALUES (?)", (name,)).lastrowid or 0)


def _limit(
    db: sqlite3.Connection,
    whose: str,
    values: tuple[object, ...],
    *,
    count: int,
    per_s: int,
    now_s: int,
) -> None:
    """Refuse when `count` were issued in the last `per_s` seconds, until the oldest of them leaves the window."""
    rows = db.execute(
        f"SELECT issued_s FROM issued WHERE {whose} AND issued_s > ? ORDER BY issued_s DESC LIMIT ?",
        (*values, now_s - per_s, count),
    ).fetchall()
    if len(rows) == count:
        wait_s = max(1, rows[-1][0] + per_s - now_s)
        raise Refused(429, "too many certificates", retry_after_s=wait_s)
