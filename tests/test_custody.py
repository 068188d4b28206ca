"""A statement of custody says what was measured; what changed since is found and named."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.campaign.records import Campaign, Item
from detector.cli import codes, main
from detector.custody import (
    Change,
    Installed,
    digest,
    new_key,
    read_statement,
    sign,
    statement,
    verify,
    verify_signature,
)
from detector.errors import CustodyError, MissingExtraError, UsageError
from detector.redact import Redactor
from detector.results import Finding, Status, Verdict
from tests.campaign_samples import sample_campaign

TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four originals in two folders; one holds the same bytes as another."""
    for name, data in (("a/1.jpg", b"one"), ("a/2.jpg", b"two"), ("b/3.jpg", b"three")):
        path = tmp_path / "collected" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    shutil.copy(tmp_path / "collected/a/1.jpg", tmp_path / "collected/b/copy.jpg")
    return tmp_path


def measured(folder: Path) -> Campaign:
    """A campaign whose files are those of the folder, under relative names."""
    found: dict[str, list[str]] = {}
    for path in sorted((folder / "collected").rglob("*.jpg")):
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        found.setdefault(sha, []).append(path.relative_to(folder).as_posix())
    items = [
        Item(
            Finding(
                paths[0], sha, Status.OK, "Made up.", "m_v1", 1.25, verdict=Verdict.INCONCLUSIVE
            ),
            tuple(paths),
        )
        for sha, paths in found.items()
    ]
    items.append(
        Item(
            Finding("collected/gone.jpg", "", Status.MISSING, "No such file."),
            ("collected/gone.jpg",),
        )
    )
    return replace(sample_campaign(), items=tuple(items))


def report_of(folder: Path) -> Path:
    """A page with the statement inside, as a report carries it."""
    said = json.dumps(statement(measured(folder))).replace("<", "\\u003c")
    page = folder / "report.html"
    page.write_text(
        "<!doctype html><title>Report</title><p>custody</p><script>const custody = {};</script>"
        f'<script type="application/json" id="custody">{said}</script>',
        encoding="utf-8",
    )
    return page


def kinds(changes: list[Change]) -> list[tuple[str, str]]:
    return sorted((change.kind, Path(change.subject).name) for change in changes)


def test_a_statement_lists_every_path_of_every_image_with_its_hash():
    campaign = sample_campaign()
    said = statement(campaign)
    listed = {(line["path"], line["sha256"]) for line in said["files"]}
    assert listed == {(p, item.finding.sha256) for item in campaign.items for p in item.paths}
    assert said["commands"] == list(campaign.custody.commands)
    assert said["started"] == "2026-02-14T08:30:00Z"
    assert said["context"]["sha256"] == campaign.custody.context_sha256


def test_a_statement_is_plain_json_with_its_own_hash():
    said = statement(sample_campaign())
    back = json.loads(json.dumps(said))
    assert back == said
    assert digest(back) == said["sha256"]
    assert statement(sample_campaign()) == said


@given(TEXT)
def test_any_name_survives_in_a_statement_and_in_its_hash(name: str):
    campaign = replace(sample_campaign(), title=name)
    campaign = replace(campaign, items=(replace(campaign.items[0], paths=(name,)),))
    said = json.loads(json.dumps(statement(campaign)))
    assert (said["title"], said["files"][0]["path"]) == (name, name)
    assert digest(said) == said["sha256"]


def test_bytes_that_are_no_text_stay_visible_in_a_statement():
    item = replace(sample_campaign().items[0], paths=("odd-\udcff.jpg",))
    said = statement(replace(sample_campaign(), items=(item,)))
    assert said["files"][0]["path"] == "odd-\\xff.jpg"


def test_nothing_has_changed_when_nothing_has(folder: Path, monkeypatch: pytest.MonkeyPatch):
    report = report_of(folder)
    assert verify(report, roots=[folder / "collected"]) == []
    monkeypatch.chdir(folder)
    assert verify(report) == []


