"""A training run's configuration: one small TOML file, read into frozen values."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from detector.augment import Degradations
from detector.designs import BUILDERS
from detector.errors import UsageError
from detector.preprocess import PreprocessConfig
from detector.traces import BUILDERS as TRACES

T = TypeVar("T")
DESIGNS = tuple(BUILDERS)


@dataclass(frozen=True)
class DataConfig:
    """Which samples are drawn, and how often.

    Attributes:
        caps: most samples of one class that a source may give, by source; 0 leaves it out.
        sources: share of the training sources that are used, to see what more of them are worth;
            those of a smaller share are among those of a larger one.
        evenness: 1 draws every source equally often, 0 every image; a source's weight is its
            number of samples to the power 1 − evenness.
        pair_weight: factor on the weight of sources that hold both classes of one subject.
        web: share of the views that are cut after a platform's treatment of the whole image.
        as_taught: share of the views that are cut as the teacher saw them: the whole view resized
            to the run's size, the middle of the first native crop. The others are cut at random.
        aligned: share of the native views that are pairs of a real crop and its reconstruction,
            see `detector.train.aligned`.
    """

    caps: Mapping[str, int] = field(default_factory=dict)
    sources: float = 1.0
    evenness: float = 0.5
    pair_weight: float = 2.0
    web: float = 0.5
    as_taught: float = 0.0
    aligned: float = 0.0

    def uses(self, source: str) -> bool:
        """Whether a source is among those that train."""
        place = int(hashlib.sha256(source.encode()).hexdigest()[:8], 16) / 2**32
        return place < self.sources


@dataclass(frozen=True)
class OptimConfig:
    """The optimisation.

    Attributes:
        steps: number of steps; a step sees `batch` views.
        batch: views in a step, as many of each kind as of the others.
        side: side of the views in training; 0 for the run's `size`. Pooled networks learn from
            small views at a fraction of the cost.
        trunk_rate, head_rate: peak learning rates of AdamW.
        weight_decay: of AdamW, on matrices and filters only.
        warmup: steps until the peak rate; a cosine to zero follows.
        ema: decay of the averaged weights, which are the ones that ship.
        ramp: share of the steps over which degradations rise from `gentle` to full strength.
        gentle: strength of the degradations at the first step.
        smoothing: label smoothing.
        frozen_blocks: first blocks of the trunk that keep their initial weights.
        labels: weight of the losses of the heads against the labels.
        distil: weight of the loss against a teacher's features, where there are any.
        distil_layers, distil_patches: which of them: the class tokens of these layers, with mean
            and deviation of the patch tokens if wanted.
        distil_components: principal components that stand for them; 0 for the tokens themselves.
        soft: share of the soft targets in the labels, where there are any; see
            `detector.train.soft`.
        consistency: weight of the loss between what the network says of a degraded view and of
            the same view before; above 0 every view comes in both forms, so that a step sees
            half as many different ones.
    """

    steps: int = 2000
    batch: int = 32
    side: int = 0
    trunk_rate: float = 5e-4
    head_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 200
    ema: float = 0.998
    ramp: float = 0.3
    gentle: float = 0.4
    smoothing: float = 0.02
    frozen_blocks: int = 0
    labels: float = 1.0
    distil: float = 0.0
    distil_layers: tuple[int, ...] = (8, 10, 12)
    distil_patches: bool = False
    distil_components: int = 0
    soft: float = 0.0
    consistency: float = 0.0


@dataclass(frozen=True)
class HeadConfig:
    """The heads of the "clip_tokens" design, trained on a frozen tower's tokens.

    Attributes:
        layers: whose tokens they read, counted from 1.
        patches: whether mean and deviation of the patch tokens join the class token.
        hidden: width of the hidden layer; 0 for a linear probe.
        members: networks that are averaged in each head.
        steps, batch, rate, decay: of AdamW, with a cosine to zero.
        mixup: parameter of the Beta distribution that mixes two images; 0 for none.
    """

    layers: tuple[int, ...] = (6, 8, 10)
    patches: bool = True
    hidden: int = 96
    members: int = 4
    steps: int = 1100
    batch: int = 256
    rate: float = 3e-4
    decay: float = 0.1
    mixup: float = 0.4


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run, beside the corpus and the initial weights.

    Attributes:
        name: the bundle's id.
        design: "lite0_two_view" (the small CNN), "clip_tokens" (heads on CLIP's tower), or one
            of `detector.traces`, which look at native crops only: "npr", "cnndetection",
            "residual_bank".
        profile: "default" or "thorough"; what `--profile` chooses by.
        seed: of every draw.
        size: side of the views in pixels.
        tap_stages, dropout, head_hidden: see `detector.model.TwoViewNet`.
        widths: see `detector.traces.DenseTrunk`; for "residual_bank".
        whole: whether the network looks at the whole image, resized; the designs of
            `detector.traces` cannot.
        native, detail: how many native crops and crops of a moderately reduced copy the bundle
            looks at.
        validation: sources that train nothing; fusion, calibration and thresholds come from them.
        validation_cap: most images of one class that a validation source gives to them.
        nominal_fpr, inconclusive_fpr: what the two thresholds aim at.
    """

    name: str
    design: str = "lite0_two_view"
    profile: str = "default"
    seed: int = 0
    size: int = 224
    tap_stages: tuple[int, ...] = (1, 2, 4)
    dropout: float = 0.2
    head_hidden: int = 0
    widths: tuple[int, ...] = (24, 48, 96, 160)
    whole: bool = True
    native: int = 2
    detail: int = 0
    validation: tuple[str, ...] = ()
    validation_cap: int = 80
    nominal_fpr: float = 0.02
    inconclusive_fpr: float = 0.1
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    degradations: Degradations = field(default_factory=Degradations)

    @property
    def views(self) -> tuple[str, ...]:
        """The kinds of views that a step of `detector train run` sees."""
        return self.preprocess().kinds()

    def architecture(self) -> dict[str, Any]:
        """What `detector.designs.build_network` makes the network from."""
        values: dict[str, Any]
        if self.design == "clip_tokens":
            values = {
                "backbone": "clip_vit_b16_int8",
                "layers": list(self.head.layers),
                "patches": self.head.patches,
                "hidden": self.head.hidden,
                "members": self.head.members,
                "views": list(self.views),
            }
        elif self.design == "lite0_two_view":
            values = {"tap_stages": list(self.tap_stages), "head_hidden": self.head_hidden}
        elif self.design == "residual_bank":
            values = {"widths": list(self.widths)}
        else:
            values = {}
        return {"name": self.design, **values}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for logs and bundles."""
        return asdict(self)

    def preprocess(self) -> PreprocessConfig:
        """The views that the bundle looks at."""
        return PreprocessConfig(
            size=self.size, native=self.native, whole=self.whole, detail=self.detail
        )


def _section(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"{where}: unknown options {', '.join(unknown)}")
    as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return kind(**as_tuples)


def read_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a training configuration.

    Args:
        changes: options in place of the file's, such as "head.hidden=0" or "native=0"; values
            as TOML writes them.

    Raises:
        UsageError: no such file, not TOML, or an unknown option; the text names it.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    for change in changes:
        name, equals, value = change.partition("=")
        try:
            new = tomllib.loads(f"{name} {equals} {value}")
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"--set {change}: write it as name=value: {error}") from error
        for key, item in new.items():
            values[key] = {**values.get(key, {}), **item} if isinstance(item, dict) else item
    values["data"] = _section(DataConfig, values.get("data", {}), f"{path} [data]")
    values["optim"] = _section(OptimConfig, values.get("optim", {}), f"{path} [optim]")
    values["head"] = _section(HeadConfig, values.get("head", {}), f"{path} [head]")
    values["degradations"] = _section(
        Degradations, values.get("degradations", {}), f"{path} [degradations]"
    )
    if "name" not in values:
        raise UsageError(f"{path}: needs a name, which becomes the bundle's id")
    if values.get("design", DESIGNS[0]) not in DESIGNS:
        raise UsageError(f"{path}: design is one of {', '.join(DESIGNS)}")
    config = _section(TrainConfig, values, str(path))
    if config.whole and config.design in TRACES:
        raise UsageError(f"{path}: {config.design} looks at native crops only: set whole = false")
    return config
