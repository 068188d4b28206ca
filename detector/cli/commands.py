"""The table of subcommands: one line each, and nothing imported until a command is called.

A module named here has `add_arguments(parser)` and `run(args) -> int`, where the integer is
the exit code; see `detector.cli.codes` for what each code means.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A subcommand: the word typed, the module behind it, and its line in `detector --help`."""

    name: str
    module: str
    help: str


COMMANDS: tuple[Command, ...] = (
    Command("scan", "detector.cli.scan", "score files, folders and URLs into a result store"),
    Command("show", "detector.cli.show", "print what one image's score says, in the terminal"),
    Command("explain", "detector.cli.explain", "say why an image got its score, with a map"),
    Command("report", "detector.cli.report", "write the HTML page of a result store"),
    Command("export", "detector.cli.export", "write a store as CSV, Parquet, STIX, MISP, …"),
    Command("label", "detector.cli.label", "keep confirmed labels and compare the model"),
    Command("verify", "detector.cli.verify", "say what changed since a report was made"),
    Command("models", "detector.cli.models", "list the installed models"),
    Command("demo", "detector.cli.demo", "scan photographs and generated images from packages"),
    Command("inspect", "detector.cli.inspect", "list the evidence of origin that a file carries"),
    Command("serve", "detector.cli.serve", "score images for other programs over HTTP"),
    Command("policy", "detector.cli.policy", "check a policy file, and replay it over a store"),
    Command("calibrate", "detector.cli.calibrate", "fit a model to your own labelled images"),
    Command("corpus", "detector.cli.corpus", "build, check, split and describe a training corpus"),
    Command("train", "detector.cli.train", "train a model bundle on a corpus"),
    Command("evaluate", "detector.cli.evaluate", "measure a model on held-out sources"),
    Command(
        "integrations",
        "detector.cli.integrations",
        "say how moderation tools are given the detector",
    ),
)
