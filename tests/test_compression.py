"""The compression channel names tables, layouts and earlier compressions, and never accuses."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegPresets

from detector.evidence import _examples, _grid, _history, _jpeg_tables, _luma, _resampling, _sizes
from detector.evidence import compression as channel
from detector.evidence._jpeg_structure import read_structure
from detector.evidence.base import EvidenceInput
from detector.results import Asserts, Evidence, FileFacts, Trust
from tests import files

PICTURE = _examples.picture(392, 520)


def jpeg(rgb: np.ndarray, quality: int | str = 85, **options: Any) -> bytes:
    """A JPEG by Pillow, that is by libjpeg-turbo."""
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def with_tables(luminance: list[int], chrominance: list[int]) -> bytes:
    """A JPEG with these tables."""
    stream = io.BytesIO()
    Image.fromarray(PICTURE[:64, :64]).save(stream, "JPEG", qtables=[luminance, chrominance])
    return stream.getvalue()


def again(rgb: np.ndarray, quality: int) -> np.ndarray:
    """The pixels after a JPEG compression."""
    return np.asarray(Image.open(io.BytesIO(jpeg(rgb, quality))).convert("RGB"))


def png(rgb: np.ndarray) -> bytes:
    return _examples.encode(rgb, ".png")


def found(data: bytes, **given_facts: Any) -> dict[str, Evidence]:
    return {e.kind: e for e in channel.find(EvidenceInput(data, **given_facts))}


def encoding(data: bytes) -> dict[str, Any]:
    return found(data)["jpeg_encoding"].raw


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(*parts: bytes) -> bytes:
    """A JPEG with segments put in after its first marker."""
    data = jpeg(PICTURE[:64, :64])
    return data[:2] + b"".join(parts) + data[2:]


# -- tables and layout


@pytest.mark.parametrize("quality", [5, 25, 50, 75, 76, 90, 95, 100])
def test_libjpegs_tables_are_named_with_their_quality(quality: int) -> None:
    tables = encoding(jpeg(PICTURE[:64, :64], quality))["tables"]
    assert (tables["family"], tables["setting"]) == (_jpeg_tables.IJG, f"quality {quality}")
    assert (tables["deviation"], tables["ijg_quality"]) == (0.0, quality)
    assert tables["ijg_chroma_quality"] == quality


@pytest.mark.parametrize("name", ["web_low", "web_medium", "web_high", "low", "medium"])
def test_photoshops_tables_are_named_as_pillow_documents_them(name: str) -> None:
    tables = encoding(jpeg(PICTURE[:64, :64], name))["tables"]
    assert tables["family"] == "Photoshop preset"
    chosen = JpegPresets.presets[tables["setting"]]["quantization"]
    assert chosen == JpegPresets.presets[name]["quantization"]


def test_mozjpegs_default_table_is_named() -> None:
    robidoux = _jpeg_tables.scaled(_jpeg_tables._ROBIDOUX)[80 - 1].tolist()
    tables = encoding(with_tables(robidoux, robidoux))["tables"]
    assert tables["family"] == "mozjpeg -quant-table 3 (Robidoux, its default)"
    assert tables["setting"] == "quality 80"


def test_an_unknown_table_is_said_to_be_unknown_and_its_nearest_is_given() -> None:
    own = [max(1, 3 + (7 * i) % 11) for i in range(64)]
    tables = encoding(with_tables(own, own))["tables"]
    assert tables["family"] is None
    assert tables["deviation"] > 0
    assert "cameras" in tables["reading"]
    assert tables["luminance"] == own


def test_luminance_and_chrominance_of_different_quality_are_told_apart() -> None:
    both = jpeg(PICTURE[:64, :64], 60), jpeg(PICTURE[:64, :64], 90)
    luma, chroma = (Image.open(io.BytesIO(d)).quantization for d in both)
    tables = encoding(with_tables(luma[0], chroma[1]))["tables"]
    assert tables["family"] is None
    assert (tables["ijg_quality"], tables["ijg_chroma_quality"]) == (60, 90)


@pytest.mark.parametrize(
    ("option", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")], ids=["444", "422", "420"]
)
def test_the_chroma_subsampling_is_told(option: int, name: str) -> None:
    assert encoding(jpeg(PICTURE[:64, :64], subsampling=option))["subsampling"] == name


def test_greyscale_has_no_chrominance_table() -> None:
    raw = encoding(jpeg(PICTURE[:64, :64, 0]))
    assert raw["subsampling"] == "greyscale"
    assert raw["tables"]["chrominance"] is None


def test_default_and_own_huffman_tables_are_told_apart() -> None:
    assert encoding(jpeg(PICTURE[:64, :64]))["huffman"] == "default"
    assert encoding(jpeg(PICTURE[:64, :64], optimize=True))["huffman"] == "own"


def test_progressive_files_and_restart_markers_are_told() -> None:
    progressive = encoding(jpeg(PICTURE[:64, :64], progressive=True))
    assert progressive["process"] == "progressive"
    assert progressive["scans"] > 1
    restarts = _examples.jpeg(PICTURE[:64, :64], 80, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    assert encoding(restarts)["restart_interval"] == 2


def test_the_segments_are_listed_in_their_order() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    data = jpeg(PICTURE[:64, :64], exif=exif.tobytes(), icc_profile=b"p" * 80, comment=b"a note")
    raw = encoding(data)
    order = raw["segments"]
    assert order[:2] == ["SOI", "APP0:JFIF"]
    assert {"APP1:Exif", "COM", "APP2:ICC_PROFILE", "DQT", "SOF0", "DHT", "SOS"} <= set(order)
    assert order[-1] == "EOI"
    assert raw["comments"] == ["a note"]


def test_photoshops_notes_of_its_quality_are_read() -> None:
    resource = b"8BIM" + struct.pack(">HBB", 0x0406, 0, 0) + struct.pack(">IhHH", 6, 6, 0x101, 1)
    other = b"8BIM" + struct.pack(">HBB", 0x0404, 0, 0) + struct.pack(">I", 3) + b"abc\0"
    save_as = segment(0xED, b"Photoshop 3.0\0" + other + resource)
    for_web = segment(0xEC, b"Ducky" + struct.pack(">HHI", 1, 4, 60) + b"\0\0")
    raw = encoding(with_segments(save_as, for_web))
    assert raw["photoshop_save_as_quality"] == 10
    assert raw["photoshop_save_for_web_quality"] == 60


# -- earlier compressions


@pytest.mark.parametrize("now", [85, 90, 95])
@pytest.mark.parametrize("earlier", [60, 75])
def test_the_quality_of_an_earlier_compression_is_estimated(earlier: int, now: int) -> None:
    raw = found(jpeg(again(PICTURE, earlier), now))["double_compression"].raw
    assert abs(raw["earlier_ijg_quality"] - earlier) <= 1
    assert raw["current_ijg_quality"] == now


@pytest.mark.parametrize("quality", [70, 85, 90, 95])
def test_a_single_compression_is_not_called_double(quality: int) -> None:
    assert set(found(jpeg(PICTURE, quality))) == {"jpeg_encoding"}


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 1), (4, 4)])
@pytest.mark.parametrize("quality", [60, 90, 96])
def test_a_png_that_was_a_jpeg_is_recognised_with_its_grid(
    quality: int, row: int, column: int
) -> None:
    pixels = again(PICTURE, quality)[(8 - row) % 8 :, (8 - column) % 8 :]
    raw = found(png(pixels))["earlier_jpeg"].raw
    assert (raw["grid_row"], raw["grid_column"]) == (row, column)
    assert abs(raw["earlier_ijg_quality"] - quality) <= 1


def test_a_jpeg_grid_that_a_crop_moved_is_found_under_the_new_one() -> None:
    raw = found(jpeg(again(PICTURE, 75)[3:, 5:], 95))["cropped_jpeg"].raw
    assert (raw["grid_row"], raw["grid_column"]) == (5, 3)
    assert abs(raw["earlier_ijg_quality"] - 75) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_does_not_hide_the_stored_grid(orientation: int) -> None:
    twice = again(PICTURE, 70)
    data = jpeg(twice, 92, exif=files.exif(orientation))
    kinds = found(data)
    assert "double_compression" in kinds
    assert "cropped_jpeg" not in kinds


def test_pixels_that_were_never_compressed_have_no_grid() -> None:
    assert found(png(PICTURE)) == {}


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_have_no_past(value: int) -> None:
    flat = np.full((300, 400, 3), value, np.uint8)
    assert found(png(flat)) == {}
    assert set(found(jpeg(flat))) == {"jpeg_encoding"}


# -- scaling and size


@pytest.mark.parametrize("scale", [0.9, 1.1, 1.3, 1.7])
def test_scaling_is_seen_and_its_factor_is_a_candidate(scale: float) -> None:
    scaled = _examples.enlarged(_examples.picture(640, 640, seed=2), scale)
    raw = found(png(scaled))["resampling"].raw
    assert any(abs(factor / scale - 1) < 0.01 for factor in raw["factor_candidates"])


def test_what_was_measured_is_said_in_words_first() -> None:
    for example in channel.examples():
        for evidence in channel.find(EvidenceInput(example.data)):
            if evidence.kind != "generator_size":
                assert next(iter(evidence.raw)) == "reading"
                assert evidence.raw["reading"]


def test_an_unscaled_picture_has_no_period() -> None:
    assert "resampling" not in found(png(_examples.picture(700, 700)))


@pytest.mark.parametrize("period", [7, 13, 20])
def test_a_pattern_in_the_scene_is_not_called_scaling(period: int) -> None:
    tiled = _examples.picture(520, 520)
    tiled[::period] //= 2
    tiled[:, ::period] //= 2
    assert "resampling" not in found(png(tiled))
    assert "resampling" not in found(jpeg(tiled, 95))


def test_the_thresholds_are_those_of_the_committed_measurement() -> None:
    folder = Path(__file__).parent.parent / "benchmarks" / "results"
    measured = json.loads((folder / "compression_thresholds.json").read_text())
    assert measured["gain"]["in_use"] == {"jpeg": channel.MIN_GAIN}
    assert measured["line"]["in_use"] == {
        "jpeg": channel.MIN_LINE,
        "exact": channel.MIN_LINE_EXACT,
    }
    assert measured["most_flat"] == channel.MOST_FLAT
    for name in ("gain", "line"):
        for kind, limit in measured[name]["in_use"].items():
            # No more than rounded up.
            assert (
                measured[name]["threshold"][kind]
                <= limit
                <= 1.1 * measured[name]["threshold"][kind]
            )
        # On sources that chose nothing, the rate aimed at lies within every group's interval.
        for found in measured[name]["check"]["false_alarms"].values():
            assert found["interval"][0] <= measured["allowed_rate"]
    assert not {*measured["fit"]["names"]} & {*measured["check"]["names"]}


def test_the_caveats_give_the_rates_of_the_committed_measurement() -> None:
    folder = Path(__file__).parent.parent / "benchmarks" / "results"
    measured = json.loads((folder / "compression_thresholds.json").read_text())

    def percent(name: str, group: str, way: str) -> str:
        return f"{100 * measured[name]['check'][group][way]['rate']:.0f} %"

    def alarms(name: str) -> str:
        return f"{100 * measured[name]['check']['false_alarms']['all']['rate']:.1f} %"

    twice = found(jpeg(again(PICTURE, 60), 90))["double_compression"].caveat
    assert f"named in {alarms('gain')} of files" in twice
    for way in ("higher", "lower"):
        assert percent("gain", "found", f"second quality {way} by 10 or more") in twice
    scaled = _examples.enlarged(_examples.picture(640, 640, seed=2), 1.3)
    caveat = found(png(scaled))["resampling"].caveat
    assert f"named in {alarms('line')} of pictures" in caveat
    for saved in ("PNG", "JPEG 95", "JPEG 75"):
        assert percent("line", "found", f"enlarged by 1.1 to 1.5, {saved}") in caveat
    others = [
        100 * rate["rate"]
        for way, rate in measured["line"]["check"]["found"].items()
        if "JPEG" in way and not way.startswith("enlarged")
    ]
    assert f"at most {max(others):.0f} % of JPEG files" in caveat
    assert max(100 * r["rate"] for n in ("gain", "line")
               for r in measured[n]["check"]["false_alarms"].values()) <= 2.25  # fmt: skip


def test_mostly_flat_pictures_are_not_judged() -> None:
    flat = np.full((512, 512, 3), 90, np.uint8)
    flat[200:300, 200:300] = _examples.enlarged(_examples.picture(80, 80), 1.3)[:100, :100]
    twice = jpeg(again(flat, 60), 90)
    assert set(found(twice)) <= {"jpeg_encoding", "generator_size"}
    window = _luma.windows(np.asarray(Image.open(io.BytesIO(twice)).convert("RGB")), 1024, 1)[0]
    assert _luma.flat_share(window) > channel.MOST_FLAT
    (textured,) = _luma.windows(PICTURE, 1024, 1)
    assert _luma.flat_share(textured) < channel.MOST_FLAT
    assert _luma.flat_share(_luma.windows(PICTURE[:, :2], 1024, 1)[0]) == 1.0


@pytest.mark.parametrize("size", [(832, 1216), (1216, 832), (1024, 1024)])
def test_a_size_that_generators_give_is_weak_context(size: tuple[int, int]) -> None:
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    evidence = found(png(blank))["generator_size"]
    assert evidence.asserts is Asserts.UNKNOWN
    assert "means nothing" in evidence.caveat
    assert evidence.raw["given_by"]


def test_other_sizes_are_not_mentioned() -> None:
    assert _sizes.users_of(4000, 3000) == []
    assert _sizes.users_of(1080, 1350) == []


# -- what never happens


def test_nothing_in_this_channel_accuses() -> None:
    for example in channel.examples():
        for evidence in channel.find(EvidenceInput(example.data)):
            assert evidence.asserts is Asserts.UNKNOWN
            assert evidence.trust is Trust.INFERRED
            assert evidence.caveat


def test_a_file_that_cannot_be_decoded_still_tells_its_tables() -> None:
    data = jpeg(PICTURE[:64, :64])
    assert set(found(data[: data.rindex(b"\xff\xda") + 30])) == {"jpeg_encoding"}


def test_cmyk_is_described_and_not_measured() -> None:
    kinds = found(files.cmyk_jpeg())
    assert set(kinds) == {"jpeg_encoding"}
    assert "adobe_transform" in kinds["jpeg_encoding"].raw


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400), st.integers(0, 700))
def test_no_bytes_make_the_reader_of_segments_raise(noise: bytes, cut: int) -> None:
    sound = with_segments(segment(0xED, b"Photoshop 3.0\0" + noise[:80]))
    for data in (noise, b"\xff\xd8" + noise, sound[:cut] + noise, noise + sound):
        structure = read_structure(data)
        assert structure is None or len(structure.order) <= 61


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(range(0xC0, 0x100)), st.binary(max_size=90)), max_size=8))
def test_no_segments_make_the_channel_raise(parts: list[tuple[int, bytes]]) -> None:
    data = b"\xff\xd8" + b"".join(segment(marker, body) for marker, body in parts)
    for evidence in channel.find(EvidenceInput(data)):
        assert evidence.asserts is Asserts.UNKNOWN


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**16))
def test_no_size_makes_the_measurements_raise(height: int, width: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    facts = FileFacts("", rgb.nbytes, "PIXELS", width, height, lossless=True)
    for evidence in channel.find(EvidenceInput(b"", facts, rgb)):
        assert evidence.asserts is Asserts.UNKNOWN


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "GIF", "TIFF", "AVIF"])
def test_other_formats_are_measured_without_fault(kind: str) -> None:
    channel.find(EvidenceInput(files.SOUND[kind](PICTURE)))


def test_no_more_pixels_of_a_huge_picture_are_looked_at_than_of_a_large_one() -> None:
    for side, count in ((512, 6), (256, 4), (1024, 1)):
        areas = []
        for size in (3000, 6000):
            picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
            areas.append(sum(w.luma.size for w in _luma.windows(picture, side, count)))
        assert areas[0] == areas[1] == side * side * count


# -- the helpers


def test_windows_are_multiples_of_eight_and_the_most_varied() -> None:
    rgb = np.full((2000, 2000, 3), 90, np.uint8)
    rgb[1200:1500, 400:700] = PICTURE[:300, :300]
    (window,) = _luma.windows(rgb, 256, 1)
    assert (window.top % 8, window.left % 8) == (0, 0)
    assert window.luma.std() > 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_pixels_are_turned_back_as_they_were_stored(orientation: int) -> None:
    upright = PICTURE[:40, :56]
    stored = files.stored(upright, orientation)
    assert np.array_equal(_luma.as_stored(upright, orientation), stored)


def test_the_basis_is_orthonormal_and_starts_with_the_mean() -> None:
    basis = _history.dct_basis().astype(np.float64)
    assert np.allclose(basis.T @ basis, np.eye(64), atol=1e-6)
    assert np.allclose(basis[:, 0], 1 / 8)


def test_the_vote_of_pure_noise_is_even() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    grid = _grid.strongest(_luma.windows(noise, 256, 1))
    assert grid is None or grid.log10_chance > -6


def test_small_windows_give_no_trace() -> None:
    assert _resampling.strongest_trace(_luma.windows(PICTURE[:100, :100], 256, 1)[0]) is None
