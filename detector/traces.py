"""CNNs that look at native crops only: what decoders and upsamplers leave in single pixels.

Two are published designs, kept as baselines; the third is ours:

- `npr`: Tan et al., "Rethinking the Up-Sampling Operations in CNN-based Generative Network for
  Generalizable Deepfake Detection" (CVPR 2024, arXiv 2312.10461);
- `cnndetection`: Wang et al., "CNN-generated images are surprisingly easy to spot... for now"
  (CVPR 2020, arXiv 1912.11035), with ResNet-18 in place of ResNet-50, which no CPU trains in
  reasonable time;
- `residual_bank`: fixed high-pass filters in the manner of Fridrich and Kodovsky, "Rich Models for
  Steganalysis of Digital Images" (IEEE TIFS 2012), and NPR's difference, then dense convolutions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's usual name

from detector.model import mean_and_deviation

WIDTHS = (24, 48, 96, 160)
# Residuals beyond so many grey levels are edges of the motif, not traces.
CLIP = 4.0
# Each is divided by half the sum of its absolute values, so that all are in grey levels alike.
FILTERS: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((-1, 1),),
    ((-1,), (1,)),
    ((1, -2, 1),),
    ((1,), (-2,), (1,)),
    ((-1, 2, -1), (2, -4, 2), (-1, 2, -1)),
    ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
    (
        (-1, 2, -2, 2, -1),
        (2, -6, 8, -6, 2),
        (-2, 8, -12, 8, -2),
        (2, -6, 8, -6, 2),
        (-1, 2, -2, 2, -1),
    ),
)
REACH = 2  # pixels that the largest filter needs on each side


class NearestDifference(nn.Module):
    """An image minus itself shrunk by two and enlarged again, both by the nearest neighbour.

    What is left is how three of every four pixels differ from the first: an upsampling layer of
    factor two makes this local relation alike all over an image.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        height, width = x.shape[2:]
        small = x[:, :, ::2, ::2]
        back = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return x - back[:, :, :height, :width]


class ResidualBank(nn.Module):
    """Clipped residuals of fixed high-pass filters on each colour, and the colours, faintly."""

    def __init__(self) -> None:
        super().__init__()
        side = 2 * REACH + 1
        # A dense convolution: grouped ones are slow on CPUs, the zeros cost nothing to keep.
        kernels = torch.zeros(3 * len(FILTERS), 3, side, side)
        for number, rows in enumerate(FILTERS):
            values = torch.tensor(rows, dtype=torch.float32)
            values = values / (values.abs().sum() / 2)
            top, left = REACH - len(rows) // 2, REACH - len(rows[0]) // 2
            for colour in range(3):
                place = kernels[3 * number + colour, colour]
                place[top : top + len(rows), left : left + len(rows[0])] = values
        self.kernels: Tensor
        # Fixed, and part of the package: not in the weights' file.
        self.register_buffer("kernels", kernels, persistent=False)
        self.nearest = NearestDifference()
        self.channels = len(kernels) + 6

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [-1, 1] to (B, C, H − 4, W − 4) in [-1, 1]."""
        inside = (..., slice(REACH, -REACH), slice(REACH, -REACH))
        residuals = torch.cat([F.conv2d(x, self.kernels), self.nearest(x)[inside]], dim=1)
        clipped = (residuals * (128 / CLIP)).clamp(-1, 1)
        return torch.cat([clipped, 0.25 * x[inside]], dim=1)


def _dense(cin: int, cout: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
            norm=nn.BatchNorm2d(cout, momentum=0.05),
        )
    )


class DenseStage(nn.Module):
    """Two 3x3 convolutions, the first of which halves the sides; the second is a residual step."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.down = _dense(cin, cout, 2)
        self.step = _dense(cout, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H/2, W/2)."""
        x = F.relu(self.down(x))
        return F.relu(x + self.step(x))


class DenseTrunk(nn.Module):
    """Residual maps to features: mean and deviation of the maps and of every stage.

    Args:
        cin: channels of the maps.
        widths: of the first convolution, which halves the sides, and of the stages after it.
    """

    def __init__(self, cin: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = _dense(cin, widths[0], 2)
        self.stages = nn.ModuleList(DenseStage(a, b) for a, b in pairwise(widths))
        self.features = 2 * (cin + sum(widths))
        # The statistics differ in scale by orders of magnitude; a linear head needs them alike.
        self.feature_norm = nn.BatchNorm1d(self.features, momentum=0.05)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, features)."""
        found = mean_and_deviation(x)
        x = F.relu(self.stem(x))
        found += mean_and_deviation(x)
        for stage in self.stages:
            x = stage(x)
            found += mean_and_deviation(x)
        features: Tensor = self.feature_norm(torch.cat(found, dim=1))
        return features


class TraceNet(nn.Module):
    """A fixed front end, a trunk and one linear head, on native crops.

    Args:
        front: pixels to maps, without weights.
        trunk: maps to features.
        features: how many.
        dropout: on the features in training.
    """

    def __init__(
        self, front: nn.Module, trunk: nn.Module, features: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.front = front
        self.trunk = trunk
        self.features = features
        self.dropout = dropout
        self.heads = nn.ModuleDict({"native": nn.Linear(features, 1)})

    def embed(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) float RGB in [-1, 1] to (B, features)."""
        features: Tensor = self.trunk(self.front(x))
        return features

    def forward(self, x: Tensor, view: str = "native") -> Tensor:
        """(B, 3, S, S) float RGB in [-1, 1] to (B,) logits."""
        features = F.dropout(self.embed(x), self.dropout, self.training)
        logits: Tensor = self.heads[view](features)
        return logits.squeeze(1)


def _resnet(kind: str, last: str, stem: int = 7) -> nn.Sequential:
    """A ResNet of torchvision up to one of its stages, pooled to features; random weights."""
    import torchvision

    net = torchvision.models.get_model(kind, weights=None)
    if stem != 7:
        net.conv1 = nn.Conv2d(3, 64, stem, 2, stem // 2, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    parts = OrderedDict(net.named_children())
    names = list(parts)
    kept = OrderedDict((name, parts[name]) for name in names[: names.index(last) + 1])
    return nn.Sequential(OrderedDict(kept, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten()))


def _npr(architecture: Mapping[str, Any], dropout: float) -> TraceNet:
    trunk = _resnet("resnet50", "layer2", stem=3)
    return TraceNet(NearestDifference(), trunk, 512, dropout)


def _cnndetection(architecture: Mapping[str, Any], dropout: float) -> TraceNet:
    return TraceNet(nn.Identity(), _resnet("resnet18", "layer4"), 512, dropout)


def _residual_bank(architecture: Mapping[str, Any], dropout: float) -> TraceNet:
    bank = ResidualBank()
    trunk = DenseTrunk(bank.channels, tuple(architecture.get("widths", WIDTHS)))
    return TraceNet(bank, trunk, trunk.features, dropout)


BUILDERS: dict[str, Callable[[Mapping[str, Any], float], TraceNet]] = {
    "npr": _npr,
    "cnndetection": _cnndetection,
    "residual_bank": _residual_bank,
}


def build_traces(architecture: Mapping[str, Any]) -> TraceNet:
    """The network that a bundle's config names, one of `BUILDERS`, with random weights."""
    make = BUILDERS[architecture["name"]]
    return make(architecture, float(architecture.get("dropout", 0.0)))
