"""A scan keeps what files say of their origin, decides with it, and never loses a file to it."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

import detector.preprocess
from detector import evidence
from detector.cli import main
from detector.errors import UsageError
from detector.evidence import base, build, compression
from detector.evidence.metadata import forms
from detector.preprocess import Prepared, prepare
from detector.results import Evidence, Finding, Status, Trust, Verdict
from detector.scan import ScanSummary, examine, scan
from detector.store import Store
from tests import files
from tests.standin import StandIn

DARK = files.pixels() // 4  # the stand-in model finds no sign in a dark image
PARAMETERS = build.png(build.text("parameters", forms.A1111), pixels=DARK)


def look(folder: Path, store: Path, detector: StandIn | None = None, **options) -> ScanSummary:
    options = {"workers": 0, **options}
    return scan([folder], store=store, detector=detector or StandIn(), **options)


def kept(store: Path) -> dict[str, tuple[Finding, list[Evidence] | None]]:
    """Findings and evidence of a store by the name of the file."""
    with Store.open(store, readonly=True) as opened:
        return {
            Path(finding.path).name: (finding, opened.get_evidence(finding.sha256))
            for finding in opened.findings()
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plain image, one with a generator's parameters twice, and a broken one with a camera."""
    place = tmp_path / "in"
    place.mkdir()
    (place / "plain.png").write_bytes(build.png(pixels=DARK))
    (place / "made.png").write_bytes(PARAMETERS)
    (place / "twin.png").write_bytes(PARAMETERS)
    camera = build.jpeg(build.exif_segment(build.exif(forms.CAMERA_MAIN, forms.CAMERA)))
    (place / "torn.jpg").write_bytes(camera[:-300])
    return place


@pytest.mark.parametrize("workers", [0, 2])
def test_evidence_is_kept_and_has_its_say(folder: Path, tmp_path: Path, workers: int) -> None:
    look(folder, tmp_path / "s.db", workers=workers)
    found = kept(tmp_path / "s.db")
    for name in ("made.png", "twin.png"):
        finding, items = found[name]
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.verdict_code == "metadata_says_generated"
        assert (finding.pixel_verdict, finding.pixel_code) == (Verdict.NO_SIGN, "brightness")
        assert "a1111_parameters" in finding.evidence_kinds
        assert finding.conflicts
        assert "a1111_parameters" in {item.kind for item in items}
    finding, items = found["plain.png"]
    assert (finding.verdict, finding.verdict_code) == (Verdict.NO_SIGN, "brightness")
    assert items is not None


def test_a_file_that_cannot_be_scored_keeps_its_evidence(folder: Path, tmp_path: Path) -> None:
    look(folder, tmp_path / "s.db")
    finding, items = kept(tmp_path / "s.db")["torn.jpg"]
    assert (finding.status, finding.verdict) == (Status.TRUNCATED, None)
    assert "camera_exif" in finding.evidence_kinds
    assert "camera_exif" in {item.kind for item in items}


def test_no_evidence_leaves_the_pixels_verdict(folder: Path, tmp_path: Path) -> None:
    look(folder, tmp_path / "s.db", evidence=False)
    finding, items = kept(tmp_path / "s.db")["made.png"]
    assert (finding.verdict, finding.verdict_code) == (Verdict.NO_SIGN, "brightness")
    assert finding.evidence_kinds == ()
    assert items is None


def test_a_resumed_scan_fills_in_what_is_missing(folder: Path, tmp_path: Path) -> None:
    look(folder, tmp_path / "resumed.db", evidence=False)
    detector = StandIn()
    summary = look(folder, tmp_path / "resumed.db", detector)
    assert detector.scored == []
    assert (summary.known, summary.fresh) == (4, 0)
    look(folder, tmp_path / "whole.db")
    assert kept(tmp_path / "resumed.db") == kept(tmp_path / "whole.db")


def test_what_is_there_is_not_looked_for_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(folder, tmp_path / "s.db")
    before = kept(tmp_path / "s.db")
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "look", None)
        look(folder, tmp_path / "s.db")
    assert kept(tmp_path / "s.db") == before
    # Another model's scores are decided with the evidence that is there.
    other = StandIn(config_hash="another")
    with monkeypatch.context() as patch:
        patch.setattr(evidence, "look", None)
        look(folder, tmp_path / "s.db", other)
    assert len(other.scored) == 2
    assert kept(tmp_path / "s.db")["made.png"] == before["made.png"]


