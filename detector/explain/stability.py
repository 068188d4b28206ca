"""Whether a verdict holds when the same image is saved, scaled or cropped again.

An image that changes sides when a platform re-saves it was never decided; its verdict becomes
`inconclusive`, with the code "unstable".
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector.conditions import resize, to_jpeg, to_webp
from detector.errors import ImageError
from detector.images import DEFAULT_LIMITS, Limits, decoded_from_pixels
from detector.preprocess import Cutter, Prepared, prepare
from detector.results import Finding, Status, Verdict

if TYPE_CHECKING:
    from detector.explain.looking import Seen
    from detector.predict import Detector, Source
    from detector.weights import Thresholds

Pixels = NDArray[np.uint8]

AS_IS = "as it is"
UNSTABLE = "unstable"
STABLE, WAVERS, FLIPS = "stable", "wavers", "flips"
_CUT = 0.1


def _cropped(left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Any:
    def treat(rgb: Pixels) -> Pixels:
        height, width = rgb.shape[:2]
        rows = slice(round(top * height), height - round(bottom * height))
        return np.ascontiguousarray(rgb[rows, round(left * width) : width - round(right * width)])

    return treat


TREATMENTS: dict[str, Callable[[Pixels], Pixels | bytes]] = {
    "JPEG 90": lambda rgb: to_jpeg(rgb, 90),
    "JPEG 75": lambda rgb: to_jpeg(rgb, 75),
    "JPEG 50": lambda rgb: to_jpeg(rgb, 50),
    "WebP 80": lambda rgb: to_webp(rgb, 80),
    "scaled to 75 %": lambda rgb: resize(rgb, 0.75),
    "scaled to 50 %": lambda rgb: resize(rgb, 0.5),
    "scaled to 125 %": lambda rgb: resize(rgb, 1.25),
    "10 % cut off left": _cropped(left=_CUT),
    "10 % cut off right": _cropped(right=_CUT),
    "10 % cut off above": _cropped(top=_CUT),
    "10 % cut off below": _cropped(bottom=_CUT),
}


@dataclass(frozen=True)
class TreatedScore:
    """The image after one treatment. `score` and `verdict` are None where it cannot be scored."""

    treatment: str
    score: float | None
    verdict: Verdict | None
    reason: str = ""


@dataclass(frozen=True)
class Stability:
    """The same image under a fixed set of treatments.

    Attributes:
        rows: the untreated image first, then every treatment, always in the same order.
    """

    rows: tuple[TreatedScore, ...]

    @property
    def treated(self) -> tuple[TreatedScore, ...]:
        """The treatments that could be scored."""
        return tuple(row for row in self.rows[1:] if row.verdict is not None)

    @property
    def held(self) -> int:
        """Under how many treatments the verdict stayed what it was."""
        return sum(row.verdict is self.rows[0].verdict for row in self.treated)

    @property
    def word(self) -> str:
        """ "stable", "wavers" or "flips".

        Stable: every treatment leaves the verdict. Flips: a verdict that decided becomes its
        opposite under some treatment, or holds under none of them. Wavers: the rest.
        """
        if self.held == len(self.treated):
            return STABLE
        opposite = self._opposite()
        turned = any(row.verdict is opposite for row in self.treated)
        return FLIPS if opposite is not None and (turned or self.held == 0) else WAVERS

    def _opposite(self) -> Verdict | None:
        """What the verdict would flip to; None for `inconclusive`, which has no opposite."""
        return {
            Verdict.LIKELY_GENERATED: Verdict.NO_SIGN,
            Verdict.NO_SIGN: Verdict.LIKELY_GENERATED,
        }.get(self.rows[0].verdict or Verdict.INCONCLUSIVE)

    @property
    def flips(self) -> bool:
        """Whether the verdict cannot be kept."""
        return self.word == FLIPS

    @property
    def range(self) -> tuple[float, float] | None:
        """Lowest and highest score of all rows; None without any."""
        scores = [row.score for row in self.rows if row.score is not None]
        return (min(scores), max(scores)) if scores else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the scores in logits; None with fewer than two."""
        scores = [row.score for row in self.rows if row.score is not None]
        return statistics.pstdev(scores) if len(scores) > 1 else None

    @property
    def words(self) -> str:
        """One or two plain sentences."""
        ends = self.range
        if ends is None or not self.treated:
            return "No treated copy of this image could be scored, so its stability is unknown."
        total = len(self.treated)
        told = {
            STABLE: f"Stable: the verdict is the same in all {total} treated copies.",
            WAVERS: f"Wavers: the verdict is the same in {self.held} of {total} treated copies.",
            FLIPS: f"Flips: the verdict is the same in {self.held} of {total} treated copies, and "
            f"{self._against()}.",
        }[self.word]
        return f"{told} The score lies between {ends[0]:+.2f} and {ends[1]:+.2f}."

    def _against(self) -> str:
        others = [row for row in self.treated if row.verdict is self._opposite()]
        if not others:
            return "inconclusive in the rest"
        names = ", ".join(row.treatment for row in others[:3])
        return f"the opposite in others ({names}{', …' if len(others) > 3 else ''})"

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        rows = [
            asdict(row) | {"verdict": None if row.verdict is None else str(row.verdict)}
            for row in self.rows
        ]
        return {
            "word": self.word,
            "flips": self.flips,
            "held": self.held,
            "treatments": len(self.treated),
            "words": self.words,
            "rows": rows,
        }


