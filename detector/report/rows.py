"""Images as plain JSON values, in the short form that the page's script reads.

What every list needs of an image is in one block that is read at once; what only its own sheet
shows is in blocks of a hundred images that are read when the sheet opens.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from detector.campaign.records import Item
from detector.names import one_line
from detector.report.document import Document, verdict_of
from detector.report.evidence import claims, conflicts_of, evidence_rows, search_words
from detector.report.facts import ModelFacts, Rates, finite
from detector.report.heatmaps import StabilityLike, stability_record
from detector.report.markup import embedded_json
from detector.report.wording import (
    EVIDENCE_GROUPS,
    STATUS_WORDS,
    VERDICT_WORDS,
    clipped,
    percent,
    when,
)
from detector.results import FileFacts, Finding
from detector.words import likelihood, support

IMAGES_PER_BLOCK = 100
THUMBNAILS_PER_BLOCK = 100
_SEARCHED = 600  # letters of captions and prompts kept for the search, per image


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
    items: tuple[Item, ...], load: Callable[[str], bytes | None], budget: int
) -> Thumbnails:
    """Load each image's preview, highest score first, while `budget` bytes last."""
    scores: dict[str, float] = {}
    for item in items:
        if item.finding.sha256:
            score = finite(item.finding.score)
            scores.setdefault(item.finding.sha256, float("-inf") if score is None else score)
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


def page_data(
    document: Document, thumbnails: Thumbnails, heatmaps: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All that the script reads at once, with hidden characters in names written out."""
    facts, campaign = document.facts, document.campaign
    shown = heatmaps or {}
    return {
        "schema": 2,
        "key": _key(document),
        "scale": [-6, 6],
        "byFolder": document.by_folder,
        "factsModel": one_line(document.facts_model),
        "threshold": facts.threshold,
        "noSignBelow": facts.no_sign_below,
        "thumbnailsPerBlock": THUMBNAILS_PER_BLOCK,
        "imagesPerBlock": IMAGES_PER_BLOCK,
        "verdictWords": VERDICT_WORDS,
        "statusWords": {status.value: word for status, word in STATUS_WORDS.items()},
        "evidenceGroups": EVIDENCE_GROUPS,
        "strata": {name: _stratum(rates, facts) for name, rates in facts.strata},
        "prior": None if facts.prior is None else percent(facts.prior),
        "clusters": {
            one_line(cluster.id): {
                "n": number + 1,
                "images": [
                    document.numbers[m.sha256] + 1
                    for m in cluster.members
                    if m.sha256 in document.numbers
                ],
            }
            for number, cluster in enumerate(document.clusters)
        },
        "traces": [
            [document.numbers[sha] + 1 for sha in link.sha256s if sha in document.numbers]
            for link in campaign.links
        ],
        "rows": [
            _row(document, index, item, thumbnails, shown)
            for index, item in enumerate(document.items)
        ],
    }


def detail_blocks(
    document: Document, stability: Mapping[str, StabilityLike] | None = None
) -> Iterator[tuple[int, str]]:
    """Numbered blocks of one image a line of JSON, with what only its sheet shows."""
    for number, start in enumerate(range(0, len(document.items), IMAGES_PER_BLOCK)):
        part = document.items[start : start + IMAGES_PER_BLOCK]
        yield number, "\n".join(embedded_json(_detail(item, stability or {})) for item in part)


def _key(document: Document) -> str:
    """Names the set of images, so that labels kept by a browser find their page again."""
    digest = hashlib.sha256()
    for sha in sorted(item.finding.sha256 for item in document.items):
        digest.update(sha.encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


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
    document: Document,
    index: int,
    item: Item,
    thumbnails: Thumbnails,
    heatmaps: Mapping[str, Any],
) -> dict[str, Any]:
    finding, places = item.finding, document.places[index]
    row: dict[str, Any] = {
        "n": index + 1,
        "name": one_line(places[0][1]),
        "folder": one_line(places[0][0]),
        "verdict": verdict_of(finding),
        "status": finding.status.value,
        "reason": one_line(finding.reason),
        "sha": one_line(finding.sha256),
        "thumb": thumbnails.places.get(finding.sha256, -1),
        "notes": [one_line(note) for note in finding.notes],
        **_posted(item),
        "claims": claims(item.evidence),
        "conflict": bool(conflicts_of(item)),
        "hay": clipped(one_line(search_words(item)), _SEARCHED),
    }
    if len(places) > 1:
        row["places"] = [[one_line(folder), one_line(name)] for folder, name in places]
    if item.cluster:
        row["cluster"] = one_line(item.cluster)
    if finding.sha256 in heatmaps:
        row["heat"] = list(heatmaps).index(finding.sha256)
    if finding.ok:
        row |= _judgement(finding)
    if finding.file is not None:
        row |= _container(finding.file)
    return {name: value for name, value in row.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    # A score of 0.0 and the first preview's place are values.
    return value is None or value is False or value == [] or value == ""


def _posted(item: Item) -> dict[str, Any]:
    """Who posted an image, where and in which language, each once, and how often in all."""

    def once(name: str) -> list[str]:
        return [one_line(v) for v in dict.fromkeys(getattr(p, name) for p in item.posts) if v]

    return {
        "accounts": once("account"),
        "platforms": once("platform"),
        "languages": once("language"),
        "posts": len(item.posts),
    }


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
        "support": None if lr is None or lr < 0 else _support(lr),
        "spread": _rounded(finding.spread),
        "stratum": None if finding.stratum is None else one_line(str(finding.stratum)),
        "model": one_line(finding.model),
        "code": one_line(finding.verdict_code),
    }


@lru_cache(maxsize=4096)
def _support(lr: float) -> str:
    return support(lr)


def _container(file: FileFacts) -> dict[str, Any]:
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


def _detail(item: Item, stability: Mapping[str, StabilityLike]) -> dict[str, Any]:
    """What the sheet of one image shows beyond its row."""
    pixel = getattr(item.finding, "pixel_verdict", None)
    return {
        "paths": [one_line(path) for path in item.paths or (item.finding.path,)],
        "crops": [
            [one_line(c.view), c.x, c.y, c.width, c.height, _rounded(c.score)]
            for c in item.finding.crops
        ],
        "posts": [
            {
                "line": post.line,
                "when": when(post.posted_at),
                "who": one_line(post.account),
                "platform": one_line(post.platform),
                "language": one_line(post.language),
                "url": one_line(post.url),
                "text": one_line(post.text),
                "extra": [[one_line(k), one_line(str(v))] for k, v in post.extra.items()],
            }
            for post in item.posts
        ],
        "evidence": evidence_rows(item.evidence),
        "conflicts": [one_line(sentence) for sentence in conflicts_of(item)],
        "stability": stability_record(stability[item.finding.sha256])
        if item.finding.sha256 in stability
        else None,
        "pixels": None if pixel is None or pixel is item.finding.verdict else pixel.value,
    }


def _rounded(value: float | None) -> float | None:
    number = finite(value)
    return None if number is None else round(number, 4)
