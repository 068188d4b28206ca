"""A ThreatExchange extension: what the detector says of an image, as a signal and a classifier.

    tx config extensions add detector.integrations.threatexchange

Signals have two written forms, and only unlike forms match (see `detector.integrations.signals`):

* an image's: `model_v1:+5.23:likely_generated:9f86d081884c7d65` (model, score, verdict, and the
  start of the file's sha256);
* a rule's, for a bank: `verdict=likely_generated`, or `model_v1>=+4.00`.

`tx match photo FILE` then names the banks whose rule the image meets. An image's own form that
is put into a bank finds that very file again and nothing else.

Environment: DETECTOR_ENDPOINT (a running `detector serve`), DETECTOR_TOKEN or
DETECTOR_TOKEN_FILE; without an endpoint the model is loaded in this process.

Interfaces of threatexchange 1.2: `SimpleSignalType` with `BytesHasher`, and `Classifier`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

from threatexchange.classifier.classifier import (
    ClassificationInfo,
    ClassificationResult,
    Classifier,
)
from threatexchange.cli.exceptions import CommandError
from threatexchange.content_type.photo import PhotoContent
from threatexchange.extensions.manifest import (
    ThreatExchangeExtensionManifest,
)
from threatexchange.signal_type import signal_base
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

from detector.errors import DetectorError, UsageError
from detector.integrations.client import Judge, Judgement, make_judge
from detector.integrations.signals import matches, parse_signal, signal_of
from detector.results import Asserts, Verdict


@lru_cache(maxsize=1)
def default_judge() -> Judge:
    """The judge that the environment variables ask for."""
    return make_judge(
        os.environ.get("DETECTOR_ENDPOINT"),
        os.environ.get("DETECTOR_TOKEN", ""),
        token_file=os.environ.get("DETECTOR_TOKEN_FILE"),
        timeout=60,
    )


class AiGeneratedIndex(signal_base.TrivialLinearSearchHashIndex):
    """Every rule of the banks in turn: there are few, and each is one comparison."""


class AiGeneratedSignal(signal_base.SimpleSignalType, signal_base.BytesHasher):
    """What the detector found in an image, or a rule over it; see the first lines of this file."""

    @classmethod
    def get_name(cls) -> str:
        """The name that `tx` uses."""
        return "ai_generated"

    @classmethod
    def get_content_types(cls) -> list[Any]:
        """Photos only."""
        return [PhotoContent]

    @classmethod
    def get_index_cls(cls) -> type[AiGeneratedIndex]:
        """The index that `tx fetch` builds."""
        return AiGeneratedIndex

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """The same signal in its one spelling; raises ValueError for anything else."""
        return str(parse_signal(signal_str.strip()))

    @classmethod
    def hash_from_bytes(cls, bytes_: bytes) -> str:
        """The image's form; "" when the file cannot be scored.

        Raises tx's own `CommandError` when the detector cannot be asked: no signal is not "no
        match", and `tx` prints the reason.
        """
        try:
            signal = signal_of(default_judge()(bytes_).finding)
        except DetectorError as fault:
            raise CommandError.external_dependency(str(fault)) from fault
        return "" if signal is None else str(signal)

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str) -> Any:
        """Whether one is a rule that the other, an image's form, meets."""
        return signal_base.SignalComparisonResult.from_bool_only(matches(hash1, hash2))

    @staticmethod
    def get_examples() -> list[str]:
        """The rule that most banks want; `tx` uses it as sample data."""
        return [f"verdict={Verdict.LIKELY_GENERATED}"]


AiGeneratedIndex._SIGNAL_TYPE = AiGeneratedSignal


@dataclass
class AiGeneratedInfo(ClassificationInfo):
    """One label with the score behind it; evidence has none.

    Attributes:
        score: logit of the model; None for a label that comes from the file's own evidence.
        reason: one sentence.
    """

    score: float | None = None
    reason: str = ""

    def weight_str(self) -> str:
        """The score as people read it."""
        return "" if self.score is None else f"{self.score:+.2f}"


class AiGeneratedClassifier(Classifier):
    """Labels a photo by verdict, and by what the file says of its own origin.

    Labels: `likely_generated`, `inconclusive` and `no_sign` (one of them matches), and
    `evidence:KIND` for each piece of evidence that claims generation. A file that cannot be
    scored has no verdict label at all.

    Args:
        judge: who is asked; None for what the environment variables say.
    """

    def __init__(self, judge: Judge | None = None) -> None:
        self._judge = judge

    @classmethod
    def get_name(cls) -> str:
        """The name that tools show."""
        return "ai_generated"

    @classmethod
    def get_content_types(cls) -> list[Any]:
        """Photos only."""
        return [PhotoContent]

    def classify(self, content_type: Any, content_val: str) -> Any:
        """Classify one photo.

        Args:
            content_type: `PhotoContent`.
            content_val: path of a local file; URLs are refused, for they would be fetched
                unseen.

        Raises:
            UsageError: another content type, a URL, or a file that cannot be read.
            JudgeError: the detector cannot be asked.
        """
        if content_type is not PhotoContent:
            raise UsageError(f"only photos are classified, not {content_type.get_name()}")
        if "://" in content_val:
            raise UsageError("URLs are not fetched: give the path of a local file")
        try:
            data = Path(content_val).read_bytes()
        except (OSError, ValueError) as fault:
            raise UsageError(f"the photo cannot be read: {fault}") from fault
        judge = default_judge() if self._judge is None else self._judge
        return ClassificationResult(labels_of(judge(data)))


def labels_of(judgement: Judgement) -> dict[str, AiGeneratedInfo]:
    """The labels of one judgement; see `AiGeneratedClassifier`."""
    finding = judgement.finding
    labels: dict[str, AiGeneratedInfo] = {}
    if finding.verdict is not None:
        for verdict in Verdict:
            reason = finding.reason if verdict is finding.verdict else ""
            match = verdict is finding.verdict
            labels[str(verdict)] = AiGeneratedInfo(match, finding.score if match else None, reason)
    for item in judgement.evidence:
        if item.asserts in (Asserts.GENERATED, Asserts.EDITED_WITH_AI):
            labels[f"evidence:{item.kind}"] = AiGeneratedInfo(True, None, item.caveat)
    return labels


def guard_empty_pdq(index: Any = PDQIndex) -> None:
    """Makes `tx match` treat an image without a PDQ hash as one that matches nothing.

    PDQ gives no hash for an image with hardly any texture (quality under 50), and the index of
    threatexchange 1.2 fails on the empty string, so that no other signal is looked at either.
    An extension cannot replace a built-in signal type, hence this wrap around its index.
    """
    original = index.query
    if getattr(original, "guards_empty_hash", False):
        return

    @wraps(original)
    def query(self: Any, hash: str) -> Sequence[Any]:
        return original(self, hash) if hash else []

    query.guards_empty_hash = True  # type: ignore[attr-defined]
    index.query = query


guard_empty_pdq()

TX_MANIFEST = ThreatExchangeExtensionManifest(signal_types=(AiGeneratedSignal,))