def test_a_statement_alone_is_checked_like_a_report(folder: Path):
    alone = folder / "statement.json"
    alone.write_text(json.dumps(statement(measured(folder))))
    assert verify(alone, roots=[folder / "collected"]) == []


def test_an_altered_a_missing_a_moved_and_a_new_file_are_told_apart(folder: Path):
    report, root = report_of(folder), folder / "collected"
    (root / "a/1.jpg").write_bytes(b"altered")
    (root / "a/2.jpg").rename(root / "b/renamed.jpg")
    (root / "b/3.jpg").unlink()
    (root / "b/new.jpg").write_bytes(b"new")
    assert kinds(verify(report, roots=[root])) == [
        ("altered", "1.jpg"),
        ("missing", "3.jpg"),
        ("moved", "2.jpg"),
        ("new", "new.jpg"),
    ]


def test_a_folder_under_another_name_is_no_loss(folder: Path):
    report = report_of(folder)
    (folder / "collected").rename(folder / "archive")
    assert verify(report, roots=[folder / "archive"]) == []


def test_only_what_breaks_a_report_is_serious(folder: Path):
    report, root = report_of(folder), folder / "collected"
    (root / "a/2.jpg").rename(root / "b/renamed.jpg")
    (root / "b/new.jpg").write_bytes(b"new")
    assert not any(change.serious for change in verify(report, roots=[root]))
    (root / "b/renamed.jpg").unlink()
    assert [c.kind for c in verify(report, roots=[root]) if c.serious] == ["missing"]


def test_a_file_that_was_missing_and_is_there_now_is_named(folder: Path):
    report = report_of(folder)
    (folder / "collected/gone.jpg").write_bytes(b"here")
    changes = verify(report, roots=[folder / "collected"])
    assert kinds(changes) == [("appeared", "gone.jpg")]


def test_a_statement_that_was_edited_is_found_out(folder: Path):
    report = report_of(folder)
    report.write_text(report.read_text().replace("1.25", "-1.25"))
    assert kinds(verify(report, roots=[folder / "collected"])) == [("statement", "sha256")]


def test_a_name_cannot_lead_out_of_the_roots(folder: Path):
    secret = folder / "secret.txt"
    secret.write_bytes(b"one")
    campaign = measured(folder)
    item = replace(campaign.items[0], paths=("../secret.txt",))
    alone = folder / "statement.json"
    alone.write_text(json.dumps(statement(replace(campaign, items=(item,)))))
    changes = verify(alone, roots=[folder / "collected/b"])
    assert [change.kind for change in changes if change.subject == "../secret.txt"] == ["moved"]
    assert str(secret) not in changes[0].detail


def test_another_tool_model_or_setting_is_named(folder: Path):
    installed = Installed("detector 9.9.9", "", "")
    changes = verify(report_of(folder), roots=[folder / "collected"], installed=installed)
    assert [change.kind for change in changes] == ["tool", "model", "config"]
    assert "here is none" in changes[1].detail


def test_the_table_of_context_is_held_against_its_hash(folder: Path):
    table = folder / "posts.csv"
    table.write_bytes(b"posts.csv")
    report, roots = report_of(folder), [folder / "collected"]
    assert verify(report, roots=roots, context=table) == []
    table.write_bytes(b"posts.csv, edited")
    assert kinds(verify(report, roots=roots, context=table)) == [("context", "posts.csv")]


