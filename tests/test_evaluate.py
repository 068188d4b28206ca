"""Evaluation: every image is accounted for, figures come from the table, bias is said aloud."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.calibration import Calibration, stratum_of
from detector.cli import codes
from detector.cli import evaluate as command
from detector.corpus.manifest import Row, read_manifest, write_manifest
from detector.corpus.samples import Sample, read_file
from detector.errors import UsageError
from detector.evaluate import (
    EvaluationResult,
    Plan,
    Run,
    evaluate,
    figures_of,
    load,
    markdown,
    pick,
    plots,
    save,
)
from detector.evaluate.control import balancing_weights, effective_size, run_control
from detector.evaluate.table import ScoreRow, read_table, write_table
from detector.preprocess import Prepared, PreprocessConfig
from detector.results import Finding, Status
from tests.bundles import untrained_bundle

SIDE = 64


class Brightness:
    """A stand-in for a detector: the score is the mean brightness of the whole view."""

    model_id, config_hash = "brightness_v1", "0123456789abcdef"

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(
            preprocess=PreprocessConfig(size=32, native=1, whole=True),
            calibration=Calibration(2.0, 0.0, -3.0, 3.0),
            thresholds=SimpleNamespace(likely_generated=0.0, nominal_fpr=0.05),
        )

    @classmethod
    def load(cls, model: str | None = None, *, threads: int | None = None) -> Brightness:
        return cls()

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        return [
            Finding(p.path, p.sha256, p.status, p.reason)
            if p.views is None or p.facts is None or p.views.whole is None
            else Finding(
                p.path, p.sha256, Status.OK, "", self.model_id,
                score=float(p.views.whole.mean()) / 32 - 4,
                stratum=stratum_of(p.facts),
            )
            for p in prepared
        ]  # fmt: skip


def image_bytes(level: float, seed: int, format_: str = "PNG", size: int = SIDE) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(level, 20, (size, size, 3)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format_)
    return out.getvalue()


def corpus(folder: Path, each: int = 6, biased: bool = False) -> list[Sample]:
    """Four real and four generated sources, one of each matched; generated ones are brighter."""
    samples = []
    for number in range(8):
        label = number % 2
        for i in range(each):
            seed = number * 100 + i
            path = folder / f"{seed}.img"
            large = biased and label == 1
            path.write_bytes(
                image_bytes(110 + 40 * label + (i - 2) * 8, seed, size=96 if large else SIDE)
            )
            samples.append(
                Sample(
                    key=f"{seed:064x}",
                    label=label,
                    source=f"source{number}" if number > 1 else "matched",
                    generator="sd1" if label else "",
                    kind="photo" if number < 4 else "poster",
                    split="test",
                    pair=number <= 1,
                    read=partial(read_file, str(path)),
                )
            )
    return samples


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return corpus(tmp_path)


RUN = Run(
    command="detector evaluate corpus",
    date="2026-01-01",
    corpus="tiny",
    corpus_hash="ab" * 32,
    split="test",
    model="brightness_v1",
    config_hash="0123456789abcdef",
    threshold=0.0,
    nominal_fpr=0.05,
    calibration=Calibration(2.0, 0.0, -3.0, 3.0).to_dict(),
    rounds=30,
    version="0.0",
)
INLINE = Plan(workers=0)


@pytest.fixture
def evaluated(samples: list[Sample]) -> tuple[EvaluationResult, list[ScoreRow]]:
    return evaluate(Brightness(), samples, RUN, replace(INLINE, sweep=("jpeg 50", "crop 50%")))


Evaluated = tuple[EvaluationResult, list[ScoreRow]]


def test_every_image_has_a_row_in_every_condition(
    evaluated: Evaluated, samples: list[Sample]
) -> None:
    _, rows = evaluated
    for condition in ("published", "q96", "web", "jpeg 50", "crop 50%"):
        keys = [row.key for row in rows if row.condition == condition]
        assert sorted(keys) == sorted(sample.key for sample in samples)
    assert {row.format for row in rows if row.condition == "q96"} == {"JPEG"}
    assert {row.format for row in rows if row.condition == "web"} <= {"JPEG", "WEBP"}
    assert all(row.luma_table for row in rows if row.format == "JPEG")


def test_figures_agree_with_counting(evaluated: Evaluated) -> None:
    result, rows = evaluated
    published = [row for row in rows if row.condition == "published"]
    figures = result.conditions["published"]
    real = [row for row in published if row.label == 0]
    flagged = sum(row.score >= 0 for row in real if row.score is not None)
    assert figures.every.fpr.value == pytest.approx(flagged / len(real))
    assert (figures.every.real, figures.every.generated) == (24, 24)
    assert figures.every.sources == 7
    assert figures.every.auc.low <= figures.every.auc.value <= figures.every.auc.high
    assert set(figures.fpr_by_kind) == {"photo", "poster"}
    assert sum(rate.images for rate in figures.fpr_by_kind.values()) == 24
    assert set(figures.recall_by_generator) == {"sd1"}
    assert figures.by_source["matched"].auc > 0.5
    assert math.isnan(figures.by_source["source3"].auc)
    assert set(result.sweep) == {"jpeg 50", "crop 50%"}


def test_matched_content_has_its_own_figures(evaluated: Evaluated) -> None:
    matched = evaluated[0].conditions["published"].matched
    assert matched is not None
    assert (matched.real, matched.generated, matched.sources) == (6, 6, 1)


def test_the_same_seed_gives_the_same_table_whatever_the_workers(
    samples: list[Sample], evaluated: Evaluated
) -> None:
    def without_time(rows: list[ScoreRow]) -> list[ScoreRow]:
        return [replace(row, prepare_seconds=None, score_seconds=None) for row in rows]

    _, parallel = evaluate(Brightness(), samples, RUN, Plan(workers=1))
    _, inline = evaluated
    inline = [row for row in inline if row.condition in ("published", "q96", "web")]
    assert without_time(parallel) == without_time(inline)


def test_broken_and_missing_files_are_rows_and_are_counted(
    samples: list[Sample], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    gone = partial(read_file, str(tmp_path / "gone.png"))
    extra = [
        replace(samples[0], key="bad", read=partial(read_file, str(bad))),
        replace(samples[0], key="gone", read=gone),
    ]
    result, rows = evaluate(Brightness(), samples + extra, RUN, INLINE)
    lost = {row.key: row for row in rows if row.condition == "published" and not row.scored}
    assert set(lost) == {"bad", "gone"}
    assert lost["gone"].status == "missing"
    assert lost["bad"].reason
    assert sum(result.conditions["web"].failed.values()) == 2
    assert result.conditions["web"].every.real == 24
    assert "not scored and not counted" in markdown.card(result)


def test_one_class_alone_cannot_be_evaluated(samples: list[Sample]) -> None:
    with pytest.raises(UsageError, match="real and generated"):
        evaluate(Brightness(), [s for s in samples if s.label], RUN, INLINE)


def test_a_saved_evaluation_gives_the_same_figures_again(
    evaluated: Evaluated, tmp_path: Path
) -> None:
    result, rows = evaluated
    save(result, rows, tmp_path / "out")
    run, table = load(tmp_path / "out")
    assert (run, table) == (RUN, rows)
    assert figures_of(table, run).to_dict() == result.to_dict()
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_folder_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no evaluation"):
        load(tmp_path)


# --- table ----------------------------------------------------------------------------------

# NUL is left out: no path holds it, and the csv module of Python 3.10 cannot read it.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
rows_of_any_kind = st.builds(
    ScoreRow,
    key=texts,
    condition=texts,
    split=texts,
    label=st.integers(0, 1),
    source=texts,
    generator=texts,
    kind=texts,
    pair=st.booleans(),
    status=texts,
    reason=texts,
    score=st.none() | st.floats(allow_nan=False),
    stratum=texts,
    prepare_seconds=st.none() | st.floats(0, 9),
    width=st.none() | st.integers(1, 10**6),
    luma_table=st.none() | st.floats(1, 255),
)


@given(st.lists(rows_of_any_kind, max_size=5), st.sampled_from(["t.csv", "t.csv.gz", "t.parquet"]))
@settings(deadline=None, max_examples=25)
def test_a_table_reads_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ScoreRow], name: str
) -> None:
    path = tmp_path_factory.mktemp("t") / name
    write_table(rows, path)
    assert read_table(path) == rows


def test_another_file_is_not_taken_for_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="not a table"):
        read_table(tmp_path / "t.csv")


# --- control --------------------------------------------------------------------------------


def look(label: int, source: str, width: int, seed: int) -> ScoreRow:
    rng = np.random.default_rng(seed)
    return ScoreRow(
        key=str(seed), condition="published", split="test", label=label, source=source,
        generator="", kind="photo", pair=False, status="ok", score=float(rng.normal(label)),
        width=width, height=600, bytes=int(rng.integers(50_000, 99_000)), format="JPEG",
        jpeg_quality=90, luma_table=6.0, chroma_table=7.0,
    )  # fmt: skip


def looks(biased: bool, seed: int = 0, count: int = 400) -> list[ScoreRow]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        label = i % 2
        favourite = 512 if label else 800
        width = favourite if biased and rng.random() < 0.8 else int(rng.choice([512, 800]))
        rows.append(look(label, f"s{i % 20}", width, seed * 10_000 + i))
    return rows


def test_the_control_sees_a_size_that_gives_the_class_away() -> None:
    from detector import metrics

    for biased, low, high in ((True, 0.8, 1.0), (False, 0.4, 0.6)):
        test = looks(biased)
        labels = [row.label for row in test]
        for train in (looks(biased, seed=1), []):
            control = run_control(train, test)
            assert control is not None
            assert low < metrics.auc(labels, control.scores) < high
            assert ("training" in control.how) == bool(train)


def test_the_control_is_left_out_where_nothing_can_be_fitted() -> None:
    assert run_control([], looks(True, count=20)) is None


def test_balanced_weights_blind_the_control() -> None:
    from detector import metrics

    test = looks(True)
    labels = [row.label for row in test]
    control = run_control([], test)
    assert control is not None
    weights = balancing_weights(labels, control.scores)
    assert metrics.auc(labels, control.scores, weights) < 0.6
    assert 20 < effective_size(weights) < len(test)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=50))
@settings(deadline=None)
def test_balanced_weights_are_finite_and_even_over_the_classes(
    rows: list[tuple[int, float]],
) -> None:
    labels, control = [y for y, _ in rows], np.array([s for _, s in rows])
    weights = balancing_weights(labels, control)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    generated = np.array(labels) == 1
    assert weights[generated].sum() == pytest.approx(weights[~generated].sum())


def test_a_biased_table_is_called_biased(evaluated: Evaluated) -> None:
    run = replace(RUN, rounds=10)
    loud = markdown.card(figures_of(looks(True), run))
    quiet = markdown.card(figures_of(looks(False), run))
    assert "**Biased table** `published`" in loud
    assert "Biased table" not in quiet


# --- output ---------------------------------------------------------------------------------


def test_the_card_says_how_to_repeat_it_and_holds_every_table(evaluated: Evaluated) -> None:
    text = markdown.card(evaluated[0])
    for word in (
        RUN.command, RUN.date, RUN.model, RUN.config_hash, RUN.corpus_hash, "seed",
        "### Matched content", "### Size-and-format control", "### Calibration",
        "### False positive rate by kind", "### Recall by generator", "### By stratum",
        "### Robustness sweep", "jpeg 50", "### Time",
    ):  # fmt: skip
        assert word in text, word
    assert "nan" not in text
    for block in text.split("\n\n"):
        columns = {line.count(" | ") for line in block.splitlines() if line.startswith("|")}
        assert len(columns) <= 1, block


def test_a_kind_accused_too_often_stands_out(evaluated: Evaluated) -> None:
    text = markdown.card(figures_of(evaluated[1], replace(RUN, threshold=-9.0, rounds=5)))
    kinds = text.split("### False positive rate by kind")[1].split("###")[0]
    assert "| photo | 12 | 2 | **100.0%" in kinds
    assert "published 100.0%" in kinds


def test_models_stand_side_by_side_and_other_images_are_marked(evaluated: Evaluated) -> None:
    ours = json.loads(json.dumps(evaluated[0].to_dict()))
    other = json.loads(json.dumps(ours))
    other["run"] |= {"model": "baseline_v1", "corpus_hash": "cd" * 32}
    text = markdown.comparison([ours, ours, other])
    assert text.count("brightness_v1") == 6
    assert text.count("baseline_v1 (other images!)") == 3


def test_the_plots_are_written(evaluated: Evaluated, tmp_path: Path) -> None:
    result, rows = evaluated
    paths = plots.draw(result, rows, tmp_path / "plots")
    assert {path.name for path in paths} >= {"roc.png", "reliability.png", "sweep.png"}
    for path in paths:
        assert Image.open(path).size[0] > 300


@dataclass(frozen=True)
class Item:
    """The part of a sample that `pick` looks at."""

    key: str
    label: int
    source: str


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc")), max_size=40),
    st.integers(0, 30),
)
@settings(deadline=None)
def test_a_pick_is_even_over_sources_and_ignores_the_order(
    rows: list[tuple[int, str]], count: int
) -> None:
    items = [Item(str(i), label, source) for i, (label, source) in enumerate(rows)]
    chosen = pick(items, count)  # type: ignore[arg-type]
    assert len(chosen) <= count
    assert {i.key for i in pick(items[::-1], count)} == {i.key for i in chosen}  # type: ignore[arg-type]
    for label in (0, 1):
        held = {s: sum(i.source == s and i.label == label for i in items) for s in "abc"}
        got = {s: sum(i.source == s and i.label == label for i in chosen) for s in "abc"}
        open_sources = [s for s in "abc" if got[s] < held[s]]
        assert all(got[s] <= min((got[o] for o in open_sources), default=99) + 1 for s in "abc")


# --- command --------------------------------------------------------------------------------


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "bench"
    for part in ("gen_a", "gen_b"):
        for name, level in (("0_real", 110), ("1_fake", 150)):
            (root / part / name).mkdir(parents=True)
            for i in range(3):
                data = image_bytes(level + 8 * i, i)
                (root / part / name / f"{i}.png").write_bytes(data)
    return root


def test_the_command_measures_a_benchmark_and_recomputes_it(
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import detector.predict

    monkeypatch.setattr(detector.predict, "Detector", Brightness)
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["detector", "evaluate", str(folders), f"--out={out}"])
    code = command.run(
        parsed(str(folders), f"--out={out}", "--workers=0", "--rounds=20", "--no-plots")
    )
    text = capsys.readouterr().out
    assert code == codes.OK
    assert "`detector evaluate bench --out=out`" in text
    assert str(tmp_path) not in (out / "evaluation.md").read_text()
    assert (out / "scores.csv.gz").is_file()
    record = json.loads((out / "evaluation.json").read_text())
    assert record["run"]["corpus"] == "bench"
    again = tmp_path / "again"
    assert command.run(parsed("--from-scores", str(out), "--out", str(again), "--no-plots")) == 0
    assert (again / "evaluation.md").read_text() == (out / "evaluation.md").read_text()


def built_corpus(folder: Path) -> Path:
    """Four training and two test sources with both classes; returns the manifest's path."""
    rows = []
    for number in range(6):
        for i in range(4):
            label = i % 2
            data = image_bytes(110 + 40 * label, number * 10 + i)
            sha256 = hashlib.sha256(data).hexdigest()
            path = folder / "corpus" / "files" / sha256[:2] / sha256
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            rows.append(
                Row(
                    source=f"github:owner{number}/images", revision="a" * 40, path=f"{i}.png",
                    sha256=sha256, label=label, generator="sd1" if label else "", kind="photo",
                    licence="CC0-1.0", width=SIDE, height=SIDE, format="PNG", bytes=len(data),
                    date="2020", pair=True, grid="", group="",
                    split="train" if number < 4 else "test",
                )
            )  # fmt: skip
    manifest = folder / "tiny-corpus" / "manifest.tsv.gz"
    manifest.parent.mkdir()
    write_manifest(rows, manifest)
    return manifest


