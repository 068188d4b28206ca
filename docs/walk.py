"""Does the pages of the manual as a reader would, and notes what each took.

    python -m docs.walk [--install] [--notebooks] [--demonstration FOLDER] [PAGE…]

Every line is a process of its own, as it is for a reader, and the Python blocks of a page share
one interpreter. Each page has a folder of its own that holds what `detector demo` made. Blocks that
only their length keeps out of the tests run here as well. The figures go to `docs/times.tsv`,
from where the manual takes them; pages that were not named keep theirs.

    --install    the README's first command in a new environment, beside a copy of the repository
    --notebooks  each notebook, through nbmake
    --demonstration FOLDER  what `detector demo` made before, to begin at once
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from docs.blocks import PAGES, ROOT, Block, blocks, commands, name_of, runnable

TIMES = ROOT / "docs" / "times.tsv"
COLUMNS = ("page", "seconds", "processor_seconds", "blocks", "left_out", "load", "day")
INSTALL = "README.md (install and demonstration)"
# Reads one block a line, as JSON, and answers with a line that says whether it ran.
INTERPRETER = """
import json, os, sys, traceback
names, answers = {"__name__": "manual"}, sys.stdout
sys.stdout = open(os.devnull, "w")
for line in sys.stdin:
    code, where = json.loads(line)
    try:
        exec(compile(code, where, "exec"), names)
        print("ran", file=answers, flush=True)
    except BaseException:
        traceback.print_exc()
        print("failed", file=answers, flush=True)
"""


def main() -> int:
    """Walk, print the table, keep it; 1 when a block failed."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.walk",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pages", nargs="*", type=Path, help="pages; all when none is named")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--notebooks", action="store_true")
    parser.add_argument("--demonstration", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    wanted = [page.resolve() for page in args.pages]
    only_others = not wanted and (args.install or args.notebooks)
    rows = read_times()
    failed = 0
    if args.install:
        failed += not note(rows, INSTALL, 1, 0, install)
    with tempfile.TemporaryDirectory(prefix="walk-") as place:
        if not only_others:
            demo = args.demonstration or demonstration(Path(place))
            for page in wanted or [p for p in PAGES if runnable(p)]:
                ours, left = chosen(page)
                folder = laid_out(demo, Path(place) / page.stem)
                failed += not note(rows, name_of(page), len(ours), left, walk, page, ours, folder)
                write_times(rows)  # a walk that is stopped keeps what it has
        for book in sorted((ROOT / "notebooks").glob("*.ipynb")) if args.notebooks else ():
            copy = shutil.copy(book, place)
            failed += not note(rows, name_of(book), 1, 0, notebook, Path(copy))
    write_times(rows)
    print(f"kept in {TIMES.relative_to(ROOT)}" + (f"; {failed} failed" if failed else ""))
    return 1 if failed else 0


def chosen(page: Path) -> tuple[list[Block], int]:
    """The blocks of a page that are run here, and how many others of its kinds there are."""
    every = [b for b in blocks(page) if b.language in ("sh", "python", "console")]
    ours = [b for b in every if b in runnable(page) or b.is_long]
    return ours, len(every) - len(ours)


def walk(page: Path, ours: list[Block], folder: Path) -> bool:
    """Run the blocks in a folder; False at the first that fails."""
    with interpreter(folder) as (ask, answers):
        for block in ours:
            where = f"{name_of(page)}:{block.line}"
            if block.language == "python":
                print(json.dumps([block.code, where]), file=ask, flush=True)
                ran = answers.readline().strip() == "ran"
            else:
                ran = all(shell(line, code, folder) for line, code in commands(block.code))
            if not ran:
                print(f"failed: {where}", file=sys.stderr)
                return False
    return True


@contextmanager
def interpreter(folder: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """One Python process for the blocks of a page: where to ask, and where it answers."""
    with subprocess.Popen(
        [sys.executable, "-c", INTERPRETER],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def shell(line: str, expected: int, folder: Path) -> bool:
    """Run one line; what it says is shown when it does not end as the page says."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != expected:
        print(f"{line}\n{done.stdout}\nexit code {done.returncode}", file=sys.stderr)
    return done.returncode == expected


def install() -> bool:
    """The README's own command, in a copy of what is committed."""
    line = next(b.code for b in blocks(ROOT / "README.md") if "detector demo" in b.code)
    with tempfile.TemporaryDirectory(prefix="walk-install-") as place:
        subprocess.run(["git", "clone", "-q", str(ROOT), f"{place}/copy"], check=True)
        return shell(line, 0, Path(place) / "copy")


def notebook(copy: Path) -> bool:
    """Run a notebook to its end."""
    command = f"'{sys.executable}' -m pytest -q --nbmake --nbmake-timeout=600 '{copy}'"
    return shell(command, 0, copy.parent)


def demonstration(place: Path) -> Path:
    """What `detector demo` makes."""
    if not shell("detector demo", 0, place):
        raise SystemExit(2)
    return place / "detector-demo"


def laid_out(demo: Path, folder: Path) -> Path:
    """A page's folder, with the demonstration and the README's FOLDER in it."""
    shutil.copytree(demo, folder / "detector-demo")
    shutil.copytree(demo / "images" / "photographs", folder / "FOLDER")
    return folder


def environment() -> dict[str, str]:
    """Ours, with this interpreter's commands first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "MPLBACKEND": "Agg"}


def note(
    rows: dict[str, dict[str, str]],
    name: str,
    ran: int,
    left: int,
    job: Callable[..., bool],
    *args: object,
) -> bool:
    """Do a job, and keep how long it took; a failure keeps nothing."""
    start, spent = time.monotonic(), processor_seconds()
    well = bool(job(*args))
    seconds, spent = time.monotonic() - start, processor_seconds() - spent
    day = datetime.now(timezone.utc).date().isoformat()
    load = f"{os.getloadavg()[0]:.1f}"
    print(
        f"{seconds:7.1f} s, {spent:6.1f} s of processor time  {name}"
        + ("" if well else "  FAILED"),
        flush=True,
    )
    if well:
        values = (
            name,
            str(math.ceil(seconds)),
            str(math.ceil(spent)),
            str(ran),
            str(left),
            load,
            day,
        )
        rows[name] = dict(zip(COLUMNS, values, strict=True))
    return well


def processor_seconds() -> float:
    """What the processes that ended so far took of all cores, however busy the machine was."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_times() -> dict[str, dict[str, str]]:
    """The kept rows, by page."""
    if not TIMES.is_file():
        return {}
    with TIMES.open(newline="", encoding="utf-8") as table:
        return {row["page"]: row for row in csv.DictReader(table, delimiter="\t")}


def write_times(rows: dict[str, dict[str, str]]) -> None:
    """Keep the rows, sorted by page."""
    with TIMES.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


if __name__ == "__main__":
    sys.exit(main())
