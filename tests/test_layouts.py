"""Benchmarks in the forms in which they are distributed, on tiny made-up trees."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pytest

from detector.corpus import LAYOUTS, Sample, detect_layout, load_layout
from detector.corpus.layouts import accepted
from detector.errors import CorpusError, MissingExtraError
from tests.corpus_made import image

TREES = {
    "genimage": [
        "Midjourney/imagenet_midjourney/train/ai/1_midjourney_1.png",
        "Midjourney/imagenet_midjourney/val/ai/2_midjourney_2.png",
        "Midjourney/imagenet_midjourney/val/nature/ILSVRC2012_val_00000001.JPEG",
        "VQDM/val/ai/VQDM_1000_200_00_000_vqdm_00001.png",
        "VQDM/val/nature/ILSVRC2012_val_00000002.JPEG",
    ],
    "forensynths": [
        "progan/airplane/0_real/00001.png",
        "progan/airplane/1_fake/00002.png",
        "progan/bird/0_real/00003.png",
        "progan/bird/1_fake/00004.png",
        "deepfake/0_real/1.png",
        "deepfake/1_fake/2.png",
    ],
    "synthbuster": [
        "synthbuster/dalle3/r00a.png",
        "synthbuster/stable-diffusion-1-3/r00a.png",
        "synthbuster/firefly/r00b.png",
        "synthbuster/prompts.csv",
    ],
    "cifake": [
        "train/REAL/0000.jpg",
        "train/FAKE/1000.jpg",
        "test/REAL/0001 (2).jpg",
        "test/FAKE/1 (3).jpg",
    ],
    "chameleon": ["Chameleon/test/0_real/a.jpg", "Chameleon/test/1_fake/b.jpg"],
    "mnw": [
        "AI_Images/Adobe_Firefly_4/Adobe_Firefly_4_00.jpg",
        "AI_Images/Flux_Dev/x.png",
        "AI_media_in_the_wild/Images/likely_authentic/A037.png",
        "AI_media_in_the_wild/Images/likely_manipulated/M046.jpeg",
        "AI_media_in_the_wild/Images/inconsistent/I001.jpeg",
        "AI_media_in_the_wild/update March 2026/images/manipulated/M095.jpeg",
        "AI_media_in_the_wild/update March 2026/images/authentic/A114.jpeg",
        "AI_media_in_the_wild/Video/likely_manipulated/M1.png",
        "AI_Video/some/frame.png",
    ],
    "folders": ["0_real/a.png", "1_fake/deeper/b.png"],
}


def make(root: Path, *paths: str) -> Path:
    """A tree of small files with different content, each naming its own path."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def facts(samples: list[Sample]) -> list[tuple[str, int, str, str]]:
    """(key, label, generator, split) of samples."""
    return [(s.key, s.label, s.generator, s.split) for s in samples]


@pytest.mark.parametrize("name", TREES)
def test_every_layout_is_recognised_and_its_samples_read_their_own_files(
    tmp_path: Path, name: str
) -> None:
    root = make(tmp_path / "data", *TREES[name])
    assert detect_layout(root) == name
    samples = load_layout(root)
    assert samples == load_layout(root, name)
    assert len({s.key for s in samples}) == len(samples)
    for sample in pickle.loads(pickle.dumps(samples)):
        assert sample.read() == sample.key.encode()
        assert bool(sample.generator) == bool(sample.label)
        assert sample.source


def test_genimage_names_the_generator_by_its_first_folder(tmp_path: Path) -> None:
    samples = load_layout(make(tmp_path, *TREES["genimage"]))
    assert Counter((s.label, s.generator, s.split) for s in samples) == {
        (1, "Midjourney", "train"): 1,
        (1, "Midjourney", "val"): 1,
        (0, "", "val"): 2,
        (1, "VQDM", "val"): 1,
    }
    assert {s.source for s in samples} == {"genimage/Midjourney", "genimage/VQDM"}


def test_one_generator_of_genimage_can_be_given_alone(tmp_path: Path) -> None:
    make(tmp_path, *TREES["genimage"])
    samples = load_layout(tmp_path / "VQDM", split="val")
    assert [(s.label, s.generator) for s in samples] == [(1, "VQDM"), (0, "")]


