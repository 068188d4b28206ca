"""The frozen values that travel through the package: statuses, verdicts, findings, evidence.

Nothing here computes; nothing here imports anything but the standard library, so that every
part of the package, and every tool around it, can speak of results without loading a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """What became of one file. Anything but `OK` means that it was not scored."""

    OK = "ok"
    EMPTY = "empty"  # zero bytes
    UNSUPPORTED = "unsupported"  # not an image, or a format that is not read
    TRUNCATED = "truncated"  # an image whose data end too early
    UNREADABLE = "unreadable"  # an image whose data are damaged otherwise
    TOO_SMALL = "too_small"  # fewer pixels than the CNN can say anything about
    TOO_LARGE = "too_large"  # more bytes or pixels than the limits allow
    MISSING = "missing"  # not there, or no permission to read it
    FAILED = "failed"  # a fault of ours or of the machine: out of memory, a dead worker

    def __str__(self) -> str:
        return self.value


class Verdict(str, Enum):
    """What may be said of an image; always together with a reason."""

    LIKELY_GENERATED = "likely_generated"
    INCONCLUSIVE = "inconclusive"
    NO_SIGN = "no_sign"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class FileFacts:
    """What the container says about an image, before any pixel is judged.

    Attributes:
        sha256: hex digest of the file's bytes.
        bytes: length of the file.
        format: the type found by content: "JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF",
            "TIFF" or "BMP"; "PIXELS" for an array or PIL image that came without a file.
        width, height: in pixels, after the EXIF orientation was applied.
        mode: how the pixels are stored, in Pillow's terms ("RGB", "CMYK", "P", "I;16", …).
        frames: number of frames; only the first is scored.
        orientation: EXIF orientation, 1–8; 1 when absent.
        jpeg_quality: quality of the IJG scale (1–100) whose tables come nearest to the
            file's; None when the file is not a JPEG.
        lossless: whether the container keeps pixels exactly (PNG, BMP, GIF, lossless WebP,
            uncompressed or deflate TIFF). It says nothing about what happened before.
    """

    sha256: str
    bytes: int
    format: str
    width: int
    height: int
    mode: str = "RGB"
    frames: int = 1
    orientation: int = 1
    jpeg_quality: int | None = None
    lossless: bool = False


@dataclass(frozen=True)
class Stratum:
    """The kind of file that an error rate was measured on; rates are only quoted per stratum.

    Attributes:
        format: "jpeg", "webp", "lossless" or "other".
        size: "small" (under 0.2 megapixels), "medium" (up to 1.2) or "large".
        compression: "light", "medium", "heavy" or "none", see `detector.calibration.stratum_of`.
    """

    format: str
    size: str
    compression: str

    def __str__(self) -> str:
        return f"{self.format}/{self.size}/{self.compression}"


@dataclass(frozen=True)
class CropScore:
    """The CNN's score of one view of the image.

    Attributes:
        view: "native" for a crop at the image's own resolution, "whole" for the resized image,
            "detail" for a crop of a moderately reduced copy.
        x, y, width, height: the view's box in pixels of the upright image.
        score: logit; higher means more likely generated.
    """

    view: str
    x: int
    y: int
    width: int
    height: int
    score: float


@dataclass(frozen=True)
class Finding:
    """All that one model says about one file. `status` is the first thing to read.

    Attributes:
        path: the path or URL as the caller gave it; "" for bytes and arrays.
        sha256: hex digest of the file's bytes; "" when it could not be read at all.
        status: what became of the file.
        reason: one sentence: why it could not be scored, or why the verdict is what it is.
        model: the bundle's id, such as "lite_v4"; "" when no model was reached.
        score: logit, higher means more likely generated; None unless `status` is OK.
        probability: of "generated", calibrated, at the prior that the bundle states, in [0, 1].
        lr: likelihood ratio that the score supports, bounded by the calibration data.
        verdict: None unless `status` is OK.
        verdict_code: the rule that decided, in a fixed word: of `detector.verdict.RULES`, or the
            pixels' own ("score_above_threshold", …).
        crops: the views that the CNN looked at, with their scores.
        spread: standard deviation of the native crops' scores; None with fewer than two.
        stratum: the kind of file; None unless `status` is OK.
        file: the container's facts; None when they could not be read.
        notes: what a reader should know ("animated: the first of 12 frames was scored").
        pixel_verdict, pixel_code, pixel_reason: what the pixels alone gave, before any evidence
            was looked at; `verdict` is a rule over these and the evidence. None and "" for
            findings that were never set against evidence.
        evidence_kinds: kinds of all evidence that the verdict was decided with, in the order in
            which it was found; empty when none was found or none was looked for.
        conflicts: sentences on what cannot all be right: claims of the file against each other,
            and against the pixels.
        stability: "stable", "wavers" or "flips", see `detector.explain.stability`; "" when the
            image was not treated again. A verdict that flips is `inconclusive` already.
    """

    path: str
    sha256: str
    status: Status
    reason: str
    model: str = ""
    score: float | None = None
    probability: float | None = None
    lr: float | None = None
    verdict: Verdict | None = None
    verdict_code: str = ""
    crops: tuple[CropScore, ...] = ()
    spread: float | None = None
    stratum: Stratum | None = None
    file: FileFacts | None = None
    notes: tuple[str, ...] = ()
    pixel_verdict: Verdict | None = None
    pixel_code: str = ""
    pixel_reason: str = ""
    evidence_kinds: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    stability: str = ""

    @property
    def ok(self) -> bool:
        """Whether the file was scored."""
        return self.status is Status.OK

    def to_record(self) -> dict[str, Any]:
        """A flat dict of plain JSON values, in the column order of every export."""
        file = self.file
        return {
            "path": self.path,
            "sha256": self.sha256,
            "status": str(self.status),
            "reason": self.reason,
            "score": self.score,
            "probability": self.probability,
            "lr": self.lr,
            "verdict": None if self.verdict is None else str(self.verdict),
            "verdict_code": self.verdict_code or None,
            "pixel_verdict": None if self.pixel_verdict is None else str(self.pixel_verdict),
            "stability": self.stability or None,
            "model": self.model,
            "width": None if file is None else file.width,
            "height": None if file is None else file.height,
            "format": None if file is None else file.format,
            "bytes": None if file is None else file.bytes,
            "frames": None if file is None else file.frames,
            "jpeg_quality": None if file is None else file.jpeg_quality,
            "stratum": None if self.stratum is None else str(self.stratum),
            "spread": self.spread,
            "evidence_kinds": list(self.evidence_kinds),
            "conflicts": list(self.conflicts),
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        """The finding as a card, for notebooks."""
        from detector.html import finding_card

        return finding_card(self.to_record())


class Asserts(str, Enum):
    """What a piece of evidence claims about an image."""

    GENERATED = "generated"
    EDITED_WITH_AI = "edited_with_ai"
    COMPOSITE = "composite"
    CAPTURED = "captured"
    HUMAN_MADE = "human_made"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


class Trust(str, Enum):
    """How far a claim can be relied on; see docs for the meaning of each word."""

    TRUSTED = "trusted"  # signed, intact, and the signer is on the trust list
    VALID = "valid"  # signed and intact, by a signer that nobody vouches for
    INVALID = "invalid"  # signed, but altered or wrongly signed
    SELF_DECLARED = "self_declared"  # plain metadata: anyone can write or copy it
    INFERRED = "inferred"  # measured from pixels or from the way the file was saved

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Evidence:
    """One thing that the file itself says about its origin; never blended into the score.

    Attributes:
        kind: what was found, in a fixed snake_case word ("a1111_parameters", "c2pa_manifest").
        channel: the module that found it ("metadata", "aigc_label", "c2pa", "watermark",
            "compression", "spectrum", or a plug-in's name).
        asserts: what it claims.
        issuer: who claims it, as far as the file says; "" when nobody is named.
        trust: how far the claim can be relied on.
        raw: plain JSON values that a second reader can check (fields, offsets, figures).
        caveat: one sentence: how this could be there innocently or be forged.
    """

    kind: str
    channel: str
    asserts: Asserts
    issuer: str
    trust: Trust
    raw: dict[str, Any] = field(default_factory=dict)
    caveat: str = ""

    def to_record(self) -> dict[str, Any]:
        """A dict of plain JSON values."""
        return {
            "kind": self.kind,
            "channel": self.channel,
            "asserts": str(self.asserts),
            "issuer": self.issuer,
            "trust": str(self.trust),
            "raw": self.raw,
            "caveat": self.caveat,
        }
