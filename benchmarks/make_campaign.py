"""Makes a campaign whose truth is known: accounts, copies, crops, overlays, planted traces.

    python benchmarks/make_campaign.py FOLDER --pictures 200 --seed 1

Writes image files into one folder for each account, `posts.csv`, and `truth.csv` with the picture
that every file shows, what was done to it, and whether it counts as generated. Pictures are drawn
scenes of ten kinds and photographs of scikit-image; none shows what another does. Some accounts
share a model, a seed and a passage of their prompts, written as real metadata; others carry
metadata of their own.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

Pixels = NDArray[np.uint8]
Rng = np.random.Generator

TREATMENTS = ("recompressed", "crop", "overlay", "mirrored")
PLATFORMS, LANGUAGES = ("forum", "photos"), ("en", "fr", "uk")
START = datetime(2026, 1, 5, tzinfo=timezone.utc)
PLANTED_MODEL, PLANTED_SEED = "planted-model-v7", "918273645"
PLANTED_PASSAGE = "banners over the old bridge while grey rain falls on the ferry landing"
PLANTED_PRODUCER = "001191310000MA1FL7XN5U10000"
_WORDS = [
    "river", "market", "tower", "window", "garden", "winter", "summer", "harbour", "street",
    "morning", "evening", "letter", "bird", "glass", "copper", "silver", "paper", "wooden",
    "quiet", "bright", "narrow", "ancient", "modern", "distant", "coast", "mountain",
]  # fmt: skip
# What photographs of scikit-image there are without a download, one for each subject.
_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "moon", "brick")


@dataclass(frozen=True)
class Made:
    """One file of the campaign.

    Attributes:
        file: its path below the folder.
        account: that posted it.
        picture: number of the picture that it shows.
        treatment: "original", or one of `TREATMENTS`.
        generated: whether the picture counts as generated.
        planted: whether the planted traces were written into it.
    """

    file: str
    account: str
    picture: int
    treatment: str
    generated: bool
    planted: bool


def make(
    folder: Path,
    *,
    pictures: int = 100,
    accounts: int = 8,
    share: float = 0.4,
    copied: float = 0.4,
    seed: int = 1,
) -> list[Made]:
    """Write a campaign below a folder and say what it holds.

    Args:
        folder: made when it is not there.
        pictures: distinct pictures.
        accounts: that post them in turn; the first three share the planted traces.
        share: of the pictures that count as generated.
        copied: share of the pictures that other accounts post again, once by each treatment
            in turn or by all of them.
        seed: of every random choice.
    """
    rng = np.random.default_rng(seed)
    names = [f"account-{chr(97 + i)}" for i in range(accounts)]
    generated = set(rng.permutation(pictures)[: round(share * pictures)].tolist())
    again = set(rng.permutation(pictures)[: round(copied * pictures)].tolist())
    made: list[Made] = []
    for number in range(pictures):
        owner = names[number % accounts]
        pixels = picture(number, rng)
        planted = number in generated and owner in names[:3]
        file = f"{owner}/{number:04d}" + (".png" if planted else ".jpg")
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if planted:
            path.write_bytes(with_parameters(pixels, number, rng))
        elif number in generated and number % 2:
            path = path.with_suffix(".png")
            file = f"{owner}/{path.name}"
            path.write_bytes(with_parameters(pixels, number, rng, own=True))
        else:
            path.write_bytes(jpeg(pixels, int(rng.integers(80, 96))))
        made.append(Made(file, owner, number, "original", number in generated, planted))
        if number in again:
            # Every fifth copied picture is treated in every way, the others in one.
            ways = TREATMENTS if len(made) % 5 == 0 else (TREATMENTS[number % len(TREATMENTS)],)
            others = [name for name in names if name != owner]
            for way, name in zip(ways, rng.permutation(others), strict=False):
                copy = folder / str(name) / f"{number:04d}-{way}.jpg"
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(jpeg(TREAT[way](pixels, rng), int(rng.integers(50, 86))))
                file = f"{name}/{copy.name}"
                made.append(Made(file, str(name), number, way, number in generated, False))
    write_tables(folder, made, rng)
    return made


def write_tables(folder: Path, made: Sequence[Made], rng: Rng) -> None:
    """`posts.csv` as an analyst has it, and `truth.csv`."""
    with (folder / "posts.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["File name", "User", "Platform", "Lang", "Posted at (UTC)", "Caption"])
        for row in made:
            index = ord(row.account[-1])
            when = START + timedelta(minutes=int(rng.integers(35 * 24 * 60)))
            writer.writerow(
                [
                    row.file,
                    row.account,
                    PLATFORMS[index % len(PLATFORMS)],
                    LANGUAGES[index % len(LANGUAGES)],
                    when.strftime("%Y-%m-%d %H:%M"),
                    " ".join(rng.choice(_WORDS, 5)),
                ]
            )
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = [asdict(row) for row in made]
        writer_ = csv.DictWriter(stream, rows[0].keys())
        writer_.writeheader()
        writer_.writerows(rows)


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """The pixels as a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def with_parameters(pixels: Pixels, number: int, rng: Rng, *, own: bool = False) -> bytes:
    """A PNG with the text of a web UI: the planted traces, or others of its own."""
    words = " ".join(rng.choice(_WORDS, 14))
    prompt = words if own else f"{words[:30]}, {PLANTED_PASSAGE}, {words[30:60]}"
    # Seeds of their own, but for two of three planted pictures.
    seed = PLANTED_SEED if not own and number % 3 else str(int(rng.integers(1 << 32)))
    model = f"model-{int(rng.integers(6))}" if own else PLANTED_MODEL
    info = PngInfo()
    height, width = pixels.shape[:2]
    info.add_text(
        "parameters",
        f"{prompt}\nNegative prompt: blurry\nSteps: 28, Sampler: Euler a, CFG scale: 6.5, "
        f"Seed: {seed}, Size: {width}x{height}, Model hash: {number:010x}, Model: {model}",
    )
    if not own:
        label = {"Label": "1", "ContentProducer": PLANTED_PRODUCER, "ProduceID": str(number)}
        info.add_text("AIGC", json.dumps(label))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=info, compress_level=1)
    return stream.getvalue()


