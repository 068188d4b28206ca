"""A STIX bundle loads in its own library, is the same every time, and asserts nothing by itself."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.campaign.records import Campaign, ContextSummary, Post
from detector.errors import MissingExtraError, UsageError
from detector.export import disarm, stix
from tests.campaign_samples import ACCOUNTS, sample_campaign, sample_thumbnails, sha_of

stix2 = pytest.importorskip("stix2", reason="needs the extra 'campaign'")


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return sample_campaign()


@pytest.fixture(scope="module")
def objects(campaign: Campaign) -> list[Any]:
    return list(stix.bundle(campaign).objects)


def of_type(objects: list[Any], kind: str) -> list[Any]:
    return [o for o in objects if o["type"] == kind]


def labelled() -> dict[str, int]:
    return {sha_of("crowd"): 1, sha_of("market"): 0, sha_of("bridge"): 1, sha_of("harbour"): 1}


def full(campaign: Campaign) -> Any:
    return stix.bundle(
        campaign, labels=labelled(), thumbnails=sample_thumbnails(), name="Named", tlp="amber"
    )


def test_the_file_loads_back_in_stix2(campaign: Campaign, tmp_path: Path):
    out = tmp_path / "bundle.json"
    count = stix.write(campaign, str(out), labels=labelled(), tlp="green")
    back = stix2.parse(out.read_text("utf-8"))
    assert len(back.objects) == count
    assert all(o["id"] for o in back.objects)


def test_the_published_validator_finds_no_error(campaign: Campaign):
    validator = pytest.importorskip("stix2validator", reason="needs stix2-validator")
    results = validator.validate_string(
        full(campaign).serialize(), validator.ValidationOptions(version="2.1")
    )
    assert results.is_valid, [str(e) for o in results.object_results for e in o.errors]


def test_two_runs_on_the_same_data_give_the_same_bytes(campaign: Campaign, tmp_path: Path):
    later = replace(
        campaign,
        custody=replace(campaign.custody, made_at=campaign.custody.made_at + timedelta(days=9)),
    )
    for name, made in (("a", campaign), ("b", later)):
        stix.write(made, str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_later_scan_makes_new_versions_of_the_same_objects(campaign: Campaign):
    custody = replace(campaign.custody, finished=campaign.custody.finished + timedelta(days=1))
    before = {o["id"]: o for o in stix.bundle(campaign).objects}
    after = {o["id"]: o for o in stix.bundle(replace(campaign, custody=custody)).objects}
    assert before.keys() == after.keys()
    for key, old in before.items():
        if key.startswith(("note--", "report--")):
            assert after[key]["created"] == old["created"]
            assert after[key]["modified"] > old["modified"]


def test_another_store_has_its_own_notes_and_the_same_files(campaign: Campaign):
    custody = replace(campaign.custody, store="other.db")
    ours = {o["id"] for o in stix.bundle(campaign).objects}
    theirs = {o["id"] for o in stix.bundle(replace(campaign, custody=custody)).objects}
    shared = {key.split("--")[0] for key in ours & theirs}
    assert shared == {"file", "url", "user-account", "identity", "extension-definition"}


def test_every_id_is_there_once_and_every_reference_leads_to_one(campaign: Campaign):
    made = full(campaign).objects
    ids = [o["id"] for o in made]
    assert len(ids) == len(set(ids))
    published = {t.stix_id for t in (disarm.GENERATED_IMAGES, disarm.ACCOUNT_IMAGERY)}
    for o in made:
        refs = [v for k, v in o.items() if k.endswith("_ref")]
        refs += [ref for k, v in o.items() if k.endswith("_refs") for ref in v]
        assert set(refs) <= set(ids) | published


def test_every_image_with_a_hash_is_a_file_with_a_note(campaign: Campaign, objects: list[Any]):
    hashes = {i.finding.sha256 for i in campaign.items if i.finding.sha256}
    assert {o["hashes"]["SHA-256"] for o in of_type(objects, "file")} == hashes
    noted = {ref for o in of_type(objects, "note") for ref in o["object_refs"]}
    assert {o["id"] for o in of_type(objects, "file")} <= noted


def test_the_figures_are_in_the_extension_and_it_is_defined(campaign: Campaign, objects: list[Any]):
    (definition,) = of_type(objects, "extension-definition")
    assert definition["id"] == stix.EXTENSION_ID
    schema = json.loads(definition["schema"])
    figures = [o["extensions"][stix.EXTENSION_ID] for o in objects if "extensions" in o]
    assert len(figures) == sum(bool(i.finding.sha256) for i in campaign.items)
    for figure in figures:
        assert set(figure) <= set(schema["properties"])
        assert set(schema["required"]) <= set(figure)
    first = next(f for f in figures if f["paths"] == list(campaign.items[0].paths))
    assert (first["score"], first["likelihood_ratio"], first["verdict"]) == (
        2.4,
        3.2,
        "likely_generated",
    )


def test_nothing_is_asserted_that_nobody_confirmed(objects: list[Any]):
    kinds = Counter(o["type"] for o in objects)
    for never in ("indicator", "campaign", "attack-pattern", "threat-actor", "intrusion-set"):
        assert kinds[never] == 0
    assert {o["relationship_type"] for o in of_type(objects, "relationship")} == {"related-to"}


def test_a_technique_is_suggested_in_a_note_under_its_published_id(objects: list[Any]):
    notes = [o for o in of_type(objects, "note") if "external_references" in o]
    (note,) = notes
    assert note["external_references"][0]["external_id"] == "T0086.002"
    assert note["object_refs"][0] == "attack-pattern--7b6c328e-b050-4d76-8e11-ff3b3fe7dea3"
    assert "not an assertion" in note["content"]


def test_account_imagery_is_suggested_only_where_the_table_says_profile(campaign: Campaign):
    item = campaign.items[0]
    post = replace(item.posts[0], extra={"kind": "Avatar"})
    made = replace(campaign, items=(replace(item, posts=(post,)), *campaign.items[1:]))
    numbers = [s.technique.number for s in disarm.suggestions(made)]
    assert numbers == ["T0086.002", "T0145.002"]


def test_only_a_confirmed_image_is_an_indicator(campaign: Campaign):
    made = list(full(campaign).objects)
    patterns = {o["pattern"] for o in of_type(made, "indicator")}
    assert patterns == {
        f"[file:hashes.'SHA-256' = '{sha_of(name)}']" for name in ("crowd", "bridge", "harbour")
    }
    notes = {o["object_refs"][0]: o["id"] for o in of_type(made, "note")}
    files = {o["hashes"]["SHA-256"]: o["id"] for o in of_type(made, "file")}
    opinions = {o["object_refs"][0]: o["opinion"] for o in of_type(made, "opinion")}
    said = {name: opinions[notes[files[sha_of(name)]]] for name in ("crowd", "market", "bridge")}
    assert said == {"crowd": "agree", "market": "disagree", "bridge": "disagree"}
    assert opinions[notes[files[sha_of("harbour")]]] == "neutral"


def test_times_are_those_of_the_scans(campaign: Campaign, objects: list[Any]):
    for o in objects:
        if o["type"] in ("note", "grouping", "report", "observed-data"):
            assert o["created"] == campaign.custody.started
            assert o["modified"] == campaign.custody.finished
    assert of_type(objects, "report")[0]["published"] == campaign.custody.finished


def test_a_post_is_seen_when_it_was_posted(campaign: Campaign, objects: list[Any]):
    seen = {o["first_observed"] for o in of_type(objects, "observed-data")}
    assert {p.posted_at for i in campaign.items for p in i.posts if p.posted_at} <= seen


def test_accounts_are_accounts_only_with_a_table(campaign: Campaign, objects: list[Any]):
    assert {o["account_login"] for o in of_type(objects, "user-account")} == set(ACCOUNTS)
    folders = stix.bundle(replace(campaign, context=ContextSummary())).objects
    assert of_type(list(folders), "user-account") == []


def test_a_thumbnail_is_an_artifact_that_derives_from_its_file(campaign: Campaign):
    made = list(full(campaign).objects)
    artifacts = {o["id"] for o in of_type(made, "artifact")}
    assert artifacts
    derived = [o for o in of_type(made, "relationship") if o["relationship_type"] == "derived-from"]
    assert {o["source_ref"] for o in derived} == artifacts
    assert {o["target_ref"].split("--")[0] for o in derived} == {"file"}


def test_a_marking_is_on_every_object_that_can_carry_one(campaign: Campaign):
    unmarked = {o["type"] for o in full(campaign).objects if not o.get("object_marking_refs")}
    assert unmarked == {"identity", "extension-definition", "marking-definition"}
    with pytest.raises(UsageError, match="no marking"):
        stix.bundle(campaign, tlp="purple")


def test_an_empty_campaign_is_a_report_without_findings(campaign: Campaign):
    empty = replace(campaign, items=(), clusters=(), links=(), accounts=(), edges=(), prevalence=())
    kinds = Counter(o["type"] for o in stix.bundle(empty).objects)
    assert kinds == {"identity": 1, "extension-definition": 1, "report": 1}


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_name_title_and_url_give_a_bundle_that_loads(title: str, account: str, url: str):
    campaign = sample_campaign()
    item = replace(campaign.items[0], posts=(Post(2, account, account, url=url, text=title),))
    made = replace(campaign, title=title, items=(item,), clusters=())
    text = stix.bundle(made).serialize()
    text.encode("utf-8")
    assert stix2.parse(text)


def test_stix_without_its_extra_names_it(campaign: Campaign, monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "stix2", None)
    with pytest.raises(MissingExtraError, match=r"aigi-detector\[campaign\]"):
        stix.bundle(campaign)
