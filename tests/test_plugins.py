"""Plug-ins are found by their entry points; one that fails is told by name and stops nothing."""

from __future__ import annotations

import configparser
import pickle
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from detector import plugins


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, in which tests put distributions."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def distribution(site: Path, name: str, points: str, **modules: str) -> None:
    """Install a distribution with entry points and modules; `points` as in entry_points.txt."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)


def test_entries_gives_name_and_object_of_every_plugin(site: Path) -> None:
    distribution(site, "one", "[some.group]\nb = plug_one:B\na = plug_one:A\n", plug_one="A=1\nB=2")
    assert plugins.entries("some.group") == ([("a", 1), ("b", 2)], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('out of\\nluck')", "RuntimeError: out of luck"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("this is no python", "SyntaxError"),
        ("Other = 1", "AttributeError"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named_and_the_others_are_there(
    site: Path, text: str, reason: str
) -> None:
    distribution(site, "bad", "[some.group]\nbroken = plug_bad:Thing\n", plug_bad=text)
    distribution(site, "good", "[some.group]\nsound = plug_good:Thing\n", plug_good="Thing = 5")
    sys.modules.pop("plug_bad", None)
    sys.modules.pop("plug_good", None)
    loaded, faults = plugins.entries("some.group")
    assert loaded == [("sound", 5)]
    assert [(fault.group, fault.name) for fault in faults] == [("some.group", "broken")]
    assert faults[0].reason.startswith(reason)
    assert "\n" not in faults[0].reason
    assert str(faults[0]).startswith("plug-in 'broken' of bad 1.0 (some.group): ")


def test_of_two_plugins_with_one_name_the_same_one_counts_every_time(site: Path) -> None:
    distribution(site, "zeta", "[some.group]\nx = plug_z:X\n", plug_z="X = 'z'")
    distribution(site, "alpha", "[some.group]\nx = plug_a:X\n", plug_a="X = 'a'")
    assert plugins.entries("some.group") == ([("x", "a")], [])


def test_a_plugin_asked_for_by_name_raises_with_its_name_when_it_fails(site: Path) -> None:
    distribution(site, "bad", "[some.group]\nbroken = plug_bad2:Thing\n", plug_bad2="1/0")
    with pytest.raises(plugins.PluginError, match=r"'broken' of bad 1\.0.*ZeroDivisionError"):
        plugins.load("some.group", "broken")
    with pytest.raises(KeyError):
        plugins.load("some.group", "absent")


def test_a_fault_travels_between_processes() -> None:
    fault = plugins.PluginFault("g", "n", "r", "d 1")
    error = pickle.loads(pickle.dumps(plugins.PluginError(fault)))
    assert error.fault == fault


@pytest.mark.parametrize("group", plugins.GROUPS)
def test_what_this_package_brings_is_registered_like_anybody_s(group: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"][group].split("\n")
    named = dict(line.split(" = ") for line in lines if line)
    assert named
    for name, value in named.items():
        loaded = EntryPoint(name, value, group).load()
        assert hasattr(loaded, "find") if group == plugins.EVIDENCE else callable(loaded)


def test_a_group_that_nobody_serves_is_empty() -> None:
    assert plugins.entries("no.such.group") == ([], [])
