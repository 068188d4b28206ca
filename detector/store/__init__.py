"""The result database: one SQLite file that scans write and reports read.

A result belongs to the bytes of a file, the model and the model's settings; a path points at
the bytes that were last found there. So the same bytes are scored once under many names, a
file whose content changes gets a new result, and another model's results stand beside the
first one's. A file that could not be scored is a row like any other.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from detector import names
from detector.results import Evidence, Finding, Status
from detector.store import database, records

# Retried by every scan: the cause may be gone (a file back in place, memory free again), or
# an extra for the format may have been installed since. None of them costs a full decode.
RETRIED = (Status.MISSING, Status.FAILED, Status.UNSUPPORTED)

_CHUNK = 500  # SQLite's oldest limit on bound values is 999

# A path whose bytes have no result is either a failure before any byte was read, whose reason
# is with the path, or was changed and scanned with other settings since.
_COLUMNS = """
SELECT f.path AS path, f.sha256 AS sha256, r.score AS score, r.probability AS probability,
       r.lr AS lr, r.verdict AS verdict, r.verdict_code AS verdict_code, r.spread AS spread,
       r.detail AS detail, r.pixel_verdict AS pixel_verdict,
       coalesce(r.status, CASE f.status WHEN 'ok' THEN 'failed' ELSE f.status END) AS status,
       coalesce(r.reason, CASE f.status WHEN 'ok' THEN 'changed after this scan'
       ELSE f.reason END) AS reason,
