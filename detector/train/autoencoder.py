"""Tiny autoencoders of latent diffusion models, from their public weights.

They end in the kind of decoder whose traces a detector looks for, at a hundredth of the cost of
the models' own: TAESD and its relatives (madebyollin/taesd, MIT), each an encoder's and a
decoder's file. The layers are read off the tensors' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from detector.corpus.pairs import autoencoder_of
from detector.errors import UsageError
from detector.train.initial import read_public

if TYPE_CHECKING:
    from detector.corpus.pairs import Autoencoder

Weights = Mapping[str, Tensor]


def read_autoencoder(encoder: str | Path, decoder: str | Path) -> Autoencoder:
    """The autoencoder whose halves lie in two files of public weights.

    Raises:
        UsageError: a file cannot be read, or is not a half of such an autoencoder.
    """
    files = (encoder, decoder)
    halves = [{k: v.float() for k, v in read_public(path).items()} for path in files]
    for path, weights in zip(files, halves, strict=True):
        if not _layers(weights) or not all(_known(name) for name in weights):
            raise UsageError(f"{path}: not a half of a tiny autoencoder such as TAEF2")
    first = halves[0][f"{_layers(halves[0])[0]}.weight"]
    last = halves[1][f"{_layers(halves[1])[-1]}.weight"]
    if first.shape[1] != 3 or last.shape[0] != 3:
        raise UsageError(f"{encoder}, {decoder}: name the encoder's file first")
    return autoencoder_of(partial(_encode, halves[0]), partial(_decode, halves[1]))


def _layers(weights: Weights) -> list[int]:
    return sorted({int(name.split(".")[0]) for name in weights if name[0].isdigit()})


def _known(name: str) -> bool:
    first, _, rest = name.partition(".")
    return first.isdigit() and rest.split(".")[0] in {"weight", "bias", "conv", "skip", "pool"}


def _convolved(x: Tensor, weights: Weights, name: str, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.weight"]
    return F.conv2d(x, kernel, weights.get(f"{name}.bias"), stride, kernel.shape[-1] // 2)


def _block(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Three convolutions beside a skip; some blocks add a wide, normalised step before them."""
    if f"{name}.pool.0.weight" in weights:
        wide = _convolved(x, weights, f"{name}.pool.0")
        norm = f"{name}.pool.1"
        wide = F.group_norm(wide, 4, weights[f"{norm}.weight"], weights[f"{norm}.bias"])
        x = x + _convolved(F.relu(wide), weights, f"{name}.pool.3")
    y = F.relu(_convolved(x, weights, f"{name}.conv.0"))
    y = F.relu(_convolved(y, weights, f"{name}.conv.2"))
    y = _convolved(y, weights, f"{name}.conv.4")
    has_skip = f"{name}.skip.weight" in weights
    return F.relu(y + (_convolved(x, weights, f"{name}.skip") if has_skip else x))


def _encode(weights: Weights, pixels: Tensor) -> Tensor:
    x = pixels
    for layer in _layers(weights):
        if f"{layer}.conv.0.weight" in weights:
            x = _block(x, weights, str(layer))
        else:
            # Convolutions without a bias are those that halve the sides.
            halves = f"{layer}.bias" not in weights
            x = _convolved(x, weights, str(layer), 2 if halves else 1)
    return x


def _decode(weights: Weights, latents: Tensor) -> Tensor:
    x = torch.tanh(latents / 3) * 3
    layers = _layers(weights)
    for layer in layers:
        if f"{layer}.conv.0.weight" in weights:
            x = _block(x, weights, str(layer))
        elif f"{layer}.bias" not in weights:
            # Convolutions without a bias follow an enlargement by the nearest neighbour.
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = _convolved(x, weights, str(layer))
        else:
            x = _convolved(x, weights, str(layer))
            x = F.relu(x) if layer == layers[0] else x
    return x
