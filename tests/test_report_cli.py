"""`detector report`: one command writes the page, its exports and a signature's input."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from detector.__main__ import main
from detector.custody import read_statement
from tests.report_samples import Page, make_store, mixed


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_store(tmp_path / "s.db", mixed()).close()
    return tmp_path / "s.db"


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_its_table_and_its_statement_come_from_one_command(
    store: Path, tmp_path: Path
) -> None:
    out, table = tmp_path / "r.html", tmp_path / "t.csv"
    code = main(["report", str(store), "-o", str(out), "--plain", "--csv", str(table)])
    assert code == 0
    assert len(page_of(out).data["rows"]) == 6
    with table.open(encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) >= 6
    paths = {line["path"] for line in read_statement(out)["files"]}
    assert paths == {finding.path for finding in mixed()}


def test_without_plain_the_images_are_compared_and_gaps_are_counted(
    store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.html"
    assert main(["report", str(store), "-o", str(out), "--title", "Harbour"]) == 0
    page = page_of(out)
    assert "Campaign report" in page.words
    assert "Harbour" in page.words
    assert "No gaps were counted." not in page.words


def test_a_redacted_page_names_no_folder_and_no_file(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    assert main(["report", str(store), "-o", str(out), "--plain", "--redact"]) == 0
    text = out.read_text(encoding="utf-8")
    for name in ("anna", "bert", "b10.jpg", "none.txt"):
        assert name not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "-"], "name a file"),
        (["-o", "a", "--csv", "a"], "the same name"),
        (["--secret", "s"], "--redact"),
        (["--plain", "--context", "p.csv"], "--plain"),
    ],
)
def test_options_that_do_not_fit_are_told_before_any_work(
    store: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(store), *options]) == 2
    assert words in capsys.readouterr().err
