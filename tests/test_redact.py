"""What is redacted names nobody: not in a field, not inside a sentence, not in a picture."""

from __future__ import annotations

import io
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.campaign.records import BadRow, Campaign, Gap, Post, TraceLink
from detector.custody import statement
from detector.errors import UsageError
from detector.redact import Redactor, faces, load_secret
from detector.results import Asserts, Evidence, Trust
from tests.campaign_samples import (
    ACCOUNTS,
    HOSTILE_NAME,
    HOSTILE_PROMPT,
    HOSTILE_TEXT,
    PROMPT,
    sample_campaign,
)

SECRET = b"a secret of thirty-two bytes....."


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor(SECRET)


def texts_in(value: Any) -> list[str]:
    """Every text in a record, however deep, keys of mappings too; our own fixed words are none."""
    if type(value) is str:
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        return [t for part in fields(value) for t in texts_in(getattr(value, part.name))]
    if isinstance(value, dict):
        return [t for pair in value.items() for part in pair for t in texts_in(part)]
    if isinstance(value, tuple | list):
        return [t for part in value for t in texts_in(part)]
    return []


def sensitive(campaign: Campaign) -> set[str]:
    """What must not survive: accounts, paths, names of files and folders, URLs, texts."""
    found = set(ACCOUNTS)
    for item in campaign.items:
        for path in item.paths:
            found |= {path, *(part for part in Path(path).parts if len(part) > 3)}
        for post in item.posts:
            found |= {post.url, post.text, *(v for v in post.extra.values() if len(v) > 3)}
    return found | {"posts.csv", "campaign.db", HOSTILE_NAME, HOSTILE_PROMPT, HOSTILE_TEXT, PROMPT}


def test_no_name_path_url_or_text_survives_in_any_field(redactor: Redactor):
    campaign = sample_campaign()
    everything = "\n".join(texts_in(redactor.campaign(campaign)))
    assert [text for text in sensitive(campaign) - {""} if text in everything] == []


def test_none_survives_in_the_statement_of_custody_either(redactor: Redactor):
    campaign = sample_campaign()
    said = "\n".join(texts_in(statement(redactor.campaign(campaign))))
    assert [text for text in sensitive(campaign) - {""} if text in said] == []


def test_hashes_scores_verdicts_and_structure_stay(redactor: Redactor):
    campaign = sample_campaign()
    clean = redactor.campaign(campaign)
    for before, after in zip(campaign.items, clean.items, strict=True):
        assert after.finding.sha256 == before.finding.sha256
        assert after.finding.score == before.finding.score
        assert after.finding.verdict == before.finding.verdict
        assert after.cluster == before.cluster
        assert len(after.posts) == len(before.posts)
    assert clean.timeline == campaign.timeline
    assert [len(c.accounts) for c in clean.clusters] == [len(c.accounts) for c in campaign.clusters]
    assert clean.custody.config_hash == campaign.custody.config_hash


def test_one_name_has_one_pseudonym_everywhere(redactor: Redactor):
    clean = redactor.campaign(sample_campaign())
    posted = {post.account for item in clean.items for post in item.posts}
    assert posted == {redactor.account(name) for name in ACCOUNTS}
    assert {summary.account for summary in clean.accounts} == posted
    assert {name for edge in clean.edges for name in edge.accounts} <= posted
    assert {row.group for row in clean.prevalence if row.by == "account"} == posted
    assert all(list(edge.accounts) == sorted(edge.accounts) for edge in clean.edges)


def test_the_same_secret_gives_the_same_pseudonyms_and_another_others():
    campaign = sample_campaign()
    once, again = Redactor(SECRET).campaign(campaign), Redactor(SECRET).campaign(campaign)
    assert once == again
    assert Redactor().account("account-a") != Redactor().account("account-a")


def test_a_shared_prompt_still_shows_as_shared(redactor: Redactor):
    clean = redactor.campaign(sample_campaign())
    prompts = [e.raw["prompt"] for i in clean.items for e in i.evidence if "prompt" in e.raw]
    shared = next(link for link in clean.links if link.trace == "prompt")
    assert shared.value in prompts


