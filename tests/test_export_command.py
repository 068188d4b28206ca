"""`detector export`: one record per path as ever, and the campaign in other tools' formats."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector import plugins
from detector.campaign.records import Campaign
from detector.cli import codes, main
from detector.integrations.label_studio import LABEL_CONFIG, read_controls, tasks
from detector.store import Store
from tests.campaign_samples import sample_campaign
from tests.report_samples import failed, scored

FORMATS = {"csv", "jsonl", "parquet", "stix", "misp", "label_studio"}


def _thumbnail(seed: int) -> bytes:
    rgb = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rgb).resize((160, 120), Image.Resampling.BICUBIC).save(stream, "WEBP")
    return stream.getvalue()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of four paths in two folders, and a table of posts beside it."""
    monkeypatch.chdir(tmp_path)
    findings = [
        scored("in/one/a.jpg", 2.5),
        scored("in/one/b.jpg", 0.5),
        scored("in/two/c.jpg", -2.0),
        failed("in/two/d.jpg"),
    ]
    with Store.open(tmp_path / "s.db") as made:
        scan = made.begin_scan("lite_v1", "0123", tool="detector 0.0.0", roots=["in"])
        thumbnails = {f.sha256: _thumbnail(i) for i, f in enumerate(findings[:3])}
        made.put(findings, thumbnails, "0123", scan=scan)
        made.end_scan(scan, "finished")
    (tmp_path / "posts.csv").write_text(
        "file,account,platform,posted_at,url,text\n"
        "in/one/a.jpg,=evil,forum,2026-01-05T10:00:00Z,https://example.org/1,words of a post\n"
        "in/one/b.jpg,other,forum,2026-01-06T10:00:00Z,https://example.org/2,=1+1\n"
    )
    return tmp_path / "s.db"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_without_a_campaign_there_is_one_record_per_path(store: Path):
    assert main(["export", str(store), "--csv", "o.csv"]) == codes.OK
    assert [row["path"] for row in rows(Path("o.csv"))] == [
        "in/one/a.jpg",
        "in/one/b.jpg",
        "in/two/c.jpg",
        "in/two/d.jpg",
    ]
    assert "accounts" not in rows(Path("o.csv"))[0]


def test_with_a_table_of_context_images_know_their_accounts(store: Path):
    words = ["export", str(store), "--context", "posts.csv", "--csv", "o.csv", "--tables", "all"]
    assert main(words) == codes.OK
    assert [row["accounts"] for row in rows(Path("o.csv"))] == ["'=evil", "other", "", ""]
    posts = rows(Path("all/posts.csv"))
    assert [row["text"] for row in posts] == ["words of a post", "'=1+1"]


def test_a_table_can_be_chosen(store: Path):
    words = ["export", str(store), "--context", "posts.csv", "--table", "accounts"]
    assert main([*words, "--jsonl", "o.jsonl"]) == codes.OK
    accounts = [json.loads(line)["account"] for line in Path("o.jsonl").read_text().splitlines()]
    assert accounts == ["=evil", "other"]


def test_stix_misp_and_label_studio_are_written_from_one_campaign(store: Path):
    stix2 = pytest.importorskip("stix2", reason="needs the extra 'campaign'")
    pymisp = pytest.importorskip("pymisp", reason="needs the extra 'campaign'")
    words = ["export", str(store), "--context", "posts.csv", "--title", "Try", "--thumbnails"]
    outputs = ["--stix", "b.json", "--misp", "e.json", "--label-studio", "t.json"]
    assert main([*words, *outputs, "--tlp", "green"]) == codes.OK
    bundle = stix2.parse(Path("b.json").read_text("utf-8"))
    kinds = [o["type"] for o in bundle.objects]
    assert (kinds.count("file"), kinds.count("artifact"), kinds.count("report")) == (4, 3, 1)
    event = pymisp.MISPEvent()
    event.load_file("e.json")
    assert event.info == "Try"
    made = json.loads(Path("t.json").read_text("utf-8"))
    assert [t["predictions"][0]["result"][0]["value"]["choices"] for t in made] == [
        ["likely_generated"],
        ["inconclusive"],
        ["no_sign"],
        ["unscored"],
    ]


