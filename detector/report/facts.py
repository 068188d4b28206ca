"""What is known about the model's errors, as far as the caller hands it over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rates:
    """How the model did on one kind of file at its threshold.

    Attributes:
        tpr: share of generated images that were flagged, in [0, 1].
        fpr: share of real images that were flagged, in [0, 1].
        real, generated: numbers of images behind the two rates.
        sources: number of independent sources that these images came from.
        threshold, no_sign_below: logits that hold for this kind of file alone.
    """

    tpr: float | None = None
    fpr: float | None = None
    real: int | None = None
    generated: int | None = None
    sources: int | None = None
    threshold: float | None = None
    no_sign_below: float | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Rates:
        """Take the known keys; a missing or malformed one becomes None."""
        return cls(
            tpr=_share(values.get("tpr")),
            fpr=_share(values.get("fpr")),
            real=_whole(values.get("real")),
            generated=_whole(values.get("generated")),
            sources=_whole(values.get("sources")),
            threshold=finite(values.get("threshold")),
            no_sign_below=finite(values.get("no_sign_below")),
        )


@dataclass(frozen=True)
class ModelFacts:
    """The part of a model's card that belongs beside its results.

    Attributes:
        model: id of the model that all of this holds for; "" for any.
        threshold: logit at or above which an image is called likely generated.
        no_sign_below: logit under which an image is said to show no sign.
        prior: probability of "generated" before the image is seen, in [0, 1].
        nominal_fpr: share of real validation images that the threshold was set to let through.
        measured_on: one sentence that names the data and the protocol.
        overall: rates over all kinds of file.
        strata: rates per kind of file, keyed by `str(Stratum)`.
    """

    model: str = ""
    threshold: float | None = None
    no_sign_below: float | None = None
    prior: float | None = None
    nominal_fpr: float | None = None
    measured_on: str = ""
    overall: Rates = Rates()
    strata: tuple[tuple[str, Rates], ...] = ()

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any] | None) -> ModelFacts:
        """Read a mapping with the attributes' names; `overall` and `strata` hold mappings."""
        if values is None:
            return cls()
        overall = values.get("overall")
        strata = values.get("strata")
        return cls(
            model=str(values.get("model") or ""),
            threshold=finite(values.get("threshold")),
            no_sign_below=finite(values.get("no_sign_below")),
            prior=_share(values.get("prior")),
            nominal_fpr=_share(values.get("nominal_fpr")),
            measured_on=str(values.get("measured_on") or ""),
            overall=Rates.from_mapping(overall) if isinstance(overall, Mapping) else Rates(),
            strata=tuple(
                (str(name), Rates.from_mapping(rates))
                for name, rates in sorted(strata.items())
                if isinstance(rates, Mapping)
            )
            if isinstance(strata, Mapping)
            else (),
        )


def finite(value: Any) -> float | None:
    """A finite float, or None: JSON knows neither NaN nor infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _share(value: Any) -> float | None:
    number = finite(value)
    return number if number is not None and 0 <= number <= 1 else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
