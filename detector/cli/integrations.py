"""`detector integrations`: how to plug the detector into moderation tools."""

from __future__ import annotations

import argparse
import json
from typing import NamedTuple

from detector.cli import codes
from detector.errors import UsageError


class Integration(NamedTuple):
    """One tool.

    Attributes:
        name: the word typed.
        tool: the tool's own name.
        kind: "folder", "module" or "url": what the tool is given.
        value: the module's dotted name, or the path of the service's route.
        how: the tool's own words that take it; {} stands for the value.
    """

    name: str
    tool: str
    kind: str
    value: str
    how: str


INTEGRATIONS: tuple[Integration, ...] = (
    Integration(
        "auto-archiver",
        "Bellingcat auto-archiver",
        "folder",
        "detector.integrations.auto_archiver",
        "auto-archiver --module_paths {}",
    ),
    Integration(
        "synapse",
        "Matrix Synapse",
        "module",
        "detector.integrations.synapse.DetectorModule",
        "homeserver.yaml: modules: [{module: {}}]",
    ),
    Integration(
        "threatexchange",
        "ThreatExchange (tx)",
        "module",
        "detector.integrations.threatexchange",
        "tx config extensions add {}",
    ),
    Integration(
        "pict-rs",
        "Lemmy / pict-rs",
        "url",
        "/v1/pict-rs",
        "pict-rs.toml: [media] external_validation = http://pict-rs:TOKEN@HOST:PORT{}",
    ),
    Integration(
        "label-studio",
        "Label Studio",
        "url",
        "/label-studio",
        "Settings > Model > Connect model: http://HOST:PORT{}",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "Says what each tool is given. The modules need a running `detector serve`, or the "
        "package's dependencies in the tool's own environment; the URLs are those of "
        "`detector serve`."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="the tools, and what each is given")
    listed.add_argument("--json", action="store_true", help="as JSON, one line each")
    path = verbs.add_parser("path", help="print the folder, module name or route of one tool")
    path.add_argument("name", metavar="NAME", choices=[item.name for item in INTEGRATIONS])
    config = verbs.add_parser(
        "config", help="print Label Studio's labelling interface for this detector"
    )
    config.add_argument("name", metavar="NAME", choices=["label-studio"])
    card = verbs.add_parser("model-card", help="print a model card as ROOST Coop wants it, in JSON")
    card.add_argument("--model", metavar="NAME", help="a bundle's name or folder")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    if args.verb == "path":
        item = next(item for item in INTEGRATIONS if item.name == args.name)
        print(given(item))
    elif args.verb == "config":
        from detector.integrations.label_studio import LABEL_CONFIG

        print(LABEL_CONFIG, end="")
    elif args.verb == "model-card":
        _card(args.model)
    else:
        _list(args.json)
    return codes.OK


def given(item: Integration) -> str:
    """What the tool is given: a folder of this installation, a module's name or a route."""
    if item.kind != "folder":
        return item.value
    from detector.integrations.auto_archiver import FOLDER

    if not FOLDER.is_dir():
        raise UsageError(f"{FOLDER} is no folder: the package is not installed as files")
    return str(FOLDER)


def _card(model: str | None) -> None:
    from detector.integrations.coop import model_card
    from detector.weights import load_bundle

    bundle = load_bundle(model)
    path = bundle.path / "MODEL_CARD.md"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"the model card cannot be read: {fault}") from fault
    print(json.dumps(model_card(text, bundle.id), indent=2, ensure_ascii=False))


def _list(as_json: bool) -> None:
    if as_json:
        for item in INTEGRATIONS:
            print(json.dumps({**item._asdict(), "value": given(item)}))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for item in INTEGRATIONS:
        console.print(Text(f"{item.tool} ({item.name})", style="bold"))
        console.print(Text("  " + item.how.replace("{}", given(item))), soft_wrap=True)
