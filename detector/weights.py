"""Model bundles: weights, preprocessing, calibration, threshold and card as one versioned folder.

A bundle is a folder `<id>/` with `model.safetensors`, `config.json` and `MODEL_CARD.md`.
Nothing else in the package knows a mean, a crop size or a threshold; another bundle is used by
naming its folder. Weights are read with safetensors after their sha256 has been checked, never
from pickles.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.backbones import is_added, verified
from detector.calibration import Calibration
from detector.errors import BundleError
from detector.preprocess import PreprocessConfig

if TYPE_CHECKING:
    from torch import Tensor

    from detector.designs import Network

ASSETS = Path(__file__).parent / "assets"
DEFAULT_BUNDLE = "lite_v4"
# What `--profile` chooses from, the strongest last. A profile is usable when its bundle ships
# and the backbone that the bundle borrows, if any, was added.
PROFILES = {"default": DEFAULT_BUNDLE, "thorough": "thorough_v3"}
CONFIG_FORMAT = 1

# Parts of the config that change a finding; the hash of these keys the results in a store.
DECIDING_PARTS = ("architecture", "weights", "preprocess", "fusion", "calibration", "thresholds")


@dataclass(frozen=True)
class Thresholds:
    """Where the verdicts change, on the score.

    Attributes:
        likely_generated: at or above, the verdict is `likely_generated`.
        inconclusive: at or above, and below the other, the verdict is `inconclusive`.
        nominal_fpr: share of real images of the validation sources at or above the first.
        inconclusive_fpr: the same for the second.
        least_texture: below this mean texture of the views an image is too flat to be judged.
    """

    likely_generated: float
    inconclusive: float
    nominal_fpr: float
    inconclusive_fpr: float
    least_texture: float = 0.0


@dataclass(frozen=True)
class Fusion:
    """How the views' logits become one score: bias + whole·w + mean(native)·n + mean(detail)·d."""

    bias: float
    whole: float
    native: float
    detail: float = 0.0

    def weights(self) -> dict[str, float]:
        """The weight of every kind of view by its name."""
        return {"whole": self.whole, "native": self.native, "detail": self.detail}


