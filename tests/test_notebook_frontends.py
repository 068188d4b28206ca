"""What shows itself in a notebook does so in every front end: filtered, framed, dark, twice.

JupyterLab filters the elements and styles of notebooks that nobody has trusted yet, Colab shows
outputs in a sandboxed frame, VS Code in a page whose policy names what may load, and nbconvert
writes a page that others open. None of the front ends is run here; what they do to an output is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from detector import html
from detector.notebook import ReportView
from detector.results import Asserts, Evidence, Trust
from tests.report_samples import webp
from tests.test_html import FAILED, SCORED

FOUND = replace(SCORED, path="folder/a file with a rather long name that has to wrap.jpg")
CLAIM = Evidence("parameters", "metadata", Asserts.GENERATED, "a", Trust.SELF_DECLARED, caveat="c")
CARD = html.finding_card(FOUND.to_record(), webp(1), evidence=[CLAIM.to_record()], marks=(-1, 1.78))
TABLE = html.findings_table(
    [FOUND.to_record(), FAILED.to_record()], {FOUND.sha256: webp(1)}, title="2 files", marks=(1.78,)
)
SHOWN = {"card": CARD, "table": TABLE, "finding": FOUND._repr_html_()}

# As `packages/apputils/src/sanitizer.ts` of JupyterLab 4 has it, for what we use of it.
KEPT_PROPERTIES = {
    "background", "border", "border-bottom", "border-collapse", "border-left", "border-radius",
    "color", "display", "font-family", "font-size", "font-weight", "height", "left",
    "line-height", "margin", "margin-left", "margin-right", "margin-top", "max-height",
    "max-width", "min-width", "opacity", "overflow-x", "padding", "padding-left", "position",
    "right", "text-align", "top", "vertical-align", "white-space", "width",
}  # fmt: skip
KEPT_COLOUR = re.compile(r"#[0-9a-f]+|rgba\(\d{1,3},\d{1,3},\d{1,3},(1|0(\.\d+)?)\)", re.IGNORECASE)
# Without these the page is plainer and says the same.
DISPENSABLE = {"flex", "flex-wrap", "overflow-wrap"}

# The page of a cell's output in VS Code, and a stricter one.
POLICIES = {
    "an editor's": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src https: http: data:; child-src https: data:",
    "the strictest that shows pictures": "default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:",
}


class Parts(HTMLParser):
    """The elements of a piece of HTML, each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


def declarations(text: str) -> list[tuple[str, str]]:
    """Every style declaration of a piece of HTML."""
    found = []
    for _, attributes in Parts(text).elements:
        for part in filter(None, attributes.get("style", "").split(";")):
            name, value = part.split(":", 1)
            found.append((name.strip(), value.strip()))
    return found


@pytest.mark.parametrize("made", SHOWN.values(), ids=SHOWN)
def test_an_output_needs_nothing_from_outside_itself(made: str) -> None:
    for tag, attributes in Parts(made).elements:
        assert tag not in {"script", "link", "style", "iframe", "object", "svg"}
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
        assert "url(" not in attributes.get("style", "")


@pytest.mark.parametrize("made", SHOWN.values(), ids=SHOWN)
def test_the_same_output_twice_on_a_page_shares_no_names(made: str) -> None:
    for _, attributes in Parts(made).elements:
        assert not set(attributes) & {"id", "class", "name", "for", "aria-labelledby"}


@pytest.mark.parametrize("made", SHOWN.values(), ids=SHOWN)
def test_what_a_style_says_passes_the_filter_of_an_untrusted_notebook(made: str) -> None:
    for name, value in declarations(made):
        assert name in KEPT_PROPERTIES | DISPENSABLE, name
        for colour in re.findall(r"#\w+|rgba?\([^)]*\)", value):
            assert KEPT_COLOUR.fullmatch(colour), f"{name}: {value}"
        assert "currentcolor" not in value.lower(), "the filter knows no such colour"


@pytest.mark.parametrize("made", SHOWN.values(), ids=SHOWN)
def test_text_takes_the_colour_of_the_page_unless_it_brings_its_ground(made: str) -> None:
    for _, attributes in Parts(made).elements:
        style = attributes.get("style", "")
        assert ("color:" in re.sub(r"[\w-]+-color:", "", style)) <= ("background:" in style)


def test_every_picture_says_what_it_is() -> None:
    pictures = [a for made in SHOWN.values() for tag, a in Parts(made).elements if tag == "img"]
    assert pictures
    assert all(attributes.get("alt") for attributes in pictures)


def test_a_report_is_held_in_a_frame_that_reaches_nothing_around_it(tmp_path: Path) -> None:
    view = ReportView(tmp_path / "report.html")
    view.path.write_text('<p id="x">"quoted" &amp; more</p>', encoding="utf-8")
    frames = [a for tag, a in Parts(view._repr_html_()).elements if tag == "iframe"]
    assert [frame["sandbox"] for frame in frames] == ["allow-scripts"]
    assert frames[0]["srcdoc"] == view.path.read_text(encoding="utf-8")
    assert frames[0]["title"]


# In a browser

THEIRS = ("document-title", "html-has-lang", "region", "page-has-heading-one", "landmark-one-main")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def framed(policy: str, dark: bool) -> str:
    """A page that holds every output twice, in a sandboxed frame under a policy."""
    colours = "background:#1e1e1e;color:#d4d4d4" if dark else "background:#fff;color:#111"
    inner = (
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy, quote=True)}">'
        f'<body style="{colours}">{"".join(SHOWN.values()) * 2}</body>'
    )
    return (
        '<iframe sandbox="allow-scripts" style="width:760px;height:1500px" '
        f'srcdoc="{escape(inner, quote=True)}"></iframe>'
    )


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_an_output_shows_in_a_strict_frame_and_breaks_no_rule_of_accessibility(
    browser: Any, policy: str, dark: bool
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browser.new_page(viewport={"width": 800, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.set_content(framed(policy, dark))
    frame = page.frames[1]
    frame.wait_for_selector("img")
    loaded = frame.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert loaded
    assert all(loaded)
    assert said == []
    marks = frame.evaluate(
        "[...document.querySelectorAll('span')].filter(s => s.style.borderLeftWidth === '4px')"
        ".map(s => getComputedStyle(s).borderLeftColor === getComputedStyle(document.body).color)"
    )
    assert marks
    assert all(marks)
    # What the frame's own page lacks (a language, a title) is the front end's to give.
    found = axe.Axe().run(frame, options={"rules": {name: {"enabled": False} for name in THEIRS}})
    broken = [(v["id"], [n["html"][:90] for n in v["nodes"]]) for v in found.response["violations"]]
    page.close()
    assert broken == []
