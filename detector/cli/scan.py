"""`detector scan`: files, folders, lists and URLs into a result store, a table and a page."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli import codes
from detector.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from detector.results import Finding
    from detector.scan.run import ScanSummary
    from detector.store import Store

DEFAULT_STORE = "detector.db"
FAIL_ON = ("likely_generated", "inconclusive", "failure")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Scores every image behind the paths. Results go into a store, one SQLite file; a second "
        "scan does only what is new, and a scan that was stopped goes on where it was. What is "
        "in a folder is told apart by its content: every regular file gets a row, and one that "
        "is no image says so."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="file, folder (searched to the bottom), URL such as s3://bucket/folder, "
        "or - for a list on standard input",
    )
    _add_outputs(parser.add_argument_group("outputs"))
    _add_selection(parser.add_argument_group("which files"))
    _add_work(parser.add_argument_group("how"))


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--store",
        metavar="FILE",
        default=DEFAULT_STORE,
        help=f"result store, made when it is not there (default: {DEFAULT_STORE} in the "
        "current folder)",
    )
    group.add_argument(
        "--jsonl",
        metavar="FILE",
        help="JSON Lines, one as each file is done; - for standard output",
    )
    group.add_argument("--csv", metavar="FILE", help="CSV, written at the end; - likewise")
    group.add_argument("--parquet", metavar="FILE", help="Parquet, written at the end (an extra)")
    group.add_argument("--report", metavar="FILE", help="HTML page, written at the end")
    group.add_argument("-q", "--quiet", action="store_true", help="no bar and no summary")
    group.add_argument(
        "--fail-on",
        action="append",
        choices=FAIL_ON,
        default=[],
        help="exit with 1 when there is such a file; inconclusive includes likely_generated, "
        "failure is a file that could not be scored; may be repeated",
    )


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--files-from",
        metavar="FILE",
        help="list of paths, one a line; - for standard input",
    )
    group.add_argument(
        "-0", "--null", action="store_true", help="the list's paths end with NUL (find -print0)"
    )
    group.add_argument(
        "--include",
        metavar="GLOB",
        action="append",
        default=[],
        help="only such files of a folder; without / it is held against the name, with / against "
        "the path below the folder; case does not matter; may be repeated",
    )
    group.add_argument(
        "--exclude",
        metavar="GLOB",
        action="append",
        default=[],
        help="no such files or folders; goes before --include; may be repeated",
    )
    group.add_argument(
        "--hidden", action="store_true", help="also names that begin with a dot (else counted)"
    )
    group.add_argument(
        "--follow-symlinks",
        action="store_true",
        help="enter linked folders (else counted); links to files are always read",
    )


def _add_work(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="NAME", help="bundle: its name or folder; or hf:FOLDER")
    which.add_argument(
        "--profile",
        choices=("default", "thorough"),
        help="default: the small CNN; thorough: CLIP's tower, once it was added (the strongest "
        "that can be used)",
    )
    group.add_argument(
        "--rescore",
        action="store_true",
        help="score known files again, and look for their evidence",
    )
    group.add_argument(
        "--no-evidence",
        action="store_true",
        help="do not look for what files say of their origin; the pixels alone decide",
    )
    group.add_argument(
        "--trust-anchors",
        metavar="PEM",
        help="certificates that C2PA signers are checked against (default: the file named by "
        "DETECTOR_TRUST_ANCHORS)",
    )
    group.add_argument(
        "--stability",
        nargs="?",
        choices=("near", "all"),
        const="near",
        default="off",
        help="try verdicts on copies that were saved, scaled and cropped again, and call one that "
        "flips inconclusive: near (default where the option is given) for scores near a "
        "threshold, all for every verdict; costs eleven more scores for each",
    )
    group.add_argument("--no-thumbnails", action="store_true", help="keep no thumbnails")
    group.add_argument(
        "--workers",
        type=_at_least(0),
        metavar="N",
        help="decoding processes (default: one per CPU, at most 8); 0 decodes in this one, "
        "which a bad file can then crash",
    )
    group.add_argument(
        "--batch-size",
        type=_at_least(1),
        metavar="N",
        default=16,
        help="images scored and saved together (default: 16)",
    )
    group.add_argument(
        "--threads", type=_at_least(1), metavar="N", help="CPU threads of the CNN (default: all)"
    )
    group.add_argument(
        "--timeout",
        type=_at_least(1),
        metavar="SECONDS",
        default=120,
        help="give a file up when reading it takes longer (default: 120)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    _check(args)
    args.model = args.model or args.profile
    paths = _all_paths(args)

    from rich.console import Console

    from detector.cli.facts import profile_words
    from detector.cli.progress import ProgressWatcher, one_line_summary, print_summary
    from detector.cli.stop import stop_on_signals
    from detector.scan import load_scorer, scan
    from detector.scan.inputs import Filters
    from detector.store import Store

    console = Console(stderr=True, highlight=False)
    person = console.is_terminal and not args.quiet
    # On one terminal, results that scroll by and a bar would draw over each other.
    bar = person and not (args.jsonl == "-" and sys.stdout.isatty())
    model = load_scorer(args.model, args.threads)  # before any file is made
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(args.store))
        lines = stack.enter_context(_lines(args.jsonl))
        stop = stack.enter_context(stop_on_signals())
        with ProgressWatcher(console, show=bar, on_finding=lines) as watcher:
            summary = scan(
                paths,
                store=store,
                detector=model,
                filters=Filters(
                    tuple(args.include), tuple(args.exclude), args.hidden, args.follow_symlinks
                ),
                workers=args.workers,
                batch_size=args.batch_size,
                thumbnails=not args.no_thumbnails,
                rescore=args.rescore,
                evidence=not args.no_evidence,
                trust_anchors=args.trust_anchors,
                stability=args.stability,
                timeout=args.timeout,
                command=shlex.join(["detector", *sys.argv[1:]]),
                own=[out for out in _outputs(args).values() if out != "-"],
                watcher=watcher,
                stop=stop,
            )
        written = {} if summary.interrupted else _write(args, store.limited_to(summary.scan))
    if person:
        print_summary(console, summary, written)
        console.print(profile_words(args.model), style="dim")
    elif not args.quiet:
        print(one_line_summary(summary), file=sys.stderr)
    return exit_code(summary, args.fail_on)


def exit_code(summary: ScanSummary, fail_on: list[str]) -> int:
    """The code for an outcome: interrupted, then flagged, then some failed, then fine."""
    if summary.interrupted:
        return codes.INTERRUPTED
    flagged = {
        "likely_generated": summary.verdicts["likely_generated"],
        "inconclusive": summary.verdicts["likely_generated"] + summary.verdicts["inconclusive"],
        "failure": summary.failures,
    }
    if any(flagged[word] for word in fail_on):
        return codes.FLAGGED
    return codes.SOME_FAILED if summary.failures else codes.OK


def _check(args: argparse.Namespace) -> None:
    """Find out now what would otherwise fail after an hour's scan."""
    outputs = _outputs(args)
    if list(outputs.values()).count("-") > 1:
        raise UsageError("only one output can go to standard output")
    if outputs.get("parquet") == "-" or outputs.get("report") == "-":
        raise UsageError("--parquet and --report need the name of a file")
    for option, out in {"store": args.store, **outputs}.items():
        if out != "-" and not Path(out).absolute().parent.is_dir():
            raise UsageError(f"--{option} {out}: its folder does not exist")
    if args.parquet and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("Parquet export", "parquet")


