"""What `detector.images` refuses, with which status, and that nothing else ever escapes."""

from __future__ import annotations

import functools
import pickle
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ImageFile

from detector.errors import ImageError
from detector.images import (
    DEFAULT_LIMITS,
    Limits,
    containers,
    decoders,
    read_header,
    read_image,
    sniff,
)
from detector.images.containers import describe, gif, ifd, jpeg, tiff
from detector.results import Status
from tests import files

ALLOWED = {
    Status.EMPTY,
    Status.UNSUPPORTED,
    Status.TRUNCATED,
    Status.UNREADABLE,
    Status.TOO_SMALL,
    Status.TOO_LARGE,
}
quick = settings(max_examples=40, deadline=None)


@functools.cache
def samples() -> dict[str, bytes]:
    """A file of every kind whose parsing differs."""
    return {
        **{kind: make() for kind, make in files.SOUND.items()},
        "progressive JPEG": files.jpeg(progressive=True, exif=files.exif(6)),
        "JPEG with restarts": files.jpeg(restart_marker_blocks=2),
        "CMYK JPEG": files.cmyk_jpeg(),
        "MPO": files.animation("MPO", 2),
        "16-bit PNG": files.png16(3),
        "PNG with EXIF": files.png(exif=files.exif(6)),
        "APNG": files.animation("PNG"),
        "lossless WebP": files.webp(lossless=True, exif=files.exif(6)),
        "WebP with alpha": files.encoded(files.image("RGBA"), "WEBP"),
        "animated WebP": files.animation("WEBP"),
        "AVIF with EXIF": files.avif(exif=files.exif(6)),
        "animated AVIF": files.animation("AVIF", 2),
        "animated GIF": files.animation("GIF"),
        "LZW TIFF": files.tiff(compression="tiff_lzw"),
        "deflate TIFF": files.tiff(compression="tiff_adobe_deflate"),
        "16-bit TIFF": files.raw_tiff(files.deep(3), ">"),
        "BigTIFF": files.raw_tiff(files.pixels(), big=True),
        "pages of TIFF": files.animation("TIFF", 2),
        "8-bit BMP": files.bmp(mode="L"),
    }


NAMES = list(samples())


@functools.cache
def whole(name: str) -> np.ndarray:
    return read_image(samples()[name]).rgb


def refused(data: bytes, limits: Limits = DEFAULT_LIMITS) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_image(data, limits)
    assert caught.value.reason.endswith(".")
    return caught.value


def rgb_or_refusal(data: bytes) -> np.ndarray | None:
    """The pixels, or None; any warning, and any exception but `ImageError`, fails the test."""
    refusal = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_header(data)
            return read_image(data).rgb
        except ImageError as error:
            refusal = error
    assert refusal.status in ALLOWED
    assert refusal.reason
    return None


def test_no_bytes_are_empty():
    assert refused(b"").status is Status.EMPTY


@pytest.mark.parametrize("size", [(8, 8), (31, 400), (400, 31)])
def test_too_few_pixels_on_either_side_are_too_small(size):
    error = refused(files.png(files.pixels(*size)))
    assert error.status is Status.TOO_SMALL
    assert str(size[0]) in error.reason


def test_the_smallest_size_that_is_allowed_is_read():
    assert read_image(files.png(files.pixels(32, 32))).rgb.shape == (32, 32, 3)


@pytest.mark.parametrize("kind", files.SOUND)
def test_limits_on_bytes_and_pixels_are_kept_to_the_last_one(kind):
    data = files.SOUND[kind]()
    assert refused(data, Limits(max_bytes=len(data) - 1)).status is Status.TOO_LARGE
    assert refused(data, Limits(max_pixels=64 * 48 - 1)).status is Status.TOO_LARGE
    read_image(data, Limits(max_bytes=len(data), max_pixels=64 * 48))


def never(*_: object, **__: object) -> None:
    raise AssertionError("a decoder was asked to decode")


