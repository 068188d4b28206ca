"""What the page says of a campaign: in order, in plain words, and nothing that a file can break."""

from __future__ import annotations

import html
import itertools
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from detector.campaign.records import Campaign, Prevalence
from detector.custody import read_statement, statement
from detector.report import overlay, write_report
from detector.report.charts import network_chart, prevalence_chart, timeline_chart
from detector.report.wording import ICD203
from detector.results import Asserts, Evidence, Trust, Verdict
from tests.campaign_samples import HOSTILE_PROMPT, sample_campaign, sample_thumbnails
from tests.report_samples import FACTS, HOSTILE, Page

SECTIONS = [
    "summary", "prevalence", "clusters", "accounts", "traces", "activity", "gaps", "images",
    "not-scored", "method", "custody-section",
]  # fmt: skip
DRAWN = {"svg", "g", "path", "line", "text", "rect"}


def written(folder: Path, campaign: Campaign, **options: object) -> str:
    options = {"model_facts": FACTS, "thumbnails": sample_thumbnails().get, **options}
    write_report(campaign, folder / "report.html", **options)  # type: ignore[arg-type]
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    campaign = sample_campaign()
    folder = tmp_path_factory.mktemp("campaign")
    return written(folder, campaign, custody=statement(campaign), card="# card\n\nfigures <b>")


def section(page: str, name: str) -> str:
    start = page.index(f'<section id="{name}"')
    return page[start : page.index("\n</section>", start)]


# What it says


def test_the_sections_come_in_the_order_in_which_they_are_read(page: str) -> None:
    assert re.findall(r'<section id="([^"]+)"', page) == SECTIONS
    assert all(f'href="#{name}"' in page for name in SECTIONS)


def test_the_first_paragraphs_say_what_was_looked_at_and_the_share_with_its_interval(
    page: str,
) -> None:
    first = Page(page[: page.index('<nav class="contents"')]).words
    assert (
        "26 images in 27 files, posted 27 times by 5 accounts from 5 January 2026 to "
        "6 February 2026."
    ) in first
    assert "By estimate, 46 % of the pictures are generated" in first
    assert "the 90 % interval runs from 17 to 83 %" in first


def test_where_only_bounds_can_be_given_no_estimate_is_named(tmp_path: Path) -> None:
    bounds = Prevalence("all", "", 3, 1, 0, None, 0.05, 1.0, 0.9, True, "Too few pictures.")
    campaign = replace(sample_campaign(), prevalence=(bounds,))
    text = Page(written(tmp_path, campaign, charts=False)).words
    assert "Between 5 and 100 % of the 3 pictures may be generated." in text
    assert "only bounds can be given" in text
    assert "By estimate" not in text


def test_the_summary_counts_what_is_shared_what_files_say_and_what_contradicts(page: str) -> None:
    text = Page(section(page, "summary")).words
    assert (
        "2 pictures were posted by more than one account. The most widespread: 4 accounts" in text
    )
    assert "4 production traces are shared by several accounts." in text
    assert "This is a lead, not a proof." in text
    assert "5 files say of themselves to be generated, 1 under a trusted signature." in text
    assert "point in different directions" in text
    assert "Warning: On your labels 16.7 % of the real pictures were flagged" in text


def test_every_group_has_its_interval_and_a_note_on_how_it_came_about(page: str) -> None:
    text = section(page, "prevalence")
    notes = re.findall(r"<li>([^<]+)</li>", text[text.index('<ol class="notes">') :])
    for row in sample_campaign().prevalence:
        line = next(
            line
            for line in re.findall(r"<tr>(.*?)</tr>", text)
            if html.escape(row.group or "The whole set") in line
        )
        assert f"<td>{row.low * 100:.0f} to {row.high * 100:.0f} %</td>" in line
        assert ("bounds only" in line) == (row.estimate is None)
        number = int(re.findall(r"<td>(\d+)</td>$", line)[0])
        assert html.unescape(notes[number - 1]) == row.reason


def test_a_cluster_names_its_accounts_and_why_each_version_is_in(page: str) -> None:
    text = Page(section(page, "clusters")).words
    assert "Picture 1: 4 accounts, 5 posts" in text
    assert "PDQ hash differs in 8 bits of 256" in text
    assert "61 details fit one crop, rotation or scale of the picture" in text
    assert "Versions are judged differently." in text


def test_traces_are_worded_as_leads_the_least_expected_first(page: str) -> None:
    text = section(page, "traces")
    values = re.findall(r'<td><bdi class="path">([^<]*)</bdi></td>', text)
    assert [html.unescape(value) for value in values][:2] == ["4242", HOSTILE_PROMPT]
    assert "never a proof" in Page(text).words
    assert "by accident, so many accounts share it about once in 30,000,000 cases" in text
    assert "The reference set cannot say." in text