def test_forensynths_keeps_classes_under_their_generator(tmp_path: Path) -> None:
    samples = load_layout(make(tmp_path, *TREES["forensynths"]))
    assert {s.source for s in samples} == {"forensynths/progan", "forensynths/deepfake"}
    assert Counter(s.generator for s in samples if s.label) == {"progan": 2, "deepfake": 1}


def test_a_class_folder_called_real_is_no_label_where_labels_are_numbered(tmp_path: Path) -> None:
    make(tmp_path, "gen/0_real/real/a.png", "gen/1_fake/real/b.png")
    assert [s.label for s in load_layout(tmp_path, "forensynths")] == [0, 1]


def test_synthbuster_takes_real_images_beside_it_or_from_elsewhere(tmp_path: Path) -> None:
    make(tmp_path / "raise", "r1.tif", "deep/r2.png")
    make(tmp_path / "s", *TREES["synthbuster"])
    samples = load_layout(tmp_path / "s", reals=tmp_path / "raise")
    assert Counter(s.label for s in samples) == {0: 2, 1: 3}
    assert [s.key for s in samples if not s.label] == [
        "synthbuster/raise/deep/r2.png",
        "synthbuster/raise/r1.tif",
    ]
    make(tmp_path / "s" / "synthbuster", "real_RAISE_1k/r3.png")
    assert Counter(s.label for s in load_layout(tmp_path / "s")) == {0: 1, 1: 3}


def test_cifake_is_of_one_generator_and_split_by_folder(tmp_path: Path) -> None:
    samples = load_layout(make(tmp_path, *TREES["cifake"]), split="test")
    assert facts(samples) == [
        ("test/FAKE/1 (3).jpg", 1, "stable-diffusion-1.4", "test"),
        ("test/REAL/0001 (2).jpg", 0, "", "test"),
    ]


def test_mnw_takes_images_with_a_verdict_and_leaves_video_and_the_undecided(
    tmp_path: Path,
) -> None:
    samples = load_layout(make(tmp_path, *TREES["mnw"]))
    assert facts(samples) == [
        ("AI_Images/Adobe_Firefly_4/Adobe_Firefly_4_00.jpg", 1, "Adobe_Firefly_4", "test"),
        ("AI_Images/Flux_Dev/x.png", 1, "Flux_Dev", "test"),
        ("AI_media_in_the_wild/Images/likely_authentic/A037.png", 0, "", "test"),
        ("AI_media_in_the_wild/Images/likely_manipulated/M046.jpeg", 1, "unknown", "test"),
        ("AI_media_in_the_wild/update March 2026/images/authentic/A114.jpeg", 0, "", "test"),
        (
            "AI_media_in_the_wild/update March 2026/images/manipulated/M095.jpeg",
            1,
            "unknown",
            "test",
        ),
    ]


@pytest.mark.parametrize(
    ("real", "fake"),
    [("0_real", "1_fake"), ("real", "fake"), ("REAL", "FAKE"), ("nature", "ai")],
)
def test_plain_folders_are_read_at_the_top_below_splits_and_below_generators(
    tmp_path: Path, real: str, fake: str
) -> None:
    top = make(tmp_path / "top", f"{real}/a.png", f"{fake}/b.png")
    assert facts(load_layout(top, "folders")) == sorted(
        [(f"{real}/a.png", 0, "", ""), (f"{fake}/b.png", 1, "unknown", "")]
    )
    deep = make(tmp_path / "deep", f"test/{real}/a.png", f"test/{fake}/b.png", f"g/{fake}/c.png")
    samples = load_layout(deep, "folders")
    assert Counter((s.source, s.generator, s.split) for s in samples) == {
        ("deep", "", "test"): 1,
        ("deep", "unknown", "test"): 1,
        ("deep/g", "g", ""): 1,
    }


