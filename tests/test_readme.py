"""The README says what is true: its commands exist, and the check script runs them as written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from detector.cli.commands import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_are_single_lines_that_the_check_script_runs(name: str) -> None:
    block = re.search(rf"<!-- command: {name} -->\n```sh\n(.+)\n```", README)
    assert block is not None
    assert "\n" not in block[1]
    assert f"readme_command {name}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"^\| `detector (\w+)", README, re.MULTILINE))
    assert named
    assert named <= {command.name for command in COMMANDS}


def test_the_check_script_is_valid_shell() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    assert subprocess.run([bash, "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0


def test_links_inside_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
