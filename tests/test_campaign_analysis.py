"""Prevalence, links, labels, edges and the sample campaign: what may be said, and what not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from benchmarks import prevalence_simulation as simulation
from detector.campaign.context import Place
from detector.campaign.error_rates import ErrorRates, measure, of_bundle
from detector.campaign.labels import Labelled, load_labels, local_rates, read_labels, store_labels
from detector.campaign.links import find_links
from detector.campaign.network import cluster_id, edges_of, timeline_of
from detector.campaign.prevalence import Judged, judged_pictures, prevalence
from detector.campaign.quantify import Quantifier
from detector.campaign.recalibrate import recalibrate
from detector.campaign.records import Cluster, Item, Member, Post
from detector.campaign.reference import Kind, Reference, key_of, shipped
from detector.campaign.traces import passage, shingles
from detector.errors import StoreError, UsageError
from detector.results import (
    Asserts,
    Evidence,
    FileFacts,
    Finding,
    Status,
    Stratum,
    Trust,
    Verdict,
)
from detector.store import Store
from detector.weights import load_bundle
from tests.campaign_samples import sample_campaign, sample_thumbnails

DAY = datetime(2026, 1, 5, tzinfo=timezone.utc)
NO_REFERENCE = Reference({})


def item(
    name: str,
    account: str,
    *,
    score: float = 0.0,
    evidence: Sequence[Evidence] = (),
    cluster: str = "",
    platform: str = "",
    size: tuple[int, int] = (640, 480),
) -> Item:
    file = FileFacts(name, 1000, "JPEG", *size)
    finding = Finding(
        name,
        name,
        Status.OK,
        "",
        "m",
        score,
        0.5,
        1.0,
        Verdict.LIKELY_GENERATED if score > 1 else Verdict.NO_SIGN,
        stratum=Stratum("jpeg", "medium", "light"),
        file=file,
    )
    post = Post(2, account, platform, posted_at=DAY)
    return Item(finding, (name,), tuple(evidence), (post,), cluster)


def parameters(**raw: object) -> Evidence:
    return Evidence(
        "a1111_parameters", "metadata", Asserts.GENERATED, "Tool", Trust.SELF_DECLARED, dict(raw)
    )


# Prevalence


@pytest.mark.parametrize("scenario", ["same", "shifted"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(scenario: str) -> None:
    # A short run of benchmarks/prevalence_simulation.py, whose 500 draws are committed.
    found = simulation.run(simulation.ours(), simulation.draws(60, scenario, seed=11))

    assert 0.78 <= found["coverage"] <= 1.0
    assert found["mean_width"] < 0.7


def test_more_pictures_narrow_the_interval_but_never_below_the_rates_doubt() -> None:
    quantifier = Quantifier(simulation.calibration(np.random.default_rng(1)))
    few, many, most = (quantifier.share(np.array([60, 25, 15]) * n) for n in (1, 10, 1000))

    assert few.high - few.low > many.high - many.low
    assert most.high - most.low > 0.1
    assert few.low <= few.estimate <= few.high


def test_no_flags_leave_zero_possible_and_all_flags_one() -> None:
    quantifier = Quantifier(simulation.calibration(np.random.default_rng(1)))

    assert quantifier.share(np.array([200, 2, 0])).low == 0.0
    assert quantifier.share(np.array([0, 5, 95])).high == 1.0


def test_counts_by_source_are_measured_and_survive_the_config() -> None:
    rates = measure(
        [-1, 0.7, 2, 2, 0.2], [0, 0, 0, 1, 1], ["a", "a", "b", "c", "c"], [1.5, 0.5],
        kinds=["photo", "art", "art", "", ""], measured_on="a test",
    )  # fmt: skip

    assert rates.edges == (0.5, 1.5)
    assert rates.real == {"a · art": (0, 1, 0), "a · photo": (1, 0, 0), "b · art": (0, 0, 1)}
    assert rates.generated == {"c": (1, 0, 1)}
    assert rates.sources == (2, 1)
    assert ErrorRates.from_record(rates.to_record()) == rates
    with pytest.raises(ValueError, match="both labels"):
        measure([1.0], [0], ["a"], [0.5])


def test_the_default_bundle_gives_rates_and_says_whether_their_spread_is_assumed() -> None:
    rates = of_bundle(load_bundle(None))

    assert rates is not None
    real, generated = rates.draws(200, np.random.default_rng(0), (2, 1))
    assert real.shape == generated.shape == (200, len(rates.edges) + 1)
    np.testing.assert_allclose(real.sum(axis=1), 1)
    assert generated[:, -1].mean() > real[:, -1].mean()


def rows(count: int, *, measured: int, flagged: int = 0, known: int = 0) -> list[Judged]:
    return [
        Judged(
            f"p{i}",
            Verdict.LIKELY_GENERATED if i < flagged else Verdict.NO_SIGN,
            (2 if i < flagged else 0) if i < measured else None,
            1 if i < known else None,
            (Post(2, "account-a", posted_at=DAY),),
        )
        for i in range(count)
    ]


def test_what_was_not_measured_gives_bounds_and_small_groups_no_estimate() -> None:
    rates = simulation.calibration(np.random.default_rng(1))

    everything = prevalence(rows(100, measured=100, flagged=20), rates)
    half = prevalence(rows(100, measured=50), rates)[0]
    small = prevalence(rows(5, measured=5), rates)[0]
    nothing = prevalence(rows(5, measured=5), None)[0]

    assert [(row.by, row.group) for row in everything] == [
        ("all", ""),
        ("account", "account-a"),
        ("week", "2026-W02"),
    ]
    assert everything[0].estimate is not None
    assert half.bounds_only
    assert half.estimate is None
    assert half.high >= 0.5
    assert small.bounds_only
    assert "5 pictures" in small.reason
    assert (nothing.low, nothing.high, nothing.bounds_only) == (0.0, 1.0, True)


def test_confirmed_pictures_hold_the_interval() -> None:
    rates = simulation.calibration(np.random.default_rng(1))

    assert prevalence(rows(100, measured=100, known=90), rates)[0].low >= 0.9


def test_copies_count_once_and_by_the_largest_file() -> None:
    rates = simulation.calibration(np.random.default_rng(1))
    copies = [
        item("aa", "account-a", score=-2, cluster="c-1", size=(320, 240)),
        item("bb", "account-b", score=2, cluster="c-1", size=(1280, 960)),
        item("cc", "account-c", score=-2),
    ]

    found = judged_pictures(copies, rates, lambda finding: True, {"aa": 1})

    assert [(p.picture, p.bin, p.known) for p in found] == [("c-1", 2, 1), ("cc", 0, None)]
    assert {post.account for post in found[0].posts} == {"account-a", "account-b"}


# Links


def test_a_picture_that_two_accounts_posted_links_nobody_by_its_traces() -> None:
    traced = [parameters(seed="987654321")]
    copies = [item(n, a, evidence=traced, cluster="c-1") for n, a in (("1", "a"), ("2", "b"))]
    apart = [item(n, a, evidence=traced) for n, a in (("1", "a"), ("2", "b"))]

    assert [link for link in find_links(copies, NO_REFERENCE) if link.trace == "seed"] == []
    assert next(link.value for link in find_links(apart, NO_REFERENCE)) == "987654321"


def test_rare_traces_surprise_more_than_common_ones() -> None:
    reference = Reference(
        {"model": Kind(1000, 100, {key_of("model", "common"): (600, 60)})}, "a test"
    )
    items = [
        item(f"{model} {account}", account, evidence=[parameters(model=model)])
        for model in ("Common", "rare")
        for account in ("a", "b", "c")
    ]

    found = {link.value: link for link in find_links(items, reference) if link.trace == "model"}

    assert found["rare"].surprise > found["Common"].surprise + 1
    assert found["Common"].reference_rate == 0.6
    assert found["rare"].reference_rate == 0.0
    assert "lead" in found["rare"].words


def test_a_platforms_own_size_is_no_lead() -> None:
    same = [item(str(i), f"account-{i}", platform="forum", size=(777, 333)) for i in range(6)]
    two = [
        item(str(i), f"account-{i}", platform="forum", size=(777, 333 + (i > 1) * i))
        for i in range(6)
    ]

    assert [link for link in find_links(same, shipped()) if link.trace == "size"] == []
    assert [link.accounts for link in find_links(two, shipped())] == [("account-0", "account-1")]


def test_a_shared_passage_is_shown_as_it_was_written_and_hostile_text_on_one_line() -> None:
    first = "Harbour at DAWN, rain on the old stone bridge\u202e, 8k"
    second = "A cat; harbour at dawn, rain on the old stone bridge"

    assert passage(first, shingles(second)) == "Harbour at DAWN, rain on the old stone bridge"
    assert shingles("two words") == []
    hostile = [parameters(model="<script>\n\u202e</script>")]
    found = find_links([item("1", "a", evidence=hostile), item("2", "b", evidence=hostile)])
    value = next(link.value for link in found if link.trace == "model")
    assert "\n" not in value
    assert "\u202e" not in value


def test_the_shipped_reference_knows_common_sizes_and_no_prompt_in_words() -> None:
    reference = shipped()

    assert reference.counted_on
    assert (reference.image_rate("size", "1024×1024") or 0) > 0.01
    assert reference.image_rate("aigc_producer", "x") is None
    assert all(len(key) == 12 for kind in reference.kinds.values() for key in kind.values)


# Network


def test_what_everybody_posts_ties_accounts_less() -> None:
    pair = Cluster("c-1", (Member("1", "seed"),), ("a", "b"))
    many = Cluster("c-2", (Member("2", "seed"),), ("a", "c", "d", "e", "f"))

    edges = {edge.accounts: edge for edge in edges_of([pair, many], [])}

    assert edges["a", "b"].weight == 1.0
    assert edges["a", "c"].weight == 0.25
    assert edges["a", "b"].clusters == ("c-1",)


def test_timelines_have_no_holes_and_turn_to_weeks_when_long() -> None:
    def posted(*days: int) -> list[Item]:
        return [
            replace(item(str(d), "a"), posts=(Post(2, "a", posted_at=DAY + timedelta(days=d)),))
            for d in days
        ]

    assert [b.start.day for b in timeline_of(posted(0, 3))] == [5, 6, 7, 8]
    assert {(b.days, b.start.weekday()) for b in timeline_of(posted(2, 100))} == {(7, 0)}
    assert len(timeline_of(posted(-20_000, 0))) == 2
    assert timeline_of([]) == []


def test_cluster_ids_do_not_depend_on_the_seed() -> None:
    members = (Member("b" * 64, "seed"), Member("a" * 64, "pdq", 3))

    assert cluster_id(members) == cluster_id(members[::-1]) == "c-aaaaaaaaaa"


# Labels


def test_labels_are_kept_beside_the_results_and_read_without_writing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    Store.open(path).close()
    assert load_labels(path) == {}

    store_labels(path, {"a" * 64: 1, "b" * 64: 0}, "labels.csv")
    store_labels(path, {"a" * 64: 0}, "second thoughts")

    path.chmod(0o444)
    assert load_labels(path) == {"a" * 64: 0, "b" * 64: 0}
    with Store.open(path, readonly=True) as store:
        assert list(store.findings()) == []
    with pytest.raises(StoreError, match="no result store"):
        load_labels(tmp_path / "none.db")


def test_labels_in_words_are_read_and_contradictions_left_out(tmp_path: Path) -> None:
    places = [Place(f"in/{n}.jpg", f"/in/{n}.jpg", n * 64, n * 64) for n in "abcd"]
    file = tmp_path / "labels.csv"
    file.write_text(
        "File,Label\na.jpg,AI\nb.jpg,real\nc.jpg,maybe\nd.jpg,real\nin/d.jpg,generated\ne.jpg,1\n"
        "c.jpg,unsure\n"
    )

    read = read_labels(file, places)

    assert read.labels == {"a" * 64: 1, "b" * 64: 0}
    assert [bad.line for bad in read.bad] == [4, 6]
    assert read.unmatched == (7,)
    file.write_text("file,mood\na.jpg,good\n")
    with pytest.raises(UsageError, match="label"):
        read_labels(file, places)


def labelled(real: int, flagged: int, generated: int, found: int) -> list[Labelled]:
    return [
        Labelled(0, 2.0 - 3 * (i >= flagged), i < flagged, f"r{i % 5}") for i in range(real)
    ] + [Labelled(1, 2.5 - 3 * (i >= found), i < found, f"g{i % 5}") for i in range(generated)]


def test_local_rates_warn_only_beyond_chance() -> None:
    calm = local_rates(labelled(100, 2, 50, 25), 0.02, 0.5)
    off = local_rates(labelled(100, 20, 50, 25), 0.02, 0.5)

    assert calm is not None
    assert calm.warning == ""
    assert off is not None
    assert off.false_positive_rate == 0.2
    assert "20.0%" in off.warning
    assert "2.0%" in off.warning
    assert local_rates([], 0.02, 0.5) is None


def test_a_threshold_of_ones_own_is_tried_on_accounts_held_out() -> None:
    rng = np.random.default_rng(0)
    pictures = [
        Labelled(label, float(rng.normal(3 * label)), False, f"account-{i % 12}")
        for label in (0, 1)
        for i in range(150)
    ]

    found = recalibrate(pictures, 0.05)

    assert found.groups == 12
    assert found.fpr_interval[0] <= found.fpr <= 0.15
    assert found.recall > 0.7
    assert 0.5 < found.threshold < 3
    with pytest.raises(UsageError, match="at least"):
        recalibrate(pictures[:5], 0.05)


# The sample


def test_the_sample_agrees_with_itself() -> None:
    campaign = sample_campaign()
    clusters = {cluster.id: cluster for cluster in campaign.clusters}

    assert campaign == sample_campaign()
    assert {i.cluster for i in campaign.items if i.cluster} == clusters.keys()
    assert sample_thumbnails().keys() == {i.finding.sha256 for i in campaign.items if i.finding.ok}
    assert edges_of(campaign.clusters, ()) != []
    assert [b.start for b in campaign.timeline] == [b.start for b in sample_campaign().timeline]
