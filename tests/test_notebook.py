"""Result sets: a sequence of findings that tabulates, shows and plots itself without a display."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import detector
from detector.errors import StoreError, UsageError
from detector.evidence.build import png, text
from detector.html import SCALE
from detector.notebook import ReportView, ResultSet, scan
from detector.notebook.progress import Progress
from detector.results import Finding, Verdict
from detector.scan.inputs import Input, Listing
from tests.bundles import untrained_bundle
from tests.campaign_samples import sample_campaign

matplotlib = pytest.importorskip("matplotlib")
plt = pytest.importorskip("matplotlib.pyplot")
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_bundle(tmp_path_factory.mktemp("bundles") / "tiny_v1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for kind, mean in (("real", 60), ("generated", 160)):
        (folder / kind).mkdir()
        for number in range(4):
            noise = rng.normal(mean, 40, (96, 128, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / kind / f"{number}.jpg", quality=92)
    parameters = text("parameters", "a hill\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x48")
    (folder / "labelled.png").write_bytes(png(parameters))
    (folder / "broken <b>.jpg").write_bytes(b"\xff\xd8\xff\xe0abc")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path, bundle: Path) -> ResultSet:
    return scan(folder, model=bundle, workers=0)


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    yield
    plt.close("all")


def label(finding: Finding) -> int | None:
    return {"real": 0, "generated": 1}.get(Path(finding.path).parent.name)


def test_a_scan_gives_a_finding_for_every_file(results: ResultSet) -> None:
    assert len(results) == 10
    assert sum(results.counts().values()) == 10
    assert results.counts()["not_scored"] == 1
    assert isinstance(results[0], Finding)
    assert [f.path for f in results[2:4]] == [results[2].path, results[3].path]


def test_a_store_of_a_scan_opens_as_the_same_results(
    folder: Path, bundle: Path, tmp_path: Path
) -> None:
    kept = scan(folder, store=tmp_path / "s.db", model=bundle, workers=0)
    assert list(ResultSet.open(tmp_path / "s.db", bundle=bundle)) == list(kept)
    with pytest.raises(StoreError):
        ResultSet.open(tmp_path / "none.db")


def test_a_store_of_our_own_goes_with_the_last_set_that_needs_it(
    folder: Path, bundle: Path
) -> None:
    whole = scan(folder / "real", model=bundle, workers=0)
    part, place = whole[:2], whole.store
    del whole
    assert place.is_file()
    assert len(part.thumbnails()) == 2
    del part
    assert not place.parent.exists()


def test_a_subset_keeps_order_and_knows_its_files(results: ResultSet) -> None:
    failed = results.where(verdict="not_scored")
    assert [f.path for f in failed] == [f.path for f in results if not f.ok]
    assert Path(failed.path(0)).read_bytes() == b"\xff\xd8\xff\xe0abc"
    ranked = [f.score for f in results.by_score() if f.score is not None]
    assert ranked == sorted(ranked, reverse=True)
    assert results.by_score()[-1].score is None
    with pytest.raises(UsageError, match="no verdict 'fake'"):
        results.where(verdict="fake")


def test_a_finding_is_found_by_a_part_of_its_path(results: ResultSet) -> None:
    assert results[results.named("labelled")].path.endswith("labelled.png")
    with pytest.raises(UsageError, match="0 paths"):
        results.named("no such file")
    with pytest.raises(UsageError, match="4 paths"):
        results.named("real/")


def test_a_frame_has_a_row_a_finding_and_the_columns_of_every_export(results: ResultSet) -> None:
    pytest.importorskip("pandas")
    frame = results.to_frame()
    assert list(frame["path"]) == [f.path for f in results]
    assert set(results[0].to_record()) <= set(frame.columns)
    assert frame["score"].notna().sum() == 9
    assert len(results[:0].to_frame()) == 0
    assert list(results[:0].to_frame().columns) == list(frame.columns)


def test_evidence_is_read_from_the_file_or_the_store(results: ResultSet) -> None:
    kinds = {item.kind for item in results.evidence(results.named("labelled"))}
    assert "a1111_parameters" in kinds


def test_html_holds_the_first_rows_escaped_and_says_how_many_more(
    results: ResultSet, folder: Path, bundle: Path
) -> None:
    made = results._repr_html_()
    assert "broken &lt;b&gt;.jpg" in made
    assert "<b>.jpg" not in made
    assert not re.search(r"and [\d,]+ more", made)
    again = ResultSet([results[1]] * 50, results.store, bundle=bundle)
    assert "and 40 more" in again._repr_html_()
    card = results.card(results.named("labelled"))
    assert "a1111 parameters" in card._repr_html_()
    assert "labelled.png" in repr(card)


def test_a_result_set_of_an_unknown_model_still_shows_itself(results: ResultSet) -> None:
    foreign = ResultSet(list(results), results.store)
    assert "tiny_v1" in foreign._repr_html_()


def axes_texts(axes: Any) -> str:
    parts = [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
    parts += [t.get_text() for t in axes.get_yticklabels()]
    return "\n".join(parts)


def test_scores_are_drawn_by_stratum_on_the_fixed_scale(results: ResultSet) -> None:
    axes = results.plot.scores()
    low, high = axes.get_xlim()
    assert low < SCALE[0]
    assert high > SCALE[1]
    words = axes_texts(axes)
    assert "9 of 10 files" in words
    assert "jpeg/small/light, 8\nerror rate not measured" in words
    drawn = sum(len(dots.get_offsets()) for dots in axes.collections)
    assert drawn == 9


def test_a_plot_draws_into_the_axes_that_it_is_given(results: ResultSet) -> None:
    _, axes = plt.subplots()
    assert results.plot.scores(label, ax=axes) is axes
    assert results.plot.roc(label, ax=axes) is axes


def test_a_roc_has_a_point_at_each_threshold(results: ResultSet) -> None:
    axes = results.plot.roc(label)
    assert "4 real, 4 generated" in axes_texts(axes)
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [word.rsplit(" ", 1)[0] for word in words] == [
        "inconclusive from",
        "likely generated from",
    ]


def test_reliability_counts_every_labelled_image_once(results: ResultSet) -> None:
    axes = results.plot.reliability(label)
    assert sum(int(text.get_text()) for text in axes.texts) == 8


@pytest.mark.parametrize("name", ["roc", "reliability"])
def test_plots_of_truth_need_labels_of_both_classes(results: ResultSet, name: str) -> None:
    plot = getattr(results.plot, name)
    with pytest.raises(UsageError, match="both classes"):
        plot([1] * 10)
    with pytest.raises(UsageError, match="3 labels for 10 results"):
        plot([0, 1, 1])
    with pytest.raises(UsageError, match="labels are 0"):
        plot([2] * 10)


def test_labels_come_as_a_list_a_mapping_or_a_function(results: ResultSet) -> None:
    by_path = {f.path: known for f in results if (known := label(f)) is not None}
    for labels in (label, by_path, [label(f) for f in results]):
        assert "4 real, 4 generated" in axes_texts(results.plot.roc(labels))


def test_crops_show_the_image_and_every_view_with_its_score(results: ResultSet) -> None:
    index = results.named("real/0")
    axes = results.plot.crops(index)
    assert len(axes) == 1 + len(results[index].crops)
    assert f"{results[index].crops[0].score:+.2f}" in axes[1].get_title(loc="left")
    with pytest.raises(UsageError, match="not scored"):
        results.plot.crops(results.named("broken"))


def test_a_spectrum_stands_beside_the_band_of_its_kind_of_file(results: ResultSet) -> None:
    axes = results.plot.spectrum(results.named("real/0"))
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "this image" in words
    assert any("real images of" in word for word in words)
    with pytest.raises(UsageError, match="no spectrum"):
        results.plot.spectrum(results.named("broken"))


def test_a_report_shows_itself_in_a_frame_of_its_own(results: ResultSet, tmp_path: Path) -> None:
    view = ReportView(tmp_path / "r.html")
    view.path.write_text("<script>alert('x')</script>")
    made = view._repr_html_()
    assert 'sandbox="allow-scripts"' in made
    assert "<script" not in made
    view.path.write_text("x" * 5 * 2**20)
    assert "too large to show" in view._repr_html_()


def test_progress_in_a_pipe_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.listed(Listing([Input("a")]))
    assert capsys.readouterr() == ("", "")


def test_progress_in_a_notebook_replaces_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, line: object) -> None:
            shown.append(repr(line))

    def display(line: object, display_id: bool) -> Handle:
        shown.append(repr(line))
        return Handle()

    monkeypatch.setattr("detector.notebook.progress.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    with Progress() as progress:
        progress.listed(Listing([Input("a")]))
        finding = Finding("a", "", detector.Status.OK, "", verdict=Verdict.NO_SIGN)
        progress.found(finding, fresh=True)
    assert shown[0] == "Listing files"
    assert shown[-1] == "1 of 1 files: 0 likely generated, 0 inconclusive, 1 no sign, 0 not scored"


def test_the_notebook_package_loads_no_torch_pandas_or_matplotlib() -> None:
    code = (
        "import detector.notebook, sys; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_timeline_stacks_every_post_of_the_campaign(results: ResultSet) -> None:
    campaign = sample_campaign()
    axes = results.plot.timeline(campaign)
    drawn = sum(bar.get_height() for bar in axes.patches)
    bins = campaign.timeline
    assert drawn == sum(b.flagged + b.inconclusive + b.no_sign + b.failed for b in bins)
    with pytest.raises(UsageError, match="has a date"):
        results.plot.timeline(replace(campaign, timeline=()))


def test_a_cluster_sheet_has_a_row_a_cluster_and_says_why_each_image_is_in(
    results: ResultSet,
) -> None:
    campaign = sample_campaign()
    axes = results.plot.clusters(campaign)
    assert len(axes) == len(campaign.clusters)
    said = {place.get_title() for row in axes for place in row} - {""}
    assert "seed" in said
    with pytest.raises(UsageError, match="same picture"):
        results.plot.clusters(replace(campaign, clusters=()))


def test_corrected_shares_are_drawn_with_their_intervals(results: ResultSet) -> None:
    campaign = sample_campaign()
    by = campaign.prevalence[-1].by
    groups = [p for p in campaign.prevalence if p.by == by]
    axes = results.plot.prevalence(campaign, by)
    spans = [tuple(map(float, line.get_xdata())) for line in axes.lines]
    assert [span for span in spans if len(span) == 2] == [(g.low, g.high) for g in groups]
    dots = [span for span in spans if len(span) == 1]
    assert dots == [(g.estimate,) for g in groups if g.estimate is not None]
    with pytest.raises(UsageError, match="no shares by"):
        results.plot.prevalence(campaign, "moon")


def test_a_heatmap_shows_one_scale_for_every_image(results: ResultSet) -> None:
    axes = results.plot.heatmap(results.named("real/0"), grid=4)
    again = results.plot.heatmap(results.named("generated/0"), view="whole", grid=4)
    ticks = [place.figure.axes[-1].get_ylim() for place in (axes, again)]
    assert ticks[0] == ticks[1]
    assert "native view" in axes.get_title(loc="left")
    with pytest.raises(UsageError, match="no other view"):
        results.plot.heatmap(results.named("real/0"), view="other", grid=4)


def test_results_are_read_as_a_campaign_with_a_table_of_posts(
    results: ResultSet, tmp_path: Path
) -> None:
    pytest.importorskip("pdqhash")
    table = tmp_path / "posts.csv"
    lines = ["file,account,posted_at"]
    for kind in ("real", "generated"):
        lines += [f"{kind}/{n}.jpg,account-{kind},2026-01-0{n + 1}T08:00:00Z" for n in range(4)]
    table.write_text("\n".join(lines))
    campaign = results.campaign(table, title="Eight posts")
    assert {a.account: a.posts for a in campaign.accounts} == {
        "account-real": 4,
        "account-generated": 4,
    }
    assert campaign.context.matched == 8
    axes = results.plot.timeline(campaign)
    assert sum(bar.get_height() for bar in axes.patches) == 8


def test_a_report_of_results_carries_the_statement_that_verify_recomputes(
    results: ResultSet, tmp_path: Path
) -> None:
    pytest.importorskip("pdqhash")
    view = results.report(tmp_path / "r.html", title="Ten files")
    page = view.path.read_text(encoding="utf-8")
    assert "Ten files" in page
    assert 'id="custody"' in page
    assert "iframe" in view._repr_html_()
