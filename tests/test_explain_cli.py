"""`detector explain` and `detector show` print how to read a score, and what speaks against it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from detector.cli import codes, main
from detector.evidence import build
from tests import files
from tests.bundles import untrained_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_bundle(tmp_path_factory.mktemp("bundle") / "small_v1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")  # so that no sentence is wrapped
    (tmp_path / "a.png").write_bytes(files.png(files.pixels(100, 120)))
    parameters = build.text("parameters", "a fox\nSteps: 20, Sampler: Euler a, Seed: 7, Model: m")
    (tmp_path / "claims.png").write_bytes(build.png(parameters, pixels=files.pixels(90, 90)))
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    return tmp_path


def run(line: str, bundle: Path) -> int:
    return main([*shlex.split(line), "--model", str(bundle), "--threads", "1"])


def test_explain_prints_every_part_and_writes_the_picture(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain a.png -o out --prior 0.1 --crops 4", bundle) == codes.OK
    out = capsys.readouterr().out
    for words in ("Likelihood ratio", "1 in 10", "Does it hold?", "JPEG 75", "look alike",
                  "Of the score", "What the file says", "out/a-"):  # fmt: skip
        assert words in out, words
    (picture,) = Path("out").glob("a-*.png")
    with Image.open(picture) as image:
        assert image.width > 900


def test_files_of_one_name_do_not_overwrite_each_other(folder: Path, bundle: Path) -> None:
    for name, seed in (("x", 1), ("y", 2)):
        (folder / name).mkdir()
        (folder / name / "same.png").write_bytes(files.png(files.pixels(70, 70, seed=seed)))
    run("explain x/same.png y/same.png -o out --crops 1 --json", bundle)
    assert len(list(Path("out").glob("same-*.png"))) == 2


def test_a_bad_file_is_told_and_the_others_are_explained(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("explain bad.jpg a.png --no-map --json", bundle) == codes.SOME_FAILED
    bad, good = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert bad["status"] == "unsupported"
    assert bad["explanation"]["stability"] is None
    assert good["picture"] is None
    assert len(good["explanation"]["stability"]["rows"]) == 12
    assert not Path("explained").exists()


@pytest.mark.parametrize("line", ["explain a.png --prior 1.5", "show a.png --prior 0",
                                  "explain a.png --crops 0"])  # fmt: skip
def test_impossible_options_are_refused_at_once(
    folder: Path, bundle: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line, bundle) == codes.USAGE
    assert "prior" in (said := capsys.readouterr().err) or "--crops" in said


def test_show_sets_the_file_s_own_claim_beside_the_score(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show claims.png", bundle) == codes.OK
    out = capsys.readouterr().out
    for words in ("generated: metadata", "web UI parameters", "Likelihood ratio", "--prior",
                  "anyone can write or copy"):  # fmt: skip
        assert words in out, words


def test_show_gives_evidence_and_reading_as_json(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("show claims.png a.png --json --prior 0.2", bundle)
    claims, plain = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert "a1111_parameters" in {e["kind"] for e in claims["evidence"]}
    assert claims["verdict"] != "no_sign"
    assert plain["reading"]["prior"] == 0.2
    assert plain["reading"]["prior_stated"]
    assert "heatmap" not in plain


def test_show_prints_a_coarse_map_on_request(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show a.png --heatmap", bundle) == codes.OK
    out = capsys.readouterr().out
    assert "Map: native crops" in out
    assert "×" in out
    assert run("show a.png --heatmap --json", bundle) == codes.OK
    assert json.loads(capsys.readouterr().out)["heatmap"]["layers"]


def test_a_hostile_name_reaches_no_terminal_as_itself(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "evil\x1b[31m\u202egpj.png"
    (folder / name).write_bytes(files.png(files.pixels(70, 70)))
    main(["explain", name, "--no-map", "--model", str(bundle), "--threads", "1"])
    main(["show", name, "--json", "--model", str(bundle), "--threads", "1"])
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out
    assert "\u202e" not in out
