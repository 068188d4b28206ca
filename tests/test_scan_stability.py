"""A scan can try verdicts on treated copies; one that flips is inconclusive, and stays so."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from detector.cli import main
from detector.cli.scan import add_arguments
from detector.errors import UsageError
from detector.evidence import build
from detector.evidence.metadata import forms
from detector.explain.stability import TREATMENTS, in_question, measured, settle
from detector.preprocess import PreprocessConfig
from detector.results import Finding, Status, Verdict
from detector.scan import ScanSummary, Watcher, scan
from detector.store import Store
from detector.weights import Thresholds
from tests.standin import StandIn

COPIES = len(TREATMENTS)


def flipping() -> np.ndarray:
    """Bright above only, so that cutting that off or scaling it turns the stand-in's verdict."""
    pixels = np.full((200, 200, 3), 20, np.uint8)
    pixels[:24] = np.random.default_rng(1).integers(225, 250, (24, 200, 3))
    return pixels


def holding(level: int) -> np.ndarray:
    """The same everywhere, whatever is done to it."""
    return np.full((200, 200, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    (place / "flips.png").write_bytes(build.png(pixels=flipping()))
    (place / "twin.png").write_bytes(build.png(pixels=flipping()))
    (place / "bright.png").write_bytes(build.png(pixels=holding(240)))
    (place / "between.png").write_bytes(build.png(pixels=holding(140)))
    (place / "dark.png").write_bytes(build.png(pixels=holding(20)))
    (place / "none.png").write_bytes(b"no image")
    return place


def look(folder: Path, store: Path, detector: StandIn | None = None, **options) -> ScanSummary:
    options = {"workers": 0, "stability": "all", **options}
    return scan([folder], store=store, detector=detector or StandIn(), **options)


def kept(store: Path) -> dict[str, Finding]:
    with Store.open(store, readonly=True) as opened:
        return {Path(finding.path).name: finding for finding in opened.findings()}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_verdict_that_flips_is_inconclusive(folder: Path, tmp_path: Path, workers: int) -> None:
    summary = look(folder, tmp_path / "s.db", workers=workers)
    found = kept(tmp_path / "s.db")
    for name in ("flips.png", "twin.png"):
        assert (found[name].verdict, found[name].verdict_code) == (
            Verdict.INCONCLUSIVE,
            "unstable",
        )
        assert found[name].pixel_code == "unstable"
        assert found[name].stability == "flips"
        assert "does not hold when the image is treated" in found[name].reason
    assert summary.verdicts == {"inconclusive": 3, "likely_generated": 1, "no_sign": 1}
    assert (summary.total, summary.done, summary.fresh, summary.repeated) == (6, 6, 5, 1)


def test_a_verdict_that_holds_says_so(folder: Path, tmp_path: Path) -> None:
    look(folder, tmp_path / "s.db")
    found = kept(tmp_path / "s.db")
    for name, verdict in (("bright.png", Verdict.LIKELY_GENERATED), ("dark.png", Verdict.NO_SIGN)):
        assert (found[name].verdict, found[name].stability) == (verdict, "stable")
        assert any(note.startswith("stability: Stable") for note in found[name].notes)
    # An inconclusive verdict has no opposite, and a file without a verdict none at all.
    assert found["between.png"].stability == found["none.png"].stability == ""


def test_nothing_is_treated_unless_asked_for(folder: Path, tmp_path: Path) -> None:
    detector = StandIn()
    look(folder, tmp_path / "s.db", detector, stability="off")
    assert len(detector.scored) == 4
    found = kept(tmp_path / "s.db")
    assert found["flips.png"].verdict is Verdict.LIKELY_GENERATED
    assert {finding.stability for finding in found.values()} == {""}


def test_the_second_scan_treats_what_the_first_did_not_and_nothing_twice(
    folder: Path, tmp_path: Path
) -> None:
    look(folder, tmp_path / "s.db", stability="off")
    second, third = StandIn(), StandIn()
    summary = look(folder, tmp_path / "s.db", second)
    # The twins hold the same bytes.
    assert len(second.scored) == 3 * COPIES
    # The file that is no image is tried again by every scan.
    assert (summary.done, summary.fresh) == (6, 1)
    look(folder, tmp_path / "s.db", third)
    assert third.scored == []
    look(folder, tmp_path / "whole.db")
    assert kept(tmp_path / "s.db") == kept(tmp_path / "whole.db")
    # A later scan without the option keeps what was found.
    look(folder, tmp_path / "s.db", stability="off")
    assert kept(tmp_path / "s.db")["flips.png"].verdict_code == "unstable"


def test_each_finding_is_told_once_with_its_last_verdict(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, Verdict | None]] = []

    class Listener(Watcher):
        def found(self, finding: Finding, fresh: bool) -> None:
            told.append((Path(finding.path).name, finding.verdict))

    look(folder, tmp_path / "s.db", watcher=Listener())
    assert sorted(name for name, _ in told) == sorted(path.name for path in folder.iterdir())
    assert ("flips.png", Verdict.INCONCLUSIVE) in told


def test_an_export_says_whether_a_verdict_held(folder: Path, tmp_path: Path) -> None:
    look(folder, tmp_path / "s.db")
    found = {name: f.to_record()["stability"] for name, f in kept(tmp_path / "s.db").items()}
    assert (found["flips.png"], found["bright.png"], found["none.png"]) == ("flips", "stable", None)


def test_evidence_is_set_against_what_the_pixels_can_still_say(tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    made = build.png(build.text("parameters", forms.A1111), pixels=flipping())
    (place / "made.png").write_bytes(made)
    look(place, tmp_path / "s.db")
    finding = kept(tmp_path / "s.db")["made.png"]
    # Before, pixels and metadata agreed on "likely generated".
    assert (finding.verdict, finding.verdict_code) == (
        Verdict.INCONCLUSIVE,
        "metadata_says_generated",
    )
    assert (finding.pixel_verdict, finding.pixel_code) == (Verdict.INCONCLUSIVE, "unstable")
    assert "a1111_parameters" in finding.evidence_kinds


def test_a_scan_that_is_stopped_keeps_the_first_verdicts_and_the_next_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    detector = StandIn()
    # Asked to stop once the first of two sets of copies is scored.
    summary = look(
        folder, tmp_path / "s.db", detector, stop=lambda: len(detector.scored) >= 4 + COPIES
    )
    assert summary.interrupted
    assert summary.done == 6
    assert len(detector.scored) == 4 + COPIES
    words = [f.stability for f in kept(tmp_path / "s.db").values() if f.verdict is not None]
    assert "" in words
    look(folder, tmp_path / "s.db")
    look(folder, tmp_path / "whole.db")
    assert kept(tmp_path / "s.db") == kept(tmp_path / "whole.db")


def test_a_file_that_is_gone_by_then_keeps_its_verdict_with_a_note(
    folder: Path, tmp_path: Path
) -> None:
    class Removing(StandIn):
        def score_prepared(self, prepared, batch_size=16):  # type: ignore[no-untyped-def]
            for name in ("flips.png", "twin.png"):
                (folder / name).unlink(missing_ok=True)
            return super().score_prepared(prepared, batch_size)

    summary = look(folder, tmp_path / "s.db", Removing())
    assert summary.done == 6
    finding = kept(tmp_path / "s.db")["flips.png"]
    assert (finding.verdict, finding.stability) == (Verdict.LIKELY_GENERATED, "")
    assert any(note.startswith("stability was not measured") for note in finding.notes)


def test_near_is_within_the_distance_between_the_thresholds() -> None:
    limits = Thresholds(2.0, 1.0, 0.02, 0.1, 0.5)
    scored = Finding("a", "0" * 64, Status.OK, "", "m", 0.0, verdict=Verdict.NO_SIGN)
    for score, verdict, near in (
        (-0.1, Verdict.NO_SIGN, False),
        (0.0, Verdict.NO_SIGN, True),
        (0.9, Verdict.NO_SIGN, True),
        (1.5, Verdict.INCONCLUSIVE, False),
        (2.0, Verdict.LIKELY_GENERATED, True),
        (3.0, Verdict.LIKELY_GENERATED, True),
        (3.1, Verdict.LIKELY_GENERATED, False),
    ):
        assert in_question(replace(scored, score=score, verdict=verdict), limits) is near
    assert in_question(replace(scored, score=-9.0), None)
    assert not in_question(Finding("a", "", Status.EMPTY, "empty"), None)


@dataclass(frozen=True)
class Bundle:
    preprocess: PreprocessConfig
    thresholds: Thresholds


def test_near_leaves_out_what_is_far_from_every_threshold(folder: Path, tmp_path: Path) -> None:
    detector = StandIn()
    # The stand-in's bright image scores 3.5, the dark one -3.4, the flipping one in between.
    detector.bundle = Bundle(detector.bundle.preprocess, Thresholds(1.0, 0.0, 0.02, 0.1, 0.0))  # type: ignore[assignment]
    look(folder, tmp_path / "s.db", detector, stability="near")
    found = kept(tmp_path / "s.db")
    assert {name for name, f in found.items() if f.stability} == {"flips.png", "twin.png"}
    assert len(detector.scored) == 4 + COPIES


def test_settling_is_told_in_the_finding_and_done_by_its_rule() -> None:
    def finding(verdict: Verdict) -> Finding:
        return Finding("a", "0" * 64, Status.OK, "why", "m", 1.0, verdict=verdict)

    for first, other in itertools.product(Verdict, Verdict):
        copies = [finding(other)] * COPIES
        held = measured(finding(first), copies)
        final = settle(finding(first), held)
        assert final.stability == held.word
        assert final.verdict is (Verdict.INCONCLUSIVE if held.flips else first)


def test_an_unknown_mode_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="off, near, all"):
        look(folder, tmp_path / "s.db", stability="sometimes")


def test_the_option_alone_means_near(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["x"]).stability == "off"
    assert parser.parse_args(["x", "--stability"]).stability == "near"
    assert parser.parse_args(["x", "--stability", "all"]).stability == "all"
    file = tmp_path / "blank.png"
    file.write_bytes(build.png(pixels=holding(20)))
    code = main(["scan", str(file), "--store", str(tmp_path / "s.db"), "--stability", "all", "-q"])
    assert code == 0
    assert capsys.readouterr().out == ""
