"""Makes a folder of mixed image files, so that a scan can be tried and timed without a data set.

    python -m benchmarks.make_mixed_folder FOLDER --count 2000

Run from the repository's root. The pictures are crops of scikit-image's photographs, enlarged
or reduced, with a little noise so that they compress like photographs; seven formats, many
qualities, sizes from 0.05 to 12 megapixels. The same arguments give the same folder. Unless
`--clean` is given, a part are hostile files (corrupt, huge, tiny, misnamed, animated, 16-bit,
CMYK, with odd names; `tests.files.hostile_folder`), and some are copies of others.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.demo import PHOTOGRAPHS
from tests.files import hostile_folder

Pixels = NDArray[np.uint8]

# Width and height in pixels, gone through in turn, so that a short folder holds the largest too.
SIZES = (
    (1080, 1080), (640, 480), (1920, 1080), (320, 240), (4000, 3000), (1280, 853), (800, 1200),
    (500, 500), (2048, 1536), (1024, 768), (256, 200), (1200, 630), (720, 1280), (3000, 2000),
    (1600, 1200), (400, 600), (900, 900), (1440, 1080), (600, 338), (1080, 1350),
)  # fmt: skip
# Formats, mostly JPEG as on the web. There is one place more than there are sizes, so that every
# format meets every size.
FORMATS = ("jpeg",) * 13 + ("png", "webp", "png", "webp", "webp", "avif", "other", "jpeg")
OTHERS = ("gif", "tiff", "bmp")
COPIES = 0.02


@dataclass(frozen=True)
class Made:
    """What is in a folder.

    Attributes:
        files: number of files.
        megapixels: of the sound images together.
        bytes: of all files together.
    """

    files: int
    megapixels: float
    bytes: int


def photographs() -> list[Pixels]:
    """Scikit-image's photographs as (H, W, 3) uint8."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("needs scikit-image: pip install 'aigi-detector[demo]'")
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    return [np.asarray(Image.open(data / name).convert("RGB")) for name, _ in PHOTOGRAPHS]


def picture(sources: list[Pixels], size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """A random crop of a photograph at a size, (H, W, 3) uint8, with camera-like noise."""
    source = sources[rng.integers(len(sources))]
    height, width = source.shape[:2]
    share = rng.uniform(0.5, 1.0)
    h, w = int(height * share), int(width * share)
    y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
    enlarged = cv2.resize(source[y : y + h, x : x + w], size, interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 3, (size[1], size[0], 1)).astype(np.float32)
    if rng.random() < 0.5:
        enlarged = enlarged[:, ::-1]
    return np.clip(enlarged.astype(np.float32) + noise, 0, 255).astype(np.uint8)


def save(pixels: Pixels, kind: str, path: Path, rng: np.random.Generator) -> Path:
    """Write one picture in a format, at a random quality; gives the file."""
    quality = int(rng.choice((60, 75, 80, 85, 90, 95)))
    image = Image.fromarray(pixels)
    writers: dict[str, Callable[[Path], None]] = {
        "jpeg": lambda p: image.save(p, "JPEG", quality=quality, progressive=quality == 85),
        "png": lambda p: image.save(p, "PNG", compress_level=1),
        "webp": lambda p: image.save(p, "WEBP", quality=quality, method=0),
        "avif": lambda p: image.save(p, "AVIF", quality=quality, speed=10),
        "gif": lambda p: image.quantize(128, Image.Quantize.FASTOCTREE).save(p, "GIF"),
        "tiff": lambda p: image.save(p, "TIFF", compression="tiff_lzw"),
        "bmp": lambda p: image.save(p, "BMP"),
    }
    path = path.with_suffix("." + {"jpeg": "jpg", "tiff": "tif"}.get(kind, kind))
    writers[kind](path)
    return path


def make(folder: Path, count: int, *, clean: bool = False, seed: int = 1) -> Made:
    """Write `count` files below a folder, which must not exist; gives what is in it.

    Args:
        folder: to make.
        count: number of files; at least 100 unless `clean`.
        clean: sound images only, all different.
        seed: of the random choices.
    """
    folder.mkdir(parents=True)
    hostile = 0 if clean else len(hostile_folder(folder / "hostile"))
    copies = 0 if clean else int(COPIES * count)
    sound = count - hostile - copies
    if sound < 1:
        raise SystemExit(f"--count {count} leaves no room beside {hostile} hostile files")
    sources, rng = photographs(), np.random.default_rng(seed)
    written: list[Path] = []
    megapixels = 0.0
    for number in range(sound):
        size = SIZES[number % len(SIZES)]
        kind = FORMATS[number % len(FORMATS)]
        kind = OTHERS[number // len(FORMATS) % len(OTHERS)] if kind == "other" else kind
        place = folder / f"account-{number // 100:02d}"
        place.mkdir(exist_ok=True)
        path = save(picture(sources, size, rng), kind, place / f"{number:05d}", rng)
        written.append(path)
        megapixels += size[0] * size[1] / 1e6
    for number in range(copies):
        source = written[int(rng.integers(len(written)))]
        shutil.copyfile(source, folder / f"copy-{number:04d}{source.suffix}")
    everything = [path for path in folder.rglob("*") if path.is_file()]
    return Made(len(everything), megapixels, sum(path.stat().st_size for path in everything))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean", action="store_true", help="sound images only, all different")
    args = parser.parse_args()
    made = make(args.folder, args.count, clean=args.clean, seed=args.seed)
    print(
        f"{made.files} files, {made.megapixels:.0f} megapixels of sound images, "
        f"{made.bytes / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
