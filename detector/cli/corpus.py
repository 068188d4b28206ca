"""`detector corpus`: build a corpus from a manifest, check it, describe it, split it."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli import codes
from detector.errors import UsageError

if TYPE_CHECKING:
    from detector.corpus.build import Places
    from detector.corpus.check import FileReport
    from detector.corpus.manifest import Manifest, Row


_EPILOG = """\
exit codes:
  0    done, and everything is there and as it should be
  2    wrong usage, or a manifest or folder that cannot be used
  3    files are missing, altered or unreadable, or splits leak
  70   a fault in this program; the traceback is on stderr
  130  stopped by Ctrl-C; every file that was found is kept
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's own subcommands to its parser."""
    parser.epilog = _EPILOG
    commands = parser.add_subparsers(dest="corpus_command", metavar="COMMAND", required=True)
    _add_build(_subcommand(commands, "build", "assemble the files that a manifest lists"))
    _add_check(_subcommand(commands, "check", "verify files, hashes and splits"))
    stats = _subcommand(commands, "stats", "print what a manifest holds, as Markdown tables")
    stats.add_argument(
        "--into", type=Path, metavar="FILE", help="write the tables between the markers of FILE"
    )
    stats.add_argument(
        "--control",
        action="store_true",
        help="also measure how far size and format alone separate the labels (extra: train)",
    )
    split = _subcommand(commands, "split", "print leave-sources-out folds of the train part")
    split.add_argument("--folds", type=int, default=5, metavar="N")
    split.add_argument("--seed", type=int, default=0, metavar="N")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code; 3 when files or splits are not right."""
    from detector.corpus.manifest import read_manifest

    manifest = read_manifest(args.manifest)
    commands = {"build": _build, "check": _check, "stats": _stats, "split": _split}
    return commands[args.corpus_command](args, manifest)


def _subcommand(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=help_, description=help_[0].upper() + help_[1:] + ".", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="FILE", help="a .tsv or .tsv.gz manifest"
    )
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="the corpus folder")
    add(
        "--checkout",
        action="append",
        default=[],
        metavar="github:OWNER/NAME=PATH",
        help="a work tree, bare repository or unpacked archive of one repository",
    )
    for name, what in (
        ("--checkouts", "a folder of repositories: OWNER+NAME, OWNER__NAME or OWNER/NAME"),
        ("--debs", "a folder with Debian packages (.deb), searched below as well"),
        ("--wheels", "a folder with wheels, or a site-packages"),
    ):
        add(name, action="append", default=[], type=Path, metavar="DIR", help=what)
    add("--raw-downloads", action="store_true", help="fetch single files from GitHub")
    add("--pip-download", action="store_true", help="fetch wheels with pip, into DIR/wheels")
    add("--apt-download", action="store_true", help="fetch packages with apt-get, into DIR/debs")
    add("--split", choices=("train", "test"), help="only this part of the manifest")
    add("--sources", metavar="PATTERN", help="only sources like this, such as 'deb:*'")


def _add_check(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, metavar="DIR", help="the corpus folder; without it only splits")
    add("--no-hashes", action="store_true", help="compare lengths only")
    add("--decode", action="store_true", help="decode every pixel, not only headers")
    add(
        "--near-duplicates",
        action="store_true",
        help="hash every image (PDQ) and compare train with test; slow (extra: train)",
    )
    add(
        "--against",
        type=Path,
        metavar="FILE",
        help="another manifest, whose test part the training part must not touch",
    )
    add("--jobs", type=int, default=1, metavar="N", help="threads")


def _build(args: argparse.Namespace, manifest: Manifest) -> int:
    from detector.corpus.build import build

    def wanted(row: Row) -> bool:
        right_split = args.split in (None, row.split)
        return right_split and fnmatch.fnmatchcase(row.source, args.sources or "*")

    report = build(
        manifest,
        args.out,
        _places(args),
        wanted=wanted,
        progress=lambda source: print(source.line(), file=sys.stderr, flush=True),
    )
    print(f"{report.rows - report.missing} of {report.rows} files are in {args.out}")
    if report.missing:
        lacking = sum(1 for source in report.sources if source.lacking)
        print(f"{report.missing} are missing, from {lacking} sources: see {args.out}/report.json")
    return codes.SOME_FAILED if report.missing else codes.OK


def _places(args: argparse.Namespace) -> Places:
    from detector.corpus.build import Places

    checkouts = {}
    for text in args.checkout:
        source, _, path = text.partition("=")
        if not source.startswith("github:") or not Path(path).is_dir() or not path:
            raise UsageError(f"--checkout {text}: give github:OWNER/NAME=FOLDER, a folder that is")
        checkouts[source] = Path(path)
    for folder in (*args.checkouts, *args.debs, *args.wheels):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    return Places(
        checkouts=checkouts,
        checkout_roots=tuple(args.checkouts),
        debs=tuple(args.debs),
        wheels=tuple(args.wheels),
        raw_downloads=args.raw_downloads,
        pip_download=args.pip_download,
        apt_download=args.apt_download,
    )


def _check(args: argparse.Namespace, manifest: Manifest) -> int:
    from detector.corpus import check
    from detector.corpus.manifest import read_manifest

    tested = manifest if args.against is None else read_manifest(args.against)
    leaks = check.split_leaks(manifest)
    if tested is not manifest:
        leaks += check.touched(manifest, tested)
    print(f"{len(manifest)} files from {len(manifest.sources())} sources; sha256 {manifest.sha256}")
    for leak in leaks:
        print(f"LEAK: {leak}")
    for leak in check.shared_owners(manifest):
        print(f"note: {leak}")
    if not leaks:
        print("splits: no source and no near-duplicate group on both sides")
    good = not leaks
    if args.out is not None:
        report = check.check_files(
            manifest, args.out, hashes=not args.no_hashes, decode=args.decode, jobs=args.jobs,
            progress=lambda n: print(f"{n} read", file=sys.stderr, flush=True),
        )  # fmt: skip
        _print_files(report)
        good = good and report.good
    if args.near_duplicates:
        good = _near_duplicates(args, manifest, tested) and good
    return codes.OK if good else codes.SOME_FAILED


def _print_files(report: FileReport) -> None:
    from detector.corpus.check import by_source

    parts = {
        "missing": report.missing,
        "altered": report.altered,
        "unreadable": tuple(row for row, _ in report.unreadable),
    }
    for word, rows in parts.items():
        print(f"{word}: {len(rows)}")
        for source, count in by_source(rows).items():
            print(f"  {count:6} {source}")
    for row, reason in report.unreadable:
        print(f"  {row.sha256} {row.source} {row.path}: {reason}")
    if report.strangers:
        print(f"files that the manifest does not list: {len(report.strangers)}")


def _near_duplicates(args: argparse.Namespace, manifest: Manifest, tested: Manifest) -> bool:
    from detector.corpus.duplicates import near_pairs, pdq_hashes
    from detector.corpus.samples import manifest_samples

    if args.out is None:
        raise UsageError("--near-duplicates reads the images: give --out DIR")
    samples = manifest_samples(manifest, args.out, "train", allow_missing=True)
    samples += manifest_samples(tested, args.out, "test", allow_missing=True)
    names = {s.key: f"{s.source} {s.key[:12]}" for s in samples}
    train, test = (
        pdq_hashes(
            [s for s in samples if s.split == split],
            jobs=args.jobs,
            progress=lambda n: print(f"{n} hashed", file=sys.stderr, flush=True),
        )
        for split in ("train", "test")
    )
    for key, reason in (train.failed | test.failed).items():
        print(f"not hashed: {names[key]}: {reason}")
    pairs = near_pairs(train, test)
    for pair in pairs:
        print(f"NEAR-DUPLICATE ({pair.distance} bits): {names[pair.first]} / {names[pair.second]}")
    counts = f"{len(train.keys)} and {len(test.keys)}"
    print(f"near-duplicates between train and test: {len(pairs)}, of {counts} images")
    return not pairs


def _stats(args: argparse.Namespace, manifest: Manifest) -> int:
    from detector.corpus import stats

    tables = stats.markdown(manifest)
    if args.control:
        figures = stats.format_control(manifest)
        rows = [(part, f"{value:.3f}") for part, value in figures]
        control = stats.table(("Gradient boosting on size and format alone", "AUC"), rows)
        tables += f"\n{control}\n"
    if args.into is None:
        print(tables, end="")
        return codes.OK
    try:
        document = stats.insert(args.into.read_text(encoding="utf-8"), tables)
        if document is None:
            raise UsageError(f"{args.into}: has no lines {stats.BEGIN!r} and {stats.END!r}")
        args.into.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{args.into}: {error.strerror}") from None
    return codes.OK


def _split(args: argparse.Namespace, manifest: Manifest) -> int:
    from detector.corpus.split import leave_sources_out

    folds = leave_sources_out(manifest, args.folds, args.seed)
    print("fold\tsource")
    for source, fold in sorted(folds.items(), key=lambda item: (item[1], item[0])):
        print(f"{fold}\t{source}")
    for number in range(args.folds):
        rows = [row for row in manifest if folds.get(row.source) == number]
        generated = sum(row.label for row in rows)
        print(
            f"fold {number}: {len(rows)} files, {generated} generated, "
            f"{sum(row.pair for row in rows)} in matched sources",
            file=sys.stderr,
        )
    return codes.OK
