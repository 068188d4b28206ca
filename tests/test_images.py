"""What `detector.images` makes of sound files: pixels, facts and notes."""

from __future__ import annotations

import io
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from detector.errors import ImageError
from detector.images import (
    DEFAULT_LIMITS,
    Limits,
    containers,
    decoded_from_pixels,
    pixels,
    read_header,
    read_image,
    sniff,
    thumbnail,
)
from detector.results import Status
from tests import files


def rounded(samples: np.ndarray) -> np.ndarray:
    """The documented way from 16 bits to 8, written otherwise than in the package."""
    return np.rint(samples.astype(np.float64) / 257).astype(np.uint8)


def laid_over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    weight = alpha.astype(np.float64) / 255
    return np.floor(rgb * weight[..., None] + 255 * (1 - weight[..., None]) + 0.5 + 1e-9)


def by_pillow(data: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(data))
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB"))
    rgba = np.asarray(picture.convert("RGBA"))
    return laid_over_white(rgba[:, :, :3], rgba[:, :, 3])


def refused(data: bytes, limits: Limits = DEFAULT_LIMITS) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_image(data, limits)
    with pytest.raises(ImageError):
        read_header(data, limits)
    return caught.value


@pytest.mark.parametrize("kind", files.SOUND)
def test_every_type_is_read_as_upright_rgb_with_its_facts(kind):
    data = files.SOUND[kind]()
    decoded = read_image(data)
    assert decoded.rgb.dtype == np.uint8
    assert decoded.rgb.shape == (files.HEIGHT, files.WIDTH, 3)
    assert decoded.rgb.flags.c_contiguous
    assert not decoded.rgb.flags.writeable
    assert decoded.facts.format == kind == sniff(data)
    assert decoded.facts.bytes == len(data)
    assert decoded.facts.frames == decoded.facts.orientation == 1
    assert decoded.notes == ()
    assert read_header(data) == decoded.facts


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_files_give_the_exact_pixels(kind):
    assert np.array_equal(read_image(files.SOUND[kind]()).rgb, files.pixels())


MODES = {
    "JPEG": ["L", "RGB", "CMYK"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "WEBP": ["L", "RGB", "RGBA"],
    "AVIF": ["L", "RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"],
}


@pytest.mark.parametrize(("kind", "mode"), [(k, m) for k, modes in MODES.items() for m in modes])
def test_every_mode_becomes_rgb_as_documented(kind, mode):
    options = {"AVIF": {"speed": 10}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    data = files.encoded(files.image(mode), kind, **options)
    decoded = read_image(data)
    assert np.array_equal(decoded.rgb, by_pillow(data))
    assert (pixels.NOTE_ALPHA in decoded.notes) == (decoded.facts.mode in ("LA", "RGBA"))
    assert (pixels.NOTE_CMYK in decoded.notes) == (mode == "CMYK")
    assert read_header(data) == decoded.facts


@pytest.mark.parametrize("method", ["raw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_compressed_tiffs_are_read(method, mode):
    if method == "jpeg" and mode == "RGBA":
        pytest.skip("JPEG-in-TIFF holds no alpha")
    data = files.encoded(files.image(mode), "TIFF", compression=method)
    decoded = read_image(data)
    assert np.array_equal(decoded.rgb, by_pillow(data))
    assert decoded.facts.lossless == (method != "jpeg")


@pytest.mark.parametrize("method", ["group3", "group4"])
def test_faxes_are_read(method):
    data = files.encoded(files.image("1"), "TIFF", compression=method)
    assert np.array_equal(read_image(data).rgb, by_pillow(data))


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 240, 15))])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entries_are_laid_over_white(kind, transparency):
    if kind == "GIF" and isinstance(transparency, bytes):
        pytest.skip("a GIF has one transparent entry")
    data = files.encoded(files.image().quantize(16), kind, transparency=transparency)
    decoded = read_image(data)
    assert np.array_equal(decoded.rgb, by_pillow(data))
    assert decoded.notes == (pixels.NOTE_ALPHA,)


