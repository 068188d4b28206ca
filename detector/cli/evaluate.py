"""`detector evaluate`: measure a model on held-out sources, and write the model card's tables."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli import codes
from detector.errors import UsageError

if TYPE_CHECKING:
    from detector.corpus.samples import Sample
    from detector.evaluate import EvaluationResult
    from detector.evaluate.table import ScoreRow

_EPILOG = """\
examples:
  detector evaluate CORPUS --manifest datasets/web-corpus/manifest.tsv.gz --out results
  detector evaluate CORPUS --manifest MANIFEST --split validation --sweep
  detector evaluate GenImage --split val        (any known benchmark, or 0_real/1_fake folders)
  detector evaluate --from-scores results       (figures again, without scoring again)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    what = parser.add_argument_group("what to measure on")
    what.add_argument(
        "folder", nargs="?", type=Path, help="a corpus built with its manifest, or a benchmark"
    )
    what.add_argument("--manifest", type=Path, help="manifest of the corpus in FOLDER")
    what.add_argument("--layout", default="auto", help="form of a benchmark's folders (auto)")
    what.add_argument("--reals", type=Path, help="more real images, for benchmarks without any")
    what.add_argument(
        "--split",
        help="with a manifest: test (default), validation, train or all; else a benchmark's word",
    )
    what.add_argument("--folds", type=int, default=6, help="folds of `--fold` (6)")
    what.add_argument(
        "--fold",
        type=int,
        help="`--split validation` takes this fold's sources in place of the bundle's own",
    )
    what.add_argument("--sources", type=Path, help="text file: only these sources, one a line")
    what.add_argument("--most", type=int, help="at most N images of a source and label")
    what.add_argument("--limit", type=int, help="at most N images in all, even over sources")
    what.add_argument(
        "--allow-missing", action="store_true", help="leave out files that the corpus lacks"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--model", help="a bundle's name or folder (the default bundle)")
    how.add_argument(
        "--conditions",
        default="published,q96,web",
        help="comma-separated: published, q96, web, q96-cropped, web-cropped (the first three)",
    )
    how.add_argument("--sweep", action="store_true", help="run the robustness sweep, too")
    how.add_argument("--sweep-images", type=int, default=400, help="images of the sweep (400)")
    how.add_argument(
        "--control-images",
        type=int,
        default=1500,
        help="training images for the size-and-format control (1500; 0: folds of the test images)",
    )
    how.add_argument("--seed", type=int, default=0)
    how.add_argument("--rounds", type=int, default=1000, help="of the bootstrap (1000)")
    how.add_argument("--workers", type=int, default=1, help="processes that prepare images (1)")
    how.add_argument("--threads", type=int, help="threads of the CNN")
    how.add_argument("--batch-size", type=int, default=16)
    out = parser.add_argument_group("output")
    out.add_argument("--out", type=Path, help="folder for tables, figures and plots (evaluation)")
    out.add_argument("--from-scores", type=Path, help="folder of an evaluation to compute again")
    out.add_argument(
        "--beside", type=Path, nargs="+", default=[], help="evaluation.json of other models"
    )
    out.add_argument(
        "--into-bundle", type=Path, help="write rates and tables into this bundle's folder, too"
    )
    out.add_argument("--no-plots", action="store_true", help="write no pictures")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.evaluate import figures_of, load

    if (args.from_scores is None) == (args.folder is None):
        raise UsageError("name a folder of images, or --from-scores with an earlier evaluation")
    if args.from_scores is not None:
        earlier, rows = load(args.from_scores)
        out = args.out or args.from_scores
        result = figures_of(rows, earlier)
    else:
        out = args.out or Path("evaluation")
        result, rows = _measure(args)
    text = _write(result, rows, out, args)
    print(text)
    failed = any(figures.failed for figures in result.conditions.values())
    return codes.SOME_FAILED if failed else codes.OK


def _measure(args: argparse.Namespace) -> tuple[EvaluationResult, list[ScoreRow]]:
    import detector
    from detector.conditions import CONDITIONS, PUBLISHED, SWEEP
    from detector.evaluate import Plan, Run, evaluate, pick

    conditions = tuple(name.strip() for name in args.conditions.split(",") if name.strip())
    known = (PUBLISHED, *CONDITIONS)
    if not conditions or set(conditions) - set(known):
        raise UsageError(f"--conditions takes words of: {', '.join(known)}")
    samples, fitting, corpus, corpus_hash, split = _samples(args)
    if args.limit is not None:
        samples = pick(samples, args.limit, args.seed)
    from detector.predict import Detector

    model = Detector.load(args.model, threads=args.threads)
    thresholds = model.bundle.thresholds
    facts = Run(
        command=_command(sys.argv[1:]),
        date=datetime.now(timezone.utc).date().isoformat(),
        corpus=corpus,
        corpus_hash=corpus_hash,
        split=split,
        model=model.model_id,
        config_hash=model.config_hash,
        threshold=thresholds.likely_generated,
        nominal_fpr=thresholds.nominal_fpr,
        calibration=model.bundle.calibration.to_dict(),
        seed=args.seed,
        rounds=args.rounds,
        version=detector.__version__,
    )
    plan = Plan(
        conditions=conditions,
        sweep=tuple(SWEEP) if args.sweep else (),
        sweep_images=args.sweep_images,
        control_images=args.control_images,
        seed=args.seed,
        workers=args.workers,
        batch_size=args.batch_size,
    )
    with _Bar() as bar:
        return evaluate(model, samples, facts, plan, control_samples=fitting, progress=bar.show)


def _samples(
    args: argparse.Namespace,
) -> tuple[list[Sample], list[Sample], str, str, str]:
    """Images to measure on, images for the control, and the name, hash and split of both."""
    if args.manifest is None:
        from detector.corpus.layouts import load_layout

        samples = load_layout(args.folder, args.layout, split=args.split, reals=args.reals)
        text = "\n".join(f"{sample.key}\t{sample.label}" for sample in samples)
        digest = f"{hashlib.sha256(text.encode()).hexdigest()} (of keys and labels)"
        return (
            _chosen(samples, args),
            [],
            args.folder.resolve().name,
            digest,
            args.split or "all",
        )
    from detector.corpus.manifest import read_manifest
    from detector.corpus.samples import manifest_samples
    from detector.corpus.split import validation_sources

    manifest = read_manifest(args.manifest)
    split = args.split or "test"
    if split not in ("test", "validation", "train", "all"):
        raise UsageError(f"a manifest has the splits test, validation, train and all: not {split}")
    every = manifest_samples(manifest, args.folder, None, allow_missing=args.allow_missing)
    trained = [sample for sample in every if sample.split == "train"]
    if split == "validation":
        if args.fold is None:
            held = _own_validation(args.model)
            split = "validation sources of the bundle"
        else:
            held = set(validation_sources(manifest, folds=args.folds, fold=args.fold))
            split = f"validation, fold {args.fold} of {args.folds}"
        samples = [sample for sample in trained if sample.source in held]
        fitting = [sample for sample in trained if sample.source not in held]
    else:
        samples = [sample for sample in every if split in ("all", sample.split)]
        # Fitted on the very images that it is measured on, the control would look too good.
        fitting = trained if split == "test" else []
    corpus = args.manifest.resolve().parent.name
    return _chosen(samples, args), fitting, corpus, manifest.sha256, split


def _own_validation(model: str | None) -> set[str]:
    """The sources that trained nothing of this bundle; others of `train` would flatter it."""
    from detector.weights import load_bundle

    bundle = load_bundle(model)
    named = bundle.config.get("training", {}).get("config", {}).get("validation", ())
    if not named:
        raise UsageError(
            f"{bundle.id} does not say which sources validated it: "
            "choose some with --fold, of which some may have trained it"
        )
    return set(named)


def _chosen(samples: list[Sample], args: argparse.Namespace) -> list[Sample]:
    from detector.corpus.samples import cap

    if args.sources is not None:
        wanted = set(args.sources.read_text(encoding="utf-8").split())
        samples = [sample for sample in samples if sample.source in wanted]
    if args.most is not None:
        samples = cap(samples, {sample.source: args.most for sample in samples}, args.seed)
    return samples


def _write(
    result: EvaluationResult, rows: Sequence[ScoreRow], out: Path, args: argparse.Namespace
) -> str:
    from detector.evaluate import markdown, save

    save(result, rows, out)
    text = markdown.card(result)
    if args.beside:
        others = [json.loads(path.read_text(encoding="utf-8")) for path in args.beside]
        text += "\n" + markdown.comparison([result.to_dict(), *others])
    (out / "evaluation.md").write_text(text, encoding="utf-8")
    if args.into_bundle is not None:
        from detector.evaluate.into_bundle import write_into_bundle

        write_into_bundle(result, rows, text, args.into_bundle)
    if not args.no_plots:
        from detector.evaluate import plots

        plots.draw(result, rows, out)
    return text


def _command(arguments: Sequence[str]) -> str:
    """The command as typed, with absolute paths cut to their last part: cards are public."""
    shown = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if equals and Path(value).is_absolute():
            shown.append(f"{option}={Path(value).name}")
        else:
            shown.append(Path(argument).name if Path(argument).is_absolute() else argument)
    return shlex.join(["detector", *shown])


class _Bar:
    """A progress bar on stderr; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            *Progress.get_default_columns()[:2],
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: Any = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        self._task = self._progress.add_task("images", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: int, total: int) -> None:
        """Moves the bar."""
        self._progress.update(self._task, completed=done, total=total)
