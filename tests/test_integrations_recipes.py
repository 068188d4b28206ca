"""What the moderation pages print is true: their configurations and code do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request

from detector.cli import main
from detector.errors import UsageError
from detector.integrations import synapse
from detector.integrations.coop import SECTIONS, model_card
from tests.moderation_made import BRIGHT, DARK, TOKEN, judge, picture, running

PAGES = Path(__file__).parent.parent / "docs" / "how-to" / "moderation"
IMAGES = {
    "https://media.example.org/flagged.png": picture(BRIGHT),
    "https://media.example.org/plain.png": picture(DARK),
    "https://media.example.org/torn.png": picture(DARK)[:300],
}


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.fixture(scope="module")
def fetching() -> Iterator[str]:
    """A service that is allowed to fetch addresses, and finds the images of a list there."""
    app = FastAPI()

    @app.post("/v1/score")
    async def score(request: Request) -> Any:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise HTTPException(401)
        found = judge(IMAGES[(await request.json())["url"]])
        return {"findings": [{**found.finding.to_record(), "evidence": []}]}

    with running(app) as url:
        yield url


# Synapse


def test_the_printed_configuration_of_synapse_is_accepted(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    (printed,) = blocks("synapse.md", "yaml")
    module = yaml.safe_load(printed)["modules"][0]
    assert module["module"] == "detector.integrations.synapse.DetectorModule"
    options = module["config"]
    (tmp_path / "token").write_text(TOKEN)
    options |= {"token_file": str(tmp_path / "token"), "notes": str(tmp_path / "notes")}
    config = synapse.DetectorModule.parse_config(options)
    assert config.rules == synapse.DetectorModule.parse_config({}).rules  # "these are the defaults"
    assert config.timeout == synapse.Config.timeout


def test_the_page_of_synapse_names_every_option() -> None:
    text = (PAGES / "synapse.md").read_text(encoding="utf-8")
    for option in synapse.OPTIONS - {"token"}:
        assert option in text, option


# Osprey


@pytest.fixture
def osprey(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    """A stand-in for the three names that the function imports."""

    class ExpectedUdfException(Exception):  # noqa: N818 - Osprey's own name
        pass

    class UDFBase:
        def __class_getitem__(cls, item: Any) -> Any:
            return cls

    names = {
        "executor.execution_context": {
            "ExecutionContext": object,
            "ExpectedUdfException": ExpectedUdfException,
        },
        "udf.arguments": {"ArgumentsBase": SimpleNamespace},
        "udf.base": {"UDFBase": UDFBase},
    }
    for parent in ("osprey", "osprey.engine", "osprey.engine.executor", "osprey.engine.udf"):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    for name, attributes in names.items():
        module = ModuleType(f"osprey.engine.{name}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return ExpectedUdfException


def test_the_function_for_osprey_gives_verdicts(
    fetching: str, osprey: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_ENDPOINT", fetching)
    monkeypatch.setenv("DETECTOR_TOKEN", TOKEN)
    (code,) = blocks("osprey.md", "python")
    names: dict[str, Any] = {"__name__": "generated_image"}
    exec(compile(code, "osprey.md", "exec"), names)

    def verdict(name: str) -> str:
        arguments = SimpleNamespace(url=f"https://media.example.org/{name}.png")
        return str(names["GeneratedImageVerdict"]().execute(None, arguments))

    assert verdict("flagged") == "likely_generated"
    assert verdict("plain") == "no_sign"
    with pytest.raises(osprey):
        verdict("torn")
    names["TOKEN"] = "another-one"
    with pytest.raises(osprey):
        verdict("plain")


# Coop


def test_every_shipped_card_has_coops_sections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["integrations", "model-card"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert [section["id"] for section in card["sections"]] == [name for name, _, _ in SECTIONS]
    for section in card["sections"]:
        parts = section.get("fields", []) + [
            field for part in section.get("subsections", []) for field in part["fields"]
        ]
        assert parts
        assert all(field["label"] and field["value"] for field in parts)


def test_a_card_without_a_section_is_refused() -> None:
    with pytest.raises(UsageError, match="annotation methodology"):
        model_card("# a\n## Training data\ntext\n", "a_v1")


def test_the_page_of_coop_maps_every_section() -> None:
    text = (PAGES / "coop.md").read_text(encoding="utf-8")
    for name, _, headings in SECTIONS:
        assert f"`{name}`" in text
        assert headings[0].capitalize() in text


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_plug_in_for_coop_gives_probabilities(
    fetching: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["integrations", "model-card"]) == 0
    (tmp_path / "model-card.json").write_text(capsys.readouterr().out, encoding="utf-8")
    package, _ = blocks("coop.md", "json")
    (tmp_path / "package.json").write_text(package, encoding="utf-8")
    (code,) = blocks("coop.md", "javascript")
    (tmp_path / "index.js").write_text(code, encoding="utf-8")
    (tmp_path / "try.mjs").write_text(
        f"""
        import plugin from './index.js';
        const config = {{ endpoint: '{fetching}', token: '{TOKEN}' }};
        const context = {{ integrationId: 'X', getCredential: async () => config }};
        const [{{ signalTypeId, signal }}] = plugin.createSignals(context);
        const run = name => signal.run({{
          orgId: 'a',
          value: {{ type: 'IMAGE', value: {{ url: `https://media.example.org/${{name}}.png` }} }},
        }}).then(found => found.score, fault => String(fault));
        console.log(JSON.stringify({{
          ids: plugin.manifest.signalTypeIds, signalTypeId, own: signal.id.type,
          sections: plugin.manifest.modelCard.sections.map(section => section.id),
          flagged: await run('flagged'), plain: await run('plain'), torn: await run('torn'),
        }}));
        """,
        encoding="utf-8",
    )
    done = subprocess.run(
        ["node", "try.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ids"] == [found["signalTypeId"]] == [found["own"]]
    assert found["sections"] == [name for name, _, _ in SECTIONS]
    assert found["flagged"] > 0.5 > found["plain"]
    assert "truncated" in found["torn"]
