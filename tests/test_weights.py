"""Bundles are complete, unaltered and replaceable, or refused with the cure named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import BundleError
from detector.weights import ASSETS, DEFAULT_BUNDLE, installed_bundles, load_bundle
from tests.bundles import untrained_bundle


def edit(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_bundle_folder_is_used_by_naming_it(tmp_path: Path) -> None:
    folder = untrained_bundle(tmp_path / "own_v1", size=96)
    bundle = load_bundle(folder)
    assert bundle.id == "own_v1"
    assert bundle.preprocess.size == 96
    assert bundle.build_model() is not None


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    folder = untrained_bundle(tmp_path / "own_v1")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))
    with pytest.raises(BundleError, match="altered"):
        load_bundle(folder).build_model()


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = untrained_bundle(tmp_path / "own_v1")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        load_bundle(folder).build_model()


def test_unknown_bundles_list_the_known_ones() -> None:
    with pytest.raises(BundleError, match=DEFAULT_BUNDLE):
        load_bundle("no_such_bundle")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"preprocess": {"sizes": 3}}, "sizes"),
    ],
)
def test_foreign_configs_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    folder = untrained_bundle(tmp_path / "own_v1")
    edit(folder, **changes)
    with pytest.raises(BundleError, match=message):
        _ = load_bundle(folder).preprocess


def test_incomplete_and_broken_configs_are_refused(tmp_path: Path) -> None:
    folder = untrained_bundle(tmp_path / "own_v1")
    file = folder / "config.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in whole.items() if k != "fusion"}))
    with pytest.raises(BundleError, match="fusion"):
        load_bundle(folder)
    file.write_text("{")
    with pytest.raises(BundleError, match="JSON"):
        load_bundle(folder)


def test_the_config_hash_follows_what_decides_and_nothing_else(tmp_path: Path) -> None:
    folder = untrained_bundle(tmp_path / "own_v1")
    first = load_bundle(folder).config_hash
    edit(folder, evaluation={"auc": 0.5})
    assert load_bundle(folder).config_hash == first
    edit(folder, fusion={"bias": 0.1, "whole": 0.5, "native": 0.5})
    assert load_bundle(folder).config_hash != first


def test_the_shipped_bundles_are_whole_and_small() -> None:
    assert DEFAULT_BUNDLE in installed_bundles()
    for name in installed_bundles():
        bundle = load_bundle(name)
        assert bundle.id == name
        if bundle.usable:
            assert bundle.build_model() is not None
        else:  # the heads were read and fit; only the borrowed tower is missing
            with pytest.raises(BundleError, match="models add thorough"):
                bundle.build_model()
        assert bundle.card().strip()
        assert (ASSETS / name / "model.safetensors").stat().st_size <= 25 * 2**20


def test_reading_a_config_loads_no_torch() -> None:
    code = "import detector.weights as w, sys; w.load_bundle(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_person_is_told_what_the_stronger_profile_would_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector import weights
    from detector.cli.facts import profile_words

    rates = {"measured_on": "m", "overall": {"tpr": 0.25, "fpr": 0.01}, "strata": {}}
    untrained_bundle(tmp_path / "small_v1", profile="default", evaluation=rates)
    better = {**rates, "overall": {"tpr": 0.5, "fpr": 0.02}}
    untrained_bundle(tmp_path / "large_v1", profile="thorough", evaluation=better)
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    monkeypatch.setattr(weights, "PROFILES", {"default": "small_v1", "thorough": "large_v1"})
    words = profile_words("default")
    assert "small_v1, profile default" in words
    assert "found 50% of generated test images where small_v1 found 25%" in words
    assert words.endswith("--profile thorough")
    assert profile_words("thorough") == "model: large_v1, profile thorough"
    assert profile_words(tmp_path / "nowhere") == ""


@pytest.mark.parametrize("name", installed_bundles())
def test_a_shipped_bundles_tables_can_be_read_as_this_version_reads_them(name: str) -> None:
    from detector.campaign.error_rates import of_bundle
    from detector.explain.reference import alike, at_threshold

    bundle = load_bundle(name)
    assert of_bundle(bundle) is not None
    said = at_threshold(bundle.config, "jpeg/medium/light")
    if "reference" in bundle.config:
        said = alike(
            bundle.config["reference"], bundle.thresholds.inconclusive, "jpeg/medium/light"
        )
        assert {item.label for item in said} == {0, 1}
    assert said
    assert all(0 <= item.low <= item.rate <= item.high <= 1 for item in said)
