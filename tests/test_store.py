"""The result store keeps what scans find, whatever the names, the crashes and the neighbours."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import names
from detector.errors import StoreError
from detector.results import (
    Asserts,
    CropScore,
    Evidence,
    FileFacts,
    Finding,
    Status,
    Stratum,
    Trust,
    Verdict,
)
from detector.store import RETRIED, Store, database
from detector.store.database import SCHEMA_VERSION

SHA = "a" * 64
OTHER = "b" * 64
FINDING = Finding(
    path="/pictures/a.jpg",
    sha256=SHA,
    status=Status.OK,
    reason="Score +2.00 reaches +1.50.",
    model="m_v1",
    score=2.0,
    probability=0.9,
    lr=9.0,
    verdict=Verdict.LIKELY_GENERATED,
    verdict_code="score_above_threshold",
    crops=(CropScore("whole", 0, 0, 64, 64, 1.5), CropScore("native", 3, 4, 32, 32, 2.5)),
    spread=0.5,
    stratum=Stratum("jpeg", "small", "heavy"),
    file=FileFacts(SHA, 1234, "JPEG", 64, 48, jpeg_quality=60),
    notes=("animated: the first of 3 frames was scored",),
    pixel_verdict=Verdict.INCONCLUSIVE,
    pixel_code="score_between_thresholds",
    pixel_reason="Score +2.00 lies between.",
    evidence_kinds=("c2pa_manifest", "camera_exif"),
    conflicts=("Both cannot be right.",),
    stability="wavers",
)

EVIDENCE = Evidence(
    "a1111_parameters",
    "metadata",
    Asserts.GENERATED,
    "",
    Trust.SELF_DECLARED,
    {"keyword": "parameters", "offset": 41},
    "Anyone can write this field.",
)


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def test_a_finding_comes_back_as_it_was(store: Store):
    store.put([FINDING], {SHA: b"webp"}, "h")
    assert list(store.findings()) == [FINDING]
    assert store.thumbnail(SHA) == b"webp"


def test_what_was_put_is_there_for_the_next_process(tmp_path: Path):
    with Store.open(tmp_path / "s.db") as store:
        store.put([FINDING], {}, "h")
    with Store.open(tmp_path / "s.db", readonly=True) as store:
        assert list(store.findings()) == [FINDING]


def test_same_bytes_under_two_names_are_one_result_and_two_findings(store: Store):
    twin = replace(FINDING, path="/pictures/0-twin.jpg")
    store.put([FINDING, twin], {}, "h")
    assert [finding.path for finding in store.findings()] == [twin.path, FINDING.path]
    rows = sqlite3.connect(store.path).execute("SELECT count(*) FROM results").fetchone()
    assert rows == (1,)


def test_a_path_points_at_the_bytes_that_were_last_found_there(store: Store):
    store.put([FINDING], {}, "h")
    store.put([replace(FINDING, sha256=OTHER, score=-3.0)], {}, "h")
    (found,) = store.findings()
    assert (found.sha256, found.score) == (OTHER, -3.0)
    assert store.result(SHA, "m_v1", "h") == replace(FINDING, path="")


def test_a_failure_without_a_hash_is_a_row_with_its_reason(store: Store):
    missing = Finding("/pictures/gone.jpg", "", Status.MISSING, "No such file", "m_v1")
    store.put([missing], {}, "h")
    assert list(store.findings()) == [missing]


def test_a_failure_turns_into_a_result_once_the_file_can_be_read(store: Store):
    store.put([Finding(FINDING.path, "", Status.MISSING, "No such file", "m_v1")], {}, "h")
    store.put([FINDING], {}, "h")
    assert list(store.findings()) == [FINDING]


@pytest.mark.parametrize("status", list(Status))
def test_known_are_results_that_another_look_would_not_change(store: Store, status: Status):
    store.put([replace(FINDING, status=status)], {}, "h")
    assert store.known([SHA, OTHER], "m_v1", "h") == (set() if status in RETRIED else {SHA})


def test_known_takes_more_hashes_than_sqlite_binds_values(store: Store):
    hashes = [f"{number:064x}" for number in range(2500)]
    store.put([replace(FINDING, path=h, sha256=h) for h in hashes[::2]], {}, "h")
    assert store.known(hashes, "m_v1", "h") == set(hashes[::2])


def test_another_model_or_setting_does_not_know_the_result(store: Store):
    store.put([FINDING], {}, "h")
    assert store.known([SHA], "m_v2", "h") == set()
    assert store.known([SHA], "m_v1", "other") == set()


def test_results_of_two_models_stand_side_by_side(store: Store):
    second = replace(FINDING, model="m_v2", score=-1.0)
    store.put([FINDING], {}, "h")
    store.put([second], {}, "h2")
    assert list(store.findings()) == [second], "the last model to look at the path"
    assert list(store.findings("m_v1")) == [FINDING]
    assert list(store.findings("m_v2")) == [second]
    assert list(store.findings("m_v3")) == []


def test_of_one_model_the_newest_settings_count(store: Store):
    newer = replace(FINDING, score=0.5)
    store.put([FINDING], {}, "h1")
    store.put([newer], {}, "h2")
    assert list(store.findings("m_v1")) == [newer]


def test_a_store_limited_to_a_scan_shows_what_that_scan_saw(store: Store):
    first = store.begin_scan("m_v1", "h", roots=["/pictures"])
    store.put([FINDING, replace(FINDING, path="/pictures/b.jpg")], {}, "h", scan=first)
    second = store.begin_scan("m_v1", "h")
    store.put_paths([FINDING], "h", scan=second)
    assert len(list(store.limited_to(first).findings())) == 2
    assert list(store.limited_to(second).findings()) == [FINDING]
    assert list(store.limited_to(second).findings("m_v1")) == [FINDING]
    assert [path for path, _ in store.limited_to(second).locations()] == [FINDING.path]
    assert [info.id for info in store.limited_to(second).scans()] == [second]


def test_a_scan_s_view_keeps_its_own_model_when_another_scans_after_it(store: Store):
    first = store.begin_scan("m_v1", "h")
    store.put([FINDING], {}, "h", scan=first)
    second = store.begin_scan("m_v2", "h2")
    store.put([replace(FINDING, model="m_v2", score=-1.0)], {}, "h2", scan=second)
    assert list(store.limited_to(first).findings()) == [FINDING]


def test_a_scan_s_view_says_so_when_a_file_changed_after_it(store: Store):
    first = store.begin_scan("m_v1", "h")
    store.put([FINDING], {}, "h", scan=first)
    store.put([replace(FINDING, sha256=OTHER, model="m_v2")], {}, "h2")
    (found,) = store.limited_to(first).findings()
    assert (found.status, found.reason) == (Status.FAILED, "changed after this scan")


def test_scans_are_remembered_with_their_outcome(store: Store):
    number = store.begin_scan("m_v1", "h", command="detector scan p", roots=["p"])
    (running,) = store.scans()
    assert (running.finished, running.outcome) == (None, None)
    store.end_scan(number, "finished")
    (info,) = store.scans()
    assert (info.id, info.outcome, info.roots) == (number, "finished", ("p",))
    assert info.started.endswith("+00:00")
    assert info.finished is not None
    assert info.folder == os.getcwd()


def test_a_batch_is_written_as_a_whole_or_not_at_all(store: Store):
    with pytest.raises(sqlite3.ProgrammingError):
        store.put([FINDING], {SHA: object()}, "h")  # type: ignore[dict-item]
    assert list(store.findings()) == []
    store.put([FINDING], {}, "h")


def test_evidence_comes_back_as_it_was(store: Store):
    assert store.get_evidence(SHA) is None
    store.put_evidence(SHA, [EVIDENCE])
    assert store.get_evidence(SHA) == [EVIDENCE]
    store.put_evidence(SHA, [])
    assert store.get_evidence(SHA) == []


def test_pixels_without_a_path_leave_a_result_and_no_row(store: Store):
    store.put([replace(FINDING, path="")], {}, "h")
    assert list(store.findings()) == []
    assert store.known([SHA], "m_v1", "h") == {SHA}


def test_equal_relative_names_in_two_folders_are_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for case in ("case-1", "case-2"):
        (tmp_path / case).mkdir()
        monkeypatch.chdir(tmp_path / case)
        with Store.open(tmp_path / "all.db") as store:
            store.put([replace(FINDING, path="images/a.jpg")], {}, "h")
            places = [place for _, place in store.locations()]
    assert places == [str(tmp_path / case / "images/a.jpg") for case in ("case-1", "case-2")]


def test_two_spellings_of_a_path_are_one_row(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")
    store.put([replace(FINDING, path="/pictures/./a.jpg")], {}, "h")
    store.put([replace(FINDING, path="pictures/a.jpg")], {}, "h")
    assert [finding.path for finding in store.findings()] == ["pictures/a.jpg"]


def test_a_name_that_is_no_text_is_shown_readably_and_opens_exactly(store: Store):
    raw = os.fsdecode(b"/pictures/caf\xe9.jpg")
    looks_the_same = "/pictures/caf\\xe9.jpg"
    store.put([replace(FINDING, path=raw), replace(FINDING, path=looks_the_same)], {}, "h")
    assert [finding.path for finding in store.findings()] == [looks_the_same] * 2
    assert {place for _, place in store.locations()} == {raw, looks_the_same}


@given(st.text(st.characters(exclude_characters="\0")))
def test_every_name_is_packed_without_loss(name: str):
    shown = names.printable(name)
    shown.encode("utf-8")
    assert names.unpack(shown, names.pack(name)) == name


@given(st.binary().map(os.fsdecode))
def test_every_file_name_is_shown_on_one_line_of_valid_text(name: str):
    line = names.one_line(names.printable(name))
    line.encode("utf-8")
    assert len(line.splitlines()) <= 1
    assert all(c.isprintable() or c.isspace() for c in line)


def test_direction_marks_and_escapes_in_a_name_become_visible():
    assert names.one_line("a\u202egpj.exe\x1b[2J\n") == "a\\u202egpj.exe\\x1b[2J\\n"


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's database: name another file"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version_is_refused_with_the_cure(tmp_path: Path):
    path = tmp_path / "s.db"
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match=r"newer aigi-detector .*upgrade the package"):
        Store.open(path)


def test_what_is_no_database_is_refused_with_the_cure(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with pytest.raises(StoreError, match="not a result store, or is damaged"):
        Store.open(tmp_path / "notes.txt")
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="is its folder there"):
        Store.open(tmp_path / "nowhere" / "s.db")
    for options in ({"create": False}, {"readonly": True}):
        with pytest.raises(StoreError, match="no result store at"):
            Store.open(tmp_path / "none.db", **options)
    assert not (tmp_path / "none.db").exists()


def test_an_empty_file_becomes_a_store(tmp_path: Path):
    (tmp_path / "s.db").touch()
    with Store.open(tmp_path / "s.db") as store:
        assert list(store.findings()) == []


def test_a_store_opened_for_reading_cannot_be_written(tmp_path: Path):
    Store.open(tmp_path / "s.db").close()
    with (
        Store.open(tmp_path / "s.db", readonly=True) as store,
        pytest.raises(StoreError, match="readonly"),
    ):
        store.put([FINDING], {}, "h")


def test_a_reader_and_a_writer_do_not_wait_for_each_other(tmp_path: Path):
    with Store.open(tmp_path / "s.db") as writer, Store.open(tmp_path / "s.db") as reader:
        writer.put([replace(FINDING, path=f"/p/{n}") for n in range(50)], {}, "h")
        reading = reader.findings()
        next(reading)
        writer.put([replace(FINDING, path="/p/new")], {}, "h")
        assert len(list(reading)) == 49, "the reader goes on with what was there when it began"
        assert len(list(reader.findings())) == 51


# The layout of version 1, as it was.
_LAYOUT_1 = """
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
    written TEXT NOT NULL, PRIMARY KEY (sha256, model, config_hash));
