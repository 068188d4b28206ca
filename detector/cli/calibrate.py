"""`detector calibrate`: a model's thresholds and calibration from your own labelled images."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli import codes
from detector.errors import UsageError

if TYPE_CHECKING:
    from detector.results import Finding
    from detector.scorers import LazyDetector, Scorer
    from detector.scorers.local import Fitted, LocalImage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Scores a folder of real and a folder of generated images, and fits where the model's "
        "verdicts change and what its scores are worth on images like yours. What it writes is a "
        "folder that --model takes. A sub-folder counts as one source; files beside each other "
        "in the folder count as independent. The rates told are out of cross-validation."
    )
    parser.add_argument("--real", required=True, metavar="DIR", help="real images")
    parser.add_argument("--generated", required=True, metavar="DIR", help="generated images")
    parser.add_argument("--model", metavar="NAME", help="bundle, or a plug-in such as hf:FOLDER")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="new folder to write")
    parser.add_argument("--name", metavar="ID", help="the new model's id (default: the folder's)")
    parser.add_argument(
        "--fpr", type=_share, default=0.02, help="real images called generated (default: 0.02)"
    )
    parser.add_argument(
        "--inconclusive-fpr", type=_share, default=0.1, help="or doubtful (default: 0.1)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="decoding processes")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of the model")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    out = Path(args.output)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"-o {out}: is there already; name a new folder")
    for option in ("real", "generated"):
        if not Path(getattr(args, option)).is_dir():
            raise UsageError(f"--{option} {getattr(args, option)}: no such folder")
    from detector.scorers import load_scorer
    from detector.scorers.local import fit_locally

    scorer = load_scorer(args.model, args.threads)
    images = _images(args, scorer)
    limits = getattr(scorer.bundle, "thresholds", None)
    fitted = fit_locally(
        images,
        fpr=args.fpr,
        inconclusive_fpr=args.inconclusive_fpr,
        least_texture=0.0 if limits is None else limits.least_texture,
    )
    name = args.name or out.name
    _write(out, name, args.model, scorer, fitted)
    if args.json:
        print(json.dumps({"id": name, "folder": str(out), **fitted.figures}, indent=2))
    else:
        _print(out, name, fitted)
    return codes.OK


def _images(args: argparse.Namespace, scorer: Scorer) -> list[LocalImage]:
    """Both folders' images, scored as a scan scores them, in a store that is thrown away."""
    from detector.scan import scan
    from detector.scorers.local import LocalImage
    from detector.store import Store

    found: list[LocalImage] = []
    with tempfile.TemporaryDirectory() as folder:
        for label, root in ((0, Path(args.real)), (1, Path(args.generated))):
            store = Path(folder) / f"{label}.db"
            scan([root], store=store, detector=scorer, workers=args.workers, thumbnails=False)
            with Store.open(store, readonly=True) as opened:
                own = [f for f in opened.findings() if f.ok]
                failed = sum(not f.ok for f in opened.findings())
            if failed:
                print(f"{root}: {failed} files could not be scored", file=sys.stderr)
            found += [LocalImage(f, label, _source(f, root, label)) for f in own]
    return found


def _source(finding: Finding, root: Path, label: int) -> str:
    inside = Path(finding.path).relative_to(root).parts
    return f"{label}:{inside[0] if len(inside) > 1 else finding.sha256}"


def _write(out: Path, name: str, model: str | None, scorer: Scorer, fitted: Fitted) -> None:
    from detector.scorers import Calibrated, LazyDetector, Overlay

    if isinstance(scorer, LazyDetector):
        _write_bundle(out, name, scorer, fitted)
        return
    base, digest = str(model), scorer.config_hash
    if isinstance(scorer, Calibrated):  # calibrated anew: over the same model, not over the old
        base, digest = scorer.overlay.model, scorer.overlay.config_hash
    Overlay(name, base, digest, fitted.calibration, fitted.thresholds, fitted.figures).write(out)


def _write_bundle(out: Path, name: str, scorer: LazyDetector, fitted: Fitted) -> None:
    """The bundle's folder under a new name, with what was fitted in its config."""
    shutil.copytree(scorer.bundle.path, out, dirs_exist_ok=True)
    figures = fitted.figures
    config: dict[str, Any] = {
        **scorer.bundle.config,
        "id": name,
        "calibration": fitted.calibration.to_dict(),
        "thresholds": dict(vars(fitted.thresholds)),
        "validation": {
            "images": figures["real"] + figures["generated"],
            **{
                verdict: {rate: figures[verdict][rate]["value"] for rate in ("fpr", "recall")}
                for verdict in ("likely_generated", "inconclusive")
            },
        },
        "local_calibration": {"of": scorer.bundle.id, **figures},
    }
    # Those rates were measured at other thresholds.
    config.pop("evaluation", None)
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (out / "config.json").write_text(text, encoding="utf-8")
    card = out / "MODEL_CARD.md"
    note = (
        f"# {name}\n\n{scorer.bundle.id} with calibration and thresholds fitted locally by "
        "`detector calibrate`, on "
        f"{figures['real']} real and {figures['generated']} generated images. What follows was "
        f"measured of {scorer.bundle.id} and its own thresholds.\n\n"
    )
    before = card.read_text(encoding="utf-8") if card.is_file() else ""
    card.write_text(note + before, encoding="utf-8")


def _print(out: Path, name: str, fitted: Fitted) -> None:
    figures, limits = fitted.figures, fitted.thresholds
    print(
        f"{name}: fitted on {figures['real']} real and {figures['generated']} generated images "
        f"of {figures['sources']} sources; AUC {figures['auc']:.3f}"
    )
    for verdict, at in (
        ("likely_generated", limits.likely_generated),
        ("inconclusive", limits.inconclusive),
    ):
        fpr, recall = figures[verdict]["fpr"], figures[verdict]["recall"]
        print(
            f"  {verdict}, from {at:+.2f}: reached by {_words(fpr)} of real and {_words(recall)} "
            "of generated images, out of fold"
        )
    print(f"Use it: detector scan --model {out} …")


def _words(rate: dict[str, float]) -> str:
    return f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{value} does not lie between 0 and 1")
    return value