@dataclass(frozen=True)
class Bundle:
    """A bundle whose config was read; the weights are read by `build_model`.

    Attributes:
        id: name and version, such as "lite_v4".
        path: the bundle's folder.
        config: the whole of config.json.
    """

    id: str
    path: Path
    config: dict[str, Any]

    @cached_property
    def preprocess(self) -> PreprocessConfig:
        """Which views an image is turned into."""
        return PreprocessConfig.from_dict(self.config["preprocess"])

    @cached_property
    def calibration(self) -> Calibration:
        """Score to probability and likelihood ratio."""
        return Calibration.from_dict(self.config["calibration"])

    @cached_property
    def thresholds(self) -> Thresholds:
        """Where the verdicts change."""
        return Thresholds(**self.config["thresholds"])

    @cached_property
    def fusion(self) -> Fusion:
        """How the views become one score."""
        return Fusion(**self.config["fusion"])

    @cached_property
    def config_hash(self) -> str:
        """First 16 hex digits of the sha256 of everything that can change a finding."""
        deciding = {part: self.config[part] for part in DECIDING_PARTS}
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def profile(self) -> str:
        """ "default", "thorough", or "" for a bundle that names none."""
        named = next((profile for profile, name in PROFILES.items() if name == self.id), "")
        return str(self.config.get("profile", named))

    @property
    def backbone(self) -> str:
        """Id of the backbone that the bundle borrows; "" when it is complete in itself."""
        return str(self.config["architecture"].get("backbone", ""))

    @property
    def usable(self) -> bool:
        """Whether the backbone, if any, was added."""
        return not self.backbone or is_added(self.backbone)

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name, after their sha256 was checked. Loads torch.

        Raises:
            BundleError: the weights are missing or altered.
        """
        from safetensors.torch import load

        file = self.path / self.config["weights"]["file"]
        try:
            data = file.read_bytes()
        except OSError as error:
            raise BundleError(f"{file}: cannot be read ({error.strerror}): reinstall") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.config["weights"]["sha256"]:
            raise BundleError(
                f"{file}: sha256 is {digest[:16]}…, config.json says "
                f"{self.config['weights']['sha256'][:16]}…: the weights were altered or belong "
                "to another version; reinstall the bundle"
            )
        return load(data)

    def build_model(self) -> Network:
        """The network with its weights, ready for inference. Loads torch.

        Raises:
            BundleError: the weights are missing, altered, or do not fit the architecture, or
                the backbone was not added.
        """
        from detector.designs import build_network

        tensors = self.tensors()
        net = build_network(self.config["architecture"])
        try:
            net.load_state_dict(tensors)
        except RuntimeError as error:
            file = self.path / self.config["weights"]["file"]
            raise BundleError(f"{file}: weights do not fit the architecture: {error}") from error
        return self._ready(net)

    def _ready(self, net: Network) -> Network:
        from detector.model import fold_norms
        from detector.tower import TokenNet, Tower, read_tower

        if not isinstance(net, TokenNet):
            return fold_norms(net)
        net.tower = Tower(read_tower(verified(self.backbone)))
        return net.float().eval()

    def card(self) -> str:
        """Text of the model card, Markdown; "" when the bundle has none."""
        file = self.path / "MODEL_CARD.md"
        return file.read_text(encoding="utf-8") if file.is_file() else ""


def installed_bundles() -> list[str]:
    """Ids of the bundles that ship in the package, sorted."""
    return sorted(p.parent.name for p in ASSETS.glob("*/config.json"))


def _shipped_profiles() -> list[str]:
    """Ids of the profiles' bundles that ship, the strongest last."""
    shipped = installed_bundles()
    return [name for name in PROFILES.values() if name in shipped]


def strongest() -> str:
    """Id of the bundle of the strongest profile that can be used here."""
    usable = [name for name in _shipped_profiles() if load_bundle(name).usable]
    return usable[-1] if usable else DEFAULT_BUNDLE


def stronger_than(bundle: Bundle) -> Bundle | None:
    """The bundle of the strongest profile when that is another than this bundle's.

    None for the strongest itself, and for bundles of no profile: nobody measured them side by side.
    """
    shipped = _shipped_profiles()
    if bundle.id not in shipped or bundle.id == shipped[-1]:
        return None
    return load_bundle(shipped[-1])


def load_bundle(name_or_path: str | Path | None = None) -> Bundle:
    """Read a bundle's config; no torch, no weights yet.

    Args:
        name_or_path: id of a shipped bundle, a profile ("default", "thorough"), or a bundle's
            folder; None for the strongest profile that is usable.

    Raises:
        BundleError: there is no such bundle, or its config cannot be used; names the cure.
    """
    name = strongest() if name_or_path is None else name_or_path
    name = PROFILES.get(str(name), name)
    path = ASSETS / str(name)
    # A bare word is a shipped bundle; anything with a separator is a folder.
    if isinstance(name, Path) or not (path / "config.json").is_file():
        path = Path(name)
    file = path / "config.json"
    if not file.is_file():
        known = ", ".join(installed_bundles()) or "none"
        raise BundleError(
            f"no model bundle {str(name)!r}: name a folder with config.json, "
            f"or one of those that ship: {known}"
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{file}: not a readable JSON file: {error}") from error
    missing = [key for key in ("id", "format", *DECIDING_PARTS) if key not in config]
    if missing:
        raise BundleError(f"{file}: lacks {', '.join(missing)}: the bundle is incomplete")
    if config["format"] != CONFIG_FORMAT:
        raise BundleError(
            f"{file}: format {config['format']} cannot be read by this version, "
            f"which reads format {CONFIG_FORMAT}: upgrade the package or take another bundle"
        )
    return Bundle(str(config["id"]), path, config)
