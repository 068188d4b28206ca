"""Measures what one image costs on one core, decoding apart, and what the CNN's form brings.

    python -m benchmarks.model_speed

Run from the repository's root on an idle machine (Linux). One process with one thread is held on
one core. The image is an array of 1152 by 896 pixels, so that nothing is decoded. Figures are the
process's own CPU milliseconds, which hardly depend on what else the machine does; all forms take
their turns in every round, and ratios are taken round by round. For each usable bundle:

- `image`: `Detector.predict` of the array, with its parts `views` (choosing, cutting, resizing)
  and `scoring` (the CNN on all views);
- `one_view`, `views_4`, `views_16`: the network alone on so many views, for each view;
- for the CNN also `plain`: one view through the network as it is trained, norms apart.

Results go to `benchmarks/results/model_speed.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from skimage import data

from detector import Detector
from detector.designs import build_network
from detector.model import TwoViewNet, to_tensor
from detector.weights import Bundle, installed_bundles, load_bundle

RESULTS = Path(__file__).parent / "results"
SIZE = (1152, 896)  # width and height; 1.03 megapixels
BASE = "one_view"


def plain_network(bundle: Bundle) -> TwoViewNet | None:
    """The CNN with its weights as it is trained; None for a bundle of another design."""
    net = build_network(bundle.config["architecture"])
    if not isinstance(net, TwoViewNet):
        return None
    net.load_state_dict(bundle.tensors())
    return net.eval()


def forms(detector: Detector) -> dict[str, tuple[Callable[[], object], int]]:
    """What is timed, by name, and by how many views its time is divided."""
    rgb = np.asarray(cv2.resize(data.astronaut(), SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
    prepared = detector.prepare(rgb)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), np.uint8)
    pixels = to_tensor(pixels)
    net, plain = detector.net, plain_network(detector.bundle)
    found: dict[str, tuple[Callable[[], object], int]] = {
        "image": (lambda: detector.predict(rgb, evidence=False), 1),
        "views": (lambda: detector.bundle.preprocess.cut(rgb), 1),
        "scoring": (lambda: detector.score_prepared([prepared]), 1),
        BASE: (lambda: net(pixels[:1], "whole"), 1),
        "views_4": (lambda: net(pixels[:4], "whole"), 4),
        "views_16": (lambda: net(pixels, "whole"), 16),
    }
    if plain is not None:
        found["plain"] = (lambda: plain(pixels[:1], "whole"), 1)
    return found


def measure(bundle: str, seconds: float, least: int) -> dict[str, Any]:
    """CPU milliseconds of every form of one bundle, and their ratios to one view alone."""
    detector = Detector.load(bundle, threads=1)
    timed = forms(detector)
    spent: dict[str, list[float]] = {name: [] for name in timed}
    with torch.inference_mode():
        for run, _ in timed.values():
            run()
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(spent[BASE]) < least:
            for name, (run, views) in timed.items():
                begun = time.process_time()
                run()
                spent[name].append((time.process_time() - begun) * 1000 / views)
    return {
        "config_hash": detector.config_hash,
        "kinds_of_views": detector.bundle.preprocess.kinds(),
        "rounds": len(spent[BASE]),
        "cpu_ms": {
            name: {"median": round(statistics.median(v), 2), "least": round(min(v), 2)}
            for name, v in spent.items()
        },
        "ratio_to_one_view": {
            name: round(statistics.median(a / b for a, b in zip(v, spent[BASE], strict=True)), 3)
            for name, v in spent.items()
        },
    }


def cpu_name() -> str:
    """The processor's name as the kernel gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--bundles", nargs="+", help="default: all that are usable here")
    parser.add_argument("--seconds", type=float, default=40.0, help="least time for each bundle")
    parser.add_argument("--rounds", type=int, default=5, help="least rounds for each bundle")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "model_speed.json")
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    cv2.setNumThreads(1)
    names = args.bundles or [name for name in installed_bundles() if load_bundle(name).usable]
    load = os.getloadavg()[0]
    record = {
        "machine": {
            "cpu": cpu_name(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "load_before": round(load, 2),
        },
        "image": SIZE,
        "bundles": {name: measure(name, args.seconds, args.rounds) for name in names},
    }
    text = json.dumps(record, indent=2) + "\n"
    args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