def with_size(kind: str, width: int, height: int) -> bytes:
    """A small sound file whose header was changed to declare another size."""
    data = bytearray(files.SOUND[kind]())
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "AVIF":
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", width, height)
    elif kind == "TIFF":
        return files.raw_tiff(files.pixels(), t256=[width], t257=[height])
    elif kind == "PNG":
        return files.bomb_png(width, height)
    elif kind == "WEBP":
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas
        frame = bytes(12) + bytes(4) + files.webp()[12:]
        body += b"ANMF" + struct.pack("<I", len(frame)) + frame
        return b"RIFF" + struct.pack("<I", len(body)) + body
    return bytes(data)


@pytest.mark.parametrize("kind", files.SOUND)
def test_a_bomb_is_refused_by_its_header_without_decoding(kind, monkeypatch, recwarn):
    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    bomb = with_size(kind, 60_000, 60_000)
    assert len(bomb) < 20_000
    error = refused(bomb)
    assert error.status in (Status.TOO_LARGE, Status.TRUNCATED)
    assert (error.status is Status.TOO_LARGE) or kind == "BMP"
    assert not recwarn.list


def test_a_jpeg_of_too_few_bytes_for_its_size_is_refused_without_decoding(monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    assert refused(with_size("JPEG", 14_000, 14_000)).status is Status.TRUNCATED


def test_the_emptiest_of_whole_jpegs_is_read():
    for options in ({}, {"progressive": True}, {"optimize": True}):
        data = files.jpeg(np.zeros((2000, 2000, 3), np.uint8), quality=1, **options)
        assert read_image(data).rgb.max() < 9


def test_compressed_text_and_profiles_are_never_unpacked(monkeypatch):
    bomb = files.text_bomb_png(8)
    monkeypatch.setattr(zlib, "decompressobj", never)  # what Pillow unpacks text with
    assert np.array_equal(read_image(bomb).rgb, files.pixels())


def test_thousands_of_frames_are_counted_without_being_decoded():
    bomb = files.frame_bomb_gif(20_000)
    assert read_header(bomb).frames == 20_000
    assert len(containers.parse("GIF", bomb).pixel_file()) < len(files.gif()) + 10
    assert np.array_equal(read_image(bomb).rgb, read_image(files.gif()).rgb)


def test_counting_frames_has_an_end(monkeypatch):
    monkeypatch.setattr(gif, "_MAX_STEPS", 500)
    monkeypatch.setattr(tiff, "MAX_PARTS", 5)
    assert 1 < read_header(files.frame_bomb_gif(20_000)).frames < 600
    assert read_header(files.animation("TIFF", 9)).frames == 6


def test_a_circle_of_tiff_pages_is_counted_once():
    data = files.animation("TIFF", 2)
    form = ifd.layout(data)
    _, second = ifd.read_directory(data, form, form.first)
    entries, _ = ifd.read_directory(data, form, second)
    following = second + 2 + 12 * len(entries)
    circle = data[:following] + struct.pack("<I", form.first) + data[following + 4 :]
    assert read_header(circle).frames == 2


def test_a_jpeg_of_endless_scans_is_refused():
    data = files.jpeg(progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    endless = data[:-2] + scan * (jpeg.MAX_SCANS + 1) + b"\xff\xd9"
    assert refused(endless).status is Status.UNREADABLE


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (files.PDF, "a PDF document"),
        (files.SVG, "an SVG drawing"),
        (files.HTML, "an HTML page"),
        (b"\n  <html>", "an HTML page"),
        (files.MP4, "an MP4 video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a QuickTime video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw photograph"),
        (b"PK\x03\x04\x14\0", "a ZIP archive"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"P6\n64 48\n255\n", "a PNM image"),
        (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
        (b'{"error": "not found"}', "JSON text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"BMW is a car maker.", "plain text"),
        (bytes(300), "nothing but zero bytes"),
        (b"\x80\x01\x02\x03", "data of an unknown type"),
    ],
)
def test_other_files_are_unsupported_and_called_by_their_name(data, words):
    assert sniff(data) is None
    error = refused(data)
    assert error.status is Status.UNSUPPORTED
    assert words in error.reason


@pytest.mark.parametrize(
    "data",
    [
        files.raw_tiff(files.pixels(), t50706=[1]),
        files.raw_tiff(files.pixels(), t254=[1], t330=[8]),
        files.raw_tiff(files.pixels(channels=1), t262=[32803]),
    ],
    ids=["DNG", "thumbnail first", "colour filter array"],
)
def test_the_thumbnail_of_a_raw_photograph_is_not_scored_for_it(data):
    error = refused(data)
    assert error.status is Status.UNSUPPORTED
    assert "raw photograph" in error.reason


@pytest.mark.parametrize("marker", [0xC3, 0xC9, 0xCA, 0xCF, 0xF7])
def test_jpeg_processes_that_nobody_uses_are_unsupported(marker):
    data = bytearray(files.jpeg())
    data[data.index(b"\xff\xc0") + 1] = marker
    assert refused(bytes(data)).status is Status.UNSUPPORTED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9])
