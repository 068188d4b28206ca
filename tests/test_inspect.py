"""`detector inspect` tells everything a file says, safely, and within a second of work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detector.cli import codes, inspect, main
from detector.evidence import CHANNELS, build
from detector.evidence.aigc_examples import LABEL, element
from detector.evidence.metadata import forms

HOSTILE = "[bold red]x[/] \x1b[31m\x07 \u202egnp.exe \u2066\r\nSteps"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    camera = build.exif(forms.CAMERA_MAIN, forms.CAMERA)
    label = element(json.dumps(LABEL))
    hostile = forms.A1111.replace("lighthouse", HOSTILE)
    made = {
        "plain.png": build.png(),
        "camera.jpg": build.jpeg(build.exif_segment(camera)),
        "conflict.jpg": build.jpeg(build.exif_segment(camera), build.xmp_segment(label)),
        "hostile.png": build.png(build.text("parameters", hostile)),
        "cut.png": build.png(build.text("parameters", forms.A1111))[:-40],
        "text.txt": b"no image at all",
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in made}


def records(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, list[dict[str, object]]]:
    code = main(["inspect", "--json", *arguments])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_is_one_object_a_file(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, (plain, camera) = records(capsys, files["plain.png"], files["camera.jpg"])
    assert code == codes.OK
    assert list(plain) == ["path", "sha256", "status", "evidence"]
    assert plain["path"] == files["plain.png"]
    assert len(str(plain["sha256"])) == 64
    (exif,) = [e for e in camera["evidence"] if e["kind"] == "camera_exif"]  # type: ignore[index, attr-defined]
    assert list(exif) == ["kind", "channel", "asserts", "issuer", "trust", "raw", "caveat"]
    assert exif["asserts"] == "captured"


def test_a_damaged_file_is_still_searched(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, (cut,) = records(capsys, files["cut.png"])
    assert code == codes.SOME_FAILED
    assert cut["status"] == "truncated"
    assert cut["reason"]
    kinds = [e["kind"] for e in cut["evidence"]]  # type: ignore[attr-defined]
    assert "a1111_parameters" in kinds


def test_pixels_that_are_too_many_are_told_and_the_rest_is_read(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "_MAX_PIXELS", 100)
    code, (camera,) = records(capsys, files["camera.jpg"])
    assert (code, camera["status"]) == (codes.OK, "ok")
    assert str(camera["reason"]).startswith("Its pixels were not looked at.")
    assert any(e["kind"] == "camera_exif" for e in camera["evidence"])  # type: ignore[attr-defined]


def test_missing_files_and_other_files_do_not_stop_the_rest(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = (str(tmp_path / "none.png"), str(tmp_path), files["text.txt"], files["plain.png"])
    code, found = records(capsys, *paths)
    assert code == codes.SOME_FAILED
    assert [r["status"] for r in found] == ["missing", "unsupported", "unsupported", "ok"]


def test_json_holds_no_character_that_a_terminal_obeys(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["inspect", "--json", files["hostile.png"]])
    line = capsys.readouterr().out
    assert line.isascii()
    assert "\x1b" not in line
    (evidence,) = [e for e in json.loads(line)["evidence"] if e["kind"] == "a1111_parameters"]
    assert "\u202e" in evidence["raw"]["prompt"], "the reader of the JSON gets the text itself"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(["inspect", *arguments])
    return capsys.readouterr().out


def test_the_terminal_shows_hostile_texts_as_text(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(capsys, files["hostile.png"])
    for character in ("\x1b", "\x07", "\u202e", "\u2066", "\r"):
        assert character not in out
    flat = " ".join(out.replace("│", " ").split())
    assert "[bold red]x[/]" in flat
    assert "\\u202e" in flat


def test_a_hostile_name_is_shown_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a\u202e[red]\x1b[31m.png"
    file.write_bytes(build.png())
    out = shown(capsys, str(file))
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_every_channel_has_its_place_and_nothing_means_nothing(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(capsys, files["plain.png"])
    for name in CHANNELS:
        assert name in out
    assert "Nothing found means nothing" in out


def test_conflicts_are_said_in_words(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    flat = " ".join(shown(capsys, files["conflict.jpg"]).replace("│", " ").split())
    assert "that the image was generated, while the camera EXIF says that it was" in flat
    assert "Claims found" in flat


def test_a_trust_list_that_is_none_stops_the_command(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["inspect", "--trust-list", files["text.txt"], files["plain.png"]])
    assert code == codes.USAGE
    assert "no certificate" in capsys.readouterr().err


def test_a_trust_list_of_the_users_own_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("c2pa")
    pytest.importorskip("cryptography")
    from tests import c2pa_made as made

    signed = made.sign(build.jpeg(), made.manifest(made.created("digitalCapture")))
    (tmp_path / "signed.jpg").write_bytes(signed)
    (tmp_path / "list.pem").write_text(made.authority().root_pem)
    _, (with_list,) = records(
        capsys, "--trust-list", str(tmp_path / "list.pem"), str(tmp_path / "signed.jpg")
    )
    _, (without,) = records(capsys, str(tmp_path / "signed.jpg"))
    assert with_list["evidence"][0]["trust"] == "trusted"  # type: ignore[index]
    assert without["evidence"][0]["trust"] == "valid"  # type: ignore[index]


def test_no_torch_is_loaded(files: dict[str, str]) -> None:
    code = (
        "import sys; from detector.cli import main; "
        "code = main(['inspect', *sys.argv[1:]]); "
        "print(code, 'torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, files["camera.jpg"]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    status, torch, torchvision = done.stdout.splitlines()[-1].split()
    assert (status, torch, torchvision) == ("0", "False", "False")