def test_hidden_files_archive_leftovers_and_other_types_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "0_real/a.PNG", "1_fake/b.webp")
    make(
        tmp_path, "0_real/._a.png", "__MACOSX/0_real/c.png", "0_real/list.csv", ".git/1_fake/d.png"
    )
    assert [s.key for s in load_layout(tmp_path)] == ["0_real/a.PNG", "1_fake/b.webp"]


def test_an_unknown_layout_is_refused_with_what_was_found_and_what_is_accepted(
    tmp_path: Path,
) -> None:
    make(tmp_path, "cats/a.png", "dogs/small/b.png", "c.jpg")
    with pytest.raises(CorpusError) as caught:
        load_layout(tmp_path)
    text = str(caught.value)
    assert "cats/, dogs/small/; 1 images beside them" in text
    for name in LAYOUTS:
        assert name in text


@pytest.mark.parametrize(
    ("layout", "split", "complaint"),
    [
        ("genimage", None, r"no images in the form of genimage.*\{train,val\}"),
        ("folders", "val", "no split 'val'; there is"),
        ("imagenet", None, "no layout is called 'imagenet'"),
    ],
)
def test_what_is_not_there_is_named(
    tmp_path: Path, layout: str, split: str | None, complaint: str
) -> None:
    make(tmp_path, "0_real/a.png", "1_fake/b.png")
    with pytest.raises(CorpusError, match=complaint):
        load_layout(tmp_path, layout, split=split)
    with pytest.raises(CorpusError, match="no such folder"):
        load_layout(tmp_path / "nowhere")


def test_the_list_of_layouts_has_a_line_for_each() -> None:
    assert len(accepted().splitlines()) == 1 + len(LAYOUTS)


# ---- Community Forensics --------------------------------------------------------------------


def _parquet(path: Path, rows: int, *, group: int = 7, **changes: object) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    label = [i % 2 for i in range(rows)]
    columns: dict[str, object] = {
        "image_name": [f"{i}.png" for i in range(rows)],
        "format": ["PNG"] * rows,
        "image_data": [image(i) for i in range(rows)],
        "model_name": ["flux-dev" if n else None for n in label],
        "real_source": [None if n else "COCO" for n in label],
        "split": ["test"] * rows,
        "label": label,
        "architecture": ["LatDiff" if n else "real" for n in label],
    }
    columns = {k: v for k, v in (columns | changes).items() if v is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=group)


def test_community_forensics_reads_images_from_parquet_in_any_order(tmp_path: Path) -> None:
    _parquet(tmp_path / "data" / "CompEval-00000-of-00001.parquet", 40, group=30)
    assert detect_layout(tmp_path) == "community-forensics"
    samples = load_layout(tmp_path)
    assert [s.read() for s in samples] == [image(i) for i in range(40)]
    assert [samples[i].read() for i in (31, 2, 3, 29, 0)] == [image(i) for i in (31, 2, 3, 29, 0)]
    first, second = pickle.loads(pickle.dumps(samples[:2]))
    assert (first.label, first.generator, first.source) == (0, "", "community-forensics/COCO")
    assert (second.generator, second.source) == ("flux-dev", "community-forensics/flux-dev")
    assert {s.split for s in samples} == {"test"}


def test_a_parquet_file_without_the_columns_is_refused_by_name(tmp_path: Path) -> None:
    _parquet(tmp_path / "x.parquet", 2, image_data=None)
    with pytest.raises(CorpusError, match=r"x\.parquet: has no column \['image_data'\]"):
        load_layout(tmp_path)


def test_a_label_that_is_neither_is_refused(tmp_path: Path) -> None:
    _parquet(tmp_path / "x.parquet", 2, label=[1, 3])
    with pytest.raises(CorpusError, match="label 3"):
        load_layout(tmp_path)


def test_a_damaged_parquet_file_or_row_is_refused(tmp_path: Path) -> None:
    _parquet(tmp_path / "a" / "x.parquet", 2, image_data=[None, image(0)])
    broken = load_layout(tmp_path / "a")[0]
    with pytest.raises(CorpusError, match="has no image"):
        broken.read()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(CorpusError, match="not a Parquet file"):
        load_layout(tmp_path / "b")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"aigi-detector\[parquet\]"):
        load_layout(tmp_path)