def test_what_cannot_be_said_and_rows_that_could_not_be_read_are_listed(page: str) -> None:
    text = Page(section(page, "gaps")).words
    campaign = sample_campaign()
    for gap in campaign.gaps:
        assert gap.words in text
    for row in campaign.context.bad[:3]:
        assert row.reason in text


def test_every_figure_links_to_how_it_was_measured(page: str) -> None:
    for name, what in (
        ("summary", ("score", "clusters", "traces", "evidence", "errors", "prevalence")),
        ("prevalence", ("prevalence",)),
        ("clusters", ("clusters",)),
        ("accounts", ("prevalence",)),
        ("traces", ("traces",)),
        ("activity", ("graph",)),
    ):
        for part in what:
            assert f'href="#how-{part}"' in section(page, name), (name, part)
            assert f'id="how-{part}"' in page


def test_likelihood_terms_and_error_rates_never_share_a_sentence_with_certainty(page: str) -> None:
    assert "confiden" not in page.lower()
    for sentence in re.split(r"(?<=[.;:])\s", Page(page).words):
        terms = [band.term for band in ICD203 if re.search(rf"\b{band.term}\b", sentence)]
        assert not (terms and re.search(r"\b(certainty|sure)\b", sentence)), sentence


def test_the_statement_of_custody_can_be_read_back(page: str, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text(page, encoding="utf-8")
    assert read_statement(tmp_path / "r.html") == statement(sample_campaign())
    text = Page(section(page, "custody-section")).words
    for part in ("lite_v1", "c0ffee0123456789", "detector scan collected --store campaign.db"):
        assert part in text


def test_details_hold_posts_evidence_in_groups_and_contradictions(page: str) -> None:
    details = Page(page).details
    first = details[0]
    assert [post["who"] for post in first["posts"]] == ["account-a", "account-b"]
    assert first["evidence"][0]["group"] == "metadata"
    assert first["evidence"][0]["claim"] == "generated"
    assert first["evidence"][0]["trust"] == "self_declared"
    assert ["seed", "4242"] in first["evidence"][0]["raw"]
    groups = [e["group"] for e in details[7]["evidence"]]
    assert groups == ["labels", "measured"]
    broken = next(d for d in details if any(e["trust"] == "invalid" for e in d["evidence"]))
    assert "its signature does not hold" in broken["conflicts"][0]


def test_very_long_raw_fields_are_cut_and_said_to_be_cut(tmp_path: Path) -> None:
    raw = {"graph": {str(i): "x" * 90 for i in range(2000)}, "after": 1}
    long = Evidence("comfyui_graph", "metadata", Asserts.GENERATED, "", Trust.SELF_DECLARED, raw)
    campaign = sample_campaign()
    items = (replace(campaign.items[0], evidence=(long,)), *campaign.items[1:])
    parsed = Page(written(tmp_path, replace(campaign, items=items), charts=False))
    fields = parsed.details[0]["evidence"][0]["raw"]
    assert sum(len(text) for _, text in fields) < 25_000
    assert fields[-1][0] == "…"


def test_the_models_card_is_folded_into_the_page_as_plain_text(page: str) -> None:
    assert "figures &lt;b&gt;" in section(page, "method")


# Charts


def test_charts_stand_beside_tables_and_hold_no_script_link_or_style(page: str) -> None:
    charts = re.findall(r"<svg aria-hidden.*?</svg>", page, flags=re.S)
    assert len(charts) == 3
    for chart in charts:
        tags = set(re.findall(r"<([a-zA-Z]+)", chart))
        assert tags <= DRAWN
        assert "style=" not in chart
        assert "href" not in chart.replace("xmlns:xlink", "")
    for name in ("prevalence", "activity"):
        assert section(page, name).count("<table") >= section(page, name).count('class="chart"')


def test_hostile_names_are_text_in_charts() -> None:
    campaign = sample_campaign()
    rows = [
        replace(row, by="account", group=name)
        for name, row in zip(HOSTILE, campaign.prevalence, strict=False)
    ]
    edges = [
        replace(edge, accounts=(HOSTILE[0], name))
        for name, edge in zip(HOSTILE[1:], campaign.edges, strict=False)
    ]
    for chart in (prevalence_chart(rows), network_chart(edges), timeline_chart(campaign.timeline)):
        parsed = Page(chart)
        assert set(parsed.tags) <= DRAWN
        assert not any(name.startswith("on") for _, name, _ in parsed.attributes)


def test_without_the_drawing_library_the_tables_stay_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    text = written(tmp_path, sample_campaign())
    assert "pip install 'aigi-detector[campaign]'" in html.unescape(text)
    assert "<svg aria-hidden" not in text
    assert "2026-W04" in section(text, "prevalence")


def test_the_same_campaign_gives_the_same_bytes(tmp_path: Path, page: str) -> None:
    campaign = sample_campaign()
    again = written(tmp_path, campaign, custody=statement(campaign), card="# card\n\nfigures <b>")
    assert again == page


# Heatmaps and stability


@dataclass(frozen=True)
class Map:
    values: np.ndarray
    blank: np.ndarray
    scale: tuple[float, float] = (-2.3, 2.3)
    notes: tuple[str, ...] = ("one note",)

    def overlay(self, rgb: np.ndarray) -> np.ndarray:
        return 255 - rgb


@dataclass(frozen=True)
class Treated:
    treatment: str
    score: float | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Steady:
    rows: tuple[Treated, ...]
    words: str


def test_a_heatmap_is_laid_over_its_image_and_keeps_the_fixed_scale(tmp_path: Path) -> None:
    made = Map(np.array([[1.0, -0.5]], np.float32), np.array([[False, True]]))
    laid = overlay(made, np.zeros((900, 1200, 3), np.uint8))
    assert (laid.low, laid.high, laid.blank, laid.scale) == (1.0, 1.0, 0.5, (-2.3, 2.3))
    sha = sample_campaign().items[0].finding.sha256
    steady = Steady((Treated("JPEG 50", -0.2, Verdict.INCONCLUSIVE),), "It wavers.")
    parsed = Page(
        written(
            tmp_path, sample_campaign(), heatmaps={sha: laid}, stability={sha: steady}, charts=False
        )
    )
    assert parsed.data["rows"][0]["heat"] == 0
    record = json.loads(parsed.script("heatmap-0"))
    assert record["scale"] == [-2.3, 2.3]
    assert record["notes"] == ["one note"]
    assert parsed.details[0]["stability"] == {
        "words": "It wavers.",
        "rows": [["JPEG 50", -0.2, "inconclusive"]],
    }


# Nothing that a file, a table or an account says can become code


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return Page(written(tmp_path_factory.mktemp("a"), spoiled("a"), charts=False)).tags


def spoiled(text: str) -> Campaign:
    """The sample with one text in every place that a stranger can fill."""
    campaign = sample_campaign()
    evil = Evidence(text, text, Asserts.GENERATED, text, Trust.SELF_DECLARED, {text: text}, text)
    items = tuple(
        replace(
            item,
            evidence=(evil,),
            posts=tuple(
                replace(p, account=text, platform=text, language=text, url=text, text=text,
                        extra={text: text})
                for p in item.posts
            ),
        )
        for item in campaign.items
    )  # fmt: skip
    return replace(
        campaign,
        title=text,
        items=items,
        prevalence=tuple(replace(p, group=text, reason=text) for p in campaign.prevalence[1:3]),
        clusters=tuple(replace(c, accounts=(text, text)) for c in campaign.clusters),
        accounts=tuple(replace(a, account=text, shared_with=(text,)) for a in campaign.accounts),
        links=tuple(
            replace(link, trace=text, value=text[:100], accounts=(text,), words=text)
            for link in campaign.links
        ),
        edges=tuple(replace(e, accounts=(text, text), traces=(text,)) for e in campaign.edges),
        gaps=tuple(replace(g, words=text) for g in campaign.gaps),
        context=replace(campaign.context, source=text or "t", bad=(), columns={text: text}),
        custody=replace(campaign.custody, commands=(text,), store=text, tool=text),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(min_size=1, max_size=120) | st.sampled_from(HOSTILE))
@example(text=HOSTILE[2])
@example(text=HOSTILE[5])
@example(text="\udc80\ud800\u202e\u2028")
def test_no_text_of_a_campaign_changes_the_structure_of_the_page(
    harmless: list[str], tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    parsed = Page(written(tmp_path_factory.mktemp("x"), spoiled(text), charts=False))
    assert parsed.tags == harmless
    assert not any(name.startswith("on") for _, name, _ in parsed.attributes)
    assert all(
        value.startswith(("#", "data:,")) for _, name, value in parsed.attributes if name == "href"
    )
    assert parsed.details[0]["posts"] is not None


# Accessibility that needs no browser


def test_ids_are_unique_and_every_reference_to_one_is_met(page: str) -> None:
    parsed = Page(page)
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for tag, name, value in parsed.attributes:
        if name in ("aria-labelledby", "aria-describedby", "for"):
            assert value in ids, (tag, name, value)
        if tag == "a" and name == "href" and "=" not in value:
            assert value[1:] in ids, value


def test_headings_skip_no_level_and_every_section_has_one(page: str) -> None:
    body = page[: page.index("<dialog")]
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", body)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for name in SECTIONS:
        assert "<h2" in section(page, name)


def test_every_table_has_a_caption_and_column_heads_with_scope(page: str) -> None:
    tables = re.findall(r"<table.*?</table>", page[: page.index("<dialog")], flags=re.S)
    for made in tables:
        assert "<caption" in made
        assert 'id="heads"' in made or 'scope="col"' in made
