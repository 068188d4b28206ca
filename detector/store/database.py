"""Opens the SQLite file behind a result store, and knows the layout of its tables."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.errors import StoreError

# "AIGD": tells a store from any other SQLite file.
APPLICATION_ID = 0x41494744
SCHEMA_VERSION = 2

# How long one scan waits for another's batch to be written.
BUSY_SECONDS = 60.0

_CURES = {
    "locked": ": another program holds it; try again when that has ended",
    "full": ": free some space; what was saved before is safe",
    "readonly": ": it was opened for reading, or may not be written",
    "unable to open": ": is its folder there and writable?",
}

_SCHEMA = """
CREATE TABLE scans (
    id INTEGER PRIMARY KEY, tool TEXT NOT NULL, model TEXT NOT NULL, config_hash TEXT NOT NULL,
    command TEXT NOT NULL, folder TEXT NOT NULL, roots TEXT NOT NULL,
    started TEXT NOT NULL, finished TEXT, outcome TEXT);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, location TEXT NOT NULL, packed BLOB NOT NULL, path TEXT NOT NULL,
    sha256 TEXT NOT NULL, model TEXT NOT NULL, config_hash TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, UNIQUE (location, packed));
CREATE INDEX files_by_path ON files (path, location);
CREATE INDEX files_by_sha256 ON files (sha256);
CREATE TABLE seen (scan INTEGER, file INTEGER, PRIMARY KEY (scan, file)) WITHOUT ROWID;
CREATE TABLE results (
    sha256 TEXT NOT NULL, model TEXT NOT NULL, config_hash TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, score REAL, probability REAL, lr REAL,
    verdict TEXT, verdict_code TEXT, spread REAL, detail TEXT NOT NULL,
    written TEXT NOT NULL, pixel_verdict TEXT, PRIMARY KEY (sha256, model, config_hash));
CREATE TABLE thumbnails (sha256 TEXT PRIMARY KEY, webp BLOB NOT NULL);
CREATE TABLE evidence (
    sha256 TEXT PRIMARY KEY, items TEXT NOT NULL, written TEXT NOT NULL,
    settings TEXT NOT NULL DEFAULT '');
"""

# What turns each older layout into the next one.
_MIGRATIONS = {
    # Findings are decided with evidence, and know what the pixels alone gave; evidence knows
    # what it was gathered with.
    1: """
ALTER TABLE results ADD COLUMN pixel_verdict TEXT;
UPDATE results SET pixel_verdict = verdict;
ALTER TABLE evidence ADD COLUMN settings TEXT NOT NULL DEFAULT ''
""",
}
# For a file that may not be written: its tables under the names and with the columns of today,
# for this connection only.
_DISGUISES = {
    1: """
CREATE TEMP VIEW results AS SELECT rowid, *, verdict AS pixel_verdict FROM main.results;
CREATE TEMP VIEW evidence AS SELECT *, '' AS settings FROM main.evidence
""",
}


def connect(path: Path, *, create: bool, readonly: bool) -> sqlite3.Connection:
    """Open a store's file, make its tables when it is new, and set how it is written.

    Raises StoreError, naming the cure, for a missing, foreign, newer or damaged file.
    """
    path = Path(path)
    if not create and not path.exists():
        raise StoreError(f"no result store at {path}: make one with `detector scan --store`")
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a file for the result store")
    address = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot open {path}: {error}; is its folder there and writable?"
        ) from error
    try:
        connection.row_factory = sqlite3.Row
        _prepare(connection, path, readonly)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, readonly: bool) -> None:
    with told(path):
        version = _checked_version(connection, path)
        if readonly:
            for statement in _DISGUISES.get(version, "").split(";"):
                connection.execute(statement)
            return
        if version < SCHEMA_VERSION:
            _bring_up_to_date(connection, path)
        _use_wal(connection)
        # In WAL mode NORMAL survives the death of the process; only a power cut can cost the
        # last batches, and never the file.
        connection.execute("PRAGMA synchronous = NORMAL")


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of the file, 0 for an empty one; StoreError for a foreign one."""
    application, version, tables = connection.execute(
        # One statement, so that another scan cannot make the tables between two questions.
        "SELECT a.application_id, u.user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id a, pragma_user_version u"
    ).fetchone()
    if not tables and not version:
        return 0
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database: name another file with --store")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer aigi-detector (layout {version}, this one reads "
            f"{SCHEMA_VERSION}): upgrade the package or name another file with --store"
        )
    return int(version)


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file, or change an older file's step by step, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another scan may have done this while this one waited for the lock.
        version = _checked_version(connection, path)
        if version == 0:
            steps = [_SCHEMA]
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        else:
            steps = [_MIGRATIONS[old] for old in range(version, SCHEMA_VERSION)]
        for statement in ";".join(steps).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Changing the mode needs the file for itself, and SQLite does not wait for that by itself.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ours, with the file's name and what can be done."""
    try:
        yield
    except sqlite3.OperationalError as error:
        cure = next((cure for word, cure in _CURES.items() if word in str(error)), "")
        raise StoreError(f"{path}: {error}{cure}") from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # our own mistake, such as a value that SQLite does not take
        raise StoreError(
            f"{path} is not a result store, or is damaged ({error}): name another file with --store"
        ) from error
