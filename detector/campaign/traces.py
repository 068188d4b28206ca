"""Reads the traces of production that an image's file carries, out of its evidence.

A trace is a kind and a value that a reader may check: the model a file names, a seed, a signer,
the tables of a JPEG. What an author chooses once and keeps is told apart from what is new for
every image, because sharing the one says much less than sharing the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.campaign.records import Item
from detector.results import Asserts, Evidence, FileFacts

# Kinds that an author keeps from image to image; the rest is drawn anew for each image.
KEPT = frozenset(
    {
        "generator",
        "model",
        "lora",
        "c2pa_signer",
        "c2pa_certificate",
        "aigc_producer",
        "aigc_propagator",
        "camera",
        "quantisation",
        "size",
    }
)
# Kinds that a platform gives to all that it publishes.
CONTAINER = frozenset({"quantisation", "size"})
SHINGLE_WORDS = 5
_MOST_SHINGLES, _MOST_WORDS, _MOST_LISTED = 400, 600, 20
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_GENERATED = (Asserts.GENERATED, Asserts.EDITED_WITH_AI)
_PROMPT_KEYS = ("prompt", "texts", "characters")
_MODEL_KEYS = ("model", "models", "model_hash")
# A seed of few digits is often typed by hand or a default; it is looked at all the same, since
# the reference set knows the common ones.
_NO_SEED = {"", "-1", "none", "random"}


@dataclass(frozen=True)
class Trace:
    """A production trace of one image; two are the same when kind and `value` are.

    Attributes:
        kind: "model", "seed", …, see `KEPT`; prompts are read by `prompts_of`.
        value: as it is compared: case and spaces made even.
        shown: as the file has it.
    """

    kind: str
    value: str
    shown: str


def traces_of(item: Item) -> list[Trace]:
    """The distinct traces of one image, prompts left out."""
    return traces(item.evidence, item.finding.file)


def traces(evidence: Iterable[Evidence], file: FileFacts | None) -> list[Trace]:
    """The same from evidence and the container's facts."""
    found = [*_sizes(file)]
    for piece in evidence:
        for kind, shown in _of_evidence(piece):
            value = " ".join(shown.casefold().split())
            if value:
                found.append(Trace(kind, value[:200], shown[:200]))
    return list(dict.fromkeys(found))


def _sizes(file: FileFacts | None) -> Iterator[Trace]:
    if file is not None:
        size = f"{file.width}×{file.height}"
        yield Trace("size", size, size)


def _of_evidence(piece: Evidence) -> Iterator[tuple[str, str]]:
    raw = piece.raw
    if piece.channel == "metadata" and piece.kind == "camera_exif":
        yield "camera", piece.issuer
    elif piece.channel == "metadata" and piece.asserts in _GENERATED:
        yield "generator", str(raw.get("tool") or piece.issuer or piece.kind)
        yield from (("model", text) for key in _MODEL_KEYS for text in _texts(raw.get(key)))
        yield from (("lora", text) for text in _texts(raw.get("loras")))
        yield from (("seed", s) for s in _texts(raw.get("seed")) if s.lower() not in _NO_SEED)
    elif piece.channel == "c2pa":
        yield from _c2pa(piece)
    elif piece.channel == "aigc_label":
        yield from (("aigc_producer", code) for code in _codes(raw.get("producer")))
        yield from (("aigc_propagator", code) for code in _codes(raw.get("propagator")))
    elif piece.kind == "jpeg_encoding":
        tables = raw.get("tables")
        if isinstance(tables, Mapping) and tables.get("luminance"):
            yield "quantisation", _tables(tables)


def _c2pa(piece: Evidence) -> Iterator[tuple[str, str]]:
    signer = " / ".join(filter(None, (piece.issuer, str(piece.raw.get("signed_by", "")))))
    yield "c2pa_signer", signer
    yield "c2pa_certificate", str(piece.raw.get("certificate", ""))
    yield from (("generator", text) for text in _texts(piece.raw.get("generators")))


def _codes(provider: Any) -> Iterator[str]:
    if isinstance(provider, Mapping):
        credit = provider.get("credit_code")
        code = credit.get("code") if isinstance(credit, Mapping) else None
        yield str(code or provider.get("value") or provider.get("code") or "")


def _tables(tables: Mapping[str, Any]) -> str:
    """A short hash of both tables, with what they are known as."""
    text = repr((tables.get("luminance"), tables.get("chrominance")))
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    reading = str(tables.get("reading", ""))[:100]
    return f"{digest} ({reading})" if reading else digest


def _texts(value: Any) -> list[str]:
    """Short texts out of a text, a number, a list or a mapping's names."""
    if value is None or isinstance(value, bool):
        return []
    if isinstance(value, Mapping):
        value = [value.get("name") or value.get("model") or ""]
    if isinstance(value, (list, tuple)):
        return [text for part in value[:_MOST_LISTED] for text in _texts(part)]
    text = str(value).strip()
    return [text] if text else []


def prompts_of(evidence: Iterable[Evidence]) -> list[str]:
    """The prompts that files of generators hold; negative prompts are mostly boilerplate."""
    found = [
        text
        for piece in evidence
        if piece.channel == "metadata" and piece.asserts in _GENERATED
        for key in _PROMPT_KEYS
        for text in _texts(piece.raw.get(key))
    ]
    return list(dict.fromkeys(found))


def words_of(prompt: str) -> list[re.Match[str]]:
    """The words of a prompt with their places, as far as prompts are compared."""
    found = []
    for word in _WORD.finditer(prompt):
        found.append(word)
        if len(found) == _MOST_WORDS:
            break
    return found


def shingles(prompt: str) -> list[str]:
    """Every run of `SHINGLE_WORDS` words, in lower case; the whole of a prompt of three or four."""
    words = [word.group().casefold() for word in words_of(prompt)]
    if 3 <= len(words) < SHINGLE_WORDS:
        return [" ".join(words)]
    count = min(len(words) - SHINGLE_WORDS + 1, _MOST_SHINGLES)
    return [" ".join(words[i : i + SHINGLE_WORDS]) for i in range(max(0, count))]


def passage(prompt: str, shared: Sequence[str]) -> str:
    """The longest run of the prompt's own words that the shared shingles cover."""
    words = words_of(prompt)
    wanted, covered = set(shared), [False] * len(words)
    for start, shingle in enumerate(shingles(prompt)):
        if shingle in wanted:
            for i in range(start, min(len(words), start + len(shingle.split()))):
                covered[i] = True
    best, start = (0, 0), 0
    for i, inside in enumerate([*covered, False]):
        if not inside:
            best = max(best, (start, i), key=lambda run: run[1] - run[0])
            start = i + 1
    if best[1] == best[0]:
        return ""
    return prompt[words[best[0]].start() : words[best[1] - 1].end()]
