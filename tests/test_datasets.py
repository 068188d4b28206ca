"""The recipes in `datasets/`: not a package, no images, and a manifest that holds what it says."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detector.corpus import LAYOUTS, Manifest, leave_sources_out, read_manifest
from detector.corpus.check import split_leaks, touched
from detector.corpus.manifest import COLUMNS, format_manifest
from detector.corpus.stats import BEGIN, END, markdown
from detector.corpus.trees import SUFFIXES

ROOT = Path(__file__).parent.parent
DATASETS = ROOT / "datasets"
MANIFEST = DATASETS / "web-corpus" / "manifest.tsv.gz"
EXTENSION = DATASETS / "web-extension"
SHEET = DATASETS / "web-corpus" / "README.md"


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """The manifest of the web corpus."""
    return read_manifest(MANIFEST)


# ---- the folder -----------------------------------------------------------------------------


def test_datasets_is_not_a_package_and_never_shadows_one(tmp_path: Path) -> None:
    assert not list(DATASETS.rglob("*.py"))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("who = 'the installed one'\n")
    # The checkout comes first on the path, as it does for a command run inside it.
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]\nimport datasets\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code + "print(datasets.who)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the installed one\n"


def test_only_the_package_itself_is_installed() -> None:
    setuptools = pytest.importorskip("setuptools")
    found = setuptools.find_packages(str(ROOT), include=["detector", "detector.*"])
    assert "detector.corpus" in found
    assert not [name for name in found if name.split(".")[0] != "detector"]


def test_no_image_is_kept_among_the_recipes() -> None:
    assert not [path for path in DATASETS.rglob("*") if path.suffix.lower() in SUFFIXES]


def test_every_layout_has_a_recipe_with_all_its_parts_and_its_command() -> None:
    for name in LAYOUTS:
        text = (DATASETS / name / "README.md").read_text()
        for part in ("**Source", "icence**", "**How to obtain**", "## Layout", "## Caveats"):
            assert part in text, (name, part)
        assert f"--layout {name}" in text


def test_every_recipe_is_in_the_list() -> None:
    text = (DATASETS / "README.md").read_text()
    for folder in DATASETS.iterdir():
        if folder.is_dir():
            assert f"({folder.name}/README.md)" in text


# ---- the manifest of the web corpus ---------------------------------------------------------


def test_the_manifest_is_well_formed_and_written_canonically(manifest: Manifest) -> None:
    text = format_manifest(manifest.rows)
    assert hashlib.sha256(text.encode()).hexdigest() == manifest.sha256
    assert len(manifest) > 20_000


def test_no_test_source_and_no_near_duplicate_of_one_is_in_train(manifest: Manifest) -> None:
    assert split_leaks(manifest) == []
    assert not set(manifest.sources("train")) & set(manifest.sources("test"))
    assert not set(leave_sources_out(manifest)) & set(manifest.sources("test"))


def test_both_labels_and_matched_sources_are_on_both_sides(manifest: Manifest) -> None:
    for split in ("train", "test"):
        rows = [row for row in manifest if row.split == split]
        assert {row.label for row in rows} == {0, 1}
        assert {row.label for row in rows if row.pair} == {0, 1}


def test_the_datasheet_prints_the_tables_of_this_very_manifest(manifest: Manifest) -> None:
    text = SHEET.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    # The control follows the tables; computing it takes scikit-learn and a while.
    assert text[begin:end].strip().startswith(markdown(manifest).strip())
    assert "Gradient boosting on size and format alone" in text[begin:end]


def test_the_extension_is_training_data_that_touches_nothing_that_is_tested(
    manifest: Manifest,
) -> None:
    extension = read_manifest(EXTENSION / "manifest.tsv.gz")
    assert extension.sources("test") == ()
    assert touched(extension, manifest) == []
    assert not {row.sha256 for row in extension} & {row.sha256 for row in manifest}
    assert not set(extension.sources()) & set(manifest.sources())
    text = (EXTENSION / "README.md").read_text()
    assert text[text.index(BEGIN) + len(BEGIN) :].strip().startswith(markdown(extension).strip())


def test_the_datasheet_explains_every_column() -> None:
    columns = SHEET.read_text().split("| Column | Meaning |")[1]
    named = {name.strip() for line in re.findall(r"^\| ([a-z0-9, ]+) \|", columns, re.M)
             for name in line.split(",")}  # fmt: skip
    assert named == set(COLUMNS)
