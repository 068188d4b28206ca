"""Manifests, samples, checks, near-duplicates and folds."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.cli import main
from detector.corpus import (
    Manifest,
    Row,
    Sample,
    cap,
    leave_sources_out,
    manifest_samples,
    read_manifest,
    validation_sources,
    write_manifest,
)
from detector.corpus.check import check_files, shared_owners, split_leaks, touched
from detector.corpus.duplicates import Hashes, near_groups, near_pairs, pdq_hashes
from detector.corpus.manifest import COLUMNS, format_manifest, make_manifest, parse_manifest
from detector.corpus.stats import format_control, insert, markdown, table
from detector.errors import CorpusError
from tests.corpus_made import COMMIT, image, row_of, store

HEADER = "\t".join(COLUMNS)
GOOD = "\t".join(
    (
        "github:a/b", COMMIT, "x/y z.jpg", "0" * 64, "1", "sd1", "photo", "", "640", "480",
        "JPEG", "1234", "exif:2011-10-12", "yes", "", "", "train",
    )
)  # fmt: skip

# ---- manifest -------------------------------------------------------------------------------


def test_a_manifest_that_is_written_and_read_is_the_same(tmp_path: Path) -> None:
    rows = [row_of(image(0), path='memes/(%FS$X"A5 9.jpg', licence="none stated"), row_of(image(1))]
    written = write_manifest(rows, tmp_path / "m.tsv.gz")
    read = read_manifest(tmp_path / "m.tsv.gz")
    assert read.rows == tuple(rows)
    assert read.sha256 == written.sha256


def test_the_hash_of_a_manifest_is_that_of_its_text_compressed_or_not(tmp_path: Path) -> None:
    rows = [row_of(image(0))]
    packed = write_manifest(rows, tmp_path / "m.tsv.gz")
    plain = write_manifest(rows, tmp_path / "m.tsv")
    text = (tmp_path / "m.tsv").read_bytes()
    assert packed.sha256 == plain.sha256 == hashlib.sha256(text).hexdigest()
    assert gzip.decompress((tmp_path / "m.tsv.gz").read_bytes()) == text


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    write_manifest([row_of(image(0))], tmp_path / "a.tsv.gz")
    write_manifest([row_of(image(0))], tmp_path / "b.tsv.gz")
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("source", "gitlab:a/b"),
        ("source", "github:../.."),
        ("source", "pypi:--index-url==1"),
        ("revision", "main"),
        ("path", "../secret"),
        ("path", "/etc/passwd"),
        ("path", ""),
        ("sha256", "0" * 63),
        ("sha256", "A" * 64),
        ("label", "2"),
        ("generator", ""),
        ("width", "0"),
        ("width", "1e3"),
        ("height", "-4"),
        ("format", "jpg"),
        ("bytes", ""),
        ("date", "last year"),
        ("pair", "true"),
        ("grid", "3x3"),
        ("split", "val"),
        ("kind", ""),
    ],
)
def test_a_wrong_value_is_refused_with_file_and_line(column: str, value: str) -> None:
    fields = GOOD.split("\t")
    fields[COLUMNS.index(column)] = value
    other = GOOD.replace("0" * 64, "1" * 64)
    with pytest.raises(CorpusError, match=r"m\.tsv, line 3"):
        parse_manifest("\n".join([HEADER, other, "\t".join(fields)]) + "\n", "m.tsv")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "cut off"),
        (f"{HEADER}\n{GOOD}", "cut off"),
        (f"a\tb\n{GOOD}\n", "line 1"),
        (f"{HEADER}\n{GOOD}\textra\n", "line 2: 18 fields"),
        (f"{HEADER}\n\n", "line 2: 1 fields"),
        (f"{HEADER}\n{GOOD}\n{GOOD}\n", "line 3: the same file as line 2"),
        (f"{HEADER}\n{GOOD}\r\n", "line 2"),
    ],
)
def test_a_malformed_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(CorpusError, match=complaint):
        parse_manifest(text, "m.tsv")


def test_a_file_that_is_not_there_or_damaged_is_refused_by_name(tmp_path: Path) -> None:
    good = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())
    (tmp_path / "cut.gz").write_bytes(good[:-12])
    (tmp_path / "latin.tsv").write_bytes(f"{HEADER}\n".encode() + b"\xe9\n")
    for name, complaint in (("no", "cannot be read"), ("cut.gz", "gzip"), ("latin.tsv", "line 2")):
        with pytest.raises(CorpusError, match=complaint) as caught:
            read_manifest(tmp_path / name)
        assert name in str(caught.value)


_TEXT = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]))


@given(
    path=_TEXT.filter(lambda t: all(p not in ("", ".", "..") for p in t.split("/"))),
    words=st.tuples(_TEXT, _TEXT.filter(bool), _TEXT),
    numbers=st.tuples(*[st.integers(1, 10**11)] * 3),
    label=st.booleans(),
    pair=st.booleans(),
    split=st.sampled_from(["train", "test"]),
)
def test_any_row_survives_the_way_through_text(
    path: str,
    words: tuple[str, str, str],
    numbers: tuple[int, int, int],
    label: bool,
    pair: bool,
    split: str,
) -> None:
    licence, kind, group = words
    width, height, size = numbers
    row = Row(
        "deb:some-package", "1:2.3-4", path, "ab" * 32, int(label), "any thing" * label, kind,
        licence, width, height, "WEBP", size, "2021", pair, "", group, split,
    )  # fmt: skip
    assert parse_manifest(format_manifest([row]), "m").rows == (row,)


@given(st.one_of(st.text(), st.text("\t\n0123abc:/.=").map(lambda t: f"{HEADER}\n{t}")))
def test_any_text_gives_rows_or_a_corpus_error(text: str) -> None:
    try:
        manifest = parse_manifest(text, "m")
    except CorpusError:
        return
    assert format_manifest(manifest.rows) == text


# ---- samples --------------------------------------------------------------------------------


def test_samples_read_the_files_and_can_be_pickled(tmp_path: Path) -> None:
    data = image(1)
    store(tmp_path, data)
    manifest = make_manifest([row_of(data, label=1, kind="art", pair=True, group="g1")])
    (sample,) = manifest_samples(manifest, tmp_path)
    assert (sample.label, sample.generator, sample.kind) == (1, "a-generator", "art")
    assert (sample.source, sample.split, sample.pair) == ("github:someone/things", "train", True)
    assert sample.key == hashlib.sha256(data).hexdigest()
    assert pickle.loads(pickle.dumps(sample)).read() == data


def test_a_grid_gives_four_samples_with_the_very_pixels_of_its_quadrants(tmp_path: Path) -> None:
    data = image(5, (128, 128))
    store(tmp_path, data)
    manifest = make_manifest([row_of(data, label=1, grid="2x2")])
    samples = manifest_samples(manifest, tmp_path / "files")
    whole = np.asarray(Image.open(io.BytesIO(data)))
    tiles = [np.asarray(Image.open(io.BytesIO(s.read()))) for s in samples]
    assert [s.key[-2:] for s in samples] == ["#0", "#1", "#2", "#3"]
    assert np.array_equal(np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]), whole)
    assert pickle.loads(pickle.dumps(samples[3])).read() == samples[3].read()


def test_missing_files_are_an_error_unless_allowed(tmp_path: Path) -> None:
    there, gone = image(1), image(2)
    store(tmp_path, there)
    manifest = make_manifest([row_of(there), row_of(gone, source="deb:lost", revision="1")])
    with pytest.raises(CorpusError, match=r"1 files of the manifest are missing.*deb:lost"):
        manifest_samples(manifest, tmp_path)
    assert len(manifest_samples(manifest, tmp_path, allow_missing=True)) == 1


def test_samples_are_chosen_by_split_and_source(tmp_path: Path) -> None:
    files = [image(i) for i in range(3)]
    store(tmp_path, *files)
    manifest = make_manifest(
        [
            row_of(files[0], source="github:a/a"),
            row_of(files[1], source="github:b/b"),
            row_of(files[2], source="github:c/c", split="test"),
        ]
    )
    assert [s.source for s in manifest_samples(manifest, tmp_path, "test")] == ["github:c/c"]
    chosen = manifest_samples(manifest, tmp_path, "train", sources=["github:b/b", "github:c/c"])
    assert [s.source for s in chosen] == ["github:b/b"]


def test_a_folder_without_a_corpus_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="detector corpus build"):
        manifest_samples(make_manifest([row_of(image(0))]), tmp_path)


def test_a_cap_keeps_the_same_samples_in_whatever_order_they_come() -> None:
    samples = [
        Sample(str(i), i % 2, f"s{i % 3}", "", "photo", "train", False, bytes) for i in range(60)
    ]
    kept = cap(samples, {"s0": 4})
    assert Counter((s.source, s.label) for s in kept if s.source == "s0") == {
        ("s0", 0): 4,
        ("s0", 1): 4,
    }
    assert sum(s.source != "s0" for s in kept) == 40
    assert {s.key for s in cap(samples[::-1], {"s0": 4})} == {s.key for s in kept}
    assert {s.key for s in cap(samples, {"s0": 4}, seed=1)} != {s.key for s in kept}


# ---- check ----------------------------------------------------------------------------------


def test_a_source_or_a_group_on_both_sides_is_a_leak() -> None:
    rows = [
        row_of(image(0), source="github:a/a"),
        row_of(image(1), source="github:a/a", split="test"),
        row_of(image(2), source="github:b/b", group="g"),
        row_of(image(3), source="github:c/c", group="g", split="test"),
        row_of(image(4), source="github:c/other", group="h"),
    ]
    leaks = split_leaks(make_manifest(rows))
    assert [(leak.what, leak.name) for leak in leaks] == [
        ("source", "github:a/a"),
        ("near-duplicate group", "g"),
    ]
    assert [leak.name for leak in shared_owners(make_manifest(rows))] == ["github:a", "github:c"]


def test_training_data_may_touch_nothing_that_another_manifest_tests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = [
        row_of(image(0), source="github:a/a", split="test"),
        row_of(image(1), source="github:b/b", split="test"),
        row_of(image(2), source="github:c/c"),  # no test image: may be shared
    ]
    ours = [
        row_of(image(0), source="github:x/x"),
        row_of(image(3), source="github:b/other"),
        row_of(image(4), source="github:c/c"),
        row_of(image(5), source="github:a/a"),
    ]
    found = touched(make_manifest(ours), make_manifest(tested))
    assert [(leak.what, leak.name) for leak in found] == [
        ("file", ours[0].sha256),
        ("source", "github:a/a"),
        ("owner", "github:a"),
        ("owner", "github:b"),
    ]
    # The command: only a picture scaled and saved anew is shared, and only the hashes tell.
    again = io.BytesIO()
    with Image.open(io.BytesIO(image(0))) as picture:
        picture.resize((picture.width * 2, picture.height * 2)).save(again, "JPEG", quality=90)
    near = row_of(again.getvalue(), source="github:x/x")
    store(tmp_path, again.getvalue(), image(0), image(1), image(2))
    write_manifest(tested, tmp_path / "tested.tsv")
    write_manifest([near], tmp_path / "ours.tsv")
    command = ["corpus", "check", "--manifest", str(tmp_path / "ours.tsv")]
    command += ["--against", str(tmp_path / "tested.tsv"), "--out", str(tmp_path)]
    assert main(command) == 0
    pytest.importorskip("pdqhash")
    capsys.readouterr()
    assert main([*command, "--near-duplicates"]) == 3
    assert "NEAR-DUPLICATE" in capsys.readouterr().out


def test_missing_altered_and_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    good, altered, gone, text = image(0), image(1), image(2), b"no image at all"
    store(tmp_path, good, altered, text)
    rows = [row_of(data) for data in (good, altered, gone)]
    unreadable = replace(
        rows[0], sha256=hashlib.sha256(text).hexdigest(), bytes=len(text), path="t.png"
    )
    path = tmp_path / "files" / rows[1].sha256[:2] / rows[1].sha256
    path.write_bytes(altered[:-1] + b"!")
    report = check_files(make_manifest([*rows, unreadable]), tmp_path)
    assert [r.sha256 for r in report.missing] == [rows[2].sha256]
    assert [r.sha256 for r in report.altered] == [rows[1].sha256]
    assert [r.path for r, _ in report.unreadable] == ["t.png"]
    assert not report.good


def test_a_file_of_another_size_or_format_than_stated_is_reported(tmp_path: Path) -> None:
    files = [image(0), image(1)]
    store(tmp_path, *files)
    rows = [replace(row_of(files[0]), width=65), replace(row_of(files[1]), format="JPEG")]
    reasons = [reason for _, reason in check_files(make_manifest(rows), tmp_path).unreadable]
    assert reasons == ["is 64×48, not 65×48", "is PNG, where the manifest says JPEG"]


def test_a_sound_corpus_passes_and_strangers_are_named(tmp_path: Path) -> None:
    files = [image(0), image(1, format_="JPEG"), image(2)]
    store(tmp_path, *files)
    report = check_files(make_manifest([row_of(f) for f in files[:2]]), tmp_path, decode=True)
    assert report.good
    assert report.strangers == (hashlib.sha256(files[2]).hexdigest(),)


def test_the_check_command_fails_on_a_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row_of(image(0), group="g"), row_of(image(1), group="g")]
    write_manifest(rows, tmp_path / "good.tsv")
    write_manifest([rows[0], replace(rows[1], split="test")], tmp_path / "bad.tsv")
    assert main(["corpus", "check", "--manifest", str(tmp_path / "good.tsv")]) == 0
    assert main(["corpus", "check", "--manifest", str(tmp_path / "bad.tsv")]) == 3
    assert "LEAK: source github:someone/things" in capsys.readouterr().out


# ---- near-duplicates ------------------------------------------------------------------------


def _hashes(bits: np.ndarray, name: str, quality: int = 100) -> Hashes:
    keys = tuple(f"{name}{i}" for i in range(len(bits)))
    return Hashes(keys, bits.astype(np.uint8), np.full(len(bits), quality), {})


@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(0, 127))
def test_near_pairs_are_exactly_those_that_a_plain_loop_finds(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, (6, 256))
    b = np.vstack([a[:3], rng.integers(0, 2, (3, 256))])
    b ^= rng.random(b.shape) < rng.random((6, 1)) / 2
    expected = {
        (f"a{i}", f"b{j}", int((x != y).sum()))
        for i, x in enumerate(a)
        for j, y in enumerate(b)
        if (x != y).sum() <= limit
    }
    assert set(near_pairs(_hashes(a, "a"), _hashes(b, "b"), limit)) == expected


def test_flat_images_match_nothing() -> None:
    flat = _hashes(np.zeros((2, 256)), "f", quality=10)
    assert near_pairs(flat, flat) == []


def test_a_distance_that_means_nothing_is_refused() -> None:
    some = _hashes(np.zeros((1, 256)), "a")
    with pytest.raises(CorpusError, match="0–127"):
        near_pairs(some, some, 128)


def test_chains_of_near_duplicates_make_one_group() -> None:
    bits = np.zeros((5, 256))
    bits[1, :30] = bits[2, :60] = 1  # 0–1 and 1–2 are near, 0–2 are not
    bits[3, 128:] = bits[4, 64:192] = 1
    assert near_groups(_hashes(bits, "k")) == [("k0", "k1", "k2")]


def test_a_recompressed_copy_is_found_and_another_image_is_not() -> None:
    pytest.importorskip("pdqhash")
    camera = pytest.importorskip("skimage.data")

    def sample(key: str, rgb: np.ndarray, quality: int) -> Sample:
        stream = io.BytesIO()
        Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
        return Sample(key, 0, "s", "", "photo", "", False, stream.getvalue)

    one, two = camera.astronaut(), camera.coffee()
    smaller = np.asarray(Image.fromarray(one).resize((300, 300)))
    broken = Sample("broken", 0, "s", "", "photo", "", False, bytes)
    first = pdq_hashes([sample("one", one, 95), sample("two", two, 95), broken])
    second = pdq_hashes([sample("copy", smaller, 60)])
    assert [(p.first, p.second) for p in near_pairs(first, second)] == [("one", "copy")]
    assert list(first.failed) == ["broken"]


# ---- folds ----------------------------------------------------------------------------------


def _many_sources(extra: tuple[Row, ...] = ()) -> Manifest:
    rows = list(extra)
    base = row_of(image(0))
    for number in range(40):
        for index in range(5 + number % 7):
            name = f"{number}-{index}".encode()
            rows.append(
                replace(
                    base,
                    source=f"github:o{number}/r",
                    label=number % 2,
                    generator="a-generator" * (number % 2),
                    sha256=hashlib.sha256(name).hexdigest(),
                    kind=("photo", "art")[number % 4 // 2],
                )
            )
    return make_manifest(rows)


def test_folds_hold_every_train_source_once_and_no_test_source() -> None:
    test_row = row_of(image(9), source="github:held/out", split="test")
    manifest = _many_sources((test_row,))
    folds = leave_sources_out(manifest, 4)
    assert set(folds) == set(manifest.sources("train"))
    assert set(folds.values()) == {0, 1, 2, 3}
    assert "github:held/out" not in folds


def test_folds_are_balanced_by_label_and_kind() -> None:
    manifest = _many_sources()
    folds = leave_sources_out(manifest, 4)
    for stratum in {(r.label, r.kind) for r in manifest}:
        counts = Counter(folds[r.source] for r in manifest if (r.label, r.kind) == stratum)
        assert max(counts.values()) <= 1.5 * min(counts[n] for n in range(4))


def test_folds_depend_on_manifest_and_seed_alone() -> None:
    manifest = _many_sources()
    shuffled = make_manifest(manifest.rows[::-1])
    assert leave_sources_out(manifest, 5) == leave_sources_out(shuffled, 5)
    assert leave_sources_out(manifest, 5) != leave_sources_out(manifest, 5, seed=1)


def test_sources_of_one_owner_or_one_group_stay_together() -> None:
    rows = (
        row_of(image(1), source="github:o1/another"),
        row_of(image(2), source="github:far/away", group="g"),
        row_of(image(3), source="github:o2/r", label=1, group="g"),
    )
    folds = leave_sources_out(_many_sources(rows), 5)
    assert folds["github:o1/another"] == folds["github:o1/r"]
    assert folds["github:far/away"] == folds["github:o2/r"]


def test_validation_sources_are_one_fold() -> None:
    manifest = _many_sources()
    folds = leave_sources_out(manifest, 6)
    assert validation_sources(manifest) == {s for s, n in folds.items() if n == 0}


@pytest.mark.parametrize("folds", [0, 1, 41])
def test_impossible_numbers_of_folds_are_refused(folds: int) -> None:
    with pytest.raises(CorpusError, match="folds asked for"):
        leave_sources_out(_many_sources(), folds)


def test_the_split_command_prints_a_fold_for_every_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(_many_sources().rows, tmp_path / "m.tsv")
    assert main(["corpus", "split", "--manifest", str(tmp_path / "m.tsv"), "--folds", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fold\tsource"
    assert len(lines) == 41


# ---- stats ----------------------------------------------------------------------------------


def test_tables_escape_bars_and_align_numbers() -> None:
    text = table(("Name", "Files"), [("a|b", 3)])
    assert text.splitlines() == ["| Name | Files |", "| --- | ---: |", "| a\\|b | 3 |"]


def test_stats_count_files_and_tiles() -> None:
    rows = [row_of(image(0, (64, 64)), label=1, grid="2x2"), row_of(image(1), date="2009")]
    text = markdown(make_manifest(rows))
    assert "| train | generated | 1 | 4 | 1 | 0 | 0.00 |" in text
    assert "| to 2011 | 1 | 0 |" in text
    assert text == markdown(make_manifest(rows))


def test_stats_go_between_the_markers_of_a_document(tmp_path: Path) -> None:
    write_manifest([row_of(image(0))], tmp_path / "m.tsv")
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- begin: detector corpus stats -->\nold\n"
                    "<!-- end: detector corpus stats -->\nafter\n")  # fmt: skip
    command = ["corpus", "stats", "--manifest", str(tmp_path / "m.tsv"), "--into", str(page)]
    assert main(command) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert insert("no markers", "tables") is None
    assert main(command) == 0
    assert page.read_text() == text


def test_the_size_and_format_control_sees_a_planted_difference() -> None:
    pytest.importorskip("sklearn")
    rows = [
        replace(row, width=512, height=512) if row.label else row for row in _many_sources().rows
    ]
    assert format_control(make_manifest(rows), folds=2) == [("train, leave-sources-out", 1.0)]
