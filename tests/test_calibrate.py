"""Local calibration fits what a model's scores are worth, refuses too little, and is a model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector import scorers
from detector.cli import main
from detector.errors import BundleError, UsageError
from detector.results import Finding, Status, Stratum, Verdict
from detector.scorers import load_scorer
from detector.scorers.local import LocalImage, fit_locally
from detector.store import Store
from tests.bundles import untrained_bundle
from tests.standin import StandIn


def images(
    count: int, mean: float, label: int, *, sources: int | None = None, seed: int = 0
) -> list[LocalImage]:
    """Images whose scores are normal about a mean."""
    rng = np.random.default_rng(seed + label)
    base = Finding("", "", Status.OK, "", "m", stratum=Stratum("jpeg", "medium", "light"))
    return [
        LocalImage(
            replace(base, path=f"{label}/{n}", sha256=f"{label}-{n}", score=float(score)),
            label,
            f"{label}:{n if sources is None else n % sources}",
        )
        for n, score in enumerate(rng.normal(mean, 1.0, count))
    ]


def test_rates_out_of_fold_are_near_what_was_asked_for() -> None:
    fitted = fit_locally(
        [*images(600, 0.0, 0), *images(600, 2.0, 1)], fpr=0.05, inconclusive_fpr=0.2
    )
    assert fitted.thresholds.likely_generated == pytest.approx(1.645, abs=0.25)
    assert fitted.thresholds.inconclusive == pytest.approx(0.84, abs=0.25)
    rate = fitted.figures["likely_generated"]["fpr"]
    assert rate["low"] <= 0.05 <= rate["high"]
    # Two normal classes two apart: the log ratio rises by two a unit and is 0 in the middle.
    assert fitted.calibration.slope == pytest.approx(2.0, rel=0.2)
    assert fitted.figures["cllr"] < 0.7


@pytest.mark.parametrize(
    ("real", "generated", "words"),
    [
        (images(20, 0, 0), images(100, 2, 1), "20 scored real images are too few.*Add 80"),
        (images(60, 0, 0), images(100, 2, 1), r"Add 40, or ask for --fpr 0\.03"),
        (images(200, 0, 0), images(20, 2, 1), "20 scored generated images.*Add 30"),
        (images(200, 0, 0, sources=3), images(100, 2, 1), "from 3 sub-folders"),
        (images(200, 2, 0), images(200, 0, 1), "do not tell these images apart"),
    ],
)
def test_too_little_is_refused_with_its_cure(
    real: list[LocalImage], generated: list[LocalImage], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        fit_locally([*real, *generated])


def test_the_same_bytes_count_once_and_never_under_both_labels() -> None:
    real, generated = images(150, 0, 0), images(150, 2, 1)
    once = fit_locally([*real, *generated])
    twice = fit_locally([*real, *real, *generated])
    assert once == twice
    with pytest.raises(UsageError, match="among the real and the generated"):
        fit_locally([*real, *generated, replace(real[0], label=1)])


@dataclass
class Uncalibrated(StandIn):
    """A plug-in's model whose verdicts say nothing yet."""

    def __init__(self) -> None:
        super().__init__("plug:x", "feedfeedfeedfeed")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """60 dark and 60 bright pictures."""
    rng = np.random.default_rng(0)
    made = []
    for name, middle in (("real", 90), ("generated", 160)):
        folder = tmp_path / name
        folder.mkdir()
        made.append(folder)
        for n in range(60):
            level = np.clip(rng.normal(middle, 30), 12, 240)
            grey = rng.integers(-9, 10, (40, 40, 3)) + level
            cv2.imwrite(str(folder / f"{n}.png"), grey.astype(np.uint8))
    return made[0], made[1]


def test_an_overlay_of_a_plugin_is_a_model(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = Uncalibrated()
    monkeypatch.setattr(scorers.plugins, "points", lambda group: {"plug": None})
    monkeypatch.setattr(scorers.plugins, "load", lambda group, name: lambda location: model)
    out, store = tmp_path / "ours", tmp_path / "r.db"
    real, generated = map(str, folders)
    command = ["calibrate", "--real", real, "--generated", generated, "--model", "plug:x"]
    command += ["-o", str(out), "--fpr", "0.05", "--workers", "0", "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["real"], figures["generated"]) == (60, 60)
    assert figures["auc"] > 0.9
    assert main(command) == 2  # never over a folder that is there
    assert "is there already" in capsys.readouterr().err

    scan = ["scan", generated, "--model", str(out), "--store", str(store), "--workers", "0", "-q"]
    assert main(scan) == 0
    with Store.open(store) as opened:
        found = list(opened.findings())
    assert {f.model for f in found} == {"ours"}
    assert sum(f.verdict is Verdict.LIKELY_GENERATED for f in found) > 20
    assert all(f.lr is not None and f.probability is not None for f in found)

    model.config_hash = "another0another0"
    with pytest.raises(BundleError, match="run detector calibrate again"):
        load_scorer(str(out))


def test_a_bundle_gets_new_thresholds_and_keeps_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.cli import calibrate

    bundle = untrained_bundle(tmp_path / "tiny_v1")
    scorer = load_scorer(str(bundle))
    fitted = fit_locally([*images(150, 0, 0), *images(150, 2, 1)])
    calibrate._write(tmp_path / "ours", "ours", str(bundle), scorer, fitted)
    again = load_scorer(str(tmp_path / "ours"))
    assert again.model_id == "ours"
    assert again.config_hash != scorer.config_hash
    assert again.bundle.thresholds == fitted.thresholds
    again.load()  # the weights fit, and their hash holds


def test_an_overlay_that_was_spoilt_is_refused(tmp_path: Path) -> None:
    (tmp_path / scorers.OVERLAY_FILE).write_text("{}")
    with pytest.raises(BundleError, match="run calibrate again"):
        load_scorer(str(tmp_path))
