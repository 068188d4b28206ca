"""A scan gives every file one row, whatever the files, the crashes and the interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from detector.errors import DetectorError, UsageError
from detector.evidence import gather
from detector.pool import Fault, Pool
from detector.preprocess import Prepared, prepare
from detector.results import Finding, Status
from detector.scan import ScanSummary, Watcher, scan
from detector.scan.inputs import Filters, expand, read_list
from detector.store import Store
from detector.verdict import decided
from tests import files
from tests.standin import StandIn

ROOT = Path(__file__).parent.parent


def write_images(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Different small JPEGs."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(files.jpeg(files.pixels(seed=seed + number)))
    return paths


def look(folder: Path, store: Path, detector: StandIn | None = None, **options) -> ScanSummary:
    """A scan with the stand-in model, without worker processes unless asked for."""
    options = {"workers": 0, **options}
    return scan([folder], store=store, detector=detector or StandIn(), **options)


def rows(store: Path) -> dict[str, Finding]:
    """The findings of a store by the name of the file."""
    with Store.open(store, readonly=True) as opened:
        return {Path(finding.path).name: finding for finding in opened.findings()}


# What becomes of a folder


def test_every_file_of_a_hostile_folder_gets_one_row_with_the_right_status(tmp_path: Path):
    expected = files.hostile_folder(tmp_path / "in")
    summary = look(tmp_path / "in", tmp_path / "s.db", workers=2)
    with Store.open(tmp_path / "s.db") as store:
        found = {
            os.path.relpath(place, tmp_path / "in"): finding
            for (_, place), finding in zip(store.locations(), store.findings(), strict=True)
        }
    assert {name: finding.status for name, finding in found.items()} == expected
    assert all(finding.reason for finding in found.values())
    assert summary.total == summary.done == len(expected)
    assert summary.failures == sum(status is not Status.OK for status in expected.values())


def test_a_scan_counts_what_it_did(tmp_path: Path):
    write_images(tmp_path / "in", 5)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    summary = look(tmp_path / "in", tmp_path / "s.db")
    assert summary.statuses == {"ok": 5, "unsupported": 1}
    assert sum(summary.verdicts.values()) == 5
    assert (summary.fresh, summary.known, summary.repeated) == (6, 0, 0)
    assert [(path, status) for path, status, _ in summary.reasons] == [
        (str(tmp_path / "in" / "notes.txt"), "unsupported")
    ]


def test_the_watcher_hears_of_every_file_once_it_is_saved(tmp_path: Path):
    write_images(tmp_path / "in", 3)
    store = tmp_path / "s.db"

    class Listener(Watcher):
        heard: list[Finding] = []  # noqa: RUF012

        def found(self, finding: Finding, fresh: bool) -> None:
            assert rows(store)[Path(finding.path).name] == finding
            self.heard.append(finding)

    listener = Listener()
    look(tmp_path / "in", store, batch_size=2, watcher=listener)
    assert {finding.path for finding in listener.heard} == {
        str(tmp_path / "in" / f"00{number}.jpg") for number in range(3)
    }


def test_findings_are_those_of_the_detector(tmp_path: Path):
    (path,) = write_images(tmp_path / "in", 1)
    detector = StandIn()
    look(tmp_path / "in", tmp_path / "s.db")
    prepared = prepare(str(path), None, detector.bundle.preprocess)
    (finding,) = detector.score_prepared([prepared])
    decided_with = decided(finding, gather(path.read_bytes()))
    assert rows(tmp_path / "s.db")["000.jpg"] == decided_with
    look(tmp_path / "in", tmp_path / "without.db", evidence=False)
    assert rows(tmp_path / "without.db")["000.jpg"] == finding


def test_thumbnails_are_kept_unless_not_wanted(tmp_path: Path):
    (path,) = write_images(tmp_path / "in", 1)
    for name, wanted in (("with.db", True), ("without.db", False)):
        look(path, tmp_path / name, thumbnails=wanted)
        with Store.open(tmp_path / name) as store:
            (finding,) = store.findings()
            thumbnail = store.thumbnail(finding.sha256)
        assert (thumbnail is not None and thumbnail[8:12] == b"WEBP") is wanted


def test_the_store_remembers_the_scan(tmp_path: Path):
    look(tmp_path, tmp_path / "s.db", command="detector scan x")
    with Store.open(tmp_path / "s.db") as store:
        (info,) = store.scans()
    assert (info.command, info.roots, info.outcome) == (
        "detector scan x",
        (str(tmp_path),),
        "finished",
    )


# Only what is new


def test_a_second_scan_scores_nothing(tmp_path: Path):
    write_images(tmp_path / "in", 4)
    look(tmp_path / "in", tmp_path / "s.db")
    detector = StandIn()
    summary = look(tmp_path / "in", tmp_path / "s.db", detector)
    assert detector.batches == []
    assert (summary.fresh, summary.known, summary.done) == (0, 4, 4)
    assert sum(summary.verdicts.values()) == 4


def test_a_second_scan_decodes_nothing(tmp_path: Path):
    write_images(tmp_path / "in", 4)
    look(tmp_path / "in", tmp_path / "s.db")
    summary = look(tmp_path / "in", tmp_path / "s.db", prepare=refuse)
    assert summary.statuses == {"ok": 4}


def refuse(path: str, *_, **__) -> Prepared:
    """A `prepare` that may not be called."""
    raise AssertionError(path)


def test_rescore_scores_again_and_each_content_once(tmp_path: Path):
    paths = write_images(tmp_path / "in", 3)
    (tmp_path / "in" / "twin.jpg").write_bytes(paths[0].read_bytes())
    look(tmp_path / "in", tmp_path / "s.db")
    detector = StandIn()
    summary = look(tmp_path / "in", tmp_path / "s.db", detector, rescore=True, batch_size=1)
    assert len(detector.scored) == 3
    assert (summary.fresh, summary.repeated, summary.done) == (3, 1, 4)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_same_bytes_are_scored_once_and_listed_under_both_names(tmp_path: Path, batch_size: int):
    paths = write_images(tmp_path / "in", 5)
    (tmp_path / "in" / "zz-twin.jpg").write_bytes(paths[0].read_bytes())
    (tmp_path / "in" / "001-twin.jpg").write_bytes(paths[1].read_bytes())
    detector = StandIn()
    summary = look(tmp_path / "in", tmp_path / "s.db", detector, batch_size=batch_size)
    assert len(detector.scored) == len(set(detector.scored)) == 5
    found = rows(tmp_path / "s.db")
    assert len(found) == 7
    assert found["zz-twin.jpg"].score == found["000.jpg"].score
    assert (summary.fresh, summary.repeated, summary.known) == (5, 2, 0)


def test_a_file_that_changed_gets_a_new_result(tmp_path: Path):
    (path, _) = write_images(tmp_path / "in", 2)
    look(tmp_path / "in", tmp_path / "s.db")
    before = rows(tmp_path / "s.db")["000.jpg"]
    path.write_bytes(files.jpeg(files.pixels(seed=77)))
    detector = StandIn()
    look(tmp_path / "in", tmp_path / "s.db", detector)
    after = rows(tmp_path / "s.db")["000.jpg"]
    assert after.sha256 != before.sha256
    assert detector.scored == [after.sha256]


def test_a_file_that_is_gone_stays_in_the_store_and_not_in_the_scan(tmp_path: Path):
    paths = write_images(tmp_path / "in", 2)
    look(tmp_path / "in", tmp_path / "s.db")
    paths[0].unlink()
    summary = look(tmp_path / "in", tmp_path / "s.db")
    assert set(rows(tmp_path / "s.db")) == {"000.jpg", "001.jpg"}
    with Store.open(tmp_path / "s.db") as store:
        seen = [finding.path for finding in store.limited_to(summary.scan).findings()]
    assert seen == [str(paths[1])]


def test_other_settings_of_the_model_score_again(tmp_path: Path):
    write_images(tmp_path / "in", 2)
    look(tmp_path / "in", tmp_path / "s.db")
    detector = StandIn(config_hash="another")
    look(tmp_path / "in", tmp_path / "s.db", detector)
    assert len(detector.scored) == 2


def test_a_missing_file_is_looked_for_again(tmp_path: Path):
    path = tmp_path / "a.jpg"
    assert look(path, tmp_path / "s.db").statuses == {"missing": 1}
    path.write_bytes(files.jpeg())
    assert look(path, tmp_path / "s.db").statuses == {"ok": 1}
    assert rows(tmp_path / "s.db")["a.jpg"].ok


# Crashes


def die_at_bad(path: str, *args, **options) -> Prepared:
    """A decoder that takes its process with it on some files."""
    name = Path(path).name
    if name == "003.jpg":
        os._exit(17)
    if name == "007.jpg":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "008.jpg":
        raise ValueError("a fault of ours")
    return prepare(path, *args, **options)


def test_a_file_that_kills_its_worker_is_one_failed_row(tmp_path: Path):
    write_images(tmp_path / "in", 12)
    detector = StandIn()
    summary = look(tmp_path / "in", tmp_path / "s.db", detector, workers=2, prepare=die_at_bad)
    found = rows(tmp_path / "s.db")
    failed = {name: finding.reason for name, finding in found.items() if not finding.ok}
    assert set(failed) == {"003.jpg", "007.jpg", "008.jpg"}
    assert "exit code 17" in failed["003.jpg"]
    assert "SIGSEGV" in failed["007.jpg"]
    assert failed["008.jpg"] == "ValueError: a fault of ours"
    assert summary.statuses == {"ok": 9, "failed": 3}
    assert len(detector.scored) == 9


def test_a_failed_file_is_tried_again_by_the_next_scan(tmp_path: Path):
    write_images(tmp_path / "in", 9)
    look(tmp_path / "in", tmp_path / "s.db", workers=1, prepare=die_at_bad)
    summary = look(tmp_path / "in", tmp_path / "s.db")
    assert summary.statuses == {"ok": 9}
    assert (summary.known, summary.fresh) == (6, 3)


def sleep_at_bad(path: str, *args, **options) -> Prepared:
    """A decoder that never comes back from one file."""
    if Path(path).name == "001.jpg":
        time.sleep(600)
    return prepare(path, *args, **options)


def test_a_file_that_takes_for_ever_is_given_up(tmp_path: Path):
    write_images(tmp_path / "in", 3)
    look(tmp_path / "in", tmp_path / "s.db", workers=1, prepare=sleep_at_bad, timeout=3)
    found = rows(tmp_path / "s.db")
    assert found["001.jpg"].reason == "took longer than 3 s"
    assert [name for name, finding in found.items() if finding.ok] == ["000.jpg", "002.jpg"]


def test_an_image_that_the_model_chokes_on_costs_no_other(tmp_path: Path):
    (path, *_) = write_images(tmp_path / "in", 4)
    sha256 = prepare(str(path), None, StandIn().bundle.preprocess).sha256
    summary = look(tmp_path / "in", tmp_path / "s.db", StandIn(refuses=sha256))
    assert summary.statuses == {"ok": 3, "failed": 1}
    assert rows(tmp_path / "s.db")["000.jpg"].reason == (
        "scoring failed: RuntimeError: not this one"
    )


def list_modules(path: str, *args, **options) -> Prepared:
    """Notes whether this process has loaded torch."""
    prepared = prepare(path, *args, **options)
    return replace(prepared, notes=(f"torch loaded: {'torch' in sys.modules}",))


def test_workers_load_no_torch(tmp_path: Path):
    import torch  # noqa: F401 - so that a forked worker would have it

    write_images(tmp_path / "in", 1)
    look(tmp_path / "in", tmp_path / "s.db", workers=1, prepare=list_modules)
    assert rows(tmp_path / "s.db")["000.jpg"].notes == ("torch loaded: False",)


# The pool


def double(number: int) -> int:
    """The work of the pool's tests."""
    return 2 * number


