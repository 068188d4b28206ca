"""Other people's classifiers as models: Hugging Face checkpoints, and Community Forensics.

`--model hf:FOLDER` takes any image-classification checkpoint of transformers, a local folder or
an id of the hub; `--model commfor:FOLDER` the timm networks of "Community Forensics" (Park and
Owens, CVPR 2025, arXiv 2411.04125). Each is fed by its own preprocessing. Only safetensors are
read, and no code of a checkpoint is run. `hf:FOLDER#generated=fake,sd&real=photo` says which
labels are which, where their names leave doubt.

No error rate of such a model is known here: until `detector calibrate` was run, its verdict is
"inconclusive" with the code "uncalibrated", and it gives neither probability nor ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector.errors import BundleError, MissingExtraError
from detector.integrations.hub.cutters import ProcessorCutter, SquareCutter, processor_of, run_half
from detector.integrations.hub.folders import digest_of, folder_of, json_of
from detector.integrations.hub.labels import label_indices, labels_of, overrides_of
from detector.integrations.hub.scorer import Forward, HubScorer
from detector.preprocess import Pixels

__all__ = ["HubScorer", "load", "load_community_forensics"]

# Community Forensics: the shorter side is brought to the second, the centre cut to the first.
_COMMFOR_SIZES = {224: 256, 384: 440}
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def load(location: str) -> HubScorer:
    """The checkpoint in a folder or on the hub; see the module for `location`.

    Raises:
        UsageError: no location, labels that cannot be told apart.
        BundleError: no such checkpoint, or one that cannot be used.
        MissingExtraError: transformers is not installed.
    """
    place, _, options = location.partition("#")
    folder = folder_of(place, "hf")
    config = json_of(folder / "config.json")
    generated, real, notes = label_indices(labels_of(config), overrides_of(options))
    if not (folder / "preprocessor_config.json").is_file():
        raise BundleError(f"{folder}: lacks preprocessor_config.json: how images are fed is open")
    cutter = ProcessorCutter(str(folder))
    name = Path(place.rstrip("/")).name if Path(place).is_dir() else place
    digest = digest_of(folder, ["config.json", "preprocessor_config.json"], [generated, real])

    def build() -> Forward:
        return _transformers_forward(folder, generated, real)

    return HubScorer(f"hf:{name}", digest, cutter, build, notes)


def _transformers_forward(folder: Path, generated: list[int], real: list[int]) -> Forward:
    try:
        import torch
        from transformers import AutoModelForImageClassification
    except ImportError as error:
        raise MissingExtraError("A Hugging Face model", "hub") from error
    try:
        net = AutoModelForImageClassification.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True
        ).eval()
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"{folder}: not a usable image classifier: {error}") from error
    processor = processor_of(str(folder))
    _check_halves(processor, str(folder))

    def forward(images: Sequence[Pixels]) -> list[float]:
        with torch.inference_mode():
            logits = net(pixel_values=run_half(processor, images, geometry=False)).logits.float()
        if logits.shape[1] == 1:
            found: list[float] = logits[:, 0].tolist()
            return found
        both = [torch.logsumexp(logits[:, side], dim=1) for side in (generated, real)]
        difference: list[float] = (both[0] - both[1]).tolist()
        return difference

    return forward


def _check_halves(processor: Any, folder: str) -> None:
    """The two halves of the processor, run apart, must give what the whole gives."""
    rgb = np.random.default_rng(0).integers(0, 256, (301, 403, 3), dtype=np.uint8)
    view = ProcessorCutter(folder).cut(rgb).whole
    assert view is not None
    apart, whole = (
        run_half(processor, [view], geometry=False),
        run_half(processor, [rgb], geometry=None),
    )
    if apart.shape != whole.shape or float((apart - whole).abs().max()) > 1e-4:
        raise BundleError(
            f"{folder}: its image processor ({type(processor).__name__}) cannot be split into "
            "resizing and scaling: this kind is not supported"
        )


def load_community_forensics(location: str) -> HubScorer:
    """A Community Forensics checkpoint in a folder or on the hub.

    Raises:
        UsageError: no location.
        BundleError: no such checkpoint, or one of another kind.
        MissingExtraError: timm is not installed.
    """
    folder = folder_of(location, "commfor")
    config = json_of(folder / "config.json")
    try:
        size, crop = str(config["model_size"]), int(config["input_size"])
        architecture = f"vit_{size}_patch{int(config['patch_size'])}_{crop}"
        cutter = SquareCutter(_COMMFOR_SIZES[crop], crop)
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError(f"{folder}: not a Community Forensics checkpoint: {error}") from error

    def build() -> Forward:
        return _timm_forward(folder, architecture)

    name = Path(location.rstrip("/")).name if Path(location).is_dir() else location
    return HubScorer(f"commfor:{name}", digest_of(folder, ["config.json"], []), cutter, build)


def _timm_forward(folder: Path, architecture: str) -> Forward:
    try:
        import timm
        import torch
    except ImportError as error:
        raise MissingExtraError("A Community Forensics model", "hub") from error
    from safetensors.torch import load_file

    net = timm.create_model(architecture, pretrained=False, num_classes=1).eval()
    weights = load_file(folder / "model.safetensors")
    try:
        net.load_state_dict({k.removeprefix("vit."): v.float() for k, v in weights.items()})
    except RuntimeError as error:
        raise BundleError(f"{folder}: weights do not fit {architecture}: {error}") from error
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in _IMAGENET)

    def forward(images: Sequence[Pixels]) -> list[float]:
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            found: list[float] = net((batch - mean) / std)[:, 0].tolist()
        return found

    return forward
