"""The adapters inside the real tools, on the loopback: a flagged and an unflagged image each."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.integrations.label_studio import LABEL_CONFIG
from detector.integrations.label_studio import Settings as BackendSettings
from detector.integrations.label_studio import router as label_studio_router
from detector.integrations.label_studio.brush import decode_mask, encode_mask
from tests.moderation_made import (
    BRIGHT,
    DARK,
    MIDDLE,
    TOKEN,
    Service,
    flat,
    left_half_is_hot,
    picture,
    real_service,
    token_file,
)
from tests.real_components import (
    answers,
    environment,
    eventually,
    free_port,
    http,
    multipart,
    plain_environment,
    started,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def detector_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with real_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(detector_service: Service) -> None:
    detector_service.reset()


# Synapse


@dataclass
class Homeserver:
    url: str
    token: str
    notes: Path
    log: Path

    def upload(self, data: bytes, kind: str = "image/png") -> tuple[int, Any]:
        return http(
            "POST",
            f"{self.url}/_matrix/media/v3/upload?filename=x",
            data,
            {"Authorization": f"Bearer {self.token}", "Content-Type": kind},
        )

    def download(self, mxc: str) -> int:
        place = mxc.removeprefix("mxc://")
        headers = {"Authorization": f"Bearer {self.token}"}
        return http("GET", f"{self.url}/_matrix/client/v1/media/download/{place}", None, headers)[0]

    def noted(self, action: str) -> list[dict[str, Any]]:
        lines = self.notes.read_text(encoding="utf-8").splitlines()
        return [note for note in map(json.loads, lines) if note["action"] == action]


@pytest.fixture(scope="module")
def homeserver(
    detector_service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Homeserver]:
    python = environment("synapse") / "python"
    folder = tmp_path_factory.mktemp("synapse")
    port, secret, notes = free_port(), "shared-for-a-test", folder / "notes.jsonl"
    module = {
        "endpoint": detector_service.url,
        "token_file": str(token_file(folder)),
        "likely_generated": "reject",
        "inconclusive": "quarantine",
        "unscored": "log",
        "fault": "allow",
        "timeout": 60,
        "max_bytes": 8_000_000,
        "notes": str(notes),
    }
    config = {
        "server_name": "localhost",
        "pid_file": str(folder / "pid"),
        "listeners": [
            {"port": port, "type": "http", "bind_addresses": ["127.0.0.1"],
             "resources": [{"names": ["client", "media"]}]}
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "key"),
        "registration_shared_secret": secret,
        "report_stats": False,
        "trusted_key_servers": [],
        "rc_registration": {"per_second": 100, "burst_count": 100},
        "modules": [
            {"module": "detector.integrations.synapse.DetectorModule", "config": module}
        ],
    }  # fmt: skip
    path = folder / "homeserver.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    command = [str(python), "-m", "synapse.app.homeserver", "-c", str(path)]
    subprocess.run([*command, "--generate-keys"], check=True, env=plain_environment(), cwd=folder)
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    with started(
        command, log, lambda: answers(f"{url}/health"), env=plain_environment(), cwd=folder
    ):
        yield Homeserver(url, _register(url, secret), notes, log)


def _register(url: str, secret: str) -> str:
    nonce = http("GET", f"{url}/_synapse/admin/v1/register")[1]["nonce"]
    words = [nonce, "account-a", "a-password", "notadmin"]
    mac = hmac.new(secret.encode(), "\0".join(words).encode(), hashlib.sha1).hexdigest()
    status, answer = http(
        "POST",
        f"{url}/_synapse/admin/v1/register",
        {"nonce": nonce, "username": words[1], "password": words[2], "admin": False, "mac": mac},
    )
    assert status == 200, answer
    return str(answer["access_token"])


def test_synapse_refuses_a_flagged_upload_and_takes_an_unflagged_one(
    homeserver: Homeserver, detector_service: Service
) -> None:
    flagged, plain = picture(BRIGHT, declared=True), picture(DARK, size=(1200, 900))
    status, answer = homeserver.upload(flagged)
    assert (status, answer["error"]) == (400, "Bad content")
    status, answer = homeserver.upload(plain)
    assert status == 200
    assert homeserver.download(answer["content_uri"]) == 200
    # The large one was thumbnailed, and no thumbnail was sent on.
    assert detector_service.asked == [flagged, plain]
    note = homeserver.noted("reject")[-1]
    assert note["sha256"] == hashlib.sha256(flagged).hexdigest()
    assert "a1111_parameters" in note["evidence"]


def test_synapse_quarantines_with_a_note(homeserver: Homeserver) -> None:
    status, answer = homeserver.upload(picture(MIDDLE))
    assert status == 200
    mxc = answer["content_uri"]
    assert eventually(lambda: homeserver.download(mxc) == 404)
    assert homeserver.noted("quarantine")[-1]["mxc"] == mxc


def test_synapse_lets_other_files_pass_unread(
    homeserver: Homeserver, detector_service: Service
) -> None:
    assert homeserver.upload(b"just text", "text/plain")[0] == 200
    assert detector_service.asked == []


def test_synapse_notes_what_cannot_be_scored(
    homeserver: Homeserver, detector_service: Service
) -> None:
    torn, long = picture(BRIGHT)[:300], picture(BRIGHT) + bytes(9_000_000)
    for data, reason in ((torn, "truncated"), (long, "more than 8,000,000 bytes")):
        assert homeserver.upload(data)[0] == 200
        note = homeserver.noted("log")[-1]
        assert note["rule"] == "unscored"
        assert reason in note["reason"]
    assert detector_service.asked == [torn]


def test_synapse_goes_on_while_an_image_is_judged(
    homeserver: Homeserver, detector_service: Service
) -> None:
    detector_service.gate.clear()
    done: list[int] = []
    upload = threading.Thread(target=lambda: done.append(homeserver.upload(picture(DARK, 1))[0]))
    upload.start()
    assert detector_service.entered.wait(30)
    assert http("GET", f"{homeserver.url}/_matrix/client/versions")[0] == 200
    assert done == []
    detector_service.gate.set()
    upload.join(60)
    assert done == [200]


def test_synapse_fails_open_as_configured(
    homeserver: Homeserver, detector_service: Service
) -> None:
    detector_service.status = 500
    assert homeserver.upload(picture(BRIGHT, 2))[0] == 200
    assert "500" in homeserver.noted("allow")[-1]["reason"]


def test_synapse_does_not_start_with_a_wrong_option(tmp_path: Path) -> None:
    python = environment("synapse") / "python"
    module = "detector.integrations.synapse.DetectorModule"
    config = {
        "server_name": "localhost",
        "listeners": [],
        "database": {"name": "sqlite3", "args": {"database": ":memory:"}},
        "signing_key_path": str(tmp_path / "key"),
        "report_stats": False,
        "modules": [{"module": module, "config": {"likely_generated": "delete"}}],
    }
    (tmp_path / "homeserver.json").write_text(json.dumps(config))
    command = [str(python), "-m", "synapse.app.homeserver", "-c", "homeserver.json"]
    env = plain_environment()
    subprocess.run([*command, "--generate-keys"], check=True, env=env, cwd=tmp_path)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=env
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "likely_generated must be one of allow, log, quarantine, reject" in said


# ThreatExchange


@dataclass
class Tx:
    programs: Path
    folder: Path
    endpoint: str

    def __call__(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = plain_environment(
            TX_STATEDIR=str(self.folder / "state"),
            DETECTOR_ENDPOINT=self.endpoint,
            DETECTOR_TOKEN_FILE=str(token_file(self.folder)),
        )
        return subprocess.run(
            [str(self.programs / "tx"), *words],
            env=env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def python(self, code: str) -> str:
        done = subprocess.run(
            [str(self.programs / "python"), "-c", code],
            env=plain_environment(
                DETECTOR_ENDPOINT=self.endpoint,
                DETECTOR_TOKEN_FILE=str(token_file(self.folder)),
            ),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def tx(detector_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Tx:
    folder = tmp_path_factory.mktemp("tx")
    for name, data in (
        ("flagged.png", picture(BRIGHT, declared=True)),
        ("plain.png", picture(DARK)),
        ("flat-flagged.png", flat(BRIGHT)),
        ("flat-plain.png", flat(DARK)),
        ("broken.png", picture(BRIGHT)[:300]),
    ):
        (folder / name).write_bytes(data)
    (folder / "bank.txt").write_text("verdict=likely_generated\nstandin_v1>=+3.50\n")
    tool = Tx(environment("threatexchange"), folder, detector_service.url)
    tool("config", "extensions", "add", "detector.integrations.threatexchange")
    tool(
        "config", "collab", "edit", "local_file", "--create", "--signal-type", "ai_generated",
        "--filename", str(folder / "bank.txt"), "Generated images",
    )  # fmt: skip
    tool("fetch")
    return tool


def test_tx_hashes_a_photo_to_score_and_verdict(tx: Tx) -> None:
    out = tx("hash", "-S", "ai_generated", "photo", "flagged.png", "plain.png")
    flagged, plain = out.splitlines()
    assert "standin_v1:+" in flagged
    assert "likely_generated" in flagged
    assert "standin_v1:-" in plain
    assert "no_sign" in plain


def test_tx_matches_a_flagged_photo_only(tx: Tx) -> None:
    assert "Generated images" in tx("match", "photo", "flagged.png")
    assert tx("match", "photo", "plain.png") == ""


def test_tx_matches_photos_without_a_pdq_hash(tx: Tx) -> None:
    # With the sample data there is an index for PDQ, which fails on an empty hash by itself.
    tx("config", "collab", "edit", "sample", "--create", "Sample")
    tx("fetch")
    assert tx("hash", "-S", "pdq", "photo", "flat-flagged.png").strip() in ("", "pdq")
    assert "Generated images" in tx("match", "photo", "flat-flagged.png")
    assert tx("match", "photo", "flat-plain.png") == ""


def test_tx_gives_no_signal_for_a_file_that_cannot_be_scored(tx: Tx) -> None:
    assert "standin" not in tx("hash", "-S", "ai_generated", "photo", "broken.png")


def test_tx_says_in_a_sentence_that_the_detector_is_away(tx: Tx, detector_service: Service) -> None:
    detector_service.status = 500
    done = tx.run("match", "photo", "flagged.png")
    assert done.returncode not in (0, 1)
    assert "the detector service answered 500" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_classifier_labels_photos(tx: Tx) -> None:
    code = (
        "from detector.integrations.threatexchange import AiGeneratedClassifier as C\n"
        "from threatexchange.content_type.photo import PhotoContent as P\n"
        "c = C.get_with_default_settings()\n"
        "for n in ('flagged', 'plain', 'flat-flagged'): print(c.classify(P, n + '.png'))\n"
    )
    flagged, plain, untextured = tx.python(code).splitlines()
    assert flagged.startswith("likely_generated(+")
    assert "evidence:a1111_parameters" in flagged
    assert plain.startswith("no_sign(-")
    assert untextured.startswith("likely_generated")


# Label Studio


@dataclass
class LabelStudio:
    url: str
    headers: dict[str, str]

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, answer = http(method, self.url + path, body, {**self.headers, **headers})
        assert status < 300, (path, status, answer)
        return answer


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    programs = environment("label-studio")
    folder = tmp_path_factory.mktemp("label-studio")
    port, token = free_port(), "0123456789abcdef0123456789abcdef01234567"
    env = plain_environment(
        LABEL_STUDIO_BASE_DATA_DIR=str(folder),
        LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN="true",
        # The backend listens on the loopback, which Label Studio does not call unless told.
        SSRF_PROTECTION_ENABLED="false",
        USE_DEFAULT_BANNED_SUBNETS="false",
        COLLECT_ANALYTICS="false",
        LATEST_VERSION_CHECK="false",
        SENTRY_DSN="",
        FRONTEND_SENTRY_DSN="",
        DEBUG="false",
    )
    command = [
        str(programs / "label-studio"), "start", "--no-browser", "--port", str(port),
        "--internal-host", "127.0.0.1", "--data-dir", str(folder),
        "--username", "account-a@example.org", "--password", "a-password-for-tests",
        "--user-token", token,
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with started(
        command, folder / "log", lambda: answers(f"{url}/health"), 300, env=env, cwd=folder
    ):
        yield LabelStudio(url, {"Authorization": f"Token {token}"})


@pytest.fixture(scope="module")
def backend(label_studio: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # Personal access tokens are what Label Studio gives out by default today.
    token = label_studio("POST", "/api/token/", {})["token"]
    settings = BackendSettings(label_studio.url, token)

    def mount(app: Any) -> None:
        app.include_router(
            label_studio_router(
                app.state.service.judge,
                settings,
                model_version="standin_v1",
                heatmap=left_half_is_hot,  # the stand-in model has no map of its own
            )
        )

    with real_service(tmp_path_factory.mktemp("backend"), mount) as running:
        yield f"{running.url}/label-studio"


def test_label_studio_pulls_predictions(label_studio: LabelStudio, backend: str) -> None:
    project = label_studio(
        "POST", "/api/projects", {"title": "Uploads", "label_config": LABEL_CONFIG}
    )
    number = project["id"]
    for name, data in (("flagged.png", picture(BRIGHT)), ("plain.png", picture(DARK))):
        body, kind = multipart(name, data)
        label_studio("POST", f"/api/projects/{number}/import", body, **{"Content-Type": kind})
    label_studio(
        "POST",
        "/api/ml",
        {
            "url": backend,
            "project": number,
            "title": "detector",
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": "any",
            "basic_auth_pass": TOKEN,
        },
    )
    label_studio(
        "POST",
        f"/api/dm/actions?id=retrieve_tasks_predictions&project={number}",
        {"selectedItems": {"all": True, "excluded": []}},
    )

    def predictions() -> list[dict[str, Any]]:
        return list(label_studio("GET", f"/api/predictions?project={number}"))

    assert eventually(lambda: len(predictions()) == 2, 60)
    flagged, plain = sorted(predictions(), key=lambda p: -p["score"])
    assert flagged["model_version"] == "standin_v1"
    assert _values(flagged)["choices"] == {"choices": ["likely_generated"]}
    assert _values(flagged)["number"]["number"] > 1
    stroke = _values(flagged)["brushlabels"]
    mask = decode_mask(stroke["rle"], 320, 240)
    assert mask[:, :160].all()
    assert not mask[:, 160:].any()
    assert _values(plain)["choices"] == {"choices": ["no_sign"]}
    assert "brushlabels" not in _values(plain)


def _values(prediction: dict[str, Any]) -> dict[str, Any]:
    return {item["type"]: item["value"] for item in prediction["result"]}


def test_label_studio_reads_its_own_brush_strokes_alike(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((37, 53)) > 0.5
    mask[10:20, 5:50] = True
    code = (
        "import sys, json, numpy as np\n"
        "from label_studio_sdk.converter.brush import decode_rle\n"
        "out = decode_rle(json.load(open('rle.json')))\n"
        "np.save('mask.npy', out.reshape(37, 53, 4)[:, :, 3] > 0)\n"
    )
    (tmp_path / "rle.json").write_text(json.dumps(encode_mask(mask)))
    python = environment("label-studio") / "python"
    subprocess.run([str(python), "-c", code], check=True, cwd=tmp_path, env=plain_environment())
    assert np.array_equal(np.load(tmp_path / "mask.npy"), mask)


# auto-archiver


EXTRACTOR = '''
import shutil
from pathlib import Path

from auto_archiver.core import Extractor, Media, Metadata


class PicturesExtractor(Extractor):
    """Stands for a website: every page has the pictures of one folder."""

    def download(self, item):
        result = Metadata().set_url(item.get_url()).set_title("a post")
        for path in sorted(Path(self.folder).iterdir()):
            copy = Path(self.tmp_dir) / path.name
            shutil.copy(path, copy)
            result.add_media(Media(str(copy)), path.stem)
        return result.success("pictures")
'''
EXTRACTOR_MANIFEST = {
    "name": "Pictures",
    "type": ["extractor"],
    "requires_setup": False,
    "entry_point": "pictures_extractor::PicturesExtractor",
    "configs": {"folder": {"default": "", "help": "where the pictures are"}},
}


def test_auto_archiver_writes_findings_beside_images(
    detector_service: Service, tmp_path: Path
) -> None:
    programs = environment("auto-archiver")
    modules = tmp_path / "modules" / "pictures_extractor"
    modules.mkdir(parents=True)
    (modules / "__manifest__.py").write_text(repr(EXTRACTOR_MANIFEST))
    (modules / "__init__.py").write_text("")
    (modules / "pictures_extractor.py").write_text(EXTRACTOR)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "flagged.png").write_bytes(picture(BRIGHT, declared=True))
    (pictures / "plain.png").write_bytes(picture(DARK))
    (pictures / "torn.png").write_bytes(picture(BRIGHT)[:300])
    (pictures / "words.txt").write_text("no image")
    folder = subprocess.run(
        [
            str(programs / "python"),
            "-c",
            "from detector.cli import main; main(['integrations', 'path', 'auto-archiver'])",
        ],
        check=True,
        capture_output=True,
        text=True,
        env=plain_environment(),
        cwd=tmp_path,
    ).stdout.strip()
    config = {
        "steps": {
            "feeders": ["cli_feeder"],
            "extractors": ["pictures_extractor"],
            "enrichers": ["aigi_detector_enricher"],
            "databases": ["csv_db"],
            "storages": ["local_storage"],
            "formatters": ["html_formatter"],
        },
        "pictures_extractor": {"folder": str(pictures)},
        "aigi_detector_enricher": {
            "endpoint": detector_service.url,
            "token_file": str(token_file(tmp_path)),
        },
        "csv_db": {"csv_file": str(tmp_path / "db.csv")},
        "local_storage": {"save_to": str(tmp_path / "archive")},
    }
    (tmp_path / "orchestration.yaml").write_text(json.dumps(config))
    done = subprocess.run(
        [
            str(programs / "auto-archiver"),
            "--config",
            str(tmp_path / "orchestration.yaml"),
            "https://example.org/a-post",
            "--module_paths",
            str(tmp_path / "modules"),
            folder,
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=plain_environment(),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = (tmp_path / "db.csv").read_text(encoding="utf-8")
    assert written.count("'ai_generated_verdict': 'likely_generated'") == 1, done.stderr
    assert written.count("'ai_generated_verdict': 'no_sign'") == 1
    assert written.count("'ai_generated_status': 'truncated") == 1
    assert "a1111_parameters" in written
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "archive").rglob("*.html")]
    assert any("likely_generated" in page for page in pages)
    assert len(detector_service.asked) == 3


# Bluesky


def test_a_label_for_bluesky_is_signed_so_that_others_can_check_it(tmp_path: Path) -> None:
    python = environment("atproto") / "python"
    page = Path(__file__).parent.parent / "docs" / "how-to" / "moderation" / "bluesky.md"
    (code,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    code += """
from atproto import models
key = new_key()
post = "at://did:plc:a/app.bsky.feed.post/1"
label = signed_label(key, "did:plc:labeler", post, "likely_generated")
models.ComAtprotoLabelDefs.Label(**label)
print(is_signed_by(label, did_key(key)), is_signed_by({**label, "val": "other"}, did_key(key)))
print(signed_label(key, "did:plc:labeler", post, "no_sign"))
"""
    done = subprocess.run(
        [str(python), "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=plain_environment(),
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["True", "False", "None"], done.stderr
