"""The blocks of code in the manual's pages: read by the tests, and by `python -m docs.walk`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# Pages whose blocks belong together as files of a project, and are tried as such.
TESTED_ELSEWHERE = {"docs/how-to/plugins.md": "tests/test_plugin_cookbook.py"}
RUN_BY_THE_CHECK_SCRIPT = "command: "
LONG = "takes "
BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>.+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: "sh", "python", "text", ….
        code: its lines.
        line: where it begins.
        skipped: why the tests do not run it; "" when they do.
    """

    language: str
    code: str
    line: int
    skipped: str

    @property
    def is_long(self) -> bool:
        """Whether only its length keeps it out of the tests."""
        return self.skipped.startswith(LONG)


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        comment = match["comment"] or ""
        skipped = ""
        if comment.startswith(RUN_BY_THE_CHECK_SCRIPT):
            skipped = "run by .ci/run"
        elif comment.startswith("not run: "):
            skipped = comment.removeprefix("not run: ")
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["language"], match["code"], line, skipped))
    return found


def commands(code: str) -> list[tuple[str, int]]:
    """The lines of a shell block, continued ones as one, each with its expected exit code."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        expected = EXIT_CODE.search(line)
        found.append((EXIT_CODE.sub("", line), int(expected[1]) if expected else 0))
    return found


def name_of(page: Path) -> str:
    """A page's path inside the repository."""
    return page.relative_to(ROOT).as_posix()


def runnable(page: Path) -> list[Block]:
    """The blocks of a page that the tests run."""
    if name_of(page) in TESTED_ELSEWHERE:
        return []
    return [b for b in blocks(page) if b.language in ("sh", "python") and not b.skipped]
