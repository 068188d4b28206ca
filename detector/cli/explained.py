"""Parts of the terminal view that `detector show` and `detector explain` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console, RenderableType
    from rich.text import Text

    from detector.explain import Heatmap, Reading, Seen
    from detector.results import Evidence, Finding
    from detector.weights import Bundle

# The bar of a score always spans this many logits either way, whatever the image: a scale
# that fitted itself to the image would make every image look guilty.
SCALE = 6.0
BAR_WIDTH = 49
_STYLES = {
    "generated": "bold red",
    "edited_with_ai": "bold yellow",
    "composite": "yellow",
    "captured": "bold green",
    "human_made": "green",
}
_LEADS = ("model", "software", "claim_generator", "prompt", "seed", "make", "camera")
_MOST_ALIKE = 5
_MAP_COLUMNS = 44


def evidence_of(seen: Seen, trust_list: str | None = None) -> tuple[Evidence, ...]:
    """What the file says of its origin; empty for a file that could not be read at all."""
    from detector.evidence import gather

    if seen.data is None:
        return ()
    image = seen.image
    rgb, facts = (None, None) if image is None else (image.rgb, image.facts)
    return tuple(gather(seen.data, rgb, facts, trust_list=trust_list))


def headline(finding: Finding) -> Text:
    """The verdict in its colour, and the reason for it."""
    from rich.text import Text

    from detector.cli.progress import VERDICTS
    from detector.names import one_line

    words = {verdict: (word, style) for verdict, word, style in VERDICTS}
    word, style = words[finding.verdict] if finding.verdict else ("no verdict", "")
    line = Text(word[0].upper() + word[1:], style=style)
    line.append(f"\n{one_line(finding.reason)}", style="default not bold")
    if finding.pixel_verdict is not None and finding.pixel_verdict is not finding.verdict:
        own = words[finding.pixel_verdict][0]
        line.append(f"\nThe pixels alone: {own}.", style="default not bold")
    return line


def bar(finding: Finding, bundle: Bundle) -> list[Text]:
    """The score as a point on the fixed scale, with the two thresholds marked."""
    from rich.text import Text

    score = finding.score or 0.0
    limits = bundle.thresholds
    low, high = place(limits.inconclusive), place(limits.likely_generated)
    point = place(score)
    line = Text(f"  {-SCALE:+.0f} ")
    for i in range(BAR_WIDTH):
        style = "green" if i < low else "yellow" if i < high else "red"
        mark = "●" if i == point else "┼" if i in (low, high) else "─"
        line.append(mark, style=f"bold {style}" if i == point else style)
    line.append(f" {SCALE:+.0f}")
    beyond = " (beyond the scale)" if abs(score) > SCALE else ""
    words = f"  score {score:+.2f}{beyond}; thresholds ┼ {limits.inconclusive:+.2f}"
    if high != low or limits.inconclusive != limits.likely_generated:
        words += f" and {limits.likely_generated:+.2f}"
    return [line, Text(words, style="dim")]


def place(score: float) -> int:
    """The column of a score on the bar."""
    share = (max(-SCALE, min(SCALE, score)) + SCALE) / (2 * SCALE)
    return round(share * (BAR_WIDTH - 1))


def reading_lines(reading: Reading) -> list[RenderableType]:
    """How to read the score: the ratio, the probability at its prior, the look-alikes."""
    lines = [*section("How to read the score"), *_wrapped(reading.ratio_words)]
    lines += _wrapped([reading.probability_words])
    if not reading.stated:
        lines.append(_dim("Another prior: --prior 0.01, if 1 in 100 of such images is generated."))
    lines += [*section("What would look alike"), *_wrapped(reading.alike_words[:_MOST_ALIKE])]
    return lines


def evidence_lines(finding: Finding, evidence: Sequence[Evidence]) -> list[RenderableType]:
    """The file's own claims, one line each, and the conflicts between them and the pixels."""
    from rich.padding import Padding
    from rich.text import Text

    from detector.evidence.wording import kind_words, summary
    from detector.names import one_line
    from detector.results import Asserts

    lines = [*section("What the file says"), Text(f"  {summary(evidence)}")]
    for e in evidence:
        if e.asserts is not Asserts.UNKNOWN:
            lines += _piece(e)
    silent = [kind_words(e.kind) for e in evidence if e.asserts is Asserts.UNKNOWN]
    if silent:
        names = one_line(", ".join(dict.fromkeys(silent)))
        lines.append(_dim(f"Without a claim: {names}; `detector inspect` prints all of it."))
    clashes = [Text(f"Conflict: {one_line(c)}", style="bold red") for c in finding.conflicts]
    return [*lines, *(Padding(clash, (0, 0, 0, 2)) for clash in clashes)]