def test_the_pool_takes_tasks_only_as_workers_become_free():
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with Pool(double, 2) as pool:
        for done, (task, result) in enumerate(pool.run(tasks()), 1):
            assert result == 2 * task
            assert len(taken) <= done + 4, "two tasks in flight for each of two workers"
    assert len(taken) == 100


def test_an_idle_worker_that_dies_is_replaced():
    with Pool(double, 1) as pool:
        assert list(pool.run([1])) == [(1, 2)]
        os.kill(pool.processes()[0], signal.SIGKILL)
        assert list(pool.run([2, 3])) in ([(2, 4), (3, 6)], [(2, _killed()), (3, 6)])


def _killed() -> Fault:
    return Fault("the process that read this file was killed (SIGKILL, perhaps for want of memory)")


class Circle:
    """Refers to itself, as some of Pillow's images do, and so is freed by the collector only."""

    alive = 0

    def __init__(self) -> None:
        self.me = self
        Circle.alive += 1

    def __del__(self) -> None:
        Circle.alive -= 1


def make_circle(_: int) -> int:
    """Leaves a circle behind; gives how many there are."""
    Circle()
    return Circle.alive


def test_a_worker_keeps_nothing_of_one_task_into_the_next():
    with Pool(make_circle, 1) as pool:
        assert [alive for _, alive in pool.run(range(20))] == [1] * 20


