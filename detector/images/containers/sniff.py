"""Tells what a file is by its first bytes, whatever its name says."""

from __future__ import annotations

from detector.images.containers.bmp import HEADER_SIZES

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_HEIF_BRANDS |= {b"mif1", b"msf1"}

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"II\xbc", "a JPEG XR image"),
    (b"\x8aMNG", "an MNG animation"),
    (b"qoif", "a QOI image"),
    (b"DDS ", "a DDS texture"),
    (b"BPG\xfb", "a BPG image"),
    (b"FLIF", "a FLIF image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"FUJIFILMCCD-RAW", "a camera's raw photograph"),
    (b"IIRO", "a camera's raw photograph"),
    (b"IIU\0", "a camera's raw photograph"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"FLV", "a Flash video"),
    (b"\0\0\x01\xba", "an MPEG video"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"{\\rtf", "a rich-text document"),
)
_RIFF = {b"AVI ": "an AVI video", b"WAVE": "a WAVE sound"}
_VIDEO_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip"}


def sniff(data: bytes) -> str | None:
    """The image type that the bytes begin like, or None when it is not one that is read."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in HEADER_SIZES:
        return "BMP"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    return None


def _by_brand(data: bytes) -> str | None:
    length = min(int.from_bytes(data[:4], "big"), 1024)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, length - 3, 4))]
    # The major brand decides; the structural brands leave it to the compatible ones.
    for brand in brands[:1] if brands[0] not in (b"mif1", b"msf1") else brands[1:]:
        if brand in _AVIF_BRANDS:
            return "AVIF"
        if brand in _HEIF_BRANDS:
            return "HEIF"
    return "HEIF" if brands[0] in _HEIF_BRANDS else None


def describe(data: bytes) -> str:
    """What a file that is not read looks like, as words that follow "This looks like"."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] in _RIFF:
        return _RIFF[data[8:12]]
    if data[4:8] == b"ftyp":
        if data[8:12] == b"crx ":
            return "a camera's raw photograph"
        return "a QuickTime video" if data[8:12] == b"qt  " else "an MP4 video"
    if data[4:8] in _VIDEO_BOXES:
        return "a QuickTime video"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "a PNM image"
    return _describe_text(data[:4096]) or "data of an unknown type"


def _describe_text(head: bytes) -> str | None:
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text and text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")):
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<script", b"<body")):
        return "an HTML page"
    if text.startswith(b"<?xml"):
        return "an XML document"
    if text.startswith((b"{", b"[")):
        return "JSON text"
    if not set(head) & set(b"\0\x01\x02\x03\x04\x05\x06\x0e\x0f\x10\x11\x12\x13\x14"):
        return "plain text"
    return None