"""
_LATEST = """f.model AS model FROM files f LEFT JOIN results r ON r.sha256 = f.sha256
AND r.model = f.model AND r.config_hash = f.config_hash"""
_LATEST_OF_SCAN = """c.model AS model FROM scans c JOIN seen s ON s.scan = c.id
JOIN files f ON f.id = s.file LEFT JOIN results r ON r.sha256 = f.sha256
AND r.model = c.model AND r.config_hash = c.config_hash"""
_OF_MODEL = """r.model AS model FROM files f JOIN results r ON r.rowid = (
SELECT n.rowid FROM results n WHERE n.sha256 = f.sha256 AND n.model = :model
ORDER BY n.written DESC, n.rowid DESC LIMIT 1)"""
_SEEN = "f.id IN (SELECT file FROM seen WHERE scan = :scan)"


@dataclass(frozen=True)
class ScanInfo:
    """One run of a scan.

    Attributes:
        id: number of the scan within its store, from 1.
        tool: version of the package.
        model, config_hash: the bundle and its settings.
        command: the command line or the call that started it.
        folder: the working folder, against which relative roots are read.
        roots: what it was told to scan.
        started, finished: UTC, ISO 8601; `finished` is None while it runs and after a kill.
        outcome: "finished" or "interrupted"; None as above.
    """

    id: int
    tool: str
    model: str
    config_hash: str
    command: str
    folder: str
    roots: tuple[str, ...]
    started: str
    finished: str | None
    outcome: str | None


class Store:
    """An open result database; a context manager. Use one per thread.

    Every path that comes out is valid Unicode; `locations` gives the names that can be opened.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, scan: int | None = None) -> None:
        self._connection = connection
        self._scan = scan
        self.path = path

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True, readonly: bool = False) -> Store:
        """Open a store, and make it when it is not there.

        Args:
            path: the SQLite file.
            create: whether a missing file is made; else it is an error.
            readonly: open without the right to write; implies `create=False`.

        Raises StoreError, naming the cure, for a missing, foreign, newer or damaged file.
        """
        path = Path(path)
        connection = database.connect(path, create=create and not readonly, readonly=readonly)
        return cls(connection, path)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything put is on disk already."""
        self._connection.close()

    def limited_to(self, scan: int) -> Store:
        """The same store, reading only the files that one scan saw. Shares the connection."""
        return Store(self._connection, self.path, scan)

    # Writing

    def begin_scan(
        self,
        model: str,
        config_hash: str,
        *,
        tool: str = "",
        command: str = "",
        roots: Sequence[str] = (),
    ) -> int:
        """Note that a scan starts; gives its number. The arguments are those of `ScanInfo`."""
        shown = [names.printable(root) for root in roots]
        row = (
            tool,
            model,
            config_hash,
            names.printable(command),
            names.printable(os.getcwd()),
            json.dumps(shown, ensure_ascii=False),
            _now(),
        )
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO scans (tool, model, config_hash, command, folder, roots, started) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return int(cursor.lastrowid or 0)

    def end_scan(self, scan: int, outcome: str) -> None:
        """Note that a scan ended, "finished" or "interrupted"."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE scans SET finished = ?, outcome = ? WHERE id = ?", (_now(), outcome, scan)
            )

    def put(
        self,
        findings: Iterable[Finding],
        thumbnails: Mapping[str, bytes] | None = None,
        config_hash: str = "",
        *,
        scan: int | None = None,
        evidence: Mapping[str, Sequence[Evidence]] | None = None,
        settings: str = "",
    ) -> None:
        """Write a batch in one transaction: all of it is there afterwards, or none.

        Args:
            findings: one per path; a path "" (pixels without a file) leaves a result alone.
            thumbnails: WebP bytes by sha256.
            config_hash: of the model's settings.
            scan: number of the scan that saw these files.
            evidence, settings: what the files say of their origin, by sha256, as in
                `put_evidence`.
        """
        now = _now()
        with self._transaction() as connection:
            for finding in findings:
                if finding.sha256:
                    _put_result(connection, finding, config_hash, now)
                if finding.path:
                    _put_file(connection, finding, config_hash, scan)
            connection.executemany(
                "INSERT INTO thumbnails VALUES (?, ?) "
                "ON CONFLICT (sha256) DO UPDATE SET webp = excluded.webp",
                (thumbnails or {}).items(),
            )
            for sha256, items in (evidence or {}).items():
                _put_evidence(connection, sha256, items, settings, now)

    def put_paths(
        self, findings: Iterable[Finding], config_hash: str = "", *, scan: int | None = None
    ) -> None:
        """Note that these paths hold bytes whose results are here already."""
        with self._transaction() as connection:
            for finding in findings:
                _put_file(connection, finding, config_hash, scan)

    def put_evidence(self, sha256: str, items: Sequence[Evidence], settings: str = "") -> None:
        """Keep what a file says about its origin, replacing what was kept before.

        Args:
            sha256: of the file's bytes.
            items: all of its evidence; empty when it was looked for and none was found.
            settings: names what it was gathered with, see `detector.evidence.settings_hash`.
        """
        with self._transaction() as connection:
            _put_evidence(connection, sha256, items, settings, _now())

    # Reading

    def known(self, sha256s: Iterable[str], model: str, config_hash: str) -> set[str]:
        """Those of the hashes that need no new look under this model and these settings.

        Results whose cause may have gone since (`RETRIED`) do not count.
        """
        wanted = list(dict.fromkeys(sha256s))
        found: set[str] = set()
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            rows = self._query(
                "SELECT sha256 FROM results WHERE model = ? AND config_hash = ? "
                f"AND status NOT IN ({_marks(RETRIED)}) AND sha256 IN ({_marks(chunk)})",
                [model, config_hash, *map(str, RETRIED), *chunk],
            )
            found.update(row["sha256"] for row in rows)
        return found

    def result(self, sha256: str, model: str, config_hash: str) -> Finding | None:
        """What one model said about some bytes, under no path; None when it never saw them."""
        rows = self._query(
            "SELECT '' AS path, r.* FROM results r "
            "WHERE sha256 = ? AND model = ? AND config_hash = ?",
            [sha256, model, config_hash],
        )
        row = next(rows, None)
        return None if row is None else records.finding_from_row(dict(row))

    def findings(self, model: str | None = None) -> Iterator[Finding]:
        """One finding per path, sorted by path.

        Args:
            model: a model's id: its newest results, leaving out paths without one. None: for
                every path, the result of the model that looked at it last.
        """
        source = _LATEST if self._scan is None else _LATEST_OF_SCAN
        where = "" if self._scan is None else "WHERE c.id = :scan"
        if model is not None:
            source, where = _OF_MODEL, "" if self._scan is None else f"WHERE {_SEEN}"
        sql = f"{_COLUMNS} {source} {where} ORDER BY f.path, f.location"
        for row in self._query(sql, {"model": model, "scan": self._scan}):
            yield records.finding_from_row(dict(row))

    def locations(self) -> Iterator[tuple[str, str]]:
        """Pairs of a path as `findings` shows it and the absolute name that opens the file."""
        where = "" if self._scan is None else f"WHERE {_SEEN}"
        sql = f"SELECT path, location, packed FROM files f {where} ORDER BY path, location"
        for row in self._query(sql, {"scan": self._scan}):
            yield row["path"], names.unpack(row["location"], row["packed"])

    def thumbnail(self, sha256: str) -> bytes | None:
        """The WebP thumbnail of some bytes, if one was made."""
        row = next(self._query("SELECT webp FROM thumbnails WHERE sha256 = ?", [sha256]), None)
        return None if row is None else bytes(row["webp"])

    def get_evidence(self, sha256: str) -> list[Evidence] | None:
        """The evidence kept for some bytes; None when nobody has looked for any."""
        row = next(self._query("SELECT items FROM evidence WHERE sha256 = ?", [sha256]), None)
        return None if row is None else records.evidence_from_json(row["items"])

    def has_evidence(self, sha256: str, settings: str) -> bool:
        """Whether evidence is kept for some bytes that was gathered with these settings."""
        rows = self._query(
            "SELECT 1 FROM evidence WHERE sha256 = ? AND settings = ?", [sha256, settings]
        )
        return next(rows, None) is not None

    def scans(self) -> list[ScanInfo]:
        """Every scan into this store, the oldest first; one only when limited to it."""
        rows = self._query(
            "SELECT * FROM scans WHERE :scan IS NULL OR id = :scan ORDER BY id",
            {"scan": self._scan},
        )
        return [ScanInfo(**{**dict(row), "roots": tuple(json.loads(row["roots"]))}) for row in rows]

    # Inside

    def _query(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> Iterator[sqlite3.Row]:
        with database.told(self.path):
            # `yield from` would close the cursor of a reader that stops early, too late to do so.
            for row in self._connection.execute(sql, values):  # noqa: UP028
                yield row

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with database.told(self.path):
            # IMMEDIATE takes the write lock at once, and so waits its turn behind another
            # scan; a lock taken half-way through could only fail.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _put_result(
    connection: sqlite3.Connection, finding: Finding, config_hash: str, now: str
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            finding.sha256,
            finding.model,
            config_hash,
            str(finding.status),
            finding.reason,
            finding.score,
            finding.probability,
            finding.lr,
            None if finding.verdict is None else str(finding.verdict),
            finding.verdict_code,
            finding.spread,
            records.finding_to_detail(finding),
            now,
            None if finding.pixel_verdict is None else str(finding.pixel_verdict),
        ),
    )


def _put_evidence(
    connection: sqlite3.Connection,
    sha256: str,
    items: Sequence[Evidence],
    settings: str,
    now: str,
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?)",
        (sha256, records.evidence_to_json(list(items)), now, settings),
    )


def _put_file(
    connection: sqlite3.Connection, finding: Finding, config_hash: str, scan: int | None
) -> None:
    location = names.location(finding.path)
    key = (names.printable(location), names.pack(location))
    connection.execute(
        "INSERT INTO files (location, packed, path, sha256, model, config_hash, status, reason) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (location, packed) DO UPDATE SET "
        "path = excluded.path, sha256 = excluded.sha256, model = excluded.model, "
        "config_hash = excluded.config_hash, status = excluded.status, reason = excluded.reason",
        (
            *key,
            names.printable(finding.path),
            finding.sha256,
            finding.model,
            config_hash,
            str(finding.status),
            finding.reason,
        ),
    )
    if scan is not None:
        connection.execute(
            "INSERT OR IGNORE INTO seen SELECT ?, id FROM files WHERE location = ? AND packed = ?",
            (scan, *key),
        )


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
