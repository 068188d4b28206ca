"""Exports hold every finding once, exactly in JSON and Parquet, and harmlessly in CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import MissingExtraError, UsageError
from detector.export import COLUMNS, EXPORTERS, cell, json_line, write_csv, write_jsonl
from detector.results import FileFacts, Finding, Status, Stratum, Verdict

FINDING = Finding(
    path="pictures/a.jpg",
    sha256="a" * 64,
    status=Status.OK,
    reason="Score -2.50 is below 0.",
    model="m_v1",
    score=-2.5,
    probability=0.125,
    lr=0.1,
    verdict=Verdict.NO_SIGN,
    verdict_code="score_below_threshold",
    spread=0.25,
    stratum=Stratum("jpeg", "small", "heavy"),
    file=FileFacts("a" * 64, 1234, "JPEG", 64, 48, jpeg_quality=60),
    notes=("first note", "second note"),
)
FAILURE = Finding("pictures/b.jpg", "", Status.MISSING, "No such file", "m_v1")
BOTH = [FINDING, FAILURE]

# What other people's scripts rely on.
FIXED = {
    *("path", "sha256", "status", "reason", "score", "probability", "verdict", "model"),
    *("width", "height", "format"),
}


def test_the_fixed_names_are_in_every_json_line():
    for finding in BOTH:
        assert set(json.loads(json_line(finding))) >= FIXED


def test_json_lines_hold_the_record_exactly(tmp_path: Path):
    assert write_jsonl(BOTH, str(tmp_path / "o.jsonl")) == 2
    lines = (tmp_path / "o.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [finding.to_record() for finding in BOTH]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_json_line_is_one_line_whatever_the_name(name: str):
    line = json_line(replace(FINDING, path=name, reason=name))
    assert len((line + "\n").split("\n")) == 2
    assert len(line.encode("utf-8").decode("utf-8").splitlines()) == 1
    assert json.loads(line)["path"] == name


def test_numbers_that_json_does_not_know_become_null():
    record = json.loads(json_line(replace(FINDING, lr=math.inf, spread=math.nan)))
    assert (record["lr"], record["spread"]) == (None, None)


def test_csv_has_a_header_and_a_row_per_finding(tmp_path: Path):
    assert write_csv(BOTH, str(tmp_path / "o.csv")) == 2
    with (tmp_path / "o.csv").open(newline="", encoding="utf-8") as stream:
        first, second = csv.DictReader(stream)
    assert tuple(first) == COLUMNS
    assert (first["path"], first["score"], first["width"]) == ("pictures/a.jpg", "-2.5", "64")
    assert first["notes"] == "first note; second note"
    assert (second["status"], second["score"], second["verdict"]) == ("missing", "", "")


def test_an_empty_store_still_has_a_header(tmp_path: Path):
    write_csv([], str(tmp_path / "o.csv"))
    assert (tmp_path / "o.csv").read_text() == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_takes_no_name_for_a_formula(start: str):
    assert str(cell(f"{start}HYPERLINK(1).jpg")).startswith("'")


def test_numbers_in_csv_are_left_alone():
    assert cell(-2.5) == -2.5
    assert cell(None) is None


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_csv_row_is_one_line_and_never_a_formula(name: str):
    value = cell(name)
    assert isinstance(value, str)
    assert len(value.splitlines()) <= 1
    assert value[:1] not in set("=+-@\t\r")
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow([value])
    assert stream.getvalue().count("\n") == 1
    assert next(csv.reader(io.StringIO(stream.getvalue(), newline=""))) == [value]


def test_parquet_holds_the_record_with_its_types(tmp_path: Path):
    pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    assert EXPORTERS["parquet"](BOTH, str(tmp_path / "o.parquet")) == 2
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.to_pylist() == [finding.to_record() for finding in BOTH]
    assert str(table.schema.field("score").type) == "double"
    assert str(table.schema.field("width").type) == "int32"


def test_parquet_without_its_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"aigi-detector\[parquet\]"):
        EXPORTERS["parquet"](BOTH, str(tmp_path / "o.parquet"))


@pytest.mark.parametrize("kind", sorted(EXPORTERS))
def test_an_export_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path: Path, kind: str):
    out = tmp_path / "o"
    out.write_text("old")

    def findings():
        yield FINDING
        raise RuntimeError("the store went away")

    with pytest.raises(RuntimeError):
        EXPORTERS[kind](findings(), str(out))
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


@pytest.mark.parametrize("kind", sorted(EXPORTERS))
def test_an_export_to_nowhere_is_a_usage_error(tmp_path: Path, kind: str):
    with pytest.raises(UsageError, match="cannot write"):
        EXPORTERS[kind](BOTH, str(tmp_path / "nowhere" / "o"))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_an_export_is_as_readable_as_any_new_file(tmp_path: Path):
    (tmp_path / "other").touch()
    write_csv(BOTH, str(tmp_path / "o.csv"))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("other", "o.csv")]
    assert modes[0] == modes[1]


def test_csv_and_json_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]):
    write_jsonl(BOTH, "-")
    write_csv(BOTH, "-")
    out = capsys.readouterr().out.splitlines()
    assert json.loads(out[0]) == FINDING.to_record()
    assert out[2] == ",".join(COLUMNS)
    assert len(out) == 5


def test_parquet_does_not_go_to_standard_output():
    with pytest.raises(UsageError, match="name a file"):
        EXPORTERS["parquet"](BOTH, "-")
