"""The CNN: an EfficientNet-Lite0 trunk that looks at whole and native views with one head each.

Source of the trunk's design: Tan and Le, "EfficientNet" (arXiv 1905.11946), in the "Lite" form
without squeeze-and-excitation and with ReLU6, which quantises and runs well on CPUs.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

# (repeats, kernel, stride of the first, expansion, channels out) of each stage of Lite0.
STAGES: tuple[tuple[int, int, int, int, int], ...] = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
VIEWS = ("whole", "native")
Net = TypeVar("Net", bound=nn.Module)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to its input where the shapes agree."""

    def __init__(self, kernel: int, stride: int, expand: int, cin: int, cout: int) -> None:
        super().__init__()
        mid = cin * expand
        self.expand = nn.Conv2d(cin, mid, 1, bias=False) if expand > 1 else nn.Identity()
        self.norm0 = _norm(mid) if expand > 1 else nn.Identity()
        self.depthwise = nn.Conv2d(mid, mid, kernel, stride, kernel // 2, groups=mid, bias=False)
        self.norm1 = _norm(mid)
        self.project = nn.Conv2d(mid, cout, 1, bias=False)
        self.norm2 = _norm(cout)
        self.expands = expand > 1
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        # In place: a new map of some megabytes for every step costs more than the step.
        y = F.relu6(self.norm0(self.expand(x)), inplace=True) if self.expands else x
        y = F.relu6(self.norm1(self.depthwise(y)), inplace=True)
        y = self.norm2(self.project(y))
        out: Tensor = y.add_(x) if self.residual else y
        return out


def mean_and_deviation(x: Tensor) -> list[Tensor]:
    """(B, C, H, W) float to two of (B, C): every channel's mean, and its standard deviation.

    Deviations are those of a sample, H·W − 1 in the denominator. `Tensor.var` gives the same,
    ten times as slowly on CPUs where channels come last in memory.
    """
    mean = x.mean((2, 3), keepdim=True)
    variance = (x - mean).square().sum((2, 3)) / (x.shape[2] * x.shape[3] - 1)
    # The small constant bounds the gradient where a channel is flat.
    return [mean.flatten(1), (variance + 1e-4).sqrt()]


class Head(nn.Linear):
    """Features to one logit: a linear map, and beside it a small hidden layer that starts at zero.

    On this task a hidden layer reads CLIP's tokens clearly better than a linear map does (see
    datasets/EXPERIMENTS.md), and the student's features are made to resemble those.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(features, 1)
        self.hidden = nn.Linear(features, hidden)
        self.out = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features) to (B, 1) logits."""
        hidden = F.dropout(F.gelu(self.hidden(x)), 0.3, self.training)
        logits: Tensor = super().forward(x) + self.out(hidden)
        return logits


class TwoViewNet(nn.Module):
    """One trunk, two heads: "whole" reads the resized picture, "native" reads untouched crops.

    The heads read the trunk's last features and, beside them, means and deviations of three
    earlier stages, where the traces of decoders and resampling are still visible.

    Args:
        tap_stages: stages (0–6) whose statistics join the last features.
        dropout: on the features in training.
        head_hidden: width of the heads' hidden layer; 0 for linear heads.
    """

    def __init__(
        self,
        tap_stages: tuple[int, ...] = (1, 2, 4),
        dropout: float = 0.2,
        head_hidden: int = 0,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self.stem_norm = _norm(32)
        blocks: list[nn.Module] = []
        ends: list[int] = []
        cin = 32
        for repeats, kernel, stride, expand, cout in STAGES:
            for index in range(repeats):
                blocks.append(
                    InvertedResidual(kernel, stride if index == 0 else 1, expand, cin, cout)
                )
                cin = cout
            ends.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self.top = nn.Conv2d(cin, 1280, 1, bias=False)
        self.top_norm = _norm(1280)
        self.taps = frozenset(ends[stage] for stage in tap_stages)
        self.features = 1280 + 2 * sum(STAGES[stage][4] for stage in tap_stages)
        # The statistics differ in scale by orders of magnitude; linear heads need them alike.
        self.feature_norm = nn.BatchNorm1d(self.features, momentum=0.05)
        self.dropout = dropout
        self.heads = nn.ModuleDict(
            {
                view: Head(self.features, head_hidden)
                if head_hidden
                else nn.Linear(self.features, 1)
                for view in VIEWS
            }
        )

    def embed(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) float RGB in [-1, 1] to (B, features)."""
        x = F.relu6(self.stem_norm(self.stem(x)), inplace=True)
        statistics: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                statistics += mean_and_deviation(x)
        # Not in place: Grad-CAM reads what comes before the last activation.
        x = F.relu6(self.top_norm(self.top(x))).mean((2, 3))
        features: Tensor = self.feature_norm(torch.cat([x, *statistics], dim=1))
        return features

    def forward(self, x: Tensor, view: str) -> Tensor:
        """(B, 3, S, S) float RGB in [-1, 1] to (B,) logits of the head for `view`."""
        features = F.dropout(self.embed(x), self.dropout, self.training)
        logits: Tensor = self.heads[view](features)
        return logits.squeeze(1)


def to_tensor(views: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) uint8 RGB to (B, 3, S, S) float32 in [-1, 1], channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(views)).permute(0, 3, 1, 2).to(torch.float32)
    return x.sub_(127.0).div_(128.0)


def build(architecture: Mapping[str, Any]) -> TwoViewNet:
    """The network that a bundle's config describes, with random weights."""
    return TwoViewNet(
        tuple(architecture["tap_stages"]),
        float(architecture.get("dropout", 0.0)),
        int(architecture.get("head_hidden", 0)),
    )


def fold_norms(net: Net) -> Net:
    """Fold every batch norm into the convolution before it: the same output with fewer steps.

    Args:
        net: changed in place and left in `eval` mode; its modules register a norm right after
            the convolution that it follows, as ours and torchvision's do.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    net.eval()
    for owner in list(net.modules()):
        for (name, conv), (after, norm) in pairwise(list(owner.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(owner, name, fuse_conv_bn_eval(conv, norm))
                setattr(owner, after, nn.Identity())
    return net.to(memory_format=torch.channels_last)