def test_a_sample_is_scored_again_and_compared_within_the_tolerance(folder: Path):
    report, roots = report_of(folder), [folder / "collected"]
    seen: list[Path] = []

    def scorer(paths, score=1.27, verdict=Verdict.INCONCLUSIVE):
        seen.extend(paths)
        return [Finding(str(p), "", Status.OK, "", "", score, verdict=verdict) for p in paths]

    assert verify(report, roots=roots, scorer=scorer, rescore=2) == []
    assert len(seen) == 2
    far = verify(report, roots=roots, scorer=lambda p: scorer(p, 2.0), rescore=3)
    assert [change.kind for change in far] == ["score"] * 3
    other = verify(
        report, roots=roots, scorer=lambda p: scorer(p, 1.25, Verdict.NO_SIGN), rescore=1
    )
    assert [change.kind for change in other] == ["verdict"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<p>no block</p>",
        '<script type="application/json" id="custody">{</script>',
        '<script id="custody">[]</script>',
        '<script id="custody">{"schema_version": 99}</script>',
        '<script id="custody">{"schema_version": 1, "files": [{}]}</script>',
        '{"schema_version": 1}',
    ],
)
def test_what_holds_no_statement_is_an_error_and_not_a_pass(tmp_path: Path, text: str):
    report = tmp_path / "report.html"
    report.write_text(text)
    with pytest.raises(CustodyError, match="statement of custody"):
        read_statement(report)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_statement_or_an_error(tmp_path_factory, data: bytes):
    report = tmp_path_factory.mktemp("any") / "report.html"
    report.write_bytes(data)
    with pytest.raises(CustodyError):
        read_statement(report)


