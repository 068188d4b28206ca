"""Which outputs of somebody's classifier mean generated, and which mean real."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from detector.errors import UsageError

GENERATED_WORDS = frozenset(
    {"fake", "ai", "generated", "aigenerated", "artificial", "synthetic", "deepfake"}
    | {"diffusion", "gan", "machine", "1"}
)
REAL_WORDS = frozenset(
    {"real", "human", "hum", "natural", "nature", "authentic", "genuine", "original", "photo", "0"}
)
_NUMBERED = frozenset("01")


def label_indices(
    labels: Sequence[str], overrides: Mapping[str, Sequence[str]]
) -> tuple[list[int], list[int], tuple[str, ...]]:
    """Which outputs mean generated and which real, and what a reader should know of that.

    Args:
        labels: of the outputs, in order; one label for a single logit that rises with generated.
        overrides: label names under "generated" and "real"; labels that are in neither do not
            count. With only one of the two, all others are the other.

    Raises:
        UsageError: a label in doubt, or an override that names none.
    """
    if len(labels) == 1:
        return [0], [], ()
    unknown = sorted({n for names in overrides.values() for n in names} - set(labels))
    if unknown:
        raise UsageError(f"no such label: {', '.join(unknown)}. There are {', '.join(labels)}")
    notes: tuple[str, ...] = ()
    if overrides:
        named = {key: [labels.index(n) for n in names] for key, names in overrides.items()}
        taken = {index for indices in named.values() for index in indices}
        rest = [i for i in range(len(labels)) if i not in taken]
        generated, real = named.get("generated", rest), named.get("real", rest)
        sides = [generated, real]
    else:
        sides, notes = _by_name(labels)
    if not sides[0] or not sides[1]:
        raise UsageError("the labels must leave something for generated and for real")
    return sides[0], sides[1], notes


def _by_name(labels: Sequence[str]) -> tuple[list[list[int]], tuple[str, ...]]:
    sides: list[list[int]] = [[], []]
    for index, label in enumerate(labels):
        words = set(re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", label).lower()))
        hits = [bool(words & GENERATED_WORDS), bool(words & REAL_WORDS)]
        if hits[0] == hits[1]:
            raise UsageError(
                f"label {label!r} is not known to mean generated or real: say it, as in "
                f"#generated=NAME,NAME. The labels are {', '.join(labels)}"
            )
        sides[0 if hits[0] else 1].append(index)
    numbered = all(set(re.split(r"[^0-9]+", label)) & _NUMBERED for label in labels)
    note = f"labels {', '.join(labels)}: the one with 1 was taken for generated"
    return sides, (note,) if numbered else ()


def labels_of(config: Mapping[str, Any]) -> list[str]:
    """The labels of a checkpoint's config.json, in the order of its outputs."""
    named = config.get("id2label")
    if isinstance(named, dict) and named:
        return [str(named[key]) for key in sorted(named, key=int)]
    return [f"LABEL_{i}" for i in range(int(config.get("num_labels", 2)))]


def overrides_of(options: str) -> dict[str, list[str]]:
    """What follows the # of a location, read; raises UsageError."""
    found = {
        key: [name for value in values for name in value.split(",") if name]
        for key, values in parse_qs(options, keep_blank_values=True).items()
    }
    if set(found) - {"generated", "real"} or (options and not found):
        raise UsageError(f"after # come generated=LABEL,… and real=LABEL,…, not {options!r}")
    return found
