"""An evaluation goes into the bundle that it measured, and changes no finding."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from detector.cli.facts import error_rate
from detector.errors import UsageError
from detector.evaluate import EvaluationResult, Run, figures_of
from detector.evaluate.into_bundle import BEGIN, END, write_into_bundle
from detector.evaluate.table import ScoreRow
from detector.weights import load_bundle
from tests.bundles import untrained_bundle


def evaluation(folder: Path, **changes: str) -> tuple[EvaluationResult, list[ScoreRow]]:
    bundle = load_bundle(folder)
    facts = {"model": bundle.id, "config_hash": bundle.config_hash} | changes
    run = Run(
        command="detector evaluate", date="2026-01-01", corpus="made", corpus_hash="0" * 64,
        split="test", threshold=1.0, nominal_fpr=0.02, calibration={"slope": 1.0, "intercept": 0.0},
        rounds=10, **facts,
    )  # fmt: skip
    rows = [
        ScoreRow(
            key=f"{label}{i}", condition="published", split="test", label=label,
            source=f"s{i % 3}", generator="", kind="photo", pair=False, status="ok",
            score=2.0 if i < (5 if label == 0 else 30) else 0.0,
            stratum="jpeg/medium/light" if i < 45 else "webp/small/heavy",
        )
        for label in (0, 1)
        for i in range(50)
    ]  # fmt: skip
    return figures_of(rows, run), rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = untrained_bundle(tmp_path / "own_v1")
    (made / "MODEL_CARD.md").write_text(f"# own\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    return made


def test_rates_and_tables_are_written_and_the_config_hash_stays(folder: Path) -> None:
    before = load_bundle(folder).config_hash
    write_into_bundle(*evaluation(folder), "| new |", folder)
    bundle = load_bundle(folder)
    assert bundle.config_hash == before
    overall = bundle.config["evaluation"]["overall"]
    assert overall == {"sources": 3, "real": 50, "fpr": 0.1, "generated": 50, "tpr": 0.6}
    assert list(bundle.config["evaluation"]["strata"]) == ["jpeg/medium/light"]
    assert "flagged 10.0% of the real" in error_rate(bundle)
    card = bundle.card()
    assert "| new |" in card
    assert "old" not in card
    assert card.endswith("after\n")


def test_the_rates_that_reports_quote_are_those_of_whole_files(folder: Path) -> None:
    result, rows = evaluation(folder)
    windows = [replace(row, condition="web-cropped", score=0.0) for row in rows]
    write_into_bundle(figures_of(rows + windows, result.run), rows + windows, "", folder)
    found = load_bundle(folder).config["evaluation"]
    assert found["overall"] == {"sources": 3, "real": 50, "fpr": 0.1, "generated": 50, "tpr": 0.6}
    assert "conditions published (" in found["measured_on"]
    write_into_bundle(figures_of(windows, result.run), windows, "", folder)
    found = load_bundle(folder).config["evaluation"]
    assert found["overall"]["tpr"] == 0.0
    assert "conditions web-cropped (" in found["measured_on"]


def test_another_bundles_evaluation_is_refused(folder: Path) -> None:
    before = json.loads((folder / "config.json").read_text())
    with pytest.raises(UsageError, match="the evaluation is of"):
        write_into_bundle(*evaluation(folder, model="other_v1"), "", folder)
    assert json.loads((folder / "config.json").read_text()) == before


def test_a_card_without_a_place_is_refused(folder: Path) -> None:
    (folder / "MODEL_CARD.md").write_text("# own\n")
    with pytest.raises(UsageError, match="needs the lines"):
        write_into_bundle(*evaluation(folder), "", folder)
