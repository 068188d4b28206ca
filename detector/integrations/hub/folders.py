"""Folders of checkpoints, local or of the hub; only JSON and safetensors are read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.errors import BundleError, MissingExtraError, UsageError


def folder_of(location: str, name: str) -> Path:
    """The local folder of a checkpoint; one of the hub is downloaded, or found in the cache."""
    if not location:
        raise UsageError(f"say which checkpoint: {name}:FOLDER, or {name}:OWNER/NAME of the hub")
    if Path(location).is_dir():
        return Path(location).resolve()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", location):
        raise BundleError(f"no checkpoint {location!r}: neither a folder nor OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError("A model of the hub", "hub") from error
    try:
        return Path(snapshot_download(location, allow_patterns=["*.json", "*.safetensors"]))
    except (OSError, ValueError) as error:
        raise BundleError(f"{location!r} cannot be had from the hub: {error}") from error


def json_of(file: Path) -> dict[str, Any]:
    """A file's JSON object; raises BundleError."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{file}: not a readable JSON file: {error}") from error
    if not isinstance(record, dict):
        raise BundleError(f"{file}: not a JSON object")
    return record


def digest_of(folder: Path, names: Sequence[str], more: Any) -> str:
    """Hash of a checkpoint's deciding files, its weights included."""
    files = [folder / name for name in names] + sorted(folder.glob("*.safetensors"))
    if len(files) == len(names):
        raise BundleError(f"{folder}: holds no safetensors; other kinds of weights are not read")
    total = hashlib.sha256(json.dumps(more).encode())
    for file in files:
        with file.open("rb") as stream:
            while piece := stream.read(2**20):
                total.update(piece)
    return total.hexdigest()[:16]
