"""One image to one `Finding`: prepare, look, fuse, calibrate, and say what may be said."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from detector.calibration import stratum_of
from detector.errors import ImageError
from detector.evidence import look
from detector.evidence.trust import read_trust_list
from detector.images import DEFAULT_LIMITS, Limits, decoded_from_pixels
from detector.model import to_tensor
from detector.preprocess import VIEWS, Prepared, make_views, prepare
from detector.results import CropScore, Evidence, Finding, Status, Verdict
from detector.verdict import PixelJudgement, decided
from detector.weights import Bundle, load_bundle

Source = str | Path | bytes | Image.Image | NDArray[np.uint8]
T = TypeVar("T")
# The maps of more views at once no longer fit a core's caches: benchmarks/model_speed.py.
VIEWS_AT_ONCE = 4


class Detector:
    """A loaded bundle. `Detector.load()` gives the default one.

    Findings do not depend on batch size, thread count or decoder by more than 1e-4 in `score`.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        limits: Limits = DEFAULT_LIMITS,
        trust_list: str | None = None,
    ) -> None:
        self.bundle = bundle
        self.limits = limits
        self.trust_list = trust_list
        self.net = bundle.build_model()

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        trust_anchors: str | Path | None = None,
    ) -> Detector:
        """Load a bundle with its weights.

        Args:
            model: id of a shipped bundle or a bundle's folder; None for the default.
            threads: CPU threads of torch in this process; None leaves them as they are.
            limits: bounds on bytes and pixels of a file, checked before decoding.
            trust_anchors: file with PEM certificates that C2PA signers are checked against; None
                for the list of the environment or of the package, see `detector.evidence.trust`.

        Raises:
            BundleError: no such bundle, or it is incomplete or altered.
            UsageError: `trust_anchors` cannot be read, or holds no certificate.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        pem = None if trust_anchors is None else read_trust_list(trust_anchors).pem
        return cls(load_bundle(model), limits=limits, trust_list=pem)

    @property
    def model_id(self) -> str:
        """The bundle's name and version."""
        return self.bundle.id

    @property
    def config_hash(self) -> str:
        """Hash of all that can change a finding; results in a store are keyed by it."""
        return self.bundle.config_hash

    def predict(self, source: Source, *, evidence: bool = True) -> Finding:
        """Score one image, and decide with what the file says of its origin.

        Args:
            source: path or URL, the bytes of a file, a PIL image, or an array of shape
                (H, W, 3), (H, W, 4) or (H, W), uint8, RGB order.
            evidence: whether the evidence of a file has its say in the verdict, see
                `detector.verdict`; pixels without a file have none.

        Returns:
            A finding; a file that cannot be scored gives one with another status than OK.
        """
        return self.predict_batch([source], evidence=evidence)[0]

    def predict_batch(
        self, sources: Sequence[Source], batch_size: int = 16, *, evidence: bool = True
    ) -> list[Finding]:
        """Score several images as `predict`; the findings come in the order of the sources."""
        findings: list[Finding] = []
        for group in _grouped(iter(sources), batch_size):
            prepared = [self.prepare(source, evidence=evidence) for source in group]
            findings += self.score_prepared(prepared, batch_size)
        return findings

    def examine(self, source: Source) -> tuple[Finding, tuple[Evidence, ...]]:
        """As `predict`, with the evidence itself; the file is read and decoded once for both."""
        prepared = self.prepare(source, evidence=True)
        return self.score_prepared([prepared])[0], prepared.evidence or ()

    def prepare(self, source: Source, *, evidence: bool = False) -> Prepared:
        """Read one image and cut it into this bundle's views, or say why that cannot be done.

        Args:
            source: as for `predict`.
            evidence: whether the evidence of a file is gathered from the same bytes and pixels.
        """
        config = self.bundle.preprocess
        find = partial(look, trust_list=self.trust_list) if evidence else None
        if isinstance(source, bytes):
            return prepare("", source, config, limits=self.limits, look=find)
        if isinstance(source, (str, Path)):
            return prepare(str(source), None, config, limits=self.limits, look=find)
        try:
            image = decoded_from_pixels(source)
        except ImageError as error:
            return Prepared("", "", error.status, error.reason)
        views = make_views(image.rgb, config)
        notes = image.notes + views.notes
        return Prepared("", image.facts.sha256, Status.OK, "", image.facts, views, notes)

    def score_prepared(self, prepared: Sequence[Prepared], batch_size: int = 16) -> list[Finding]:
        """Score images that were prepared elsewhere, such as in worker processes.

        Args:
            prepared: as `detector.preprocess.prepare` makes them with this bundle's config.
            batch_size: views of one kind that pass through the CNN together at most, and never
                more than `VIEWS_AT_ONCE`.

        Evidence that was prepared as well has its say in the verdict.
        """
        usable = [p for p in prepared if p.views is not None and p.facts is not None]
        seen: dict[str, list[NDArray[np.uint8]]] = {view: [] for view in VIEWS}
        for item in usable:
            for view, _, pixels in item.views.crops() if item.views is not None else ():
                seen[view].append(pixels)
        logits = {view: self._logits(found, view, batch_size) for view, found in seen.items()}
        findings = [
            self._finding(p, logits)
            if p.views is not None and p.facts is not None
            else Finding(p.path, p.sha256, p.status, p.reason, self.model_id, notes=p.notes)
            for p in prepared
        ]
        return [
            finding if p.evidence is None else decided(finding, p.evidence)
            for p, finding in zip(prepared, findings, strict=True)
        ]

    def _logits(
        self, views: Sequence[NDArray[np.uint8]], view: str, batch_size: int
    ) -> Iterator[float]:
        for group in _grouped(iter(views), min(batch_size, VIEWS_AT_ONCE)):
            with torch.inference_mode():
                scores = self.net(to_tensor(np.stack(group)), view).tolist()
            # Outside of the mode: a generator that waits inside would leave it on for its caller.
            yield from scores

    def _finding(self, item: Prepared, logits: Mapping[str, Iterator[float]]) -> Finding:
        views, facts = item.views, item.facts
        assert views is not None
        assert facts is not None
        crops = [
            CropScore(view, *box, round(next(logits[view]), 6)) for view, box, _ in views.crops()
        ]
        score = self._fuse(crops)
        native = [crop.score for crop in crops if crop.view == "native"]
        stratum = stratum_of(facts)
        pixel = self._judge(score, views.texture)
        calibration = self.bundle.calibration
        return Finding(
            path=item.path,
            sha256=item.sha256,
            status=Status.OK,
            reason=pixel.reason,
            model=self.model_id,
            score=score,
            probability=calibration.probability(score, stratum),
            lr=calibration.lr(score, stratum),
            verdict=pixel.verdict,
            verdict_code=pixel.code,
            crops=tuple(crops),
            spread=statistics.pstdev(native) if len(native) > 1 else None,
            stratum=stratum,
            file=facts,
            notes=item.notes,
            pixel_verdict=pixel.verdict,
            pixel_code=pixel.code,
            pixel_reason=pixel.reason,
        )

    def _fuse(self, crops: Sequence[CropScore]) -> float:
        fusion = self.bundle.fusion
        score = fusion.bias
        for view, weight in fusion.weights().items():
            logits = [crop.score for crop in crops if crop.view == view]
            if logits:
                score += weight * sum(logits) / len(logits)
        return round(score, 6)

    def _judge(self, score: float, texture: float) -> PixelJudgement:
        """What the pixels alone give: the verdict, its rule, and that rule in words."""
        limits = self.bundle.thresholds
        if texture < limits.least_texture:
            return PixelJudgement(
                Verdict.INCONCLUSIVE,
                "too_flat",
                "The image is almost without texture: there is nothing for the CNN to judge.",
            )
        if score >= limits.likely_generated:
            return PixelJudgement(
                Verdict.LIKELY_GENERATED,
                "score_above_threshold",
                f"Score {score:+.2f} reaches {limits.likely_generated:+.2f}, which "
                f"{limits.nominal_fpr:.0%} of real images reached on the validation sources.",
            )
        if score >= limits.inconclusive:
            return PixelJudgement(
                Verdict.INCONCLUSIVE,
                "score_between_thresholds",
                f"Score {score:+.2f} lies between {limits.inconclusive:+.2f} and "
                f"{limits.likely_generated:+.2f}: too many real images score like this.",
            )
        return PixelJudgement(
            Verdict.NO_SIGN,
            "score_below_threshold",
            f"Score {score:+.2f} is below {limits.inconclusive:+.2f}: the CNN saw no sign of "
            "generation, which does not show that there was none.",
        )


def _grouped(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while group := list(islice(items, size)):
        yield group
