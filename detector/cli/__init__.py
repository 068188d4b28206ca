"""The command line: find the command, import only what it needs, call it, give its exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from detector.cli import codes
from detector.cli.commands import COMMANDS, Command
from detector.errors import DetectorError


class _Version(argparse.Action):
    """Prints the version and the default model; the model is looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: object) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from detector.cli.models import version_line

        print(version_line())
        parser.exit(codes.OK)


class _Help(argparse.HelpFormatter):
    """Wraps a description as usual, and leaves a text with lines of its own, the epilog, alone."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def build_parser(chosen: Command | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command line, with the options of the `chosen` command only.

    Importing a command's module costs time that `detector --help` does not have, so the
    other commands appear with their line of help and nothing more.
    """
    parser = argparse.ArgumentParser(
        prog="detector",
        description="Says which images are likely diffusion-generated, how sure that is, and why.",
        epilog=codes.EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action=_Version)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=codes.EPILOG,
            formatter_class=_Help,
        )
        if command == chosen:
            _module(command).add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; see `detector.cli.codes`."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((c for c in COMMANDS if words and c.name == words[0]), None)
    try:
        parser = build_parser(chosen)
        args = parser.parse_args(words)
        if chosen is None:
            parser.print_help(sys.stderr)
            return codes.USAGE
        code: int = _module(chosen).run(args)
        sys.stdout.flush()
        return code
    except DetectorError as error:
        print(f"detector: {error}", file=sys.stderr)
        return codes.USAGE
    except KeyboardInterrupt:
        print("detector: interrupted", file=sys.stderr)
        return codes.INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has left; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return codes.BROKEN_PIPE
    except Exception:  # noqa: BLE001 - Python's own exit code for this is 1, which means "flagged"
        traceback.print_exc()
        return codes.INTERNAL


def _module(command: Command) -> ModuleType:
    return importlib.import_module(command.module)