CREATE TABLE thumbnails (sha256 TEXT PRIMARY KEY, webp BLOB NOT NULL);
CREATE TABLE evidence (
    sha256 TEXT PRIMARY KEY, items TEXT NOT NULL, written TEXT NOT NULL);
INSERT INTO scans VALUES (1, '0.1.0', 'm_v1', 'h', '', '/', '[]', '2026-11-01', NULL, NULL);
INSERT INTO files VALUES (1, '/pictures/a.jpg', x'', '/pictures/a.jpg', 'SHA', 'm_v1', 'h',
    'ok', 'why');
INSERT INTO files VALUES (2, '/pictures/b.jpg', x'', '/pictures/b.jpg', '', 'm_v1', 'h',
    'missing', 'gone');
INSERT INTO seen VALUES (1, 1), (1, 2);
INSERT INTO results VALUES ('SHA', 'm_v1', 'h', 'ok', 'why', 2.0, 0.9, 9.0,
    'likely_generated', 'score_above_threshold', 0.5, '{"crops":[],"notes":["n"]}', '2026-11-01');
INSERT INTO evidence VALUES ('SHA', '[]', '2026-11-01');
PRAGMA application_id = 1095321412;
PRAGMA user_version = 1;
"""
_OF_LAYOUT_1 = Finding(
    "/pictures/a.jpg",
    SHA,
    Status.OK,
    "why",
    "m_v1",
    2.0,
    0.9,
    9.0,
    Verdict.LIKELY_GENERATED,
    "score_above_threshold",
    spread=0.5,
    notes=("n",),
    pixel_verdict=Verdict.LIKELY_GENERATED,
    pixel_code="score_above_threshold",
    pixel_reason="why",
)


@pytest.fixture
def of_layout_1(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_LAYOUT_1.replace("SHA", SHA))
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def read_back(store: Store) -> None:
    """What a store of layout 1 must still say."""
    first, second = store.findings()
    assert first == _OF_LAYOUT_1
    assert (second.status, second.verdict, second.pixel_verdict) == (Status.MISSING, None, None)
    assert list(store.findings("m_v1")) == [first]
    assert store.result(SHA, "m_v1", "h") == replace(first, path="")
    assert store.get_evidence(SHA) == []
    assert not store.has_evidence(SHA, "s"), "nobody knows what it was gathered with"
    assert [scan.id for scan in store.scans()] == [1]


def test_a_store_of_the_first_layout_is_brought_up_to_date(of_layout_1: Path):
    with Store.open(of_layout_1) as store:
        read_back(store)
        store.put([FINDING], {}, "h", evidence={SHA: [EVIDENCE]}, settings="s")
        assert next(iter(store.findings())) == FINDING
        assert store.has_evidence(SHA, "s")
    assert version_of(of_layout_1) == SCHEMA_VERSION
    with Store.open(of_layout_1) as store:
        assert store.get_evidence(SHA) == [EVIDENCE]


def test_a_store_of_the_first_layout_is_read_without_being_changed(of_layout_1: Path):
    before = of_layout_1.read_bytes()
    with Store.open(of_layout_1, readonly=True) as store:
        read_back(store)
        assert next(iter(store.limited_to(1).findings())) == _OF_LAYOUT_1
    assert of_layout_1.read_bytes() == before


def test_a_change_of_layout_that_fails_leaves_the_store_as_it_was(
    of_layout_1: Path, monkeypatch: pytest.MonkeyPatch
):
    broken = "ALTER TABLE results ADD COLUMN pixel_verdict TEXT; UPDATE nowhere SET a = 1"
    monkeypatch.setitem(database._MIGRATIONS, 1, broken)
    with pytest.raises(StoreError):
        Store.open(of_layout_1)
    monkeypatch.undo()
    assert version_of(of_layout_1) == 1
    with Store.open(of_layout_1) as store:
        read_back(store)


def test_evidence_knows_what_it_was_gathered_with(store: Store):
    store.put_evidence(SHA, [EVIDENCE], "one list")
    assert store.has_evidence(SHA, "one list")
    assert not store.has_evidence(SHA, "another list")
    store.put_evidence(SHA, [])
    assert store.get_evidence(SHA) == []
    assert not store.has_evidence(SHA, "one list")
