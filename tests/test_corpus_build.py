"""Building a corpus from checkouts, packages, wheels and downloads."""

from __future__ import annotations

import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.cli import main
from detector.corpus import Row, write_manifest
from detector.corpus.build import BuildReport, Places, build, file_path
from detector.corpus.downloads import from_raw, raw_url
from detector.corpus.manifest import make_manifest
from detector.corpus.readers import find_checkout, find_debs, find_wheels
from tests.corpus_made import image, row_of

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
ODD = "sub dir/#1 (%41) ü 'x'.png"  # a path that shells, URLs and git could stumble over


def _build(out: Path, rows: list[Row], **places: object) -> BuildReport:
    return build(make_manifest(rows), out, Places(**places))  # type: ignore[arg-type]


def _git(folder: Path, *words: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *words],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str, str]:
    """A repository with two commits: the first has a.png, the second another one and ODD."""
    folder = tmp_path / "clone"
    (folder / "sub dir").mkdir(parents=True)
    _git(folder, "init", "-q")
    commits = []
    for seed in (1, 2):
        (folder / "a.png").write_bytes(image(seed))
        (folder / ODD).write_bytes(image(10 + seed))
        _git(folder, "add", "-A")
        _git(folder, "commit", "-q", "-m", f"number {seed}")
        commits.append(_git(folder, "rev-parse", "HEAD"))
    return folder, commits[0], commits[1]


# ---- checkouts ------------------------------------------------------------------------------


@needs_git
@pytest.mark.parametrize("form", ["work tree", "bare"])
def test_files_are_found_at_the_revision_that_the_row_names(
    repository: tuple[Path, str, str], tmp_path: Path, form: str
) -> None:
    folder, first, second = repository
    if form == "bare":
        _git(folder, "clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
        folder = tmp_path / "bare.git"
    rows = [
        row_of(image(1), path="a.png", revision=first),
        row_of(image(2), path="a.png", revision=second),
        row_of(image(12), path=ODD, revision=second),
    ]
    report = _build(tmp_path / "out", rows, checkouts={"github:someone/things": folder})
    assert report.missing == 0
    for row, seed in zip(rows, (1, 2, 12), strict=True):
        assert file_path(tmp_path / "out", row.sha256).read_bytes() == image(seed)


@needs_git
def test_a_revision_that_the_checkout_lacks_falls_back_to_its_head(
    repository: tuple[Path, str, str], tmp_path: Path
) -> None:
    folder, _, _ = repository
    rows = [row_of(image(2), path="a.png", revision="f" * 40)]
    report = _build(tmp_path / "out", rows, checkouts={"github:someone/things": folder})
    assert report.missing == 0


@needs_git
def test_other_content_is_never_taken_and_the_reason_is_told(
    repository: tuple[Path, str, str], tmp_path: Path
) -> None:
    folder, _, second = repository
    rows = [
        row_of(image(77), path="a.png", revision=second),
        row_of(image(78), path="no/such blob 12", revision=second),
    ]
    report = _build(tmp_path / "out", rows, checkouts={"github:someone/things": folder})
    assert dict(report.sources[0].missing) == {
        "there, but with other content (another version?)": ("a.png",),
        "no such file in it": ("no/such blob 12",),
    }
    assert not (tmp_path / "out" / "files").exists()


@needs_git
def test_a_file_in_lfs_is_taken_from_the_work_tree_or_named_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    _git(folder, "init", "-q")
    (folder / "a.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:…\n")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "a pointer")
    rows = [row_of(image(1), path="a.png", revision=_git(folder, "rev-parse", "HEAD"))]
    places = {"github:someone/things": folder}
    assert "Git LFS" in next(
        iter(_build(tmp_path / "x", rows, checkouts=places).sources[0].missing)
    )
    (folder / "a.png").write_bytes(image(1))
    assert _build(tmp_path / "x", rows, checkouts=places).missing == 0


def test_an_unpacked_archive_serves_as_a_checkout_but_links_out_of_it_do_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "a.png").write_bytes(image(1))
    (tmp_path / "outside.png").write_bytes(image(2))
    (folder / "b.png").symlink_to(tmp_path / "outside.png")
    rows = [row_of(image(1), path="a.png"), row_of(image(2), path="b.png")]
    report = _build(tmp_path / "out", rows, checkouts={"github:someone/things": folder})
    assert dict(report.sources[0].missing) == {"no such file in it": ("b.png",)}


@pytest.mark.parametrize(
    "name", ["a+b/repo", "a+b", "a__b", "a/b", "a/b.git", "a+b.git", "a+b/repo.git"]
)
def test_checkouts_are_found_under_any_usual_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    assert find_checkout(tmp_path, "a/b") == tmp_path / name
    assert find_checkout(tmp_path, "a/c") is None


# ---- resuming and reporting -----------------------------------------------------------------