@pytest.mark.parametrize(
    ("split", "tested", "fitting"), [("test", 8, 16), ("validation", 4, 12), ("train", 16, 0)]
)
def test_a_manifest_is_measured_by_split_and_the_control_learns_from_other_sources(
    tmp_path: Path, split: str, tested: int, fitting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import detector.predict

    monkeypatch.setattr(detector.predict, "Detector", Brightness)
    manifest = built_corpus(tmp_path)
    arguments = [str(tmp_path / "corpus"), "--manifest", str(manifest), "--split", split]
    arguments += ["--folds=4", "--fold=0", "--conditions=published", "--workers=0", "--rounds=5"]
    out = tmp_path / "out"
    assert command.run(parsed(*arguments, "--no-plots", "--out", str(out))) == codes.OK
    run, rows = load(out)
    assert (run.corpus, run.corpus_hash) == ("tiny-corpus", read_manifest(manifest).sha256)
    sides = {
        side: {row.source for row in rows if row.split == side} for side in ("test", "control")
    }
    assert [sum(row.split == side for row in rows) for side in sides] == [tested, fitting]
    assert not sides["test"] & sides["control"]


def test_the_validation_split_is_what_the_bundle_itself_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import detector.predict

    monkeypatch.setattr(detector.predict, "Detector", Brightness)
    manifest = built_corpus(tmp_path)
    held = "github:owner2/images"
    bundle = untrained_bundle(tmp_path / "b_v1", training={"config": {"validation": [held]}})
    arguments = [str(tmp_path / "corpus"), "--manifest", str(manifest), "--split=validation"]
    arguments += ["--conditions=published", "--workers=0", "--rounds=5", "--no-plots"]
    out = tmp_path / "out"
    command.run(parsed(*arguments, "--model", str(bundle), "--out", str(out)))
    assert {row.source for row in load(out)[1] if row.split == "test"} == {held}
    silent = untrained_bundle(tmp_path / "c_v1")
    with pytest.raises(UsageError, match="--fold"):
        command.run(parsed(*arguments, "--model", str(silent), "--out", str(out)))


@pytest.mark.parametrize(
    "arguments", [[], ["a", "--from-scores", "b"], ["a", "--conditions", "fax"]]
)
def test_the_command_refuses_what_makes_no_sense(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        command.run(parsed(*arguments))


def test_figures_are_computed_without_loading_torch_or_scikit_learn() -> None:
    code = (
        "import sys, detector.evaluate, detector.cli.evaluate;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