def test_known_programs_and_trusted_signers_keep_their_names_and_others_do_not(redactor: Redactor):
    clean = redactor.campaign(sample_campaign())
    issuers = {e.issuer for item in clean.items for e in item.evidence}
    assert {"Stable Diffusion web UI", "Example Image Service"} <= issuers
    assert "Example Press" not in issuers


def test_an_issuer_that_a_sentence_names_has_its_pseudonym_there_too(redactor: Redactor):
    campaign = sample_campaign()
    index = next(i for i, item in enumerate(campaign.items) if "broken" in item.finding.path)
    item = campaign.items[index]
    said = "The signature of Example Press does not hold."
    item = replace(item, finding=replace(item.finding, conflicts=(said,)))
    clean = redactor.campaign(replace(campaign, items=(item,))).items[0]
    assert clean.finding.conflicts == (
        f"The signature of {clean.evidence[0].issuer} does not hold.",
    )


def test_a_model_that_is_named_by_its_file_loses_the_file(redactor: Redactor):
    campaign = sample_campaign()
    item = campaign.items[0]
    item = replace(item, finding=replace(item.finding, model="hf:/home/user/model"))
    clean = redactor.campaign(replace(campaign, items=(item,), clusters=()))
    assert "user" not in clean.items[0].finding.model
    assert clean.custody.model == campaign.custody.model


def test_names_inside_sentences_and_errors_are_replaced(redactor: Redactor):
    campaign = sample_campaign()
    words = "Account-A posted collected/account-b/crowd.jpg, see /home/user/x.txt, a@b.example, @me"
    campaign = replace(campaign, title=words, gaps=(Gap("failed", 1, words),))
    clean = redactor.campaign(campaign)
    for text in (clean.title, clean.gaps[0].words):
        assert redactor.account("account-a") in text
        for gone in ("ccount-A", "account-b", "crowd", "/home", "a@b", "@me"):
            assert gone not in text


def test_a_bad_row_keeps_the_complaint_and_not_the_row(redactor: Redactor):
    rows = (BadRow(3, "posted_at is not a date: 'private words'"), BadRow(4, "names no file"))
    context = replace(sample_campaign().context, bad=rows)
    clean = redactor.campaign(replace(sample_campaign(), context=context)).context.bad
    assert [row.reason for row in clean] == ["posted_at is not a date (redacted)", "names no file"]


def test_a_command_keeps_its_options_and_loses_its_paths(redactor: Redactor):
    line = "detector scan 'my folder' s3://bucket/x --store=secret.db --workers 4 -q"
    custody = replace(sample_campaign().custody, commands=(line, "detector scan 'unclosed"))
    first, second = redactor.campaign(replace(sample_campaign(), custody=custody)).custody.commands
    assert first.startswith("detector scan redacted/")
    assert "--workers 4 -q" in first
    assert "--store=redacted/" in first
    assert not any(gone in first + second for gone in ("folder", "bucket", "secret", "unclosed"))


_WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=6, max_size=40)


@settings(max_examples=40, deadline=None)
@given(_WORDS, _WORDS, _WORDS)
@example("000000", "000000", "medium")
def test_whatever_the_names_are_they_do_not_survive(account: str, name: str, prompt: str):
    campaign = sample_campaign()
    evidence = Evidence(
        "a1111_parameters",
        "metadata",
        Asserts.GENERATED,
        account,
        Trust.SELF_DECLARED,
        {"prompt": prompt, "nested": [{account: name, "who": [account, prompt]}]},
    )
    item = campaign.items[0]
    path = f"folder/{name}.jpg"
    item = replace(
        item,
        finding=replace(item.finding, path=path, reason=f"Not read: '{path}' of {account}"),
        paths=(path,),
        evidence=(evidence,),
        posts=(Post(2, account, text=prompt, url=f"https://example.org/{account}"),),
    )
    link = TraceLink("prompt", prompt, (account,), (item.finding.sha256,), None, 1.0, prompt)
    made = replace(campaign, items=(item,), links=(link,), clusters=(), title=f"About {account}")
    clean = Redactor(SECRET).campaign(made)
    about = [*texts_in(clean.items), *texts_in(clean.links), clean.title]
    # Words of the tool's own that a name may happen to be, such as the stratum's "medium".
    kept = {*texts_in(made.items[0].finding.file), "Stable Diffusion web UI"}
    kept |= {*texts_in(item.finding.stratum)}
    for gone in (account, name, prompt):
        if any(gone.strip().lower() in word.lower() for word in kept):
            continue
        assert not any(gone in text for text in about)