def test_a_build_goes_on_where_it_ended_and_reports_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "a.png").write_bytes(image(1))
    rows = [
        row_of(image(1), path="a.png"),
        row_of(image(2), path="b.png"),
        row_of(image(3), source="deb:lost", revision="1"),
        row_of(image(4), source="pypi:lost==1", revision="1"),
    ]
    first = _build(tmp_path / "out", rows, checkouts={"github:someone/things": folder})
    assert [(s.present, s.added, s.lacking) for s in first.sources] == [
        (0, 1, 1),
        (0, 0, 1),
        (0, 0, 1),
    ]
    (folder / "a.png").unlink()
    (folder / "b.png").write_bytes(image(2))
    second = _build(tmp_path / "out", rows, checkouts={"github:someone/things": folder})
    assert (second.sources[0].present, second.sources[0].added) == (1, 1)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["missing"] == 2
    assert "--debs" in next(iter(report["sources"][1]["missing"]))
    assert "--wheels" in next(iter(report["sources"][2]["missing"]))


def test_the_build_command_chooses_sources_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "someone" / "things"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(image(1))
    rows = [row_of(image(1), path="a.png"), row_of(image(2), source="deb:lost", revision="1")]
    write_manifest(rows, tmp_path / "m.tsv")
    command = ["corpus", "build", "--manifest", str(tmp_path / "m.tsv")]
    command += ["--out", str(tmp_path / "out"), "--checkouts", str(tmp_path)]
    assert main([*command, "--sources", "github:*"]) == 0
    assert main(command) == 3
    told = capsys.readouterr()
    assert "1 are missing, from 1 sources" in told.out
    assert "0/1  deb:lost  missing: 1 × no package file given" in told.err
    assert main([*command, "--checkout", "github:a/b=nowhere"]) == 2


# ---- wheels ---------------------------------------------------------------------------------


def _wheel(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_files_come_out_of_a_wheel_or_out_of_what_it_was_installed_into(tmp_path: Path) -> None:
    rows = [
        row_of(image(1), source="pypi:Some-Name==1.2", revision="1.2", path="some_name/a.png"),
        row_of(image(2), source="pypi:Some-Name==1.2", revision="1.2", path="some_name/b.png"),
    ]
    _wheel(
        tmp_path / "some_name-1.2-py3-none-any.whl",
        {"some_name/a.png": image(1), "some_name/b.png": image(3)},
    )
    (tmp_path / "some_name-1.3-py3-none-any.whl").write_bytes(b"not asked for")
    report = _build(tmp_path / "out", rows, wheels=(tmp_path,))
    assert report.sources[0].added == 1
    (tmp_path / "site" / "some_name").mkdir(parents=True)
    (tmp_path / "site" / "some_name" / "b.png").write_bytes(image(2))
    assert _build(tmp_path / "out", rows, wheels=(tmp_path, tmp_path / "site")).missing == 0


def test_a_damaged_wheel_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "x-1-py3-none-any.whl").write_bytes(b"PK\x03\x04 and then nothing")
    report = _build(
        tmp_path / "out", [row_of(image(1), source="pypi:x==1", revision="1")], wheels=(tmp_path,)
    )
    assert "not a zip file" in next(iter(report.sources[0].missing))


def test_wheels_are_matched_by_normalised_name_and_exact_version(tmp_path: Path) -> None:
    for name in ("a_b.c-1.0-py3-none-any.whl", "a_b_c-1.0.1-py3-none-any.whl", "ab-1.0-x-y-z.whl"):
        (tmp_path / name).touch()
    assert [p.name for p in find_wheels(tmp_path, "A.b-C", "1.0")] == ["a_b.c-1.0-py3-none-any.whl"]


# ---- Debian packages ------------------------------------------------------------------------