def test_every_file_is_read_once_and_decoded_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(module: object, name: str, word: str) -> None:
        real = getattr(module, name)

        @functools.wraps(real)
        def one_more(*args: object, **options: object) -> object:
            calls.append(word)
            return real(*args, **options)

        monkeypatch.setattr(module, name, one_more)

    counted(examine, "read_bytes", "read")
    counted(detector.preprocess, "read_bytes", "read again")
    counted(detector.preprocess, "read_image", "decode")
    counted(base, "read_image", "decode again")
    look(folder, tmp_path / "s.db")
    assert sorted(calls) == ["decode"] * 4 + ["read"] * 4


def test_a_channel_that_fails_costs_nothing_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(item: object) -> list[Evidence]:
        raise MemoryError("out of it")

    monkeypatch.setattr(compression, "find", fault)
    summary = look(folder, tmp_path / "s.db")
    assert summary.statuses == {"ok": 3, "truncated": 1}
    finding, items = kept(tmp_path / "s.db")["made.png"]
    assert finding.verdict_code == "metadata_says_generated"
    (failed,) = (item for item in items if item.kind == "channel_failed")
    assert (failed.channel, failed.raw["error"]) == ("compression", "MemoryError")


def deadly_evidence(path: str, *args, look=None, **options) -> Prepared:
    """A look for evidence that ends the process at one file; reading itself is harmless."""

    def end(data: bytes, image: object) -> list[Evidence]:
        if Path(path).name == "made.png" and getattr(look, "func", None) is evidence.look:
            os._exit(9)
        return look(data, image)

    return prepare(path, *args, look=look and end, **options)


def test_evidence_that_ends_a_worker_costs_no_file(folder: Path, tmp_path: Path) -> None:
    (folder / "twin.png").unlink()
    summary = look(folder, tmp_path / "s.db", workers=1, prepare=deadly_evidence)
    assert summary.statuses == {"ok": 2, "truncated": 1}
    finding, items = kept(tmp_path / "s.db")["made.png"]
    assert (finding.verdict, finding.verdict_code) == (Verdict.NO_SIGN, "brightness")
    assert finding.evidence_kinds == ("channel_failed",)
    (failed,) = items
    assert "exit code 9" in failed.raw["detail"]


def test_other_certificates_make_a_scan_look_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pytest.importorskip("tests.c2pa_made", reason="needs the extra 'c2pa'")
    pem = tmp_path / "anchors.pem"
    pem.write_text(made.authority().root_pem)
    claim = made.manifest(made.created("trainedAlgorithmicMedia"))
    signed = made.sign(build.png(pixels=DARK), claim, kind="image/png")
    (folder / "signed.png").write_bytes(signed)
    store = tmp_path / "s.db"

    def seen() -> tuple[str, Trust]:
        finding, items = kept(store)["signed.png"]
        (manifest,) = (item for item in items if item.kind == "c2pa_manifest")
        return finding.verdict_code, manifest.trust

    look(folder, store)
    assert seen() == ("signature_says_generated", Trust.VALID)
    detector = StandIn()
    look(folder, store, detector, trust_anchors=pem)
    assert seen() == ("signed_generated", Trust.TRUSTED)
    assert detector.scored == []
    look(folder, store)
    assert seen() == ("signature_says_generated", Trust.VALID)
    monkeypatch.setenv("DETECTOR_TRUST_ANCHORS", str(pem))
    look(folder, store)
    assert seen() == ("signed_generated", Trust.TRUSTED)


def test_certificates_that_are_none_stop_a_scan_before_it_begins(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        look(folder, tmp_path / "s.db", trust_anchors=tmp_path / "none.pem")
    monkeypatch.setenv("DETECTOR_TRUST_ANCHORS", str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match="cannot be read"):
        look(folder, tmp_path / "s.db")
    assert not (tmp_path / "s.db").exists()


def test_the_command_takes_both_options(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    def stop(*_: object, **options: object) -> None:
        given.update(options)
        raise UsageError("stopped")

    monkeypatch.setattr("detector.scan.scan", stop)
    words = ["scan", str(folder), "--store", str(tmp_path / "s.db"), "-q"]
    assert main(words) == 2
    assert (given["evidence"], given["trust_anchors"]) == (True, None)
    assert main([*words, "--no-evidence", "--trust-anchors", "a.pem"]) == 2
    assert (given["evidence"], given["trust_anchors"]) == (False, "a.pem")
