"""A bundle's heads, tuned on a user's own folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from detector.__main__ import main
from detector.corpus.samples import Sample
from detector.errors import CorpusError
from detector.model import TwoViewNet, to_tensor
from detector.predict import Detector
from detector.train.config import TrainConfig
from detector.train.finetune import LEAST_IMAGES, split
from detector.train.finish import draft_config, write_bundle
from detector.train.loop import write_weights
from detector.weights import load_bundle
from tests.bundles import untrained_bundle


def picture(label: int, rng: np.random.Generator) -> np.ndarray:
    """(80, 90, 3) uint8: reals are soft gradients, generated images are checked."""
    y, x = np.mgrid[0:80, 0:90]
    shade = rng.integers(40, 200, 3)
    pattern = (x // 4 + y // 4) % 2 * 60 if label else (x + y) / 3
    noise = rng.normal(0, 4, (80, 90, 3))
    return np.clip(pattern[..., None] + shade + noise, 0, 255).astype(np.uint8)


def folders(root: Path, count: int) -> Path:
    rng = np.random.default_rng(5)
    for label, name in ((0, "0_real"), (1, "1_fake")):
        folder = root / name
        folder.mkdir(parents=True)
        for i in range(count):
            Image.fromarray(picture(label, rng)).save(folder / f"{i}.png")
    return root


def start_bundle(folder: Path) -> Path:
    """Random filters, but with norms that have seen images, so that features vary."""
    torch.manual_seed(0)
    net = TwoViewNet()
    rng = np.random.default_rng(0)
    seen = np.stack([picture(i % 2, rng)[:64, :64] for i in range(32)])
    for module in net.modules():
        if hasattr(module, "momentum"):
            module.momentum = None  # the plain mean over the passes
    for _ in range(4):
        net.train()(to_tensor(seen), "whole")
    weights = untrained_bundle(folder) / "model.safetensors"
    write_weights(net.eval(), weights)
    config = draft_config(TrainConfig(name=folder.name, size=64))
    config["evaluation"] = {"overall": {"fpr": 0.01, "tpr": 0.3}}
    return write_bundle(folder, weights, config)


def sample(i: int, label: int, source: str) -> Sample:
    return Sample(f"{label}/{i}", label, source, "", "", "", False, lambda: b"")


def test_tuned_heads_tell_apart_what_the_old_ones_could_not(tmp_path: Path) -> None:
    start = start_bundle(tmp_path / "start_v1")
    data = folders(tmp_path / "data", LEAST_IMAGES + 4)
    out = tmp_path / "local_v1"
    arguments = ["train", "finetune", str(data), "--model", str(start), "--bundle", str(out)]
    assert main([*arguments, "--steps", "60"]) == 0
    bundle = load_bundle(out)
    assert bundle.id == "local_v1"
    assert "tuned on" in bundle.card()
    assert "evaluation" not in bundle.config  # the old heads' rates say nothing of the new ones
    assert bundle.config["validation"]["likely_generated"]["recall"] > 0.9
    before, after = load_file(start / "model.safetensors"), load_file(out / "model.safetensors")
    moved = {k for k in before if not before[k].equal(after[k])}
    assert moved == {k for k in before if k.startswith("heads.")}
    detector = Detector.load(out)
    scores = [
        [detector.predict(str(data / name / f"{i}.png")).score for i in range(6)]
        for name in ("0_real", "1_fake")
    ]
    assert max(scores[0]) < min(scores[1])


def test_too_few_images_are_refused_with_the_number_needed() -> None:
    few = [sample(i, label, "s") for i in range(10) for label in (0, 1)]
    with pytest.raises(CorpusError, match=str(LEAST_IMAGES)):
        split(few)


def test_whole_sources_are_held_out_where_there_are_enough() -> None:
    many = [sample(i, label, f"s{i % 6}") for i in range(90) for label in (0, 1)]
    train, held = split(many)
    assert not {(s.label, s.source) for s in train} & {(s.label, s.source) for s in held}
    assert {s.label for s in held} == {0, 1}