def test_an_opaque_alpha_channel_is_not_worth_a_note():
    picture = files.image()
    picture.putalpha(255)
    decoded = read_image(files.encoded(picture, "PNG"))
    assert decoded.notes == ()
    assert np.array_equal(decoded.rgb, files.pixels())


def test_cmyk_is_converted_by_the_plain_formula():
    ink = files.pixels(channels=4).astype(np.float64)
    data = files.encoded(Image.frombytes("CMYK", (64, 48), files.pixels(channels=4)), "TIFF")
    plain = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    assert np.abs(read_image(data).rgb - plain).max() <= 1


def test_a_printers_jpeg_is_not_shown_as_a_negative():
    rgb = read_image(files.cmyk_jpeg()).rgb.astype(int)
    assert np.abs(rgb - np.asarray(files.image("CMYK").convert("RGB"))).mean() < 8


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_pngs_are_rounded_not_cut_off(channels):
    samples = files.deep(channels)
    eight = rounded(samples)
    expected = np.repeat(eight[..., :1], 3, axis=2) if channels < 3 else eight[..., :3]
    if channels in (2, 4):
        expected = laid_over_white(expected, eight[..., -1])
    decoded = read_image(files.png16(channels))
    assert np.array_equal(decoded.rgb, expected)
    assert decoded.notes[0] == "16 bits per sample were rounded to 8"
    assert decoded.facts.mode == {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[channels]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_a_16_bit_png_is_matched_in_16_bits(channels):
    samples = files.deep(channels)
    samples[0, 0] = samples[5, 5]
    samples[0, 1] = samples[5, 5] ^ 1  # differs in the lowest bit only
    clear = files.chunk(b"tRNS", struct.pack(f">{channels}H", *samples[5, 5]))
    rgb = read_image(files.png16(channels, clear, array=samples)).rgb
    assert (rgb[0, 0] == 255).all()
    assert (rgb[5, 5] == 255).all()
    assert np.array_equal(rgb[0, 1], np.broadcast_to(rounded(samples[0, 1]), 3))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiffs_are_rounded_in_either_byte_order(order, channels):
    eight = rounded(files.deep(channels))
    expected = np.repeat(eight, 3, axis=2) if channels == 1 else eight[..., :3]
    if channels == 4:
        expected = laid_over_white(expected, eight[..., 3])
    assert np.array_equal(read_image(files.raw_tiff(files.deep(channels), order)).rgb, expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiffs_in_which_0_is_white_are_turned_round(order, dtype):
    samples = files.deep(1) if dtype == np.uint16 else files.pixels(channels=1)
    dark = read_image(files.raw_tiff(samples, order)).rgb
    assert np.array_equal(read_image(files.raw_tiff(samples, order, t262=[0])).rgb, 255 - dark)


def test_a_bigtiff_is_read():
    data = files.raw_tiff(files.pixels(), big=True)
    assert np.array_equal(read_image(data).rgb, files.pixels())


@pytest.mark.parametrize("samples", [np.float32, np.int16, np.uint32])
def test_samples_without_a_fixed_white_are_refused(samples):
    kind = {"f": 3, "i": 2, "u": 1}[np.dtype(samples).kind]
    error = refused(files.raw_tiff(np.ones((48, 64, 1), samples), t339=[kind]))
    assert error.status is Status.UNSUPPORTED
    assert "TIFF" in error.reason


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_turned_upright(kind, orientation):
    upright = files.pixels(40, 72)
    options = {"JPEG": {"quality": 98}, "WEBP": {"lossless": True}}.get(kind, {})
    sideways = files.stored(upright, orientation)
    data = files.SOUND[kind](sideways, exif=files.exif(orientation), **options)
    decoded = read_image(data)
    assert decoded.facts.orientation == orientation
    assert (decoded.facts.height, decoded.facts.width) == (40, 72)
    assert read_header(data) == decoded.facts
    assert np.abs(decoded.rgb.astype(int) - upright).mean() < 8
    theirs = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(decoded.rgb, np.asarray(theirs.convert("RGB")))


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"MM\0*", files.exif(6)[:20], files.exif(9)])
def test_a_broken_orientation_is_no_reason_to_refuse_an_image(block):
    assert read_image(files.jpeg(exif=b"Exif\0\0" + block)).facts.orientation == 1


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("GIF", "animated: the first of 3 frames was scored"),
        ("WEBP", "animated: the first of 3 frames was scored"),
        ("PNG", "animated: the first of 3 frames was scored"),
        ("AVIF", "animated: the first of 3 frames was scored"),
        ("TIFF", "multi-page: the first of 3 pages was scored"),
        ("MPO", "multi-picture JPEG: the first of 3 pictures was scored"),
    ],
)
def test_of_many_frames_the_first_is_read_and_the_note_says_so(kind, note):
    data = files.animation(kind, 3)
    decoded = read_image(data)
    assert decoded.facts.frames == 3
    assert decoded.notes == (note,)
    assert np.array_equal(decoded.rgb, by_pillow(data))