class Unloadable:
    """A function that no new process can load."""

    def __call__(self, task: int) -> int:
        return task

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (os._exit, (3,))  # type: ignore[return-value]


def test_workers_that_cannot_start_are_an_error_and_not_a_failed_row():
    with (
        Pool(Unloadable(), 1) as pool,
        pytest.raises(DetectorError, match="do not start"),
    ):
        list(pool.run([1, 2, 3]))


# Interruptions and neighbours

SCRIPT = """
import sys
from pathlib import Path
from detector.scan import scan
from tests.standin import StandIn

if __name__ == "__main__":
    folder, store, log, delay = sys.argv[1:]
    scan([folder], store=store, detector=StandIn(log=Path(log), delay=float(delay)),
         batch_size=4, workers=1)
"""


def start(tmp_path: Path, folder: Path, store: Path, log: Path, delay: float) -> subprocess.Popen:
    """A scan in a process of its own."""
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(store), str(log), str(delay)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Returns once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never happened"
        time.sleep(0.02)


def count(log: Path) -> int:
    """How many images were scored."""
    return len(log.read_text().split()) if log.exists() else 0


def test_a_killed_scan_resumes_and_loses_at_most_the_batch_in_flight(tmp_path: Path):
    write_images(tmp_path / "in", 40)
    store, log = tmp_path / "s.db", tmp_path / "log"
    process = start(tmp_path, tmp_path / "in", store, log, 0.05)
    wait_for(lambda: count(log) >= 13)
    process.kill()
    process.wait()
    before = count(log)
    saved = rows(store)
    assert before - 4 <= len(saved) <= before < 40
    detector = StandIn()
    summary = look(tmp_path / "in", store, detector)
    assert summary.known == len(saved)
    assert len(detector.scored) == 40 - len(saved)
    assert {finding.sha256 for finding in saved.values()}.isdisjoint(detector.scored)
    assert len(rows(store)) == 40
    with Store.open(store) as opened:
        assert [info.outcome for info in opened.scans()] == [None, "finished"]


