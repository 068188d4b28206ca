"""Findings as plain JSON values, in the short form that the page's script reads."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from detector.names import one_line
from detector.report.document import Document, verdict_of
from detector.report.facts import ModelFacts, Rates, finite
from detector.report.wording import STATUS_WORDS, VERDICT_WORDS, percent
from detector.results import Finding
from detector.words import likelihood, support

THUMBNAILS_PER_BLOCK = 100


@dataclass(frozen=True)
class Thumbnails:
    """Preview images as base64 text, in the order in which they are embedded.

    Attributes:
        texts: base64 of WebP bytes; ASCII letters that need no escaping in HTML.
        places: index into `texts` by sha256.
        left_out: how many previews the byte budget did not allow.
    """

    texts: tuple[str, ...]
    places: dict[str, int]
    left_out: int

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Numbered blocks of one preview a line, so that a page can take them one by one."""
        for number, start in enumerate(range(0, len(self.texts), THUMBNAILS_PER_BLOCK)):
            yield number, "\n".join(self.texts[start : start + THUMBNAILS_PER_BLOCK])


def collect_thumbnails(
    findings: tuple[Finding, ...], load: Callable[[str], bytes | None], budget: int
) -> Thumbnails:
    """Load each distinct image's preview, highest score first, while `budget` bytes last."""
    scores: dict[str, float] = {}
    for finding in findings:
        if finding.sha256:
            score = finite(finding.score)
            scores.setdefault(finding.sha256, float("-inf") if score is None else score)
    texts: list[str] = []
    places: dict[str, int] = {}
    left_out = 0
    for sha in sorted(scores, key=lambda sha: (-scores[sha], sha)):
        data = load(sha)
        if not data:
            continue
        size = 4 * ((len(data) + 2) // 3)
        if size > budget:
            left_out += 1
            continue
        budget -= size
        places[sha] = len(texts)
        texts.append(base64.b64encode(data).decode("ascii"))
    return Thumbnails(tuple(texts), places, left_out)


def page_data(document: Document, thumbnails: Thumbnails) -> dict[str, Any]:
    """All that the script needs, with hidden characters in names already written out."""
    facts = document.facts
    return {
        "schema": 1,
        "scale": [-6, 6],
        "factsModel": one_line(document.facts_model),
        "threshold": facts.threshold,
        "noSignBelow": facts.no_sign_below,
        "thumbnailsPerBlock": THUMBNAILS_PER_BLOCK,
        "verdictWords": VERDICT_WORDS,
        "statusWords": {status.value: word for status, word in STATUS_WORDS.items()},
        "strata": {name: _stratum(rates, facts) for name, rates in facts.strata},
        "prior": None if facts.prior is None else percent(facts.prior),
        "rows": [
            _row(document, index, finding, thumbnails)
            for index, finding in enumerate(document.findings)
        ],
    }


def _stratum(rates: Rates, facts: ModelFacts) -> dict[str, Any]:
    own = rates.threshold, rates.no_sign_below
    return {
        "threshold": facts.threshold if own[0] is None else own[0],
        "noSignBelow": facts.no_sign_below if own[1] is None else own[1],
        "fpr": None if rates.fpr is None else percent(rates.fpr, 1),
        "tpr": None if rates.tpr is None else percent(rates.tpr, 1),
        "real": rates.real,
        "generated": rates.generated,
        "sources": rates.sources,
    }


def _row(
    document: Document, index: int, finding: Finding, thumbnails: Thumbnails
) -> dict[str, Any]:
    folder, name = document.places[index]
    group = document.copies.get(finding.sha256, ())
    row: dict[str, Any] = {
        "n": index + 1,
        "path": one_line(finding.path),
        "name": one_line(name),
        "folder": one_line(folder),
        "verdict": verdict_of(finding),
        "status": finding.status.value,
        "reason": one_line(finding.reason),
        "sha": one_line(finding.sha256),
        "thumb": thumbnails.places.get(finding.sha256, -1),
        "notes": [one_line(note) for note in finding.notes],
    }
    if group:
        row["copies"] = [other + 1 for other in group]
    if finding.ok:
        row |= _judgement(finding)
    if finding.file is not None:
        row |= _container(finding)
    return row


def _judgement(finding: Finding) -> dict[str, Any]:
    probability = finite(finding.probability)
    usable = probability is not None and 0 <= probability <= 1
    lr = finite(finding.lr)
    return {
        "score": _rounded(finding.score),
        "probability": _rounded(probability),
        "percent": percent(probability) if probability is not None and usable else None,
        "term": likelihood(probability) if probability is not None and usable else None,
        "lr": None if lr is None else float(f"{lr:.2g}"),
        "support": None if lr is None or lr < 0 else support(lr),
        "spread": _rounded(finding.spread),
        "stratum": None if finding.stratum is None else one_line(str(finding.stratum)),
        "model": one_line(finding.model),
        "code": one_line(finding.verdict_code),
        "crops": [
            [one_line(c.view), c.x, c.y, c.width, c.height, _rounded(c.score)]
            for c in finding.crops
        ],
    }


def _container(finding: Finding) -> dict[str, Any]:
    file = finding.file
    assert file is not None
    return {
        "format": one_line(file.format),
        "width": file.width,
        "height": file.height,
        "bytes": file.bytes,
        "mode": one_line(file.mode),
        "frames": file.frames,
        "orientation": file.orientation,
        "quality": file.jpeg_quality,
        "lossless": file.lossless,
    }


def _rounded(value: float | None) -> float | None:
    number = finite(value)
    return None if number is None else round(number, 4)
