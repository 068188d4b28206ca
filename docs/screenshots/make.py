"""Makes the pictures of the campaign report in this folder, from a made-up campaign.

    python docs/screenshots/make.py

Run from the repository's root; needs Chromium and the extra `test`. The thumbnails are drawn
here by numbers: none of them is a photograph or comes from a generator.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from detector.cli.facts import model_facts  # noqa: E402
from detector.custody import statement  # noqa: E402
from detector.report import write_report  # noqa: E402
from tests.campaign_samples import sample_campaign  # noqa: E402

HERE = Path(__file__).parent
COLOURS = 96  # a palette keeps each picture under 300 kB


def scene(name: str) -> bytes:
    """A WebP thumbnail of hills under a sky, drawn from the name alone."""
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    x, y = np.meshgrid(np.linspace(0, 1, 256), np.linspace(0, 1, 192))
    top, low = rng.uniform(70, 250, (2, 3))
    picture = top + (low - top) * y[..., None]
    sun = np.hypot(x - rng.uniform(0.15, 0.85), (y - rng.uniform(0.15, 0.4)) * 0.75)
    picture[sun < rng.uniform(0.04, 0.09)] = rng.uniform(200, 255, 3)
    for depth in range(3):
        height = 0.45 + 0.17 * depth
        for wave in range(1, 5):
            turn, size = rng.uniform(0, 6.28), rng.uniform(0.01, 0.09)
            height = height + size / wave * np.sin(6.28 * wave * x + turn)
        picture[y > height] = rng.uniform(20, 150, 3) * (1 - 0.2 * depth)
    stream = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(stream, "WEBP", quality=80)
    return stream.getvalue()


def write_page(out: Path) -> None:
    """The report of the sample campaign; versions of one picture look alike."""
    campaign = sample_campaign()
    thumbnails = {
        item.finding.sha256: scene(item.cluster or item.finding.sha256)
        for item in campaign.items
        if item.finding.ok
    }
    facts = model_facts(None)
    write_report(
        campaign, out, model_facts=facts, thumbnails=thumbnails.get, custody=statement(campaign)
    )


def keep(data: bytes, name: str) -> None:
    """Save a picture with few colours."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    small = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(HERE / name, optimize=True)


def look(browser: Any, page: Path, scheme: str, width: int, height: int) -> Any:
    """The page in a window of that size, light or dark."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened = context.new_page()
    opened.set_default_timeout(120_000)
    opened.goto(page.as_uri())
    return opened


def main() -> None:
    """Write all pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder) / "report.html"
        write_page(page)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        light = look(browser, page, "light", 1400, 960)
        keep(light.screenshot(), "report-light.png")
        for name in ("prevalence", "clusters", "activity", "images"):
            light.evaluate(f"document.getElementById('{name}').scrollIntoView()")
            light.wait_for_timeout(1500)
            keep(light.screenshot(), f"report-{name}.png")
        light.click('.thumbs [title="crowd.jpg"]')
        light.wait_for_timeout(1000)
        keep(light.screenshot(), "report-details.png")
        keep(look(browser, page, "dark", 1400, 960).screenshot(), "report-dark.png")
        keep(look(browser, page, "light", 390, 844).screenshot(), "report-narrow.png")
        light.pdf(path=str(Path(folder) / "report.pdf"), format="A4")
        browser.close()
        made = Path(folder) / "first"
        command = ["pdftoppm", "-r", "90", "-f", "1", "-l", "1", "-singlefile", "-png"]
        subprocess.run([*command, str(Path(folder) / "report.pdf"), str(made)], check=True)
        keep(made.with_suffix(".png").read_bytes(), "report-print.png")


if __name__ == "__main__":
    main()
