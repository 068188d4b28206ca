"""What stands between the small CNN and its teacher: its features, or the heads on them?

    python -m benchmarks.student_features --cache CACHE \\
        --config datasets/web-corpus/thorough_v2.toml --heads BUNDLE [--model BUNDLE] [--most 6000]

On clean whole views of the crop cache that CLIP's tower looked at as well. Judges of the same
validation images: the CNN's own head; new heads, linear and hidden, on its frozen features; the
heads of BUNDLE on tokens that a ridge regression predicts from those features; and the same heads
on the tower's true tokens. Writes `benchmarks/results/student_features.json`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detector.model import TwoViewNet, to_tensor
from detector.tower import TokenNet
from detector.train.cache import CropCache
from detector.train.config import TrainConfig, read_config
from detector.train.heads import TokenData, draw_weights, figures, judge_head, train_head
from detector.train.teacher import TokenFiles
from detector.weights import Bundle, load_bundle

OUT = Path(__file__).parent / "results" / "student_features.json"
RIDGE = 3000.0  # of 300, 3,000 and 30,000 the one that predicts unseen sources best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--heads", required=True, help="bundle on the tower's tokens")
    parser.add_argument("--model", default=None)
    parser.add_argument("--most", type=int, default=6000, help="training images (%(default)s)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cache, config = CropCache.open(given.cache), read_config(given.config)
    student, teacher = load_bundle(given.model), load_bundle(given.heads)
    layers, patches = config.head.layers, config.head.patches

    files = TokenFiles(cache.folder, "whole")
    rows, _ = files.read()
    held = np.array([cache.index[row]["source"] in config.validation for row in rows])
    # The first of a random order, and every validation image.
    taken = np.concatenate([np.flatnonzero(~held)[: given.most], np.flatnonzero(held)])
    rows, held = rows[taken], held[taken]
    tokens = torch.from_numpy(files.features(layers, patches)[taken])
    features, own = looked_at(student, cache, rows)

    data = token_data(features, cache, rows, held, config)
    labels, paired = data.labels[data.held_out].numpy().astype(np.int64), data.paired[held]
    found: dict[str, Any] = {"own head": figures(labels, own[held], paired)}
    for name, hidden in (("new linear head", 0), ("new hidden head", 64)):
        torch.manual_seed(config.seed)
        net = TokenNet((1,), hidden=hidden, members=1, views=("whole",), width=features.shape[1])
        single = replace(config, head=replace(config.head, hidden=hidden, members=1))
        train_head(net, "whole", data, single)
        found[name] = judge_head(net, "whole", data)
    predicted, explained = ridge(features, tokens, torch.from_numpy(held))
    net = heads_of(teacher)
    with torch.inference_mode():
        for name, seen in (("predicted tokens", predicted), ("true tokens", tokens[held])):
            found[name] = figures(labels, net.heads["whole"](seen).numpy(), paired)
    result = {
        "command": "python -m benchmarks.student_features --cache CACHE --config "
        f"datasets/web-corpus/{given.config.name} --heads {teacher.id} --model {student.id} "
        f"--most {given.most}",
        "training_images": int((~held).sum()),
        "validation_images": int(held.sum()),
        "features": features.shape[1],
        "tokens": tokens.shape[1],
        "variance_of_tokens_explained": round(explained, 4),
        "judges": found,
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def looked_at(
    student: Bundle, cache: CropCache, rows: NDArray[np.int64]
) -> tuple[Tensor, NDArray[np.float32]]:
    """(N, D) features of the clean whole views, and (N,) logits of the CNN's own head."""
    net = student.build_model()
    assert isinstance(net, TwoViewNet)
    size = student.preprocess.size
    stored = cache.arrays["whole"]
    edge = (stored.shape[1] - size) // 2
    features, logits = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), 8):
            cut = stored[rows[start : start + 8]][:, edge : edge + size, edge : edge + size]
            features.append(net.embed(to_tensor(cut)))
            logits.append(net.heads["whole"](features[-1]).squeeze(1))
    return torch.cat(features), torch.cat(logits).numpy()


def token_data(
    features: Tensor,
    cache: CropCache,
    rows: NDArray[np.int64],
    held: NDArray[np.bool_],
    config: TrainConfig,
) -> TokenData:
    """The CNN's features in the form in which heads are trained on a tower's tokens."""
    items = [cache.index[row] for row in rows]
    return TokenData(
        features,
        torch.tensor([float(item["label"]) for item in items]),
        draw_weights(items, config),
        torch.from_numpy(np.flatnonzero(held)),
        np.array([bool(item["pair"]) for item in items]),
    )


def ridge(features: Tensor, tokens: Tensor, held: Tensor) -> tuple[Tensor, float]:
    """Tokens of the held-out rows as the features predict them, and how much of their variance."""
    mean, scale = features[~held].mean(0), features[~held].std(0) + 1e-3
    x = ((features - mean) / scale).clamp(-6, 6)
    centre, spread = tokens[~held].mean(0), tokens[~held].std(0) + 1e-4
    y = (tokens - centre) / spread
    known = x[~held]
    weights = torch.linalg.solve(
        known.T @ known + RIDGE * torch.eye(known.shape[1]), known.T @ y[~held]
    )
    guess = x[held] @ weights
    explained = 1 - float((guess - y[held]).square().mean() / y[held].square().mean())
    return guess * spread + centre, explained


def heads_of(bundle: Bundle) -> TokenNet:
    """The bundle's heads without their tower."""
    from detector.designs import build_network

    net = build_network(bundle.config["architecture"])
    assert isinstance(net, TokenNet)
    net.load_state_dict(bundle.tensors())
    return net.float().eval()


if __name__ == "__main__":
    main()