def _piece(e: Evidence) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from detector.evidence.wording import CLAIMS, TRUSTS, kind_words
    from detector.names import one_line

    line = Text("  ● ", style=_STYLES[e.asserts.value])
    line.append(CLAIMS[e.asserts])
    line.append(f"  {one_line(kind_words(e.kind))}", style="default")
    if e.issuer:
        line.append(f", {one_line(e.issuer[:80])}", style="default")
    parts: list[RenderableType] = [line]
    leads = _leads(e.raw)
    if leads:
        parts.append(Padding(Text(leads, style="default"), (0, 0, 0, 4)))
    told = f"{TRUSTS[e.trust][0].upper()}{TRUSTS[e.trust][1:]}. "
    # Some caveats say the same as the trust does.
    told = "" if e.caveat.lower().startswith("plain metadata") else told
    parts.append(Padding(_dim(f"{told}{one_line(e.caveat)}".strip()), (0, 0, 0, 2)))
    return parts


def _leads(raw: dict[str, Any]) -> str:
    from detector.names import one_line

    found = []
    for key, value in raw.items():
        if key.lower() in _LEADS and isinstance(value, str | int | float) and value != "":
            text = str(value)
            found.append(f"{key}: {text if len(text) <= 100 else text[:100] + '…'}")
    return one_line("; ".join(found).encode("utf-8", "replace").decode("utf-8"))


def file_lines(finding: Finding, views: bool = True) -> list[RenderableType]:
    """The views that the CNN looked at, and the file's facts."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for crop in finding.crops if views else ():
        where = f"at {crop.x}, {crop.y}: {crop.width} × {crop.height}"
        table.add_row(f"  {crop.view} view", f"{crop.score:+.2f}", where)
    if views and finding.spread is not None:
        table.add_row("  spread", f"{finding.spread:.2f}", "of the native views' scores")
    file = finding.file
    if file is not None:
        size = f"{file.width} × {file.height}, {file.bytes:,} bytes, {file.mode}"
        quality = "" if file.jpeg_quality is None else f", JPEG quality about {file.jpeg_quality}"
        table.add_row("  file", file.format, size + quality)
    table.add_row("  sha256", "", finding.sha256)
    table.add_row("  model", "", f"{finding.model}, file kind {finding.stratum}")
    return [table]


def map_lines(shown: Heatmap, rgb: np.ndarray, console: Console) -> list[RenderableType]:
    """Each layer as a small picture of half blocks, where there is colour, and as numbers."""
    from rich.columns import Columns
    from rich.text import Text

    from detector.explain.maps import NAMES

    lines: list[RenderableType] = []
    for layer in shown.layers:
        lines += section(f"Map: {NAMES[layer.view]}")
        lines.append(Text(f"  {layer.meaning}", style="dim"))
        numbers = _numbers(layer.values, layer.blank)
        if console.color_system is None:
            lines.append(numbers)
        else:
            lines.append(Columns([_blocks(shown, rgb, layer.view), numbers], padding=(0, 3)))
    lines.append(Text("  × factor on the likelihood ratio; //// nothing to see", style="dim"))
    lines += [Text(f"  note: {note}", style="yellow") for note in shown.notes]
    return lines


def _numbers(values: np.ndarray, blank: np.ndarray) -> Text:
    """The grid in factors of a likelihood ratio, under the fixed colours."""
    import numpy as np
    from rich.text import Text

    from detector.explain.colours import colours

    text = Text()
    for row, empty in zip(values, blank, strict=True):
        for value, nothing in zip(row, empty, strict=True):
            if nothing:
                text.append(" //// ", style="dim")
                continue
            r, g, b = (int(c) for c in colours(value))
            ink = "black" if 0.3 * r + 0.6 * g + 0.1 * b > 120 else "white"
            text.append(f"×{float(np.exp(value)):4.2f} ", style=f"{ink} on rgb({r},{g},{b})")
        text.append("\n")
    text.rstrip()
    return text


def _blocks(shown: Heatmap, rgb: np.ndarray, view: str) -> Text:
    """The overlay in half blocks: two rows of pixels in one line of characters."""
    import cv2
    from rich.text import Text

    height, width = rgb.shape[:2]
    across = _MAP_COLUMNS
    down = max(2, min(48, round(across * height / width))) // 2 * 2
    small = cv2.resize(rgb, (across, down), interpolation=cv2.INTER_AREA)
    picture = shown.overlay(small, view)  # type: ignore[arg-type]
    text = Text()
    for y in range(0, down, 2):
        for above, below in zip(picture[y], picture[y + 1], strict=True):
            top, foot = (f"rgb({p[0]},{p[1]},{p[2]})" for p in (above, below))
            text.append("▀", style=f"{top} on {foot}")
        text.append("\n")
    text.rstrip()
    return text


def section(title: str) -> list[RenderableType]:
    """An empty line and a heading."""
    from rich.text import Text

    return [Text(), Text(title, style="bold cyan")]


def _wrapped(sentences: Sequence[str]) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    return [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in sentences]


def _dim(text: str) -> RenderableType:
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(text, style="dim"), (0, 0, 0, 2))