# Signatures


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A signed file and the key that signed it."""
    pytest.importorskip("minisign", reason="needs the extra 'campaign'")
    report = tmp_path / "report.html"
    report.write_bytes(b"<p>found</p>")
    key = tmp_path / "analyst.key"
    new_key(key)
    sign(report, key)
    return report, key


def test_a_signature_holds_until_the_file_changes(signed: tuple[Path, Path]):
    report, key = signed
    assert "file:report.html" in verify_signature(report, f"{key}.pub")
    report.write_bytes(b"<p>Found</p>")
    with pytest.raises(CustodyError, match="does not hold"):
        verify_signature(report, f"{key}.pub")


def test_a_signed_comment_cannot_be_edited(signed: tuple[Path, Path]):
    report, key = signed
    place = Path(f"{report}.minisig")
    place.write_text(place.read_text().replace("file:report", "file:rep0rt"))
    with pytest.raises(CustodyError, match="does not hold"):
        verify_signature(report, f"{key}.pub")


def test_another_persons_key_does_not_fit(signed: tuple[Path, Path], tmp_path: Path):
    report, _ = signed
    other = new_key(tmp_path / "other.key")
    with pytest.raises(CustodyError, match="does not hold"):
        verify_signature(report, other)


def test_a_missing_signature_is_an_error(signed: tuple[Path, Path]):
    report, key = signed
    Path(f"{report}.minisig").unlink()
    with pytest.raises(CustodyError, match="no signature"):
        verify_signature(report, f"{key}.pub")


def test_a_secret_key_is_its_owners_alone_and_never_overwritten(signed: tuple[Path, Path]):
    _, key = signed
    assert key.stat().st_mode & 0o077 == 0
    before = key.read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        new_key(key)
    assert key.read_bytes() == before


def test_a_key_with_a_password_needs_it(tmp_path: Path):
    pytest.importorskip("minisign", reason="needs the extra 'campaign'")
    report, key = tmp_path / "r.html", tmp_path / "k"
    report.write_bytes(b"x")
    public = new_key(key, "correct horse")
    with pytest.raises(CustodyError, match="password"):
        sign(report, key, "wrong")
    sign(report, key, "correct horse")
    assert verify_signature(report, public)


def test_a_name_that_is_not_ascii_can_be_signed(tmp_path: Path):
    pytest.importorskip("minisign", reason="needs the extra 'campaign'")
    report, key = tmp_path / "отчёт\n.html", tmp_path / "k"
    report.write_bytes(b"x")
    new_key(key)
    sign(report, key)
    assert verify_signature(report, f"{key}.pub").isascii()


@pytest.mark.skipif(shutil.which("minisign") is None, reason="needs the minisign program")
def test_minisign_itself_checks_our_signatures_and_we_its(signed: tuple[Path, Path]):
    report, key = signed
    ours = ["minisign", "-V", "-p", f"{key}.pub", "-m", str(report)]
    assert subprocess.run(ours, capture_output=True).returncode == 0
    theirs = key.with_name("theirs.key")
    for words in (
        ["-G", "-W", "-s", str(theirs), "-p", f"{theirs}.pub"],
        ["-S", "-s", str(theirs), "-m", str(report)],
    ):
        subprocess.run(["minisign", *words], check=True, capture_output=True)
    assert "file:report.html" in verify_signature(report, f"{theirs}.pub")
    sign(report, theirs)
    assert verify_signature(report, f"{theirs}.pub")


def test_signing_without_its_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "minisign", None)
    with pytest.raises(MissingExtraError, match=r"aigi-detector\[campaign\]"):
        new_key(tmp_path / "k")


# The command


def test_the_command_says_that_nothing_has_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["verify", str(report_of(folder)), "--root", str(folder / "collected")]) == codes.OK
    out = capsys.readouterr().out
    # The made-up model of the sample is not installed, which is a difference and no loss.
    assert "The report holds" in out
    assert "5 files" in out


def test_the_command_fails_when_an_original_is_altered(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    report, root = report_of(folder), folder / "collected"
    (root / "b/new\x1b[31m.jpg").write_bytes(b"new")
    words = ["verify", str(report), "--root", str(root), "--json"]
    assert main(words) == codes.OK
    capsys.readouterr()
    assert main([*words, "--strict"]) == codes.FLAGGED
    capsys.readouterr()
    (root / "a/2.jpg").write_bytes(b"altered")
    assert main(words) == codes.FLAGGED
    said = json.loads(capsys.readouterr().out)
    assert said["holds"] is False
    assert [c["kind"] for c in said["changes"] if c["serious"]] == ["altered"]
    main(words[:-1])
    assert "\x1b[31m.jpg" not in capsys.readouterr().out


def test_the_command_makes_a_key_signs_and_checks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("minisign", reason="needs the extra 'campaign'")
    report, key = report_of(folder), folder / "k"
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\nsecret\nsecret\n"))
    assert main(["verify", "--new-key", str(key)]) == codes.OK
    public = capsys.readouterr().out.strip()
    assert main(["verify", str(report), "--sign", str(key)]) == codes.OK
    words = ["verify", str(report), "--root", str(folder / "collected"), "--public-key", public]
    assert main(words) == codes.OK
    assert "The signature holds" in capsys.readouterr().out
    report.write_text(report.read_text() + " ")
    assert main(words) == codes.FLAGGED
    assert "signature" in capsys.readouterr().out


def test_a_redacted_report_is_checked_by_its_hashes(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    clean = statement(Redactor(b"0" * 32).campaign(measured(folder)))
    alone = folder / "statement.json"
    alone.write_text(json.dumps(clean))
    assert main(["verify", str(alone)]) == codes.USAGE
    assert "--root" in capsys.readouterr().err
    words = ["verify", str(alone), "--root", str(folder / "collected"), "--json"]
    assert main(words) == codes.OK
    kinds = [c["kind"] for c in json.loads(capsys.readouterr().out)["changes"]]
    assert not {"moved", "missing", "new"} & set(kinds)
    (folder / "collected/b/3.jpg").unlink()
    assert main(words) == codes.FLAGGED


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such-report.html"],
        ["report.html", "--root", "no-such-folder"],
        ["report.html", "--context", "no-such-table"],
        ["report.html", "--rescore", "-1"],
    ],
)
def test_wrong_usage_has_its_own_code(folder: Path, monkeypatch, words: list[str]):
    report_of(folder)
    monkeypatch.chdir(folder)
    assert main(["verify", *words]) == codes.USAGE