def _outputs(args: argparse.Namespace) -> dict[str, str]:
    words = ("jsonl", "csv", "parquet", "report")
    return {word: getattr(args, word) for word in words if getattr(args, word)}


def _all_paths(args: argparse.Namespace) -> list[str]:
    """The paths of the command line, with lists put in where they were named."""
    from detector.scan.inputs import read_list

    paths: list[str] = []
    for path in args.paths:
        paths += read_list(sys.stdin.buffer.read(), nul=args.null) if path == "-" else [path]
    if args.files_from == "-":
        paths += read_list(sys.stdin.buffer.read(), nul=args.null)
    elif args.files_from:
        try:
            paths += read_list(Path(args.files_from).read_bytes(), nul=args.null)
        except OSError as error:
            raise UsageError(f"--files-from {args.files_from}: {error.strerror}") from error
    if not paths and not args.files_from and "-" not in args.paths:
        raise UsageError("name a file, a folder, a URL, or - for a list on standard input")
    return paths


@contextmanager
def _lines(out: str | None) -> Iterator[Callable[[Finding], None] | None]:
    """A function that writes each finding as a line of JSON at once; None without `out`."""
    if out is None:
        yield None
        return
    from detector.export import json_line

    target = sys.stdout.fileno() if out == "-" else out
    try:
        stream = open(  # noqa: SIM115 - closed below
            target, "w", encoding="utf-8", newline="\n", closefd=out != "-"
        )
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from error

    def write(finding: Finding) -> None:
        stream.write(json_line(finding) + "\n")
        stream.flush()

    with stream:
        yield write


def _write(args: argparse.Namespace, store: Store) -> dict[str, str]:
    """Write the outputs that wait for the end; gives those that are files."""
    from detector.export import write_csv, write_parquet

    if args.csv:
        write_csv(store.findings(), args.csv)
    if args.parquet:
        write_parquet(store.findings(), args.parquet)
    if args.report:
        from detector.cli.facts import model_facts
        from detector.report import write_report

        write_report(store, args.report, model_facts=model_facts(args.model))
    return {word: out for word, out in _outputs(args).items() if out != "-"}


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    number.__name__ = "number"
    return number
