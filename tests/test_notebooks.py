"""The notebooks are stripped, use the public API only, and say the same every time."""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REFERENCE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
PUBLIC = {"detector", *re.findall(r"^::: ([\w.]+)$", REFERENCE, re.M)}
# What the extras test, notebook and demo bring.
OTHERS = {"numpy", "pandas", "matplotlib", "PIL", "IPython"}
GLOBAL_RANDOM = re.compile(r"\b(np\.random\.(?!default_rng)\w+|(?<!\.)random\.(?!Random)\w+)\(")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    book = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in book["cells"] if cell["cell_type"] == kind]


def code(path: Path) -> str:
    lines = "\n".join("".join(cell["source"]) for cell in cells(path, "code"))
    return re.sub(r"^[!%].*$", "", lines, flags=re.M)


def test_there_are_six_notebooks_numbered_from_one() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"0{n}" for n in range(1, 7)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_holds_no_output(path: Path) -> None:
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    book = json.loads(path.read_text(encoding="utf-8"))
    assert set(book["metadata"]) <= {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_begins_with_its_question(path: Path) -> None:
    first = "".join(cells(path, "markdown")[0]["source"])
    assert first.startswith("# ")
    assert len(first.splitlines()) > 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_imports_the_public_api_only(path: Path) -> None:
    for node in ast.walk(ast.parse(code(path))):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            top = module.split(".")[0]
            if top != "detector":
                assert top in OTHERS | sys.stdlib_module_names, module
                continue
            assert module in PUBLIC or f"{module}.{name}" in PUBLIC, (
                f"{module}: not in the reference"
            )
            assert not name.startswith("_")
            assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_chance_in_a_notebook_has_a_seed(path: Path) -> None:
    text = code(path)
    assert not GLOBAL_RANDOM.search(text)
    assert not re.search(r"default_rng\(\)|random\.Random\(\)", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_nothing_in_a_notebook_names_a_machine_or_downloads(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(/home/|/root/|/Users/|/work/)", text)
    assert not re.search(r"pip install|urlopen|requests\.|wget|curl", text)
