"""What is importable, what ships, and that the light parts stay light."""

from __future__ import annotations

import configparser
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from setuptools import find_packages

import detector

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def test_only_detector_is_a_package(setup: configparser.ConfigParser) -> None:
    include = setup["options.packages.find"]["include"].split()
    found = find_packages(str(ROOT), include=include)
    assert {name.split(".")[0] for name in found} == {"detector"}


def test_datasets_cannot_shadow_the_package_of_that_name(tmp_path: Path) -> None:
    assert not list((ROOT / "datasets").rglob("__init__.py"))
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('datasets') is not None)"
    # Started elsewhere, as an installed package is used.
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    spec = importlib.util.find_spec("datasets")
    assert done.returncode == 0 or (spec is not None and spec.origin is not None)


def test_pyproject_holds_the_build_system_only() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[build-system]"]


def test_core_dependencies_are_the_agreed_ones(setup: configparser.ConfigParser) -> None:
    names = {line.split(">")[0] for line in setup["options"]["install_requires"].split()}
    assert names == {
        "numpy", "pillow", "opencv-python", "torch", "torchvision", "safetensors", "fsspec", "rich",
        "platformdirs",
    }  # fmt: skip


def test_no_upper_caps(setup: configparser.ConfigParser) -> None:
    assert "<" not in setup["options"]["install_requires"]


def test_version_is_the_changelogs_first() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if line.startswith("## "))
    assert detector.__version__ in first


@pytest.mark.parametrize(
    "module",
    ["detector", "detector.images", "detector.metrics", "detector.evidence", "detector.store",
     "detector.preprocess", "detector.calibration", "detector.report", "detector.cli"],
)  # fmt: skip
def test_light_modules_load_no_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_are_there() -> None:
    for name in detector.__all__:
        assert getattr(detector, name) is not None
    with pytest.raises(AttributeError):
        _ = detector.no_such_name