# What others do to a picture before they post it again


def recompressed(pixels: Pixels, rng: Rng) -> Pixels:
    """Reduced to 45 to 95 % of its size; the caller's JPEG does the rest."""
    scale = float(rng.uniform(0.45, 0.95))
    return resized(pixels, scale)


def crop(pixels: Pixels, rng: Rng) -> Pixels:
    """A part of 50 to 85 % of the area, from anywhere, then reduced a little."""
    height, width = pixels.shape[:2]
    side = np.sqrt(rng.uniform(0.5, 0.85))
    h, w = int(height * side), int(width * side)
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return resized(np.ascontiguousarray(pixels[y : y + h, x : x + w]), float(rng.uniform(0.7, 1)))


def overlay(pixels: Pixels, rng: Rng) -> Pixels:
    """A banner over 12 to 22 % of the height, with words on it, and a mark in the middle."""
    out = pixels.copy()
    height, width = out.shape[:2]
    band = int(height * rng.uniform(0.12, 0.22))
    shade = tuple(int(v) for v in rng.integers(0, 90, 3))
    cv2.rectangle(out, (0, height - band), (width, height), shade, -1)
    words = " ".join(rng.choice(_WORDS, 3)).upper()
    place = (width // 20, height - band // 3)
    cv2.putText(out, words, place, cv2.FONT_HERSHEY_SIMPLEX, width / 800, (255, 255, 255), 2)
    mark = (width // 3, height // 2)
    cv2.putText(out, "@copy", mark, cv2.FONT_HERSHEY_SIMPLEX, width / 600, (250, 250, 90), 2)
    return out


def mirrored(pixels: Pixels, rng: Rng) -> Pixels:
    """Seen in a mirror."""
    return recompressed(np.ascontiguousarray(pixels[:, ::-1]), rng)


TREAT: dict[str, Callable[[Pixels, Rng], Pixels]] = {
    "recompressed": recompressed,
    "crop": crop,
    "overlay": overlay,
    "mirrored": mirrored,
}


def resized(pixels: Pixels, scale: float) -> Pixels:
    """The picture made smaller."""
    size = (max(8, int(pixels.shape[1] * scale)), max(8, int(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


# Scenes


def picture(number: int, rng: Rng) -> Pixels:
    """(H, W, 3) uint8: a photograph for the first few numbers, then scenes of every kind."""
    if number < len(_PHOTOGRAPHS):
        return photograph(_PHOTOGRAPHS[number])
    width, height = [(640, 480), (512, 512), (480, 640), (720, 405)][int(rng.integers(4))]
    scene = SCENES[number % len(SCENES)](height, width, rng)
    noise = rng.normal(0, 4, scene.shape[:2])[..., None]
    return np.clip(scene.astype(np.float32) + noise, 0, 255).astype(np.uint8)


def photograph(name: str) -> Pixels:
    """One of scikit-image's photographs."""
    from skimage import data

    found = getattr(data, name)()
    return np.ascontiguousarray(found if found.ndim == 3 else np.stack([found] * 3, axis=2))


def _colour(rng: Rng, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    r, g, b = (int(v) for v in rng.integers(low, high, 3))
    return r, g, b


def _sky(height: int, width: int, rng: Rng) -> Pixels:
    top, bottom = np.array(_colour(rng, 60)), np.array(_colour(rng, 60))
    ramp = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(top * (1 - ramp) + bottom * ramp, (height, width, 3)).astype(np.uint8)


def skyline(height: int, width: int, rng: Rng) -> Pixels:
    """Houses with windows before a sky."""
    out = _sky(height, width, rng).copy()
    x = 0
    while x < width:
        w, h = int(rng.integers(30, 90)), int(rng.integers(height // 4, int(height * 0.85)))
        cv2.rectangle(out, (x, height - h), (x + w, height), _colour(rng, 20, 200), -1)
        lit = _colour(rng, 120)
        for y in range(height - h + 8, height - 8, int(rng.integers(12, 24))):
            for u in range(x + 5, x + w - 6, int(rng.integers(9, 16))):
                if rng.random() < 0.7:
                    cv2.rectangle(out, (u, y), (u + 5, y + 7), lit, -1)
        x += w + int(rng.integers(0, 12))
    return out


def hills(height: int, width: int, rng: Rng) -> Pixels:
    """Ridges one before the other, with trees."""
    out = _sky(height, width, rng).copy()
    xs = np.arange(width)
    for layer in range(5):
        base = height * (0.35 + 0.13 * layer)
        ridge = base + sum(
            rng.uniform(5, 40) * np.sin(xs / rng.uniform(20, 140) + rng.uniform(0, 7))
            for _ in range(3)
        )
        points = np.stack([xs, ridge], axis=1).astype(np.int32)
        outline = np.concatenate([points, [[width, height], [0, height]]]).astype(np.int32)
        cv2.fillPoly(out, [outline], _colour(rng, 20, 190))
        for _ in range(25):
            at = int(rng.integers(width))
            tip = (at, int(ridge[at]) - int(rng.integers(10, 40)))
            cv2.line(out, (at, int(ridge[at])), tip, _colour(rng, 0, 120), 3)
    return out


def blobs(height: int, width: int, rng: Rng) -> Pixels:
    """Overlapping ellipses of all sizes."""
    out = _sky(height, width, rng).copy()
    for _ in range(140):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(5, 60)), int(rng.integers(5, 60)))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(out, centre, axes, turn, 0, 360, _colour(rng), -1, cv2.LINE_AA)
    return out


def polygons(height: int, width: int, rng: Rng) -> Pixels:
    """Triangles over triangles."""
    out = _sky(height, width, rng).copy()
    for _ in range(110):
        middle = np.array([rng.integers(width), rng.integers(height)])
        corners = (middle + rng.normal(0, 45, (3, 2))).astype(np.int32)
        cv2.fillPoly(out, [corners], _colour(rng), cv2.LINE_AA)
    return out


def waves(height: int, width: int, rng: Rng) -> Pixels:
    """Interfering waves, with boats."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = []
    for _ in range(3):
        plane = sum(
            np.sin(x * rng.normal(0, 0.06) + y * rng.normal(0, 0.06) + rng.uniform(0, 7))
            for _ in range(5)
        )
        planes.append(128 + 40 * plane)
    out = np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)
    for _ in range(30):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.drawMarker(out, at, _colour(rng), int(rng.integers(5)), int(rng.integers(10, 40)), 3)
    return out


def page(height: int, width: int, rng: Rng) -> Pixels:
    """A page of words; pages look alike to a coarse eye."""
    out = np.full((height, width, 3), int(rng.integers(225, 256)), np.uint8)
    size = float(rng.uniform(0.4, 0.9))
    step = int(34 * size) + 8
    ink = _colour(rng, 0, 90)
    for y in range(step, height, step):
        words = " ".join(rng.choice(_WORDS, 12))
        cv2.putText(out, words, (12, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    for _ in range(3):
        corner = (int(rng.integers(width)), int(rng.integers(height)))
        other = (corner[0] + int(rng.integers(60, 200)), corner[1] + int(rng.integers(40, 140)))
        cv2.rectangle(out, corner, other, _colour(rng, 60), -1)
    return out


def chart(height: int, width: int, rng: Rng) -> Pixels:
    """Bars and a line over a grid."""
    out = np.full((height, width, 3), 250, np.uint8)
    for y in range(0, height, 40):
        cv2.line(out, (0, y), (width, y), (215, 215, 215), 1)
    count = int(rng.integers(6, 18))
    wide = width // count
    for i in range(count):
        top = int(rng.integers(height * 0.1, height * 0.9))
        cv2.rectangle(out, (i * wide + 4, top), ((i + 1) * wide - 4, height), _colour(rng), -1)
    line = np.stack([np.linspace(0, width, 12), rng.uniform(0, height, 12)], axis=1)
    cv2.polylines(out, [line.astype(np.int32)], False, _colour(rng, 0, 120), 4, cv2.LINE_AA)
    return out


def crowd(height: int, width: int, rng: Rng) -> Pixels:
    """Heads and shoulders in rows."""
    out = _sky(height, width, rng).copy()
    for row in range(5):
        y = int(height * (0.3 + 0.16 * row))
        for x in range(0, width, int(rng.integers(34, 60))):
            at = (x + int(rng.integers(-9, 9)), y + int(rng.integers(-9, 9)))
            size = 10 + 3 * row + int(rng.integers(4))
            cv2.ellipse(out, (at[0], at[1] + 2 * size), (int(1.7 * size), size), 0, 180, 360,
                        _colour(rng), -1, cv2.LINE_AA)  # fmt: skip
            cv2.circle(out, at, size, _colour(rng, 60, 240), -1, cv2.LINE_AA)
    return out


def tiles(height: int, width: int, rng: Rng) -> Pixels:
    """A patchwork of squares, some with a disc."""
    out = np.zeros((height, width, 3), np.uint8)
    size = int(rng.integers(28, 64))
    for y in range(0, height, size):
        for x in range(0, width, size):
            cv2.rectangle(out, (x, y), (x + size, y + size), _colour(rng), -1)
            if rng.random() < 0.5:
                cv2.circle(out, (x + size // 2, y + size // 2), size // 3, _colour(rng), -1)
    return out


def strokes(height: int, width: int, rng: Rng) -> Pixels:
    """Brush strokes in every direction."""
    out = _sky(height, width, rng).copy()
    for _ in range(260):
        at = np.array([rng.integers(width), rng.integers(height)])
        to = at + rng.normal(0, 60, 2).astype(int)
        cv2.line(out, at.tolist(), to.tolist(), _colour(rng), int(rng.integers(2, 14)), cv2.LINE_AA)
    return out


SCENES: tuple[Callable[[int, int, Rng], Pixels], ...] = (
    skyline, hills, blobs, polygons, waves, page, chart, crowd, tiles, strokes,
)  # fmt: skip


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.4, help="of generated pictures")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    made = make(
        args.folder,
        pictures=args.pictures,
        accounts=args.accounts,
        share=args.share,
        seed=args.seed,
    )
    print(f"{len(made)} files of {args.pictures} pictures by {args.accounts} accounts")


if __name__ == "__main__":
    main()
