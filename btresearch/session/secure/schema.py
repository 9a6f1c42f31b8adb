"""The database of the secure tracker: SQLite with a write-ahead log, safe against SIGKILL and loss of power."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from btresearch.session.secure.errors import MembersError

VERSION = 1
FILE = "members.sqlite3"
BUSY_S = 10.0

_TABLES = """
CREATE TABLE member (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    added_s INTEGER NOT NULL
) STRICT;
CREATE TABLE torrent (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
CREATE TABLE infohash (
    whole BLOB PRIMARY KEY CHECK (length(whole) IN (20, 32)),
    announced BLOB NOT NULL UNIQUE CHECK (length(announced) = 20),
    torrent INTEGER NOT NULL REFERENCES torrent (id)
) STRICT;
CREATE TABLE entitlement (
    member TEXT NOT NULL REFERENCES member (name),
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    PRIMARY KEY (member, torrent)
) STRICT;
CREATE TABLE issued (
    serial BLOB PRIMARY KEY,
    member TEXT NOT NULL REFERENCES member (name),
    torrent INTEGER NOT NULL REFERENCES torrent (id),
    pin BLOB NOT NULL CHECK (length(pin) = 32),
    issued_s INTEGER NOT NULL,
    not_after_s INTEGER NOT NULL
) STRICT;
CREATE INDEX issued_to ON issued (member, torrent, issued_s);
"""


def connect(folder: Path) -> sqlite3.Connection:
    """Open the database in `folder`, made at its first use; every commit is on the disk before it returns.

    Raises MembersError for a file that is no database of ours.
    """
    path = folder / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        _prepare(db)
    except (OSError, sqlite3.Error) as error:
        raise MembersError(f"{path}: no usable database: {error}") from error
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # The journal mode first: changing it takes the lock for a moment, and only the first process changes it.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        _create(db)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _create(db: sqlite3.Connection) -> None:
    """Inside a transaction, so that of two processes one creates and the other finds it done."""
    found = _version(db)
    if found not in (0, VERSION):
        raise sqlite3.DatabaseError(f"schema version {found}, expected {VERSION}")
    if found == 0:
        for statement in _TABLES.strip().rstrip(";").split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
