"""A MISP event loads in its own library, is the same every time, and is marked for nobody yet."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.campaign.records import Campaign, Post
from detector.errors import MissingExtraError, UsageError
from detector.export import misp
from tests.campaign_samples import HOSTILE_NAME, sample_campaign, sha_of

pymisp = pytest.importorskip("pymisp", reason="needs the extra 'campaign'")


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return sample_campaign()


@pytest.fixture(scope="module")
def event(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The event, written and loaded back."""
    out = tmp_path_factory.mktemp("misp") / "event.json"
    misp.write(campaign, str(out), labels={sha_of("crowd"): 1, sha_of("market"): 0}, tlp="amber")
    loaded = pymisp.MISPEvent()
    loaded.load_file(str(out))
    return loaded


def objects(event: Any, name: str) -> list[Any]:
    return [o for o in event.objects if o.name == name]


def value(thing: Any, relation: str) -> str:
    return str(thing.get_attributes_by_relation(relation)[0].value)


def test_every_image_is_a_file_with_an_annotation(campaign: Campaign, event: Any):
    hashes = {i.finding.sha256 for i in campaign.items if i.finding.sha256}
    files = {value(o, "sha256"): o.uuid for o in objects(event, "file")}
    assert files.keys() == hashes
    told = {r.referenced_uuid for o in objects(event, "annotation") for r in o.references}
    assert set(files.values()) <= told


def test_every_post_with_a_url_is_an_image_object_of_its_account(campaign: Campaign, event: Any):
    posts = [p for i in campaign.items if i.finding.sha256 for p in i.posts if p.url]
    images = objects(event, "image")
    assert Counter(value(o, "username") for o in images) == Counter(p.account for p in posts)
    assert {value(o, "link") for o in images} == {p.url for p in posts}
    assert all(len(o.references) == 1 for o in images)


def test_the_event_is_unpublished_and_for_the_own_organisation(event: Any):
    assert event.published is False
    assert int(event.distribution) == 0
    assert int(event.analysis) == 0


def test_only_a_confirmed_image_is_for_detection(event: Any):
    marked = {a.value for o in event.objects for a in o.attributes if a.to_ids}
    assert marked == {sha_of("crowd")}


def test_likelihood_is_tagged_in_the_words_of_icd_203(event: Any):
    tags = Counter(
        t.name for o in objects(event, "file") for a in o.attributes for t in (a.tags or ())
    )
    assert set(tags) == {
        'estimative-language:likelihood-probability="likely"',
        'estimative-language:likelihood-probability="unlikely"',
    }


def test_a_technique_is_on_the_note_that_suggests_it_and_not_on_the_event(event: Any):
    technique = 'misp-galaxy:disarm-techniques="Develop AI-Generated Images (Deepfakes)"'
    tagged = [
        (value(o, "type"), a.value)
        for o in objects(event, "annotation")
        for a in o.attributes
        for t in (a.tags or ())
        if t.name == technique
    ]
    assert [kind for kind, _ in tagged] == ["Suggestion"]
    assert "not an assertion" in tagged[0][1]
    assert [t.name for t in event.tags] == ["tlp:amber"]


def test_two_runs_on_the_same_data_give_the_same_bytes(campaign: Campaign, tmp_path: Path):
    later = replace(
        campaign,
        custody=replace(campaign.custody, made_at=campaign.custody.made_at + timedelta(days=9)),
    )
    for name, made in (("a", campaign), ("b", later)):
        misp.write(made, str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_uuids_are_there_once_and_references_lead_to_one(campaign: Campaign, tmp_path: Path):
    misp.write(campaign, str(tmp_path / "e"))
    record = json.loads((tmp_path / "e").read_text("utf-8"))["Event"]
    uuids = [o["uuid"] for o in record["Object"]]
    uuids += [a["uuid"] for o in record["Object"] for a in o["Attribute"]]
    assert len(uuids) == len(set(uuids))
    refs = [r for o in record["Object"] for r in o.get("ObjectReference", ())]
    assert {r["referenced_uuid"] for r in refs} <= set(uuids)
    assert all(o["timestamp"] == record["timestamp"] for o in record["Object"])


def test_the_report_is_text_where_markdown_is_shown(campaign: Campaign):
    made = misp.event(replace(campaign, title=HOSTILE_NAME + " [x](javascript:1) `a`"))
    content = made.event_reports[0].content
    assert "<script" not in content.replace("\\<", "")
    assert "](" not in content
    assert "46%" in content


def test_a_marking_that_is_none_is_a_usage_error(campaign: Campaign):
    with pytest.raises(UsageError, match="no marking"):
        misp.event(campaign, tlp="purple")


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_name_title_and_url_give_an_event_that_loads(title: str, account: str, url: str):
    campaign = sample_campaign()
    item = replace(campaign.items[0], posts=(Post(2, account, account, url=url, text=title),))
    made = misp.event(replace(campaign, title=title, items=(item,), clusters=(), links=()))
    text = made.to_json()
    text.encode("utf-8")
    again = pymisp.MISPEvent()
    again.load(text)
    assert len(again.objects) == len(made.objects)


def test_misp_without_its_extra_names_it(campaign: Campaign, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pymisp", None)
    with pytest.raises(MissingExtraError, match=r"aigi-detector\[campaign\]"):
        misp.event(campaign)
