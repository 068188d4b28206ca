"""The report page in use: labels, keys, heatmaps, and an audit of accessibility, in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.campaign.context import Place
from detector.campaign.labels import read_labels
from detector.report import Overlay, write_report
from tests.campaign_samples import sample_campaign, sample_thumbnails
from tests.report_samples import FACTS, webp

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    campaign = sample_campaign()
    out = tmp_path_factory.mktemp("use") / "report.html"
    heat = {campaign.items[0].finding.sha256: Overlay(webp(3), (-2.3, 2.3), -0.4, 1.9, 0.2)}
    write_report(
        campaign, out, model_facts=FACTS, thumbnails=sample_thumbnails().get, heatmaps=heat
    )
    return out.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    opened.on("request", lambda request: said.append(request.url) if "http" in request.url else 0)
    opened.goto(address)
    yield opened
    assert said == []
    assert opened.title() == "Sample campaign: town halls"  # no hostile text has run
    context.close()


def open_sheet(page: Any) -> None:
    """Open the first image's sheet; previews are drawn when they come near the screen."""
    page.evaluate("document.getElementById('clusters').scrollIntoView()")
    page.click('.thumbs [title="crowd.jpg"]')


def close_sheet(page: Any) -> None:
    """Close the sheet and wait until the address no longer names its image.

    The browser tells the page of a closed dialog only in a later task; until then a reload would
    open the sheet again.
    """
    page.keyboard.press("Escape")
    page.wait_for_function("!location.hash.includes('image=')")


def test_labels_are_kept_and_their_file_is_what_detector_label_reads(
    page: Any, tmp_path: Path
) -> None:
    sha = sample_campaign().items[0].finding.sha256
    open_sheet(page)
    page.check('input[name="label"][value="generated"]')
    page.fill(".noted input", 'the "maker" said so, on record')
    close_sheet(page)
    page.reload()
    with page.expect_download() as download:
        page.click("#save-labels")
    saved = tmp_path / "labels.csv"
    download.value.save_as(saved)
    assert saved.read_text(encoding="utf-8").splitlines() == [
        "sha256,label,note",
        f'{sha},generated,"the ""maker"" said so, on record"',
    ]
    assert read_labels(saved, [Place("a.jpg", "a.jpg", sha, sha)]).labels == {sha: 1}


def test_links_filter_the_list_and_keys_walk_through_it(page: Any) -> None:
    page.click("#traces tbody tr:first-child .to-images")
    assert page.inner_text("#count") == "2 of 26 images"
    page.focus("#grid li:first-child")
    page.keyboard.press("Enter")
    first = page.inner_text("#details-name")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#details-name") != first
    close_sheet(page)
    page.click("#reset")
    page.fill("#q", "harbour golden hour")
    assert page.inner_text("#count") == "1 of 26 images"


def test_a_heatmap_is_shown_on_request_with_its_scale_in_words(page: Any) -> None:
    open_sheet(page)
    page.click(".heatmap button")
    assert "Orange speaks for generated" in page.get_attribute("img.heat", "alt")
    assert page.is_visible("img.heat")


def test_an_audit_by_axe_finds_no_barrier(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    assert [v["id"] for v in axe.run(page).response["violations"]] == []
    open_sheet(page)
    assert [v["id"] for v in axe.run(page).response["violations"]] == []


def test_on_paper_folded_tables_are_open_and_the_first_page_is_full(
    page: Any, tmp_path: Path
) -> None:
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details.folded:not([open])").count() == 1  # hashes, for machines
    assert page.locator("#printed .card").count() == 26
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#printed .card").count() == 0