def test_a_secret_file_is_made_once_and_read_again(tmp_path: Path):
    place = tmp_path / "pseudonyms.key"
    first = load_secret(place)
    assert load_secret(place) == first
    assert place.stat().st_mode & 0o077 == 0
    place.write_text("short")
    with pytest.raises(UsageError, match="16 bytes"):
        load_secret(place)
    with pytest.raises(UsageError, match="cannot use"):
        load_secret(tmp_path / "nowhere" / "key")


# Pictures


def _astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="needs the extra 'demo'")
    return np.asarray(data.astronaut())


FACE = (slice(70, 170), slice(185, 265))  # of skimage's astronaut, 512 × 512
FLAG = (slice(20, 150), slice(20, 120))


@pytest.mark.skipif(faces._centerface_weights() is None, reason="needs the extra 'redact'")
def test_a_face_is_gone_and_the_rest_of_the_picture_stays():
    rgb = _astronaut()
    clean = faces.blurred(rgb, faces.find())
    assert clean.shape == rgb.shape
    detail = [np.abs(np.diff(a[FACE].astype(float), axis=1)).mean() for a in (rgb, clean)]
    assert detail[1] < detail[0] / 2
    assert np.array_equal(clean[FLAG], rgb[FLAG])


@pytest.mark.skipif(faces._centerface_weights() is None, reason="needs the extra 'redact'")
def test_a_face_in_a_thumbnail_is_gone_too():
    small = Image.fromarray(_astronaut()).resize((160, 160))
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=90)
    clean = Redactor(SECRET).thumbnail(stream.getvalue())
    after = np.asarray(Image.open(io.BytesIO(clean)).convert("RGB"))
    face = (slice(22, 52), slice(58, 82))
    change = np.abs(after[face].astype(float) - np.asarray(small)[face]).mean()
    rest = np.abs(after[100:].astype(float) - np.asarray(small)[100:]).mean()
    assert change > 3 * rest


def test_without_a_detector_the_whole_picture_is_unrecognisable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faces, "_centerface_weights", lambda: None)
    monkeypatch.setattr(faces, "_cascades", lambda: ())
    redactor = Redactor(SECRET)
    assert "as a whole" in redactor.method
    rgb = _astronaut()
    clean = redactor.image(rgb)
    detail = [np.abs(np.diff(a.astype(float), axis=1)).mean() for a in (rgb, clean)]
    assert detail[1] < detail[0] / 5


def test_redaction_leaves_the_callers_array_alone():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    before = rgb.copy()
    rgb.setflags(write=False)
    Redactor(SECRET).image(rgb)
    assert np.array_equal(rgb, before)


def test_a_mosaic_does_not_depend_on_what_was_between_its_cells():
    rng = np.random.default_rng(1)
    flat = np.full((60, 60, 3), 128, np.uint8)
    noisy = np.clip(flat + rng.integers(-90, 91, flat.shape), 0, 255).astype(np.uint8)
    assert np.abs(faces._mosaic(noisy, 6).astype(float) - 128).max() < 40


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (33, 7, 3)])
def test_odd_shapes_are_redacted_too(shape: tuple[int, ...], redactor: Redactor):
    assert redactor.image(np.zeros(shape, np.uint8)).shape == shape


def test_a_face_model_that_is_none_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="no such file"):
        Redactor(SECRET, face_model=tmp_path / "no.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(UsageError, match="not a YuNet model"):
        Redactor(SECRET, face_model=tmp_path / "bad.onnx")
