"""A tiny complete bundle for tests that must not depend on the weights that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from detector.model import TwoViewNet
from detector.train.config import TrainConfig
from detector.train.finish import draft_config, write_bundle
from detector.train.loop import write_weights


def untrained_bundle(folder: Path, size: int = 64, seed: int = 0, **changes: Any) -> Path:
    """A bundle with random weights; `changes` replace parts of its config."""
    torch.manual_seed(seed)
    net = TwoViewNet().eval()
    for head in net.heads.values():
        head.weight.data.mul_(20)  # so that scores differ between images
    config = draft_config(TrainConfig(name=folder.name, size=size)) | changes
    folder.mkdir(parents=True, exist_ok=True)
    return write_bundle(folder, write_weights(net, folder / "model.safetensors"), config)
