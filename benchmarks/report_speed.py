"""Measures the report page on 5,000 images: time to write, size, and time to open in Chromium.

    python -m benchmarks.report_speed

Run from the repository's root on an idle machine; needs Chromium and the extra `test`. The
campaign is made from the tests' sample, item after item, with thumbnails of 160 by 120 pixels.
Opening is timed by the browser itself, from the start of navigation: first paint, the moment
at which the list of images answers, the end of parsing and the end of loading. The processor
time of the page's own thread stands beside these, since it hardly depends on what else the
machine does. Several runs, each in a new browser, go to `benchmarks/results/report_speed.json`,
with the machine's load at the time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from playwright.sync_api import Playwright, sync_playwright

from detector.campaign.records import Campaign
from detector.report import write_report
from tests.campaign_samples import sample_campaign, sample_thumbnails, sha_of

RESULTS = Path(__file__).parent / "results"
_TIMES = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {
    list_ready: performance.getEntriesByName("list-ready")[0].startTime / 1000,
    first_paint: paint ? paint.startTime / 1000 : null,
    parsed: page.domContentLoadedEventEnd / 1000,
    loaded: page.loadEventEnd / 1000,
    nodes: document.getElementsByTagName("*").length,
  };
}"""


def campaign_of(images: int) -> tuple[Campaign, dict[str, bytes]]:
    """The sample with its items repeated under other names, and a thumbnail for each."""
    sample, looks = sample_campaign(), list(sample_thumbnails().values())
    items, thumbnails = [], {}
    for number in range(images):
        item = sample.items[number % len(sample.items)]
        sha = sha_of(f"{number}")
        path = f"collected/folder-{number % 40}/{number:05}.jpg"
        score = item.finding.score
        score = None if score is None else score + (number % 97) / 50
        finding = replace(item.finding, path=path, sha256=sha, score=score)
        cluster = item.cluster and f"{item.cluster}-{number // len(sample.items)}"
        items.append(replace(item, finding=finding, paths=(path,), cluster=cluster))
        thumbnails[sha] = looks[number % len(looks)]
    return replace(sample, items=tuple(items)), thumbnails


def opened(driver: Playwright, page: Path) -> dict[str, Any]:
    """The browser's own times for one opening, in seconds, and the script's heap in megabytes."""
    command = shutil.which("chromium") or shutil.which("google-chrome")
    browser = driver.chromium.launch(executable_path=command, args=["--no-sandbox"])
    tab = browser.new_page(viewport={"width": 1400, "height": 1000})
    tab.set_default_timeout(300_000)
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    tab.goto(page.as_uri(), wait_until="load")
    tab.wait_for_timeout(100)
    times: dict[str, Any] = tab.evaluate(_TIMES)
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    times["processor"] = metrics["TaskDuration"]
    times["heap"] = metrics["JSHeapUsedSize"] / 1e6
    began = time.perf_counter()
    tab.fill("#q", "folder-7 crowd")
    tab.wait_for_function("document.getElementById('count').textContent.includes(' of ')")
    times["search"] = time.perf_counter() - began
    browser.close()
    return times


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    campaign, thumbnails = campaign_of(args.images)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder) / "report.html"
        wall, cpu = time.perf_counter(), time.process_time()
        write_report(campaign, page, thumbnails=thumbnails.get)
        written = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        runs = [opened(driver, page) for _ in range(args.runs)]
        size = page.stat().st_size
    result = {
        "command": f"python -m benchmarks.report_speed --images {args.images} --runs {args.runs}",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "images": args.images,
        "megabytes": round(size / 1e6, 1),
        "write_seconds": {name: round(value, 2) for name, value in written.items()},
        "open_seconds": {
            name: {
                "least": round(min(run[name] for run in runs), 3),
                "median": round(statistics.median(run[name] for run in runs), 3),
            }
            for name in ("first_paint", "list_ready", "parsed", "loaded", "search", "processor")
        },
        "heap_megabytes": round(runs[0]["heap"], 1),
        "elements": runs[0]["nodes"],
    }
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / "report_speed.json"
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