def test_workers_end_with_a_killed_scan(tmp_path: Path):
    write_images(tmp_path / "in", 40)
    process = start(tmp_path, tmp_path / "in", tmp_path / "s.db", tmp_path / "log", 0.2)
    wait_for(lambda: count(tmp_path / "log") >= 1)
    children = children_of(process.pid)
    assert children
    process.kill()
    process.wait()
    wait_for(lambda: not any(is_alive(child) for child in children))


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_scan_that_is_asked_to_stop_keeps_what_is_finished(tmp_path: Path):
    write_images(tmp_path / "in", 30)
    detector = StandIn()
    summary = look(
        tmp_path / "in",
        tmp_path / "s.db",
        detector,
        batch_size=4,
        stop=lambda: len(detector.scored) >= 8,
    )
    assert summary.interrupted
    assert summary.done == len(rows(tmp_path / "s.db")) == len(detector.scored) < 30
    with Store.open(tmp_path / "s.db") as store:
        assert store.scans()[0].outcome == "interrupted"
    again = look(tmp_path / "in", tmp_path / "s.db")
    assert (again.known, again.done, again.interrupted) == (summary.done, 30, False)


def test_two_scans_into_one_store_at_once_both_finish(tmp_path: Path):
    write_images(tmp_path / "a", 25)
    write_images(tmp_path / "a" / "shared", 10, seed=100)
    write_images(tmp_path / "b", 25, seed=50)
    write_images(tmp_path / "b" / "shared", 10, seed=100)
    store = tmp_path / "s.db"
    running = [
        start(tmp_path, tmp_path / name, store, tmp_path / f"log-{name}", 0.01) for name in "ab"
    ]
    assert [process.wait(300) for process in running] == [0, 0]
    with Store.open(store) as opened:
        findings = list(opened.findings())
        assert [info.outcome for info in opened.scans()] == ["finished", "finished"]
    assert len(findings) == 70
    assert len({finding.sha256 for finding in findings}) == 60
    assert all(finding.ok for finding in findings)


