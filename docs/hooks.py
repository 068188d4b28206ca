"""Makes the pages of the manual that must never go stale, each time the manual is built.

Commands come from the parsers behind `--help`, cards from the bundles, datasheets from
`datasets/`, and notebooks from `notebooks/`, with the output of their copies in `build/notebooks`
where the check script ran them (see how-to/notebooks.md). Times come from `docs/times.tsv`, which
`python -m docs.walk` writes.
"""

from __future__ import annotations

import argparse
import base64
import csv
import html
import json
import os
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
WIDTH = "88"
TESTED_PAGE = "how-this-manual-is-tested.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add to the navigation what is found in folders: other how-to pages, cards, notebooks."""
    nav: list[dict[str, Any]] = config.nav or []
    look_up = next(part["Look up"] for part in nav if "Look up" in part)
    look_up.append({"Verdict rules": "reference/verdict-rules.md"})
    look_up += [
        {f"Model card {bundle}": f"reference/model-cards/{bundle}.md"} for bundle in bundles()
    ]
    look_up.append({"Datasets": "reference/datasets/README.md"})
    look_up.append({"Changes": "reference/changes.md"})
    how_to = next(part["How to"] for part in nav if "How to" in part)
    docs = Path(config.docs_dir)
    known = {page for entry in how_to for page in entry.values()}
    for page in sorted(docs.glob("how-to/*.md")):
        place = page.relative_to(docs).as_posix()
        if place not in known:
            how_to.append({title(page): place})
    moderation = sorted(docs.glob("how-to/moderation/*.md"), key=lambda p: (p.stem != "index", p))
    if moderation:
        how_to.append(
            {"Moderation tools": [{title(p): p.relative_to(docs).as_posix()} for p in moderation]}
        )
    books = [{title_of(book): f"notebooks/{path.stem}.md"} for path, book in notebooks()]
    if books:
        nav.insert(3, {"Notebooks": books})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages: dict[str, str | bytes] = {
        "reference/commands.md": commands(),
        "reference/verdict-rules.md": verdict_rules(),
    }
    for bundle in bundles():
        card = ROOT / "detector" / "assets" / bundle / "MODEL_CARD.md"
        pages[f"reference/model-cards/{bundle}.md"] = card.read_text(encoding="utf-8")
    for sheet in sorted((ROOT / "datasets").rglob("*.md")):
        place = sheet.relative_to(ROOT / "datasets").as_posix()
        pages[f"reference/datasets/{place}"] = outside_links_as_code(sheet)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    pages["reference/changes.md"] = changes
    for path, book in notebooks():
        pages.update(rendered(path, book))
    for place, content in pages.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Say at the top of a page how long its commands took, where `docs/times.tsv` knows it."""
    place = page.file.src_uri
    if place == TESTED_PAGE:
        return markdown.replace("<!-- times -->", times_table(place))
    row = times().get(f"docs/{place}") or times().get(place.replace(".md", ".ipynb"))
    if row is None:
        return markdown
    where = relative(TESTED_PAGE, place)
    said = f"*Its commands take {duration(row['processor_seconds'])} ([measured]({where})).*"
    return re.sub(r"^(# .+\n)", rf"\1\n{said}\n{{: .time }}\n", markdown, count=1, flags=re.M)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the search dialog the name that the theme leaves out, for those who hear the page."""
    return with_named_dialog(output)


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page that says that there is no such page."""
    return with_named_dialog(output)


def with_named_dialog(output: str) -> str:
    """A page whose search dialog has a name."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def bundles() -> list[str]:
    """Ids of the bundles that ship, sorted."""
    cards = (ROOT / "detector" / "assets").glob("*/MODEL_CARD.md")
    return sorted(card.parent.name for card in cards)


