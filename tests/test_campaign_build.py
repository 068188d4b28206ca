"""A made campaign is read back: its copies, crops, planted traces, and share."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from benchmarks.make_campaign import (
    PLANTED_MODEL,
    PLANTED_PASSAGE,
    PLANTED_PRODUCER,
    PLANTED_SEED,
    Made,
    make,
)
from detector.campaign import Campaign, build, graph
from detector.campaign.gaps import summed
from detector.results import Finding, Status
from detector.store import Store
from tests import campaign_store

PICTURES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("campaign") / "collected"


@pytest.fixture(scope="module")
def made(folder: Path) -> list[Made]:
    return make(folder, pictures=PICTURES, seed=3)


@pytest.fixture(scope="module")
def store(folder: Path, made: list[Made]) -> Store:
    return campaign_store.fill(folder, folder.parent / "store.db", made)


@pytest.fixture(scope="module")
def campaign(store: Store, folder: Path) -> Campaign:
    return build(store, context=folder / "posts.csv", bundle=campaign_store.bundle())


def pairs(groups: list[list[str]]) -> set[tuple[str, str]]:
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def found_pairs(campaign: Campaign, folder: Path) -> set[tuple[str, str]]:
    groups = defaultdict(list)
    for item in campaign.items:
        if item.cluster:
            groups[item.cluster] += [Path(p).relative_to(folder).as_posix() for p in item.paths]
    return pairs(list(groups.values()))


def planted_pairs(made: list[Made], treatment: str = "") -> set[tuple[str, str]]:
    groups = defaultdict(list)
    for row in made:
        if not treatment or row.treatment in ("original", treatment):
            groups[row.picture].append(row.file)
    return pairs(list(groups.values()))


def test_planted_clusters_are_found_and_nothing_else(
    campaign: Campaign, folder: Path, made: list[Made]
) -> None:
    planted, found = planted_pairs(made), found_pairs(campaign, folder)

    assert len(planted & found) / len(planted) >= 0.95
    assert len(planted & found) / len(found) >= 0.99


@pytest.mark.parametrize("treatment", ["recompressed", "crop", "overlay", "mirrored"])
def test_every_treatment_is_found(
    treatment: str, campaign: Campaign, folder: Path, made: list[Made]
) -> None:
    planted = planted_pairs(made, treatment)

    assert len(planted & found_pairs(campaign, folder)) / len(planted) >= 0.8


def test_planted_traces_come_first(campaign: Campaign) -> None:
    accounts = {"account-a", "account-b", "account-c"}
    first = campaign.links[:2]
    planted = [link for link in campaign.links if set(link.accounts) <= accounts]

    assert {link.trace for link in first} == {"seed", "prompt"}
    assert all(set(link.accounts) <= accounts and link.surprise > 2 for link in first)
    assert PLANTED_SEED in {link.value for link in first}
    assert any(PLANTED_PASSAGE in link.value for link in first)
    assert {("model", PLANTED_MODEL)} <= {(link.trace, link.value) for link in planted}
    assert any(PLANTED_PRODUCER[4:22] in link.value for link in planted)
    assert all("lead" in link.words for link in campaign.links)


def test_the_share_counts_pictures_and_its_interval_holds_the_truth(
    campaign: Campaign, made: list[Made]
) -> None:
    everything = campaign.prevalence[0]
    truth = len({m.picture for m in made if m.generated}) / PICTURES

    assert everything.by == "all"
    assert abs(everything.pictures - PICTURES) <= 2
    assert not everything.bounds_only
    assert everything.low <= truth <= everything.high
    assert everything.high - everything.low < 0.6


def test_accounts_clusters_edges_and_timeline_agree(campaign: Campaign, made: list[Made]) -> None:
    posts = sum(account.posts for account in campaign.accounts)
    binned = sum(b.flagged + b.inconclusive + b.no_sign + b.failed for b in campaign.timeline)

    assert posts == binned == campaign.context.matched == len(made)
    assert {pair for edge in campaign.edges for pair in [edge.accounts]} >= {
        pair for c in campaign.clusters for pair in combinations(c.accounts, 2)
    }
    assert graph(campaign).number_of_edges() == len(campaign.edges)
    for cluster in campaign.clusters:
        assert cluster.members[0].by == "seed"
        assert cluster.first_seen <= cluster.last_seen


def test_the_same_store_gives_the_same_campaign(
    store: Store, folder: Path, campaign: Campaign
) -> None:
    again = build(store, context=folder / "posts.csv", bundle=campaign_store.bundle())

    assert again.clusters == campaign.clusters
    assert (again.links, again.prevalence, again.edges) == (
        campaign.links,
        campaign.prevalence,
        campaign.edges,
    )


def test_without_a_table_folders_are_accounts_and_without_a_bundle_nothing_is_estimated(
    store: Store, made: list[Made]
) -> None:
    campaign = build(store)

    assert {a.account for a in campaign.accounts} == {m.account for m in made}
    assert campaign.prevalence[0].bounds_only
    assert (campaign.prevalence[0].low, campaign.prevalence[0].high) == (0.0, 1.0)
    assert {"no_error_rates", "no_context"} <= summed(campaign.gaps).keys()
    assert campaign.timeline == ()


def test_files_that_failed_are_items_and_gaps(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db")
    scan = store.begin_scan("standin_v1", "c0ffee", roots=["in"])
    store.put(
        [
            Finding("in/a/half.jpg", "ab" * 32, Status.TRUNCATED, "Ends early.", "standin_v1"),
            Finding("in/a/gone.jpg", "", Status.MISSING, "Not there.", "standin_v1"),
            Finding("in/b/gone.jpg", "", Status.MISSING, "Not there.", "standin_v1"),
        ],
        config_hash="c0ffee",
        scan=scan,
    )

    campaign = build(store)

    assert [item.paths for item in campaign.items] == [
        ("in/a/gone.jpg",),
        ("in/a/half.jpg",),
        ("in/b/gone.jpg",),
    ]
    assert summed(campaign.gaps)["failed_missing"] == 2
    assert {a.account: a.failed for a in campaign.accounts} == {"a": 2, "b": 1}
    assert campaign.clusters == ()
