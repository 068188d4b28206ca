"""The same bytes give the same finding, however they arrive; bad input gives a status."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detector import Detector, Status, Verdict
from detector.predict import VIEWS_AT_ONCE
from detector.preprocess import prepare
from tests import files
from tests.bundles import untrained_bundle


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(untrained_bundle(tmp_path_factory.mktemp("bundle") / "small_v1"))


def test_a_finding_says_what_was_looked_at(small: Detector) -> None:
    finding = small.predict(files.jpeg(files.pixels(200, 300), quality=80))
    assert finding.ok
    assert finding.model == "small_v1"
    assert [crop.view for crop in finding.crops] == ["whole", "native", "native"]
    assert finding.spread is not None
    assert finding.score == pytest.approx(
        0.5 * finding.crops[0].score + 0.25 * (finding.crops[1].score + finding.crops[2].score),
        abs=1e-5,
    )
    assert 0 <= finding.probability <= 1
    assert finding.lr > 0
    assert finding.verdict in Verdict
    assert finding.reason
    assert finding.stratum.format == "jpeg"


def test_paths_bytes_images_and_arrays_agree(small: Detector, tmp_path: Path) -> None:
    data = files.png(files.pixels(120, 90))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    image = Image.open(path)
    findings = [small.predict(s) for s in (path, str(path), data, image, np.asarray(image))]
    assert len({f.score for f in findings}) == 1
    assert findings[0].path == str(path)
    assert findings[0].sha256 == findings[2].sha256


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_scores_do_not_depend_on_the_batch(small: Detector, batch_size: int) -> None:
    sources = [files.png(files.pixels(70 + 9 * i, 90, seed=i)) for i in range(7)]
    alone = [small.predict(source).score for source in sources]
    together = [f.score for f in small.predict_batch(sources, batch_size)]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_only_a_few_views_pass_through_the_network_together(small: Detector) -> None:
    seen: list[int] = []
    watch = small.net.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        small.predict_batch([files.pixels(150, 150, seed=i) for i in range(VIEWS_AT_ONCE + 1)])
        assert max(seen) == VIEWS_AT_ONCE
        seen.clear()
        small.predict_batch([files.pixels(150, 150, seed=i) for i in range(3)], batch_size=2)
        assert max(seen) == 2
    finally:
        watch.remove()


def test_scores_do_not_depend_on_the_thread_count(small: Detector) -> None:
    data = files.png(files.pixels(300, 300))
    before = torch.get_num_threads()
    try:
        scores = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            scores.append(small.predict(data).score)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(scores, scores[0], atol=1e-4)


def test_bad_files_are_values_between_good_ones(small: Detector) -> None:
    good = files.png()
    findings = small.predict_batch([good, b"", b"no image at all" * 9, good], batch_size=2)
    assert [f.status for f in findings] == [
        Status.OK, Status.EMPTY, Status.UNSUPPORTED, Status.OK,
    ]  # fmt: skip
    assert findings[0].score == findings[3].score
    assert findings[1].score is None
    assert findings[1].verdict is None
    assert findings[2].reason


def test_a_flat_image_is_inconclusive_whatever_its_score(small: Detector) -> None:
    finding = small.predict(np.full((200, 200, 3), 130, np.uint8))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.verdict_code == "too_flat"


@pytest.mark.parametrize(
    ("high", "low", "verdict"),
    [
        (-1e9, -1e9, Verdict.LIKELY_GENERATED),
        (1e9, -1e9, Verdict.INCONCLUSIVE),
        (1e9, 1e9, Verdict.NO_SIGN),
    ],
)
def test_the_thresholds_decide(tmp_path: Path, high: float, low: float, verdict: Verdict) -> None:
    limits = {"likely_generated": high, "inconclusive": low, "nominal_fpr": 0.02,
              "inconclusive_fpr": 0.1}  # fmt: skip
    detector = Detector.load(untrained_bundle(tmp_path / "own_v1", thresholds=limits))
    assert detector.predict(files.png()).verdict is verdict


def test_prepared_elsewhere_is_the_same_as_predicted(small: Detector) -> None:
    data = files.jpeg(files.pixels(150, 150))
    prepared = prepare("x.jpg", data, small.bundle.preprocess)
    assert small.score_prepared([prepared])[0].score == small.predict(data).score


def test_a_record_has_the_promised_keys(small: Detector) -> None:
    promised = {"path", "sha256", "status", "reason", "score", "probability", "verdict", "model",
                "width", "height", "format"}  # fmt: skip
    assert promised <= set(small.predict(files.png()).to_record())
    assert promised <= set(small.predict(b"").to_record())
