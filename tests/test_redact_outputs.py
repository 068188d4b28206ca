"""No account, path, handle or caption of a campaign survives in any file that is handed on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.campaign.records import Campaign
from detector.custody import statement
from detector.export import misp, stix, tables
from detector.integrations.label_studio import tasks
from detector.redact import Redactor
from detector.report import write_report
from tests.campaign_samples import (
    ACCOUNTS,
    HOSTILE_PROMPT,
    HOSTILE_TEXT,
    PROMPT,
    sample_campaign,
    sample_thumbnails,
)

SECRET = b"a secret of thirty-two bytes....."


@pytest.fixture(scope="module")
def clean() -> Campaign:
    return Redactor(SECRET).campaign(sample_campaign())


def _html(campaign: Campaign, folder: Path) -> None:
    thumbnails = sample_thumbnails()
    write_report(
        campaign,
        folder / "report.html",
        thumbnails=thumbnails.get,
        custody=statement(campaign),
        charts=False,
    )


def _tables(campaign: Campaign, folder: Path) -> None:
    for kind in ("csv", "jsonl"):
        tables.write_all(campaign, str(folder / kind), kind)


OUTPUTS: dict[str, Callable[[Campaign, Path], object]] = {
    "html": _html,
    "tables": _tables,
    "stix": lambda campaign, folder: stix.write(campaign, str(folder / "stix.json")),
    "misp": lambda campaign, folder: misp.write(campaign, str(folder / "misp.json")),
    "label_studio": lambda campaign, folder: tasks.write(campaign, str(folder / "tasks.json")),
    "custody": lambda campaign, folder: (folder / "custody.json").write_text(
        json.dumps(statement(campaign))
    ),
}


def forbidden() -> set[str]:
    """What must not be found, and its last words, which survive a change of quotes."""
    campaign = sample_campaign()
    found = {*ACCOUNTS, "posts.csv", "campaign.db", "example.org", "At the town hall today"}
    found |= {PROMPT, HOSTILE_PROMPT, HOSTILE_TEXT, "golden hour", "blank banners", "gpj.exe"}
    for item in campaign.items:
        for path in item.paths:
            found |= {path, Path(path).name, str(Path(path).parent)}
    return found


def written(write: Callable[[Campaign, Path], object], campaign: Campaign, folder: Path) -> str:
    write(campaign, folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files
    text = "\n".join(path.read_text("utf-8") for path in files)
    # JSON inside a page hides a slash or a sign behind an escape.
    return text + re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m.group(1), 16)), text)


@pytest.mark.parametrize("kind", sorted(OUTPUTS))
def test_nothing_that_names_anybody_is_in_the_file(kind: str, clean: Campaign, tmp_path: Path):
    text = written(OUTPUTS[kind], clean, tmp_path).casefold()
    assert sorted(word for word in forbidden() if word.casefold() in text) == []


@pytest.mark.parametrize("kind", sorted(OUTPUTS))
def test_the_search_would_find_them_where_nothing_is_redacted(kind: str, tmp_path: Path):
    text = written(OUTPUTS[kind], sample_campaign(), tmp_path)
    assert any(word in text for word in forbidden())


@pytest.mark.parametrize("kind", sorted(set(OUTPUTS) - {"html"}))
def test_the_hashes_are_there_all_the_same(kind: str, clean: Campaign, tmp_path: Path):
    text = written(OUTPUTS[kind], clean, tmp_path)
    hashes = {i.finding.sha256 for i in clean.items if i.finding.sha256}
    assert all(sha256 in text for sha256 in hashes)


def test_ids_do_not_tell_a_name_to_who_guesses_it(clean: Campaign):
    import stix2

    ids = {o["id"] for o in stix.bundle(clean).objects}
    for account in ACCOUNTS:
        for platform in ("forum", "photos"):
            guess = stix2.v21.UserAccount(account_login=account, account_type=platform)
            assert guess["id"] not in ids