def test_two_exports_of_one_store_are_the_same_bytes(store: Path):
    for name in ("1", "2"):
        words = ["export", str(store), "--context", "posts.csv", "--stix", f"s{name}"]
        assert main([*words, "--misp", f"m{name}", "--csv", f"c{name}"]) == codes.OK
    for kind in "smc":
        assert Path(f"{kind}1").read_bytes() == Path(f"{kind}2").read_bytes()


def test_redacted_exports_name_nobody_and_agree_with_each_other(store: Path):
    words = ["export", str(store), "--context", "posts.csv", "--secret", "key"]
    assert main([*words, "--stix", "b.json", "--csv", "o.csv"]) == codes.OK
    assert main([*words, "--table", "posts", "--csv", "p.csv"]) == codes.OK
    text = "".join(Path(name).read_text("utf-8") for name in ("b.json", "o.csv", "p.csv"))
    for gone in ("evil", "in/one", "example.org/1", "words of a post", "posts.csv"):
        assert gone not in text
    assert not re.search(r"(?<![0-9a-f])a\.jpg", text)  # a pseudonym may end in this letter
    assert rows(Path("o.csv"))[0]["accounts"] in {row["account"] for row in rows(Path("p.csv"))}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name an output"),
        (["--csv", "-", "--jsonl", "-"], "only one output"),
        (["--format", "nothing", "x"], "installed are"),
        (["--csv", "x", "--table", "nothing"], "images, posts"),
        (["--stix", "x", "--model", "m"], "--model goes with"),
        (["--stix", "nowhere/x"], "cannot write"),
        (["--csv", "x", "--context", "no.csv"], "no.csv"),
    ],
)
def test_wrong_usage_names_the_cure(
    store: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["export", str(store), *words]) == codes.USAGE
    assert complaint in capsys.readouterr().err


def test_every_format_of_ours_is_a_plug_in_like_any_other():
    ours = {p.name for p in entry_points(group=plugins.EXPORTERS) if "detector." in p.value}
    if not ours:
        pytest.skip("the package was installed before it had exporters: install it again")
    assert ours == FORMATS
    loaded, faults = plugins.entries(plugins.EXPORTERS)
    assert not faults
    assert {name for name, _ in loaded} >= FORMATS


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_writes_a_campaign_to_a_file(name: str, tmp_path: Path):
    loaded = dict(plugins.entries(plugins.EXPORTERS)[0])
    if name not in loaded:
        pytest.skip("the package was installed before it had exporters: install it again")
    assert loaded[name](sample_campaign(), str(tmp_path / "out")) > 0
    assert (tmp_path / "out").stat().st_size > 100


def test_a_format_of_another_package_is_called_by_its_name(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[tuple[Campaign, str]] = []
    monkeypatch.setattr(plugins, "points", lambda group: {"theirs": None})
    monkeypatch.setattr(plugins, "load", lambda group, name: lambda *both: seen.append(both))
    assert main(["export", str(store), "--format", "theirs", "out.x"]) == codes.OK
    assert [(len(campaign.items), out) for campaign, out in seen] == [(4, "out.x")]


def test_a_task_points_at_its_file_and_fits_the_labelling_interface():
    item = sample_campaign().items[0]
    made = tasks.task(replace(item, finding=replace(item.finding, path="my folder/a#1.jpg")))
    assert made["data"]["image"] == "/data/local-files/?d=my%20folder/a%231.jpg"
    controls = read_controls(LABEL_CONFIG)
    names = {control.name for control in controls.controls}
    assert {r["from_name"] for r in made["predictions"][0]["result"]} <= names
    url = replace(item, finding=replace(item.finding, path="s3://bucket/a.jpg"))
    assert tasks.task(url)["data"]["image"] == "s3://bucket/a.jpg"
