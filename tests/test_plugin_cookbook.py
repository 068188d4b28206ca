"""The cookbook's plug-in is a whole one: installed from the page's own text, it does its work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector import evidence
from detector.cli import main
from detector.store import Store

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "plugins.md"


def block(language: str) -> str:
    """The page's first block of code in a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's distribution, as an installer would lay it out."""
    site = tmp_path / "site"
    info = site / "detector_example-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: detector-example\nVersion: 1.0\n")
    groups = re.findall(
        r'\[project\.entry-points\."(.+?)"\]\n(\w+) = "(.+?)"', block("toml"), re.DOTALL
    )
    assert {group for group, _, _ in groups} == {"detector.models", "detector.evidence"}
    lines = [f"[{group}]\n{name} = {value}\n" for group, name, value in groups]
    (info / "entry_points.txt").write_text("".join(lines))
    (site / "detector_example.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    evidence.plugins.cache_clear()
    yield
    evidence.plugins.cache_clear()
    sys.modules.pop("detector_example", None)


def test_the_plugin_of_the_page_is_short() -> None:
    code = [line for line in block("python").splitlines() if line.strip()]
    assert len(code) <= 32


@pytest.mark.usefixtures("installed")
def test_the_plugin_of_the_page_scores_and_finds(tmp_path: Path) -> None:
    folder, store = tmp_path / "pictures", tmp_path / "r.db"
    folder.mkdir()
    for name, level in (("dark", 10), ("bright", 220)):
        noise = np.random.default_rng(0).integers(0, 30, (80, 80, 3)) + level
        Image.fromarray(noise.astype(np.uint8)).save(folder / f"{name}.png")
    marked = (folder / "bright.png").read_bytes() + b"made with example"
    (folder / "bright.png").write_bytes(marked)
    (folder / "broken.png").write_bytes(marked[:60])
    command = ["scan", str(folder), "--model", "brightness", "--store", str(store), "-q"]
    assert main([*command, "--workers", "0"]) == 3  # one file is broken
    with Store.open(store) as opened:
        found = {Path(f.path).name: f for f in opened.findings()}
        kinds = {
            name: [e.channel for e in opened.get_evidence(f.sha256) or [] if "example" in e.kind]
            for name, f in found.items()
        }
    assert {f.model for f in found.values()} == {"brightness_v1"}
    assert found["bright.png"].score > found["dark.png"].score  # type: ignore[operator]
    assert not found["broken.png"].ok
    assert kinds["bright.png"] == ["watermark_text"]
    assert kinds["dark.png"] == []