def title(page: Path) -> str:
    """The first heading of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1] if found else page.stem


def outside_links_as_code(sheet: Path) -> str:
    """A datasheet; links out of `datasets/` become names, since they lead nowhere here."""

    def replaced(match: re.Match[str]) -> str:
        words, target = match[1], match[2]
        path = (sheet.parent / target.split("#")[0]).resolve()
        inside = path.suffix == ".md" and (ROOT / "datasets") in path.parents
        return match[0] if "://" in target or target.startswith("#") or inside else f"`{words}`"

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", replaced, sheet.read_text(encoding="utf-8"))


# Times


def times() -> dict[str, dict[str, str]]:
    """What `python -m docs.walk` measured, by page."""
    with (ROOT / "docs" / "times.tsv").open(newline="", encoding="utf-8") as table:
        return {row["page"]: row for row in csv.DictReader(table, delimiter="\t")}


def duration(seconds: str) -> str:
    """Seconds in words that a reader can plan with."""
    minutes = -(-int(seconds) // 60)
    return "less than a minute" if minutes <= 1 else f"about {minutes} minutes"


def times_table(place: str) -> str:
    """The table of all pages and notebooks."""
    lines = ["| Page | Seconds | Of a processor | Blocks | Left out | Load | Day |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, row in times().items():
        target = name.removeprefix("docs/").replace(".ipynb", ".md")
        outside = name.startswith("README")
        shown = (
            f"`{name}`" if outside else f"[{target.removesuffix('.md')}]({relative(target, place)})"
        )
        figures = (
            row[column] for column in ("seconds", "processor_seconds", "blocks", "left_out", "load")
        )
        lines.append(f"| {shown} | {' | '.join(figures)} | {row['day']} |")
    return "\n".join(lines)


def relative(target: str, place: str) -> str:
    """The link from one page to another, both by their path below `docs/`."""
    return os.path.relpath(target, os.path.dirname(place) or ".").replace(os.sep, "/")


# Commands


def commands() -> str:
    """The page of all commands, from their own parsers."""
    os.environ["COLUMNS"] = WIDTH
    from detector.cli.codes import EPILOG
    from detector.cli.commands import COMMANDS

    parts = [
        "# Commands",
        "This page is made from `detector COMMAND --help` when the manual is built.",
        fenced(EPILOG),
    ]
    for command in COMMANDS:
        parser = argparse.ArgumentParser(
            prog=f"detector {command.name}", formatter_class=argparse.HelpFormatter
        )
        import_module(command.module).add_arguments(parser)
        parts += [
            f"## detector {command.name}",
            f"{sentence(command.help)}",
            fenced(parser.format_help()),
        ]
        for name, inner in subparsers(parser):
            parts += [f"### detector {command.name} {name}", fenced(inner.format_help())]
    return "\n\n".join(parts) + "\n"


def verdict_rules() -> str:
    """The page of the rules over pixels and evidence, from the table that the tool itself uses."""
    from detector.verdict import RULES

    rows = [
        f"| {number} | `{rule.code}` | {rule.verdict or 'as the pixels'} | {rule.when} |"
        for number, rule in enumerate(RULES, 1)
    ]
    return "\n".join(
        [
            "# Verdict rules",
            "",
            "The first rule that applies decides; with none, the verdict is the pixels' own. This "
            "page is made from the table that the tool uses. See "
            "[how verdicts are made](../explanation/how-it-works.md#the-verdict).",
            "",
            "| | Rule | Verdict | When |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The subcommands of a parser, by name, to the bottom."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name, inner
                for deeper, last in subparsers(inner):
                    yield f"{name} {deeper}", last


def fenced(text: str) -> str:
    """Text in a block that keeps its lines."""
    return f"```text\n{text.rstrip()}\n```"


def sentence(text: str) -> str:
    """A help line as a sentence."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


# Notebooks


def notebooks() -> list[tuple[Path, dict[str, Any]]]:
    """The notebooks, with output where a copy that was run lies in `build/notebooks`."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        ran = ROOT / "build" / "notebooks" / path.name
        source = ran if ran.is_file() else path
        found.append((path, json.loads(source.read_text(encoding="utf-8"))))
    return found


def title_of(book: dict[str, Any]) -> str:
    """The first heading of a notebook."""
    for cell in book["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if line.startswith("# ") and cell["cell_type"] == "markdown":
                return line[2:]
    return "Notebook"


def rendered(path: Path, book: dict[str, Any]) -> dict[str, str | bytes]:
    """A notebook as a page, and its pictures as files."""
    pages: dict[str, str | bytes] = {}
    parts: list[str] = []
    ran = any(cell.get("outputs") for cell in book["cells"])
    for cell in book["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source:
            parts.append(f"```python\n{source}\n```")
            for output in merged(cell.get("outputs", ())):
                number = len(pages)
                shown, picture = output_of(output, f"{path.stem}-{number}.png")
                parts.append(shown)
                if picture is not None:
                    pages[f"notebooks/{path.stem}-{number}.png"] = picture
    how = "with the output of a run" if ran else "without output, since it was not run here"
    note = f"*The notebook `notebooks/{path.name}`, {how}.*"
    parts.insert(1, note)
    pages[f"notebooks/{path.stem}.md"] = "\n\n".join(part for part in parts if part) + "\n"
    return pages


def merged(outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of a cell, with pieces of one stream put together."""
    found: list[dict[str, Any]] = []
    for output in outputs:
        before = found[-1] if found else {"output_type": ""}
        kinds = {before["output_type"], output["output_type"]}
        if kinds == {"stream"} and before["name"] == output["name"]:
            text = "".join(before["text"]) + "".join(output["text"])
            found[-1] = {**before, "text": text}
        else:
            found.append(output)
    return found


def output_of(output: dict[str, Any], name: str) -> tuple[str, bytes | None]:
    """One output as Markdown, and its picture if it is one."""
    if output["output_type"] == "stream":
        return (fenced("".join(output["text"])), None) if output["name"] == "stdout" else ("", None)
    data = output.get("data", {})
    if "image/png" in data:
        return f"![Plot of the cell above]({name})", base64.b64decode(data["image/png"])
    if "text/html" in data:
        made = re.sub(r"\n\s*\n", "\n", "".join(data["text/html"]))
        if "<iframe" in made:
            return "*A report is shown here, in a frame of its own.*", None
        return f'<div class="notebook-output">{made}</div>', None
    if "text/plain" in data:
        return fenced(html.unescape("".join(data["text/plain"]))), None
    return "", None
