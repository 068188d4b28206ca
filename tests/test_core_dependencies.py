"""The core needs what `install_requires` names and nothing else, even where more is installed."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent

# Runs a command line with every package out of reach that is neither core nor the core's own.
BLOCKER = '''
import importlib.metadata as metadata, re, sys
allowed, blocked = set(sys.argv[1].split(",")), set()
todo, core = list(allowed), set()
while todo:
    name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
    if name in core:
        continue
    core.add(name)
    try:
        needs = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        continue
    todo += [re.match(r"[\\w.-]+", n)[0] for n in needs if "extra ==" not in n]
owners = metadata.packages_distributions()
norm = lambda names: {re.sub(r"[-_.]+", "-", n).lower() for n in names}
blocked = {m for m, names in owners.items() if not norm(names) & (core | {"aigi-detector"})}

class Only:
    """A finder that does not see what is blocked, as if it were not installed."""
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Only(finder) for finder in sys.meta_path]
assert not {"numpy", "PIL", "cv2", "torch", "rich", "detector"} & blocked, sorted(blocked)
assert "pytest" in blocked
from detector.cli import main
code = main(sys.argv[2:])
assert not blocked & {m.partition(".")[0] for m in sys.modules}
sys.exit(code)
'''


def core() -> list[str]:
    """The distributions of install_requires."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].split("\n")
    return [re.match(r"[\w.-]+", line)[0] for line in lines if line]  # type: ignore[index]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small pictures and a broken one."""
    made = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(made / name)
    (made / "c.jpg").write_bytes((made / "b.jpg").read_bytes()[:200])
    return made


def detector(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """One command with nothing but the core in reach."""
    command = [sys.executable, "-c", BLOCKER, ",".join(core()), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, check=False
    )


def test_scan_inspect_and_report_need_the_core_alone(folder: Path, tmp_path: Path) -> None:
    store, page = tmp_path / "r.db", tmp_path / "report.html"
    scan = detector(
        "scan", folder, "--store", store, "--workers", "0", "-q", "--csv", tmp_path / "c"
    )
    assert scan.returncode == 3, scan.stderr  # the broken file
    inspect = detector("inspect", folder / "b.jpg")
    assert inspect.returncode == 0, inspect.stderr
    report = detector("report", store, "-o", page)
    assert report.returncode == 0, report.stderr
    assert page.stat().st_size > 1000


def test_what_needs_more_says_which_extra(tmp_path: Path) -> None:
    serve = detector("serve", "--port", "1")
    assert serve.returncode == 2, serve.stderr
    assert "pip install 'aigi-detector[serve]'" in serve.stderr


def test_the_core_names_no_framework_of_others() -> None:
    assert not {"pydantic", "click", "protobuf", "fastapi", "transformers"} & set(core())
