"""A tiny CLIP-like tower as an int8 ONNX file, laid out as the public one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, LAYERS = 64, 2


def tiny_tower(path: Path, seed: int = 0) -> Path:
    """Write the file; two layers of width 64, random weights."""
    rng = np.random.default_rng(seed)
    stored: dict[str, np.ndarray] = {}
    nodes = []

    def plain(name: str, *shape: int, about: float = 0.0) -> None:
        values = about + 0.05 * rng.standard_normal(shape)
        stored[f"vision_model.{name}"] = values.astype(np.float32)

    def matrix(name: str, rows: int, columns: int) -> None:
        base = f"w{len(nodes)}"
        stored[f"{base}_quantized"] = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        stored[f"{base}_scale"] = np.full(columns, 0.002, np.float32)
        stored[f"{base}_zero_point"] = np.zeros(columns, np.int8)
        label = f"/vision_model/{name.replace('.', '/')}/MatMul_quant"
        inputs = ["x", f"{base}_quantized", "z", f"{base}_zero_point"]
        nodes.append(helper.make_node("MatMulInteger", inputs, [f"y{base}"], name=label))
        plain(f"{name}.bias", columns)

    plain("embeddings.class_embedding", WIDTH)
    plain("embeddings.patch_embedding.weight", WIDTH, 3, 16, 16)
    plain("embeddings.position_embedding.weight", 197, WIDTH)
    for norm in ("pre_layrnorm", "post_layernorm"):
        plain(f"{norm}.weight", WIDTH, about=1.0)
        plain(f"{norm}.bias", WIDTH)
    for layer in range(LAYERS):
        base = f"encoder.layers.{layer}"
        for norm in ("layer_norm1", "layer_norm2"):
            plain(f"{base}.{norm}.weight", WIDTH, about=1.0)
            plain(f"{base}.{norm}.bias", WIDTH)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            matrix(f"{base}.self_attn.{part}", WIDTH, WIDTH)
        matrix(f"{base}.mlp.fc1", WIDTH, 4 * WIDTH)
        matrix(f"{base}.mlp.fc2", 4 * WIDTH, WIDTH)
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, None)],
        [helper.make_tensor_value_info("yw0", TensorProto.INT32, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    onnx.save(helper.make_model(graph), path)
    return path
