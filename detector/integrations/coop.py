"""A bundle's model card in the form that ROOST Coop shows beside an integration.

Coop wants seven sections by fixed ids (`REQUIRED_MODEL_CARD_SECTION_IDS` of its types), each
with labelled values of plain text; the card's second-level headings carry the same names.
"""

from __future__ import annotations

import re
from typing import Any

from detector.errors import UsageError

# Coop's id, the title that it shows, and the card's headings that belong to it.
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("trainingData", "Training Data Sources", ("training data",)),
    ("policyAndTaxonomy", "Policy & Taxonomy Definitions", ("policy and taxonomy",)),
    ("annotationMethodology", "Annotation Methodology", ("annotation methodology",)),
    ("performanceBenchmarks", "Performance Benchmarks", ("performance benchmarks", "evaluation")),
    ("biasAndLimitations", "Bias Documentation & Known Limits", ("bias and limitations",)),
    ("implementationGuidance", "Implementation Guidance", ("implementation guidance",)),
    ("relevantLinks", "Relevant Links", ("relevant links",)),
)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")
_MARKS = re.compile(r"\*\*|`")
_RULE = re.compile(r"\|?[\s|:-]+\|?")


def model_card(card: str, model: str) -> dict[str, Any]:
    """The card as a Coop `ModelCard`: plain JSON values.

    Args:
        card: text of a bundle's MODEL_CARD.md.
        model: the bundle's id, whose "_vN" is Coop's version.

    Raises:
        UsageError: the card lacks one of the seven sections; the text names them.
    """
    parts = {title.lower(): body for title, body in _split(_COMMENT.sub("", card), "## ")}
    sections = []
    missing = []
    for name, title, headings in SECTIONS:
        bodies = [(heading, parts[heading]) for heading in headings if heading in parts]
        if not bodies:
            missing.append(headings[0])
            continue
        section: dict[str, Any] = {"id": name, "title": title, "fields": [], "subsections": []}
        for heading, body in bodies:
            intro, *rest = _split(body, "### ")
            label = heading.capitalize()
            section["fields"] += _fields(label, intro[1])
            section["subsections"] += [
                {"title": below, "fields": fields}
                for below, text in rest
                if (fields := _fields(below, text))
            ]
        sections.append({key: value for key, value in section.items() if value})
    if missing:
        raise UsageError(f"the model card of {model} lacks: {', '.join(missing)}")
    name, _, version = model.rpartition("_")
    return {"modelName": name or model, "version": version, "sections": sections}


def _split(text: str, mark: str) -> list[tuple[str, str]]:
    """Titles and bodies; what stands before the first title comes with the title ""."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if line.startswith(mark):
            found.append((line.removeprefix(mark).strip(), []))
        else:
            found[-1][1].append(line)
    return [(title, "\n".join(lines).strip()) for title, lines in found]


def _fields(label: str, text: str) -> list[dict[str, str]]:
    """One field of plain text; Coop shows no Markdown, so tables become lines."""
    lines = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("|"):
            if _RULE.fullmatch(line):
                continue
            line = " · ".join(cell.strip() for cell in line.strip("|").split("|"))
        lines.append(_MARKS.sub("", _LINK.sub(r"\1 (\2)", line)))
    plain = re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip()
    return [{"label": label, "value": plain}] if plain else []