def _tar(files: dict[str, bytes | str], mode: str = "w:xz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            if isinstance(data, str):
                member.type, member.linkname = tarfile.LNKTYPE, f"./{data}"
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _deb(path: Path, files: dict[str, bytes | str], data_name: str = "data.tar.xz") -> None:
    control = _tar({"control": b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\n"})
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in (
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", control),
            (data_name, _tar(files)),
        ):
            file.write(f"{name:16}{0:<12}{0:<6}{0:<6}{0o100644:<8o}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))


@pytest.fixture(params=["dpkg-deb", "own reader"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read a package: the system's tool, and the one for systems without it."""
    if request.param == "own reader":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    return str(request.param)


@pytest.mark.usefixtures("reader")
def test_files_links_and_resource_stretches_come_out_of_a_package(tmp_path: Path) -> None:
    resource = b"qres" + bytes(60) + image(3) + b"more"
    _deb(
        tmp_path / "x-data_1_all.deb",
        {
            "usr/share/a.png": image(1),
            "usr/share/b.png": image(2),
            "usr/share/z.png": "usr/share/a.png",
            "usr/share/rcc/things.rcc": resource,
            "usr/share/c.png": image(4),
        },
    )

    def row(seed: int, path: str) -> Row:
        return row_of(image(seed), source="deb:x-data", revision="1", path=path)

    rows = [
        row(1, "usr/share/z.png"),  # a hard link: its content went by under another name
        row(2, "usr/share/b.png"),
        row(3, "things.rcc/00000040.png"),
        row(5, "usr/share/c.png"),
        row(6, "usr/share/none.png"),
        row(7, "things.rcc/0fffffff.png"),
    ]
    report = _build(tmp_path / "out", rows, debs=(tmp_path,))
    assert dict(report.sources[0].missing) == {
        "no such file in it": ("usr/share/none.png",),
        "there, but with other content (another version?)": (
            "usr/share/c.png",
            "things.rcc/0fffffff.png",
        ),
    }
    assert file_path(tmp_path / "out", rows[0].sha256).read_bytes() == image(1)
    assert file_path(tmp_path / "out", rows[2].sha256).read_bytes() == image(3)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("cut", [3, 200, 400])
def test_a_damaged_package_is_a_reason_and_no_crash(tmp_path: Path, cut: int) -> None:
    _deb(tmp_path / "whole", {"usr/a.png": image(1)})
    (tmp_path / "xx_1_all.deb").write_bytes((tmp_path / "whole").read_bytes()[:cut])
    rows = [row_of(image(1), source="deb:xx", revision="1", path="usr/a.png")]
    report = _build(tmp_path / "out", rows, debs=(tmp_path,))
    assert report.missing == 1
    assert "xx_1_all.deb" in next(iter(report.sources[0].missing))


def test_a_package_that_only_dpkg_can_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    _deb(tmp_path / "xx_1_all.deb", {"usr/a.png": image(1)}, "data.tar.zst")
    rows = [row_of(image(1), source="deb:xx", revision="1", path="usr/a.png")]
    report = _build(tmp_path / "out", rows, debs=(tmp_path,))
    assert "install dpkg" in next(iter(report.sources[0].missing))


def test_the_right_version_of_a_package_comes_first(tmp_path: Path) -> None:
    names = ["x_2_all.deb", "x_1%3a1-1_all.deb", "x_1-1_amd64.deb", "xy_1-1_all.deb"]
    for name in names:
        (tmp_path / name).touch()
    found = [p.name for p in find_debs(tmp_path, "x", "1:1-1")]
    assert set(found[:2]) == {"x_1%3a1-1_all.deb", "x_1-1_amd64.deb"}
    assert found[2:] == ["x_2_all.deb"]


# ---- downloads ------------------------------------------------------------------------------


class _Handler(http.server.BaseHTTPRequestHandler):
    pages: dict[str, list[tuple[int, bytes]]]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        answers = self.pages.get(self.path, [(404, b"")])
        code, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Handler]]]:
    """A raw-file host on this machine, without pages."""
    handler = type("Handler", (_Handler,), {"pages": {}, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", handler
        running.shutdown()
        thread.join()


def test_raw_files_are_fetched_only_when_asked_for(
    tmp_path: Path, server: tuple[str, type[_Handler]]
) -> None:
    host, handler = server
    row = row_of(image(1), path=ODD)
    handler.pages[raw_url(row, "")] = [(200, image(1))]
    assert _build(tmp_path / "out", [row], raw_host=host).missing == 1
    assert handler.asked == []
    assert _build(tmp_path / "out", [row], raw_host=host, raw_downloads=True).missing == 0


def test_a_busy_host_is_asked_again_and_a_missing_file_is_not(
    server: tuple[str, type[_Handler]],
) -> None:
    host, handler = server
    busy, gone, wrong, long = (
        row_of(image(n), path=name)
        for n, name in enumerate(("busy.png", "gone.png", "wrong.png", "long.png"))
    )
    handler.pages[raw_url(busy, "")] = [(503, b""), (200, image(0))]
    handler.pages[raw_url(wrong, "")] = [(200, image(9))]
    handler.pages[raw_url(long, "")] = [(200, image(3) + b"x" * 10**6)]
    found = {f.row.path: f for f in from_raw([busy, gone, wrong, long], host=host, pause=0.01)}
    assert found["busy.png"].data == image(0)
    assert found["gone.png"].reason == "HTTP 404"
    assert handler.asked.count(raw_url(gone, "")) == 1
    assert found["wrong.png"].reason == found["long.png"].reason == "the answer has other content"


def test_a_host_that_is_not_there_is_a_reason() -> None:
    (fetched,) = from_raw([row_of(image(1))], host="http://127.0.0.1:9", pause=0.0)
    assert fetched.data is None
    assert fetched.reason.startswith("not reached")