def stability(detector: Detector, source: Source | Seen) -> Stability:
    """The score of one image under every treatment of `TREATMENTS`; the same on every run.

    Only the pixels are judged: evidence in the file's metadata does not survive treatment.

    Args:
        detector: a loaded bundle.
        source: as for `Detector.predict`, or what `detector.explain.looking.look` gave.

    Raises:
        ImageError: the file cannot be scored; its status says why.
    """
    from detector.explain.looking import Seen, look

    seen = source if isinstance(source, Seen) else look(detector, source)
    if seen.image is None:
        raise ImageError(seen.finding.status, seen.finding.reason)
    copies = treated(seen.image.rgb, detector.bundle.preprocess, detector.limits)
    # One at a time: the treated copies of a large image do not fit into memory together.
    return measured(seen.finding, [detector.score_prepared([copy])[0] for copy in copies])


def treated(rgb: Pixels, config: Cutter, limits: Limits = DEFAULT_LIMITS) -> Iterator[Prepared]:
    """The image under every treatment of `TREATMENTS`, in their order; loads no torch.

    Args:
        rgb: (H, W, 3) uint8, upright.
        config: which views to cut.
        limits: bounds for the copies that are saved as files.
    """
    for treat in TREATMENTS.values():
        copy = treat(rgb)
        if isinstance(copy, bytes):
            yield prepare("", copy, config, limits=limits)
            continue
        try:
            image = decoded_from_pixels(copy)
            views = config.cut(image.rgb)
        except ImageError as error:
            yield Prepared("", "", error.status, error.reason)
            continue
        notes = image.notes + views.notes
        yield Prepared("", image.facts.sha256, Status.OK, "", image.facts, views, notes)


def measured(finding: Finding, copies: Sequence[Finding]) -> Stability:
    """The stability of a finding, given those of its copies that `treated` made, in that order."""
    rows = [_row(name, copy) for name, copy in zip(TREATMENTS, copies, strict=True)]
    return Stability((_row(AS_IS, finding), *rows))


def in_question(finding: Finding, thresholds: Thresholds | None) -> bool:
    """Whether the pixels' verdict is near enough to a threshold for treatments to turn it.

    Near is within the distance between the two thresholds: to flip, a score has to cross both.
    A verdict that is `inconclusive` already cannot flip. Without thresholds, as some plug-ins
    have none to show, every verdict that decided is in question.
    """
    verdict = finding.pixel_verdict or finding.verdict
    if not finding.ok or finding.score is None or verdict in (None, Verdict.INCONCLUSIVE):
        return False
    if thresholds is None:
        return True
    high, low = thresholds.likely_generated, thresholds.inconclusive
    return 2 * low - high <= finding.score <= 2 * high - low


def _row(name: str, finding: Finding) -> TreatedScore:
    if not finding.ok:
        return TreatedScore(name, None, None, finding.reason)
    return TreatedScore(name, finding.score, finding.pixel_verdict or finding.verdict)


def settle(finding: Finding, stability: Stability) -> Finding:
    """The finding with a verdict that its stability allows; pure.

    A verdict that the score gave and that flips becomes `inconclusive` with the code
    "unstable". One that rests on evidence in the file stays, and a note tells of the flip.
    """
    if not finding.ok:
        return finding
    finding = replace(finding, stability=stability.word)
    if not stability.flips:
        return finding
    pixels_decided = not finding.pixel_code or finding.verdict_code == finding.pixel_code
    if not pixels_decided:
        note = f"the CNN's own verdict does not hold: {stability.words}"
        return replace(finding, notes=(*finding.notes, note))
    reason = f"The verdict does not hold when the image is treated. {stability.words}"
    changed = replace(finding, verdict=Verdict.INCONCLUSIVE, verdict_code=UNSTABLE, reason=reason)
    if finding.pixel_verdict is None:
        return changed
    return replace(
        changed, pixel_verdict=Verdict.INCONCLUSIVE, pixel_code=UNSTABLE, pixel_reason=reason
    )
