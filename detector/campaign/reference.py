"""How common a trace is among images that belong to no campaign.

The table ships with the package; `benchmarks/trace_reference.py` made it. Values are kept as short
hashes, so that no prompt and no name of a stranger travels in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from detector.campaign.traces import SHINGLE_WORDS

_FILE = Path(__file__).parent / "data" / "trace_reference.json"
# With fewer images of a kind the set cannot say how common a value is.
LEAST_IMAGES = 30
_LONG_SEED, _LONG_SEED_CHANCE = 7, 1e-6
_LEAST_CHANCE = 1e-9


@dataclass(frozen=True)
class Kind:
    """What the reference set knows of one kind of trace.

    Attributes:
        images, sources: that carry any trace of the kind.
        values: hash to (images, sources) that carry this one; only those in at least two images.
    """

    images: int
    sources: int
    values: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Reference:
    """The reference set: kinds of traces, and what they were counted on."""

    kinds: Mapping[str, Kind]
    counted_on: str = ""

    def image_rate(self, kind: str, value: str) -> float | None:
        """Share of reference images with such traces that carry this one; None without basis."""
        known = self.kinds.get(kind)
        if known is None or known.images < LEAST_IMAGES:
            return None
        return known.values.get(key_of(kind, value), (0, 0))[0] / known.images

    def chance_in_image(self, kind: str, value: str, words: int = 0) -> float:
        """A cautious chance that an unrelated image with such a trace carries this one.

        Half an image is added, so that a value nobody has seen is as rare as the set can say.
        Two things are rarer than any set can say, when nobody has seen them: a long seed, since
        tools draw it from 2^32 numbers or more (one in a million is taken, for those copied from
        guides); and a long passage of a prompt, of which every word beyond the fifth halves the
        chance (a word of prose carries several bits).

        Args:
            kind, value: the trace; for "prompt" one shingle of the passage.
            words: of the whole passage.
        """
        known = self.kinds.get(kind, _NOTHING)
        seen = known.values.get(key_of(kind, value), (0, 0))[0]
        chance = (seen + 0.5) / (known.images + 1)
        if seen:
            return chance
        if kind == "seed" and len(value) >= _LONG_SEED and len(set(value)) > 2:
            return min(chance, _LONG_SEED_CHANCE)
        return max(chance * 0.5 ** max(0, words - SHINGLE_WORDS), _LEAST_CHANCE)

    def chance_in_source(self, kind: str, value: str) -> float:
        """A cautious chance that an unrelated author's images carry this trace at all."""
        known = self.kinds.get(kind, _NOTHING)
        seen = known.values.get(key_of(kind, value), (0, 0))[1]
        return min(1.0, (seen + 0.5) / (known.sources + 1))


_NOTHING = Kind(0, 0, {})


def key_of(kind: str, value: str) -> str:
    """The short hash under which a value is kept."""
    return hashlib.blake2b(f"{kind}\0{value}".encode(), digest_size=6).hexdigest()


def from_record(record: Mapping[str, Any]) -> Reference:
    """A reference set from the JSON of its file."""
    kinds = {
        name: Kind(
            int(kind["images"]),
            int(kind["sources"]),
            {key: (int(n), int(s)) for key, (n, s) in kind["values"].items()},
        )
        for name, kind in record["kinds"].items()
    }
    return Reference(kinds, str(record.get("counted_on", "")))


@lru_cache(maxsize=1)
def shipped() -> Reference:
    """The reference set of the package; empty when the file is not there."""
    if not _FILE.is_file():
        return Reference({})
    return from_record(json.loads(_FILE.read_text(encoding="utf-8")))
