"""The manual is true: its commands run, its code runs, its links lead somewhere, it builds.

The blocks of a page run in order, in one folder of its own that holds what `detector demo` made
of a few of the demonstration's images. A block that cannot run here says why, in a comment
`<!-- not run: … -->` above it. A line may end with `# exit code N`.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from detector import demo
from detector.__main__ import main
from detector.cli.commands import COMMANDS
from docs import walk
from docs.blocks import (
    DOCS,
    PAGES,
    ROOT,
    TESTED_ELSEWHERE,
    Block,
    blocks,
    commands,
    name_of,
    runnable,
)

SHELL_ONLY = re.compile(r"[|<>;&$`*~]|\bcd\b")
PHOTOGRAPHS = ("camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


RUNNABLE = [page for page in PAGES if runnable(page)]


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `detector demo` makes, of fewer images."""
    pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("manual")
    with pytest.MonkeyPatch.context() as patch:
        few_images(patch)
        patch.chdir(folder)
        assert main(["demo", "--workers", "1"]) == 0
    return folder / "detector-demo"


def few_images(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(demo, "PHOTOGRAPHS", tuple(p for p in demo.PHOTOGRAPHS if p[0] in PHOTOGRAPHS))
    flux = [g for g in demo.GENERATED if g[0].startswith("flux")]
    patch.setattr(demo, "GENERATED", (*flux, demo.GENERATED[-1]))


@pytest.fixture
def folder(demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(demo_folder, tmp_path / "detector-demo")
    shutil.copytree(demo_folder / "images" / "photographs", tmp_path / "FOLDER")  # the README's
    # Starting workers costs more than eight images do.
    monkeypatch.setattr("detector.scan.run.available_cpus", lambda: 0)
    few_images(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    scripts = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", scripts + os.pathsep + os.environ["PATH"])
    yield tmp_path
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_every_block_of_a_page_runs(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "manual"}
    for block in runnable(page):
        where = f"{name_of(page)}:{block.line}"
        if block.language == "python":
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                exec(compile(block.code, where, "exec"), names)
        elif block.language == "sh":
            run_shell(block.code, where)


def run_shell(code: str, where: str) -> None:
    """Run the lines of a block; `detector` in this process, for the time that a start costs."""
    for line, expected in commands(code):
        if line.startswith("detector ") and not SHELL_ONLY.search(line):
            returned, said = run_here(shlex.split(line)[1:])
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line],
                capture_output=True,
                text=True,
                check=False,
            )
            returned, said = done.returncode, done.stdout + done.stderr
        assert returned == expected, f"{where}: {line}\n{said}"


def run_here(arguments: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            code = main(arguments)
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 2
    return code, said.getvalue()


def test_a_block_that_is_not_run_says_why_and_they_are_few() -> None:
    every = [
        (page, block)
        for page in PAGES
        for block in blocks(page)
        if block.language in ("sh", "python")
    ]
    skipped = [(page, b) for page, b in every if b.skipped and b.skipped != "run by .ci/run"]
    for page, block in skipped:
        assert len(block.skipped.split()) >= 3, f"{name_of(page)}:{block.line}: give a reason"
    assert len(skipped) * 4 <= len(every)


def test_pages_that_are_tested_elsewhere_are_there_and_so_is_their_test() -> None:
    for page, test in TESTED_ELSEWHERE.items():
        assert (ROOT / page).is_file()
        assert Path(page).stem in (ROOT / test).read_text(encoding="utf-8")


def test_every_fence_names_its_language() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.M)
        bare = [n for n, opening in enumerate(fences[::2]) if not opening]
        assert not bare, f"{name_of(page)}: block {bare} names no language"


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent != ROOT], ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    made = ("reference/commands.md", "reference/verdict-rules.md", "reference/changes.md")
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = (page.parent / target.split("#")[0]).resolve()
        place = path.relative_to(DOCS).as_posix()
        generated = place in made or place.startswith(("notebooks/", "reference/model-cards/"))
        if place.startswith("reference/datasets/"):
            path = ROOT / "datasets" / place.removeprefix("reference/datasets/")
        assert generated or path.exists(), f"{name_of(page)}: {target}"


def test_every_command_has_a_place_in_the_manual() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for command in COMMANDS:
        assert f"detector {command.name}" in text, command.name


def test_every_time_is_of_a_page_or_notebook_that_exists() -> None:
    rows = walk.read_times()
    assert rows
    for name, row in rows.items():
        assert name == walk.INSTALL or (ROOT / name).is_file(), name
        assert int(row["processor_seconds"]) > 0, name
        assert int(row["blocks"]) > 0, name


def test_a_walk_does_what_only_its_length_keeps_out_of_the_tests() -> None:
    ours, left = walk.chosen(DOCS / "how-to" / "report.md")
    assert any(block.is_long for block in ours)
    assert left == 0
    ours, left = walk.chosen(DOCS / "how-to" / "models.md")
    assert not any("--download" in block.code for block in ours)
    assert left == 2


def test_a_walk_stops_at_the_first_block_that_does_not_end_as_its_page_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = DOCS / "index.md"
    good = Block("python", "print(len(__name__))", 1, "")
    good_line = Block("sh", "exit 3  # exit code 3\n", 2, "")
    bad = Block("python", "1 / 0", 3, "")
    assert walk.walk(page, [good, good_line], tmp_path)
    assert not walk.walk(page, [good, bad], tmp_path)
    assert "docs/index.md:3" in capfd.readouterr().err
    assert not walk.walk(page, [Block("sh", "exit 1\n", 4, "")], tmp_path)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the extra docs is not installed")
    pytest.importorskip("mkdocstrings")
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_the_manual_builds_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()
    made = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"detector {command.name}" in made


def test_a_page_whose_time_was_measured_says_it_and_the_table_has_every_row(site: Path) -> None:
    table = (site / "how-this-manual-is-tested.html").read_text(encoding="utf-8")
    for name, row in walk.read_times().items():
        assert f"<td>{row['day']}</td>" in table
        page = site / name.removeprefix("docs/").replace(".ipynb", ".html").replace(".md", ".html")
        if page.is_file():
            assert 'class="time"' in page.read_text(encoding="utf-8"), name


def test_the_manual_fetches_nothing(site: Path) -> None:
    loading = re.compile(r'<(?:script|link|img|iframe)[^>]*?(?:src|href)="(https?:)?//[^"]*"')
    for page in site.rglob("*.html"):
        found = [m[0] for m in loading.finditer(page.read_text(encoding="utf-8"))]
        assert [tag for tag in found if 'rel="canonical"' not in tag] == [], page