# Which files


def listed(folder: Path, **filters) -> set[str]:
    """Names of the files below a folder that would be looked at."""
    found = expand([str(folder)], Filters(**filters)).inputs
    return {os.path.relpath(item.path, folder) for item in found}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files of all sorts of names."""
    names = ("a.jpg", "B.JPG", "notes.txt", "no-extension", ".hidden.jpg", "sub/c.png")
    names += ("sub/deep/d.jpg", ".git/e.jpg", "cache/f.jpg")
    for name in names:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "tree"


def test_every_regular_file_is_listed_whatever_its_name(tree: Path):
    assert listed(tree) == {
        "a.jpg",
        "B.JPG",
        "notes.txt",
        "no-extension",
        "sub/c.png",
        "sub/deep/d.jpg",
        "cache/f.jpg",
    }


def test_hidden_files_are_counted_or_listed(tree: Path):
    assert expand([str(tree)]).skipped == {"hidden": 2}
    assert {".hidden.jpg", ".git/e.jpg"} <= listed(tree, hidden=True)


def test_a_hidden_folder_that_is_named_is_entered(tree: Path):
    assert listed(tree / ".git") == {"e.jpg"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"include": ("*.jpg",)}, {"a.jpg", "B.JPG", "sub/deep/d.jpg", "cache/f.jpg"}),
        ({"include": ("sub/*",)}, {"sub/c.png", "sub/deep/d.jpg"}),
        ({"include": ("*.jpg",), "exclude": ("cache/",)}, {"a.jpg", "B.JPG", "sub/deep/d.jpg"}),
        ({"exclude": ("*.jpg", "*.txt")}, {"no-extension", "sub/c.png"}),
        ({"include": ("*.jpg", "*.png"), "exclude": ("sub",)}, {"a.jpg", "B.JPG", "cache/f.jpg"}),
    ],
)
def test_patterns_choose_files(tree: Path, filters: dict, expected: set[str]):
    assert listed(tree, **filters) == expected


def test_what_patterns_leave_out_is_counted(tree: Path):
    assert expand([str(tree)], Filters(exclude=("sub", "*.txt"))).skipped["excluded"] == 2


def test_a_file_that_is_named_is_never_left_out(tree: Path):
    (item,) = expand([str(tree / ".hidden.jpg")], Filters(include=("*.png",))).inputs
    assert item.path == str(tree / ".hidden.jpg")


def test_links_to_files_are_read_and_links_to_folders_only_on_demand(tree: Path):
    (tree / "link.jpg").symlink_to(tree / "a.jpg")
    (tree / "linked").symlink_to(tree / "sub")
    assert "link.jpg" in listed(tree)
    assert expand([str(tree)]).skipped["linked folder"] == 1
    assert len([name for name in listed(tree, follow_symlinks=True) if name.endswith("d.jpg")]) == 1


def test_loops_of_links_come_to_an_end(tree: Path):
    (tree / "sub" / "up").symlink_to(tree)
    (tree / "self").symlink_to(tree / "self")
    assert len(listed(tree, follow_symlinks=True) - {"self"}) == 7
    assert expand([str(tree)], Filters(follow_symlinks=True)).skipped["linked folder"] == 1


def test_a_dangling_link_is_a_row_and_a_pipe_is_counted(tmp_path: Path):
    files.special_files(tmp_path / "in")
    summary = look(tmp_path / "in", tmp_path / "s.db")
    assert summary.statuses == {"missing": 3}
    assert summary.skipped == {"special file": 1}


def test_a_pipe_that_is_named_is_a_row(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    summary = look(tmp_path / "pipe.jpg", tmp_path / "s.db")
    assert summary.statuses == {"unsupported": 1}


def test_a_folder_that_cannot_be_read_is_a_row(tree: Path, monkeypatch: pytest.MonkeyPatch):
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    (row,) = (item for item in expand([str(tree)]).inputs if item.status is not Status.OK)
    assert (row.path, row.status) == (str(tree / "sub"), Status.MISSING)
    assert row.reason == "this folder cannot be read: Permission denied"


def test_a_file_that_two_roots_hold_is_listed_once(tree: Path):
    found = expand([str(tree), str(tree / "sub"), str(tree / "." / "a.jpg")]).inputs
    assert len(found) == len({os.path.realpath(item.path) for item in found}) == 7


def test_the_scan_does_not_look_at_its_own_store_and_outputs(tmp_path: Path):
    write_images(tmp_path, 1)
    (tmp_path / "out.jsonl").write_text("")
    summary = look(tmp_path, tmp_path / "s.db", own=[str(tmp_path / "out.jsonl")])
    assert summary.statuses == {"ok": 1}
    assert summary.skipped["own output"] >= 2


def test_lists_of_paths_are_read_line_by_line_or_by_nul():
    assert read_list(b"a b.jpg\r\n\nc\xe9.jpg") == ["a b.jpg", os.fsdecode(b"c\xe9.jpg")]
    assert read_list(b"a\nb.jpg\0c.jpg\0", nul=True) == ["a\nb.jpg", "c.jpg"]


def test_a_folder_in_memory_is_scanned_through_fsspec(tmp_path: Path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/scan-test/a.jpg", files.jpeg())
    memory.pipe("/scan-test/sub/b.png", files.png(files.pixels(seed=3)))
    memory.pipe("/scan-test/.hidden/c.png", files.png())
    try:
        summary = scan(
            ["memory://scan-test"], store=tmp_path / "s.db", detector=StandIn(), workers=1
        )
    finally:
        memory.rm("/scan-test", recursive=True)
    assert summary.statuses == {"ok": 2}
    assert summary.skipped == {"hidden": 1}
    assert set(rows(tmp_path / "s.db")) == {"a.jpg", "b.png"}


def test_an_archive_is_scanned_through_fsspec(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("a.jpg", files.jpeg())
        archive.writestr("sub/b.jpg", files.jpeg(files.pixels(seed=3)))
    root = f"zip://::{tmp_path / 'images.zip'}"
    summary = scan([root], store=tmp_path / "s.db", detector=StandIn(), workers=1)
    assert summary.statuses == {"ok": 2}


def test_a_url_without_its_driver_names_the_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError, match="s3fs"):
        expand(["s3://bucket/folder"])


def test_a_url_that_leads_nowhere_is_a_row(tmp_path: Path):
    summary = scan(
        ["memory://nothing-here/a.jpg", "nosuch://x/a.jpg"],
        store=tmp_path / "s.db",
        detector=StandIn(),
        workers=0,
    )
    assert summary.statuses == {"missing": 2}


# The shipped model


def test_the_shipped_model_scans_a_folder_as_the_detector_predicts(tmp_path: Path):
    from detector import Detector

    paths = write_images(tmp_path / "in", 3)
    summary = scan([tmp_path / "in"], store=tmp_path / "s.db", workers=1, threads=1)
    assert summary.statuses == {"ok": 3}
    found = rows(tmp_path / "s.db")
    detector = Detector.load()
    for path in paths:
        expected = detector.predict(path)
        got = found[path.name]
        assert got.score == pytest.approx(expected.score, abs=1e-4)
        assert (got.model, got.verdict, got.file) == (
            expected.model,
            expected.verdict,
            expected.file,
        )
