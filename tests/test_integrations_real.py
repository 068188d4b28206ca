"""The adapters inside the real tools, on the loopback: a flagged and an unflagged image each."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.moderation_made import BRIGHT, DARK, MIDDLE, Service, picture, service, token_file
from tests.real_components import (
    answers,
    environment,
    eventually,
    free_port,
    http,
    plain_environment,
    started,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def detector_service() -> Iterator[Service]:
    with service() as running:
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
        "fault": "allow",
        "timeout": 60,
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
    flagged, plain = picture(BRIGHT), picture(DARK, size=(1200, 900))
    status, answer = homeserver.upload(flagged)
    assert (status, answer["error"]) == (400, "Bad content")
    status, answer = homeserver.upload(plain)
    assert status == 200
    assert homeserver.download(answer["content_uri"]) == 200
    # The large one was thumbnailed, and no thumbnail was sent on.
    assert detector_service.asked == [flagged, plain]
    note = homeserver.noted("reject")[-1]
    assert note["sha256"] == hashlib.sha256(flagged).hexdigest()
    assert note["evidence"] == ["a1111_parameters"]


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