def test_a_first_frame_beyond_the_screen_makes_the_screen_grow():
    data = bytearray(files.gif())
    data[6:10] = struct.pack("<HH", 40, 40)
    decoded = read_image(bytes(data))
    assert (decoded.facts.width, decoded.facts.height) == (64, 48)
    assert np.array_equal(decoded.rgb, read_image(files.gif()).rgb)


@pytest.mark.parametrize("quality", [1, 2, 5, 25, 49, 50, 51, 75, 80, 90, 95, 99, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_jpeg_quality_is_found_again(quality, progressive):
    data = files.jpeg(quality=quality, progressive=progressive)
    assert read_header(data).jpeg_quality == quality


def test_foreign_tables_get_the_nearest_quality_and_other_types_none():
    tables = [[12] * 64, [12] * 64]
    quality = read_header(files.encoded(files.image(), "JPEG", qtables=tables)).jpeg_quality
    assert quality is not None
    assert 80 < quality < 95
    assert all(read_header(files.SOUND[k]()).jpeg_quality is None for k in ("PNG", "WEBP", "GIF"))


def test_lossless_says_whether_the_container_keeps_pixels():
    exact = [files.png(), files.bmp(), files.gif(), files.tiff(), files.webp(lossless=True)]
    lossy = [files.jpeg(), files.avif(), files.webp(quality=90)]
    assert all(read_header(data).lossless for data in exact)
    assert not any(read_header(data).lossless for data in lossy)
    assert read_header(files.animation("WEBP", lossless=True)).lossless


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
def test_full_jpeg_decodes_are_the_same_in_pillow_and_opencv(options):
    data = files.jpeg(files.pixels(240, 320), **options)
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(read_image(data).rgb, cv2.cvtColor(theirs, cv2.COLOR_BGR2RGB))


def test_a_colour_profile_changes_no_pixel():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert np.array_equal(read_image(files.png(icc_profile=profile)).rgb, files.pixels())


def test_heic_is_read_with_its_extra():
    data = files.heic()
    decoded = read_image(data)
    assert decoded.facts.format == sniff(data) == "HEIF"
    assert decoded.facts == read_header(data)
    assert np.abs(decoded.rgb.astype(int) - files.pixels()).mean() < 8
    assert read_image(files.heic(mode="RGBA")).notes == (pixels.NOTE_ALPHA,)


def test_heic_without_the_extra_is_unsupported_and_names_it(monkeypatch):
    data = files.heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = refused(data)
    assert error.status is Status.UNSUPPORTED
    assert "aigi-detector[heic]" in error.reason


def test_nothing_global_is_switched_on():
    before = dict(Image.OPEN), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    for make in (*files.SOUND.values(), files.heic):
        read_image(make())
    assert before == (
        dict(Image.OPEN),
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
    )


def test_another_librarys_small_pixel_limit_has_no_say(monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "AVIF"):
        assert read_image(files.SOUND[kind]()).rgb.shape == (48, 64, 3)
    assert not recwarn.list


def test_threads_get_the_same_pixels():
    data = [make() for make in files.SOUND.values()] * 6
    alone = [read_image(item).rgb for item in data]
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda item: read_image(item).rgb, data)
        assert all(map(np.array_equal, together, alone))


def test_pixels_without_a_file_are_wrapped():
    array = files.pixels()
    decoded = decoded_from_pixels(array)
    assert decoded.facts.format == "PIXELS"
    assert (decoded.facts.width, decoded.facts.height) == (64, 48)
    assert np.array_equal(decoded.rgb, array)
    assert decoded.facts.sha256 == decoded_from_pixels(Image.fromarray(array)).facts.sha256
    array[:] = 0
    assert decoded.rgb.any(), "a later change of the caller's array must not show"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_pil_image_and_its_file_give_the_same_pixels(kind):
    data = files.SOUND[kind](files.pixels(40, 72), exif=files.exif(6))
    from_file = read_image(data).rgb
    assert np.array_equal(decoded_from_pixels(Image.open(io.BytesIO(data))).rgb, from_file)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_arrays_of_whole_numbers_are_taken(channels, dtype):
    array = (files.deep(channels) >> (8 if dtype == np.uint8 else 0)).astype(dtype)
    assert decoded_from_pixels(array).rgb.shape == (48, 64, 3)
    if channels == 1:
        flat, deep = decoded_from_pixels(array[:, :, 0]), decoded_from_pixels(array)
        assert np.array_equal(flat.rgb, deep.rgb)


@pytest.mark.parametrize(
    ("pixels_given", "status"),
    [
        (np.zeros((48, 64, 3), np.float32), Status.UNSUPPORTED),
        (np.zeros((48, 64, 5), np.uint8), Status.UNSUPPORTED),
        (np.zeros((48,), np.uint8), Status.UNSUPPORTED),
        (np.zeros((0, 64, 3), np.uint8), Status.EMPTY),
        (np.zeros((8, 64, 3), np.uint8), Status.TOO_SMALL),
        (Image.new("F", (64, 48)), Status.UNSUPPORTED),
        (Image.open(io.BytesIO(files.truncated(files.jpeg()))), Status.TRUNCATED),
    ],
    ids=["float", "channels", "flat", "empty", "small", "pil-float", "pil-cut"],
)
def test_other_pixels_are_refused(pixels_given, status):
    with pytest.raises(ImageError) as caught:
        decoded_from_pixels(pixels_given)
    assert caught.value.status is status


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_a_thumbnail_fits_its_square_and_keeps_the_aspect(height, width, side):
    small = Image.open(io.BytesIO(thumbnail(np.zeros((height, width, 3), np.uint8), side)))
    assert small.format == "WEBP"
    scale = min(1, side / max(height, width))
    assert abs(small.width - max(1, width * scale)) <= 0.5
    assert abs(small.height - max(1, height * scale)) <= 0.5


def test_a_thumbnail_keeps_the_colour_order():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 250
    shown = np.asarray(Image.open(io.BytesIO(thumbnail(red, 16))).convert("RGB"))[8, 8]
    assert shown[0] > 200
    assert shown[2] < 60


@given(st.integers(0, 65535))
def test_16_bits_are_rounded_to_nearest(value):
    assert pixels.to_eight_bits(np.array([value], np.uint16), 16)[0] == round(value / 257)


@given(st.integers(0, 255), st.integers(0, 255))
def test_white_shines_through_exactly(colour, alpha):
    rgba = np.array([[[colour, colour, colour, alpha]]], np.uint8)
    exact = (colour * alpha + 255 * (255 - alpha)) / 255
    assert abs(int(pixels.over_white(rgba)[0][0, 0, 0]) - exact) <= 0.5


def test_what_reaches_a_decoder_holds_no_text_profile_or_second_frame():
    noisy = files.png(exif=files.exif(3), icc_profile=b"profile" * 50)
    assert b"iCCP" not in containers.parse("PNG", noisy).pixel_file()
    assert b"Exif" not in containers.parse("JPEG", files.jpeg(exif=files.exif(3))).pixel_file()
    for kind in ("GIF", "WEBP", "PNG"):
        data = files.animation(kind, 5)
        assert len(containers.parse(kind, data).pixel_file()) < len(data) / 2
