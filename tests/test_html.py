"""Cards and tables of HTML: nothing in a file can become code, and words say what shapes show."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector import html
from detector.report.wording import VERDICT_WORDS
from detector.results import Asserts, Evidence, Finding, Status, Stratum, Trust, Verdict

WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 "
SCORED = Finding(
    "folder/a.jpg",
    "ab" * 32,
    Status.OK,
    "Score +1.90 reaches +1.78.",
    "lite_v1",
    1.9,
    0.8,
    2.4,
    Verdict.LIKELY_GENERATED,
    stratum=Stratum("jpeg", "large", "light"),
)
FAILED = Finding("b.jpg", "", Status.TRUNCATED, "The data end too early.")


ALLOWED = {
    "div", "span", "b", "bdi", "table", "thead", "tbody", "tr", "th", "td",
    "details", "summary", "ul", "li",
}  # fmt: skip


class Elements(HTMLParser):
    """The elements and attributes of a piece of HTML, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_card_says_verdict_score_reason_and_stratum_in_words() -> None:
    text = Elements(html.finding_card(SCORED.to_record())).text
    for part in ("a.jpg", "Likely generated", "+1.90", SCORED.reason, "jpeg/large/light", "2.4"):
        assert part in text


def test_a_failure_shows_its_status_and_reason_and_no_bar() -> None:
    parsed = Elements(html.finding_card(FAILED.to_record()))
    assert "Not scored truncated" in parsed.text
    assert FAILED.reason in parsed.text
    assert "−6" not in parsed.text


def test_the_words_are_the_reports_words() -> None:
    assert html.VERDICT_WORDS == VERDICT_WORDS


# A busy machine draws slowly; that says nothing of what is tested.
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["path", "reason", "model", "stratum", "verdict", "status", "sha256"]),
        st.text(st.characters(exclude_categories=[])),
    ),
    st.text(),
)
def test_no_text_of_a_file_becomes_an_element_or_an_attribute(
    record: dict[str, str], note: str
) -> None:
    item = Evidence(note, "x", Asserts.UNKNOWN, note, Trust.INFERRED, caveat=note).to_record()
    full: dict[str, object] = {**record, "score": 1.0, "notes": [note], "conflicts": [note]}
    for made in (
        html.finding_card(full, evidence=[item]),
        html.findings_table([full], title=note),
    ):
        parsed = Elements(made)
        assert not parsed.open
        assert set(parsed.tags) <= ALLOWED
        assert parsed.attributes <= {"style", "title", "scope"}


def test_characters_that_hide_or_reverse_are_written_out() -> None:
    made = html.finding_card({"path": "a\u202egpj.exe", "status": "ok"})
    assert "\u202e" not in made
    assert "\\u202e" in made


@pytest.mark.parametrize(("score", "place"), [(0, 50.0), (6, 100.0), (-6, 0.0), (99, 100.0)])
def test_the_bar_has_one_scale_for_every_score(score: float, place: float) -> None:
    marker = re.findall(r"left:([\d.]+)%;[^\"]*border-left:4px solid", html.score_bar(score))
    assert marker == [f"{place:.1f}"]


def test_a_table_shows_the_first_rows_and_how_many_more_there_are() -> None:
    made = html.findings_table([SCORED.to_record()] * 52, most=12)
    assert made.count("<tr>") == 13
    assert "and 40 more" in made
    assert "more" not in Elements(html.findings_table([SCORED.to_record()], most=12)).text


def test_only_bytes_of_a_known_image_type_become_a_picture() -> None:
    assert "data:image/webp;base64," in html.finding_card(SCORED.to_record(), WEBP)
    assert "<img" not in html.finding_card(SCORED.to_record(), b"<svg onload=alert(1)>")
    assert "<img" not in html.finding_card(SCORED.to_record(), None)


def test_evidence_is_listed_with_claim_trust_and_caveat() -> None:
    item = Evidence(
        "c2pa_manifest", "c2pa", Asserts.GENERATED, "Maker", Trust.VALID, caveat="Could be."
    )
    text = Elements(html.finding_card(SCORED.to_record(), evidence=[item.to_record()])).text
    assert "c2pa manifest: asserts generated, valid, named issuer Maker. Could be." in text


def test_the_colours_of_verdicts_carry_white_text() -> None:
    for colour in html.VERDICT_COLOURS.values():
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (light + 0.05) >= 4.5
