"""`detector policy`: show and check a policy file, and replay it over a result store."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from detector.cli import codes

if TYPE_CHECKING:
    from rich.console import Console

    from detector.policy import Policy
    from detector.policy.rates import Range
    from detector.policy.replay import Replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's options to its parser."""
    parser.description = (
        "A policy is a TOML file that says what is to be done with a finding; the first rule that "
        "matches counts. `check` reads it strictly, `show` prints it in the order in which it is "
        "tried, `test` says what it would have done with everything in a store, and how many of "
        "those actions the model's error rates let expect to be wrong. Nothing is ever done."
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    checking = steps.add_parser("check", help="read it, and name the line of what is wrong")
    showing = steps.add_parser("show", help="print its rules, or with --keys all conditions")
    testing = steps.add_parser("test", help="replay it over a store")
    checking.add_argument("policy", metavar="POLICY.toml")
    showing.add_argument("policy", metavar="POLICY.toml", nargs="?")
    showing.add_argument("--keys", action="store_true", help="the conditions that there are")
    testing.add_argument("policy", metavar="POLICY.toml")
    testing.add_argument("store", metavar="STORE", help="result store of `detector scan`")
    testing.add_argument("--scan", type=int, metavar="N", help="one scan; -1 for the last")
    testing.add_argument("--model", metavar="NAME", help="results of this model, and its rates")
    testing.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from detector.errors import UsageError
    from detector.policy import CONDITIONS, Policy

    if args.step == "show" and args.keys:
        for key, words in CONDITIONS.items():
            print(f"{key:22} {words}")
        if args.policy is None:
            return codes.OK
    if args.policy is None:
        raise UsageError("name a policy file, or give --keys")
    policy = Policy.load(args.policy)
    if args.step == "check":
        state = "dry run" if policy.dry_run else "in force"
        print(f"{args.policy}: {len(policy.rules)} rules, default {policy.default}, {state}")
    elif args.step == "show":
        _show(policy)
    else:
        _test(args, policy)
    return codes.OK


def _show(policy: Policy) -> None:
    print(f"{policy.name}: {'dry run, actions are only named' if policy.dry_run else 'in force'}")
    for number, rule in enumerate(policy.rules, start=1):
        conditions = [f"{key} {_words(value)}" for key, value in rule.when.items()]
        print(f"{number:3}. {rule.action:12} {rule.name}")
        print(f"     when {' and '.join(conditions) or 'scored'}")
    print(f"     {policy.default:12} otherwise")


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return " or ".join(map(str, value))
    if isinstance(value, dict):
        return "with " + ", ".join(f"{k} {_words(v)}" for k, v in value.items())
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _test(args: argparse.Namespace, policy: Policy) -> None:
    from detector.cli.stores import selected
    from detector.policy.rates import Rates
    from detector.policy.replay import replay
    from detector.store import Store

    with Store.open(args.store, readonly=True) as store:
        findings = list(selected(store, args.scan).findings(args.model))
        models = {finding.model for finding in findings if finding.model}
        config = _config_of(args.model or (models.pop() if len(models) == 1 else ""))
        rates = None if config is None else Rates.of_config(config)
        found = replay(policy, ((f, store.get_evidence(f.sha256)) for f in findings), rates)
    if args.json:
        print(json.dumps(found.to_record(), indent=2))
        return
    from rich.console import Console

    _print(Console(file=sys.stdout, highlight=False), found)


def _config_of(model: str) -> dict[str, object] | None:
    """The config of the bundle whose rates are asked; None when it is not here."""
    from detector.errors import BundleError
    from detector.weights import load_bundle

    try:
        return load_bundle(model).config if model else None
    except BundleError:
        return None


def _print(console: Console, found: Replay) -> None:
    from rich.markup import escape
    from rich.table import Table

    kept = "named and not carried out" if found.policy.dry_run else "in force"
    console.print(f"[b]{escape(found.policy.name)}[/b] over {found.files} files, {kept}")
    table = Table(box=None, pad_edge=False)
    for title in ("rule", "action", "files", "by", "for example"):
        table.add_column(title, justify="right" if title == "files" else "left", overflow="fold")
    for use in found.rules:
        by = ", ".join(f"{n} {word}" for word, n in use.by_verdict.most_common())
        example = use.examples[0] if use.examples else ""
        table.add_row(*map(escape, (use.rule, use.action, str(use.files), by, example)))
    console.print(table)
    if found.without_evidence:
        console.print(
            f"{found.without_evidence} files were never asked for evidence: rules on evidence "
            "cannot match them. Scan them again without --no-evidence."
        )
    _print_rates(console, found)


def _print_rates(console: Console, found: Replay) -> None:
    if found.wrong_on_real is None or found.missed is None or found.rates is None:
        why = "holds several models: name one with --model" if len(found.models) > 1 else None
        reason = f"the store {why}" if why else "this model's error rates are not here"
        console.print(f"How many of these would be wrong is not known: {reason}.")
        return
    console.print("Expected to be wrong, as the model's error rates say:")
    for action, figure in found.wrong_on_real.items():
        console.print(f"  {action}: {_figure(figure)} of {found.actions[action]} on real images")
    console.print(f"  {found.policy.default}: {_figure(found.missed)} generated images let by")
    console.print(
        f"Rates measured on {found.rates.source}. Files whose verdict rests on their own claims "
        "are not counted: such claims have no measured error rate. Images unlike those measured "
        "have other rates.",
        style="dim",
    )


def _figure(figure: Range) -> str:
    return f"{figure.value:.1f} ({figure.low:.1f} to {figure.high:.1f})"
