"""The report page in a real browser: what shows, what filters, and that nothing hostile runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from detector.report import write_report
from detector.results import Finding
from tests.report_samples import FACTS, HOSTILE, Page, failed, make_store, mixed, scored

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


def opened(page: Path, address: str = "", profile: Path | None = None) -> tuple[str, list[str]]:
    """The document after the page's script ran, and what the browser's console said."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile or page.parent / 'profile'}",
            "--window-size=1400,1000",
            "--virtual-time-budget=5000",
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri() + address,
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=True,
    )
    return done.stdout, re.findall(r"CONSOLE[^\]]*\] (.*)", done.stderr)


def report(folder: Path, findings: list[Finding], **options: str) -> Path:
    with make_store(folder / "s.db", findings, **options) as store:
        write_report(store, folder / "report.html", model_facts=FACTS)
    return folder / "report.html"


def listed(document: str) -> list[str]:
    """Names in the order of the grid or the table."""
    body = document[document.index('id="browser"') : document.index('id="printed"')]
    return re.findall(r'class="(?:name|clamp)"><bdi class="path">([^<]*)</bdi>', body)


def counted(document: str) -> str:
    found = re.search(r'<output id="count"[^>]*>([^<]*)</output>', document)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(tmp_path_factory.mktemp("small"), mixed())


def test_the_grid_shows_all_images_highest_score_first_and_the_console_stays_silent(
    small: Path,
) -> None:
    document, console = opened(small, "#view=grid")
    assert console == []
    assert listed(document) == [
        "b10.jpg", "b9.jpg", "c.jpg", "d.png", "half.jpg", "none.txt",
    ]  # fmt: skip
    assert counted(document) == "6 images"
    assert document.count('src="data:image/webp;base64,') == 4
    assert "2 files" in document


def test_the_address_filters_sorts_and_counts(small: Path) -> None:
    document, _ = opened(small, "#view=table&verdict=likely_generated,not_scored&sort=name")
    assert listed(document) == ["b9.jpg", "b10.jpg", "half.jpg", "none.txt"]
    assert counted(document) == "4 of 6 images"
    assert 'aria-sort="ascending"' in document
    document, _ = opened(small, "#folder=bert&q=frames+animated")
    assert listed(document) == ["c.jpg"]


def test_the_address_opens_one_images_details_with_crops_and_hash(small: Path) -> None:
    document, console = opened(small, "#image=1")
    assert console == []
    sheet = document[document.index('<dialog id="details"') :]
    assert re.match(r'<dialog id="details"[^>]* open=""', sheet)
    assert 'data-crop="0"' in sheet
    assert "224 × 224 at 10, 20" in sheet
    assert "+3.50" in sheet
    assert mixed()[0].sha256 in sheet
    assert "On files of this kind, 1.4 % of real images" in sheet


def test_hostile_names_do_not_run(tmp_path: Path) -> None:
    findings = [
        finding
        for i, name in enumerate(HOSTILE)
        for finding in (
            scored(f"in/{i}/{name}", float(i), reason=name, notes=(name,), verdict_code=name),
            failed(f"in/bad/{i}/{name}"),
        )
    ]
    page = report(tmp_path, findings, command=HOSTILE[0])
    for address in ("", "#view=table&image=1&q=%3Cscript%3Edocument.title%3D'pwned'%3C/script%3E"):
        document, console = opened(page, address)
        assert "<title>Scan of in</title>" in document
        for tag, name, value in Page(document).attributes:
            assert not name.startswith("on"), (tag, name)
            assert name != "src" or value.startswith("data:image/webp;base64,"), (tag, value)
        assert console == []


def test_a_changed_script_is_refused_by_the_policy(small: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.html"
    text = small.read_text(encoding="utf-8").replace('"use strict";', "document.title='pwned';", 1)
    changed.write_text(text, encoding="utf-8")
    document, console = opened(changed)
    assert "pwned</title>" not in document
    assert any("Content Security Policy" in line for line in console)


def test_of_thousands_of_images_only_those_near_the_screen_are_in_the_document(
    tmp_path: Path,
) -> None:
    findings = [scored(f"in/{i:04}.jpg", 6 - i / 250) for i in range(3000)]
    document, console = opened(report(tmp_path, findings), "#view=grid")
    assert console == []
    assert counted(document) == "3,000 images"
    assert 6 <= len(listed(document)) < 200
    assert listed(document)[0] == "0000.jpg"