def test_a_file_cut_in_the_middle_is_truncated(kind, keep):
    error = refused(files.truncated(files.SOUND[kind](), keep))
    assert error.status is Status.TRUNCATED


def test_a_cut_heic_is_truncated():
    for keep in (0.3, 0.5, 0.9):
        assert refused(files.truncated(files.heic(), keep)).status is Status.TRUNCATED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP"])
def test_cut_files_are_noticed_also_when_some_library_made_pillow_lenient(kind, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for keep in (0.3, 0.5, 0.9):
        assert refused(files.truncated(files.SOUND[kind](), keep)).status is Status.TRUNCATED
    rows = zlib.compress(bytes(64))
    assert refused(files.raw_png(64, 48, 8, 2, b"", idat=rows)).status is Status.TRUNCATED


@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"restart_marker_blocks": 2}, {"progressive": True}],
    ids=["4:2:0", "4:4:4", "restarts", "progressive"],
)
@pytest.mark.parametrize("keep", [0.45, 0.5, 0.55, 0.6])
def test_a_jpeg_that_was_cut_and_closed_again_is_truncated(options, keep):
    data = files.truncated(files.jpeg(files.pixels(160, 160), **options), keep)
    assert refused(data + b"\xff\xd9").status is Status.TRUNCATED


@pytest.mark.parametrize("padding", [bytes(5000), b"\xff" * 5000, b"\x20" * 5000])
def test_a_jpeg_whose_rest_never_arrived_is_truncated(padding):
    assert refused(files.truncated(files.jpeg()) + padding).status is Status.TRUNCATED


@pytest.mark.parametrize(
    "options", [{}, {"restart_marker_blocks": 3}, {"progressive": True}, {"subsampling": 0}]
)
@pytest.mark.parametrize("grey", [127, 128])
def test_a_whole_jpeg_that_ends_in_grey_is_not_taken_for_a_cut_one(grey, options):
    array = files.pixels(64, 64)
    array[16:] = grey
    for mode in ("RGB", "L", "CMYK"):
        read_image(files.encoded(files.image(mode, array), "JPEG", quality=95, **options))


def test_bytes_after_the_end_of_a_file_change_nothing():
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        longer = samples()[name] + b"appended by somebody \xff\xd8\xff" * 9
        assert np.array_equal(read_image(longer).rgb, whole(name))


def test_a_gif_that_ends_after_its_first_frame_is_read_with_a_note():
    decoded = read_image(files.truncated(samples()["animated GIF"], 0.7))
    assert "the file ends early" in decoded.notes[-1]


def test_damaged_image_data_of_a_png_are_unreadable():
    data = files.png()
    error = refused(files.flipped(data, len(data) // 2))
    assert error.status is Status.UNREADABLE
    assert "checksum" in error.reason


@pytest.mark.parametrize("status", ["memory", "other"])
def test_faults_of_a_decoder_become_a_status(status, monkeypatch):
    fault = MemoryError() if status == "memory" else KeyError("what")

    def broken(_: object) -> None:
        raise fault

    monkeypatch.setattr(decoders, "_load", broken)
    error = refused(files.png())
    assert error.status is (Status.FAILED if status == "memory" else Status.UNREADABLE)
    assert pickle.loads(pickle.dumps(error)).reason == error.reason


@given(name=st.sampled_from(NAMES), place=st.floats(0, 1, exclude_max=True))
@example("JPEG", 0.999)
@example("PNG", 0.999)
@settings(max_examples=250, deadline=None)
def test_a_cut_at_any_place_is_refused_or_harmless(name, place):
    rgb = rgb_or_refusal(files.truncated(samples()[name], place))
    assert rgb is None or np.array_equal(rgb, whole(name))


@given(
    name=st.sampled_from(NAMES),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1),
    head=st.booleans(),
)
@settings(max_examples=250, deadline=None)
def test_changed_bytes_raise_nothing_but_image_errors(name, changes, head):
    data = samples()[name]
    for place, bits in changes:
        # Most of what parsing can trip over is at the beginning.
        data = files.flipped(data, int(place * (min(len(data), 200) if head else len(data))), bits)
    rgb_or_refusal(data)


def gif_frame() -> int:
    """Where the first frame's place and size are, in the GIF among the samples."""
    return samples()["GIF"].index(b",\0\0\0\0\x40\0") + 1


def webp_size() -> int:
    """Where the size of the image data is, in the WebP with alpha among the samples."""
    return samples()["WebP with alpha"].index(b"\x9d\x01\x2a") + 3


HEADS = [data[:n] for data in samples().values() for n in (4, 16, 64)]


@given(
    name=st.sampled_from(NAMES),
    where=st.integers(4, 200),
    number=st.sampled_from([b"\0", b"\xff", b"\xff\xff", b"\0\0", b"\xff" * 4, b"\0" * 4]),
)
@example("GIF", gif_frame(), b"\xff\xff\xff\xff")
@example("WebP with alpha", webp_size(), b"\0\0\0\0")
@settings(max_examples=150, deadline=None)
def test_numbers_at_their_extremes_raise_nothing_but_image_errors(name, where, number):
    data = samples()[name]
    rgb_or_refusal(data[:where] + number + data[where + len(number) :])


@given(head=st.sampled_from([b"", *HEADS]), body=st.binary(max_size=300))
@quick
def test_random_bytes_raise_nothing_but_image_errors(head, body):
    rgb_or_refusal(head + body)


@given(st.binary(max_size=64))
@quick
def test_any_bytes_can_be_described(data):
    assert describe(data)


@given(name=st.sampled_from(NAMES), cut=st.integers(0, 400), paste=st.binary(max_size=40))
@quick
def test_inserted_bytes_raise_nothing_but_image_errors(name, cut, paste):
    data = samples()[name]
    rgb_or_refusal(data[:cut] + paste + data[cut:])


@given(st.binary(max_size=60), st.booleans(), st.booleans())
@quick
def test_an_orientation_is_always_1_to_8(body, little, prefixed):
    head = b"II*\0\x08\0\0\0" if little else b"MM\0*\0\0\0\x08"
    assert ifd.orientation((b"Exif\0\0" if prefixed else b"") + head + body) in range(1, 9)


@given(st.integers(1, 8), st.sampled_from("<>"))
def test_a_written_orientation_is_read(orientation, order):
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    head = b"II" if order == "<" else b"MM"
    block = head + struct.pack(order + "HIH", 42, 8, 1) + entry + bytes(4)
    assert ifd.orientation(block) == orientation


@given(st.integers(33, 90), st.integers(33, 90), st.sampled_from(list(files.SOUND)))
@quick
def test_header_and_pixels_agree_on_the_size(height, width, kind):
    data = files.SOUND[kind](files.pixels(height, width))
    facts = read_header(data)
    assert (facts.height, facts.width) == read_image(data).rgb.shape[:2] == (height, width)


def test_a_hostile_folder_gives_the_statuses_that_it_promises(tmp_path):
    expected = files.hostile_folder(tmp_path)
    found = {}
    for name in expected:
        try:
            read_image((tmp_path / name).read_bytes())
            found[name] = Status.OK
        except ImageError as error:
            found[name] = error.status
    assert found == expected
    assert len(expected) > 60
