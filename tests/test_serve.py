"""The service answers as `Detector` does, keeps strangers and floods out, and stores nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import ipaddress
import json
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from detector.cli import main
from detector.errors import UsageError
from detector.results import Finding, Status, Verdict
from detector.serve import schemas, shapes, tokens
from detector.serve.app import create_app
from detector.serve.engine import Judged
from detector.serve.faults import HttpError
from detector.serve.fetching import Fetcher, allowed_hosts, is_public
from detector.serve.run import JsonLines
from detector.serve.settings import Settings
from tests.standin import StandIn

RAW = {"content-type": "application/octet-stream"}
TOKEN = "a-token-of-some-length"
# In this process and without a queue's patience: quick, and enough for what is asserted here.
QUICK = Settings(workers=0, threads=1, linger=0.0)


def picture(brightness: int = 200, side: int = 64, kind: str = "PNG") -> bytes:
    """An image file of one brightness with some noise."""
    rng = np.random.default_rng(brightness)
    noise = rng.integers(0, 20, (side, side, 3)) + brightness - 10
    out = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A service with a stand-in model."""
    with TestClient(create_app(QUICK, StandIn())) as started:
        yield started


def error(answer: Any) -> dict[str, Any]:
    """The error of an answer, which always has the same form."""
    record: dict[str, Any] = answer.json()["error"]
    assert set(record) == {"code", "message", "cure", "request_id"}
    assert record["request_id"] == answer.headers["x-request-id"]
    assert record["cure"]
    return record


# --- scores ---------------------------------------------------------------------------------


def test_a_raw_body_is_scored_as_the_detector_does(tmp_path: Path) -> None:
    from detector.predict import Detector
    from tests.bundles import untrained_bundle

    bundle = untrained_bundle(tmp_path / "tiny_v1")
    data = picture(120, 90, "JPEG")
    expected = Detector.load(bundle).predict(data)
    with TestClient(create_app(replace(QUICK, model=str(bundle)))) as started:
        (found,) = started.post("/v1/score", content=data, headers=RAW).json()["findings"]
        assert found["score"] == pytest.approx(expected.score, abs=1e-4)
        assert found["sha256"] == hashlib.sha256(data).hexdigest()
        assert [c["view"] for c in found["crops"]] == [c.view for c in expected.crops]
        alone = started.post("/v1/score?evidence=0", content=data, headers=RAW).json()
        assert alone["findings"][0]["verdict"] == str(expected.verdict)
        assert alone["findings"][0]["evidence"] is None
        drawn = started.post("/v1/score?heatmap=1&evidence=0", content=data, headers=RAW).json()
        assert drawn["findings"][0]["heatmap"]["layers"]
        models = started.get("/v1/models").json()["data"]
    assert [m["id"] for m in models] == ["tiny_v1"]


def test_a_form_with_files_gives_findings_in_their_order(client: TestClient) -> None:
    names = ["a.png", "b.png", "c.txt"]
    contents = [picture(240), picture(20), b"no image"]
    form = [("file", pair) for pair in zip(names, contents, strict=True)]
    found = client.post("/v1/score", files=form).json()["findings"]
    assert [f["path"] for f in found] == names
    assert [f["status"] for f in found] == ["ok", "ok", "unsupported"]
    assert found[0]["score"] > found[1]["score"]
    assert found[2]["score"] is None


def test_evidence_is_told_unless_it_is_not_wanted(client: TestClient) -> None:
    out = io.BytesIO()
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    Image.open(io.BytesIO(picture(20))).save(out, "PNG", pnginfo=info)
    told = client.post("/v1/score", content=out.getvalue(), headers=RAW).json()["findings"][0]
    assert "a1111_parameters" in [item["kind"] for item in told["evidence"]]
    assert told["verdict"] != told["pixel_verdict"]
    quiet = client.post("/v1/score?evidence=false", content=out.getvalue(), headers=RAW).json()
    assert quiet["findings"][0]["evidence"] is None
    assert quiet["findings"][0]["verdict"] == told["pixel_verdict"]


def test_every_field_of_a_record_is_in_the_description(client: TestClient) -> None:
    (found,) = client.post("/v1/score", content=picture(), headers=RAW).json()["findings"]
    assert set(found) == set(schemas.FindingRecord.model_fields)
    schemas.Findings.model_validate({"findings": [found]})


def test_requests_that_come_together_are_scored_together() -> None:
    model = StandIn(delay=0.05)
    with (
        TestClient(create_app(replace(QUICK, linger=0.05), model)) as started,
        ThreadPoolExecutor(8) as hands,
    ):
        bodies = [picture(n) for n in range(100, 116)]
        found = list(
            hands.map(lambda b: started.post("/v1/score", content=b, headers=RAW).json(), bodies)
        )
    digests = [hashlib.sha256(body).hexdigest() for body in bodies]
    assert [f["findings"][0]["sha256"] for f in found] == digests
    assert max(model.batches) > 1


def test_an_image_that_the_model_fails_on_costs_itself_alone() -> None:
    bad, good = picture(50), picture(60)
    model = StandIn(refuses=hashlib.sha256(bad).hexdigest())
    with TestClient(create_app(replace(QUICK, linger=0.2), model)) as started:
        form = [("file", ("a", bad)), ("file", ("b", good))]
        found = started.post("/v1/score", files=form).json()["findings"]
    assert [f["status"] for f in found] == ["failed", "ok"]


# --- shapes ---------------------------------------------------------------------------------


def test_each_shape_is_what_its_clients_read(client: TestClient) -> None:
    def ask(shape: str) -> Any:
        url = f"/v1/score?shape={shape}&evidence=0"
        return client.post(url, content=picture(240), headers=RAW).json()

    labels = ask("huggingface")
    assert [row["label"] for row in labels] == ["generated", "real"]
    assert sum(row["score"] for row in labels) == pytest.approx(1)
    schemas.Moderation.model_validate(ask("openai"))
    assert ask("openai")["results"][0]["flagged"] is True
    assert ask("openai")["results"][0]["category_scores"]["ai_generated"] == labels[0]["score"]
    schemas.ModerationLabels.model_validate(ask("rekognition"))
    parent, child = ask("rekognition")["ModerationLabels"]
    assert child["ParentName"] == parent["Name"]
    assert child["Confidence"] == pytest.approx(100 * labels[0]["score"], abs=1e-3)


def test_shapes_without_room_for_a_failure_answer_with_an_error(client: TestClient) -> None:
    for shape in ("huggingface", "rekognition", "openai"):
        answer = client.post(f"/v1/score?shape={shape}", content=b"no image", headers=RAW)
        assert answer.status_code == 422
        assert error(answer)["code"] == "unsupported"
    form = [("file", ("a", picture())), ("file", ("b", picture()))]
    assert client.post("/v1/score?shape=rekognition", files=form).status_code == 422
    several = client.post("/v1/score?shape=huggingface", files=form).json()
    assert [len(rows) for rows in several] == [2, 2]


def test_clients_of_other_services_need_a_url_only(client: TestClient) -> None:
    text = base64.b64encode(picture(240)).decode()
    address = {"url": f"data:image/png;base64,{text}"}
    body: dict[str, Any] = {"model": "x", "input": [{"type": "image_url", "image_url": address}]}
    moderation = client.post("/v1/moderations", json=body).json()
    schemas.Moderation.model_validate(moderation)
    assert moderation["results"][0]["flagged"] is True
    amazon = {"content-type": "application/x-amz-json-1.1"}
    answer = client.post("/", content=json.dumps({"Image": {"Bytes": text}}), headers=amazon)
    assert answer.json()["ModerationLabels"]
    answer = client.post("/v1/score?shape=huggingface", json={"inputs": text})
    assert answer.json()[0]["label"] == "generated"
    body["input"][0]["image_url"]["url"] = "http://127.0.0.1/a.png"
    assert client.post("/v1/moderations", json=body).status_code == 415


def test_a_body_that_curl_calls_a_form_is_read_when_it_is_an_image(client: TestClient) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/v1/score", content=picture(), headers=form).status_code == 200


def test_flagged_follows_the_verdict_and_not_the_probability() -> None:
    doubt = Finding("", "", Status.OK, "", "m", 1.0, 0.97, 30.0, Verdict.INCONCLUSIVE, "x")
    assert shapes.openai([Judged(doubt)], "m", "1")["results"][0]["flagged"] is False
    assert shapes.rekognition([Judged(doubt)], "m")["ModerationLabels"][1]["Name"].startswith("Po")
    nothing = replace(doubt, verdict=Verdict.NO_SIGN)
    assert shapes.rekognition([Judged(nothing)], "m")["ModerationLabels"] == []


def test_a_model_without_a_probability_has_no_place_in_the_others_shapes() -> None:
    unmeasured = Finding("", "", Status.OK, "", "m", 1.0, verdict=Verdict.INCONCLUSIVE)
    with pytest.raises(HttpError) as caught:
        shapes.all_scored([Judged(unmeasured)])
    assert caught.value.code == "uncalibrated"


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "options", "status", "code"),
    [
        ("POST", "/v1/score", {"content": b"", "headers": RAW}, 400, "no_image"),
        ("POST", "/v1/score", {"data": {"a": "b"}}, 415, "unsupported_type"),
        ("POST", "/v1/score", {"json": {"url": "http://example.org/a"}}, 415, "fetch_off"),
        ("POST", "/v1/score?shape=mine", {"content": b"x", "headers": RAW}, 422, "bad_option"),
        ("GET", "/v1/score", {}, 405, "wrong_method"),
        ("GET", "/nothing", {}, 404, "not_found"),
        (
            "POST",
            "/v1/score",
            {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
            400,
            "bad_form",
        ),
    ],
)
def test_what_cannot_be_answered_is_told_with_its_cure(
    client: TestClient, method: str, url: str, options: dict[str, Any], status: int, code: str
) -> None:
    answer = client.request(method, url, **options)
    assert answer.status_code == status
    assert error(answer)["code"] == code


def test_bodies_and_batches_have_limits() -> None:
    small = replace(QUICK, max_body=50_000, max_images=2)
    with TestClient(create_app(small, StandIn())) as started:
        answer = started.post("/v1/score", content=bytes(60_000), headers=RAW)
        assert (answer.status_code, error(answer)["code"]) == (413, "too_large")

        def pieces() -> Iterator[bytes]:  # without Content-Length
            yield from [bytes(10_000)] * 6

        answer = started.post("/v1/score", content=pieces(), headers=RAW)
        assert (answer.status_code, error(answer)["code"]) == (413, "too_large")
        form = [("file", ("a", picture(side=32)))] * 3
        answer = started.post("/v1/score", files=form)
        assert (answer.status_code, error(answer)["code"]) == (422, "too_many_images")


def test_a_full_service_answers_429_and_says_when_to_come_again() -> None:
    model = StandIn(delay=0.5)
    with (
        TestClient(create_app(replace(QUICK, queue=2), model)) as started,
        ThreadPoolExecutor(6) as hands,
    ):
        bodies = [picture(n) for n in range(100, 106)]
        answers = list(
            hands.map(lambda b: started.post("/v1/score", content=b, headers=RAW), bodies)
        )
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert any(a.status_code == 200 for a in answers)
    assert {a.status_code for a in answers} == {200, 429}
    assert all(int(a.headers["retry-after"]) >= 1 for a in refused)
    assert error(refused[0])["code"] == "busy"


def test_a_request_that_takes_too_long_is_given_up() -> None:
    settings = replace(QUICK, request_timeout=0.1)
    with TestClient(create_app(settings, StandIn(delay=0.6))) as started:
        answer = started.post("/v1/score", content=picture(), headers=RAW)
    assert (answer.status_code, error(answer)["code"]) == (503, "timeout")


def test_a_file_that_kills_its_decoder_costs_itself_alone(tmp_path: Path) -> None:
    from detector.serve.engine import Engine, Upload

    class Deadly(StandIn):
        def __init__(self) -> None:
            super().__init__()
            self.bundle = _Bundle(_Deadly())

    settings = replace(QUICK, workers=1, spool=tmp_path)

    async def both() -> list[Judged]:
        engine = Engine(Deadly(), settings)
        engine.start()
        try:
            killed = asyncio.ensure_future(engine.score([Upload(picture(1))], evidence=False))
            return [*(await killed), *await engine.score([Upload(picture(200))], evidence=False)]
        finally:
            await asyncio.to_thread(engine.close)

    found = asyncio.run(both())
    assert [j.finding.status for j in found] == [Status.FAILED, Status.OK]
    assert "ended unexpectedly" in found[0].finding.reason
    assert list(tmp_path.iterdir()) == []  # nothing of an image is left behind


class _Bundle:
    def __init__(self, preprocess: Any) -> None:
        self.preprocess = preprocess


class _Deadly:
    """Preprocessing that dies on dark pictures, as a broken decoder would."""

    def cut(self, rgb: np.ndarray) -> Any:
        """Cuts bright pictures."""
        if rgb.mean() < 100:
            os._exit(3)
        return StandIn().bundle.preprocess.cut(rgb)


def test_work_that_was_taken_is_finished_when_the_service_ends(tmp_path: Path) -> None:
    from detector.serve.engine import Engine, Upload

    async def ended_meanwhile() -> list[Judged]:
        engine = Engine(StandIn(delay=0.3), replace(QUICK, spool=tmp_path))
        engine.start()
        waiting = asyncio.ensure_future(engine.score([Upload(picture())], evidence=False))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(engine.close)
        with pytest.raises(HttpError, match="ending"):
            await engine.score([Upload(picture())])
        return await waiting

    assert asyncio.run(ended_meanwhile())[0].finding.ok
    assert list(tmp_path.iterdir()) == []


# --- slow clients ---------------------------------------------------------------------------


def test_a_client_that_stalls_is_given_up() -> None:
    from detector.serve.guard import Guard

    seen: list[int] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async def run() -> None:
        first = iter([{"type": "http.request", "body": b"x", "more_body": True}])

        async def receive() -> Any:
            message = next(first, None)
            if message is None:
                await asyncio.sleep(30)
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        guard = Guard(
            app,
            replace(QUICK, idle_timeout=0.05),
            None,
            lambda m, r, status, s: seen.append(status),
        )
        scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": []}
        await guard(scope, receive, send)
        assert guard._inside == 0
        assert guard._held == 0

    asyncio.run(run())
    assert seen == [408]
    assert json.loads(sent[1]["body"])["error"]["code"] == "slow_client"


def test_a_client_that_leaves_is_no_fault_of_the_service(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(QUICK, StandIn())
    sent: list[Any] = []

    async def run() -> None:
        messages = iter(
            [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
        )

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": []}
        scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http"}
        await app(scope, receive, send)

    asyncio.run(run())
    assert sent[0]["status"] == 499
    assert "ERROR" not in caplog.text


# --- tokens ---------------------------------------------------------------------------------


def test_only_a_known_token_gets_in_and_health_is_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    second = hashlib.sha256(b"another-token-of-length").hexdigest()
    file.write_text(f"# ours\n{TOKEN}\n\nsha256:{second}\n")
    with TestClient(create_app(replace(QUICK, token_file=file), StandIn())) as started:

        def status(header: str | None, url: str = "/v1/models") -> int:
            headers = {} if header is None else {"authorization": header}
            return started.get(url, headers=headers).status_code

        assert status(f"Bearer {TOKEN}") == 200
        assert status("bearer another-token-of-length") == 200
        basic = base64.b64encode(f"any:{TOKEN}".encode()).decode()
        assert status(f"Basic {basic}") == 200
        assert status(f"AWS4-HMAC-SHA256 Credential={TOKEN}/20260101/x/y, Signature=0") == 200
        for wrong in (
            None,
            "",
            "Bearer",
            "Bearer x",
            f"Bearer {TOKEN}x",
            f"Bearer sha256:{second}",
        ):
            assert status(wrong) == 401
        assert status(None, "/metrics") == 401
        assert status(None, "/healthz") == status(None, "/readyz") == 200
        answer = started.get("/v1/models")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert error(answer)["code"] == "unauthorized"
        # A token that was taken out does not get in any more; the service goes on.
        file.write_text("a-new-token-of-some-length\n")
        assert status(f"Bearer {TOKEN}") == 401
        assert status("Bearer a-new-token-of-some-length") == 200
        # A file that was spoilt leaves the tokens as they were.
        file.write_text("short\n")
        assert status("Bearer a-new-token-of-some-length") == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no token"),
        ("# only this", "holds no token"),
        ("short", "line 1: a token has at least 16"),
        (f"{TOKEN}\nwith a space in the middle", "line 2"),
        ("sha256:12", "64 hex digits"),
    ],
)
def test_a_malformed_token_file_is_told_and_its_tokens_are_not(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        tokens.parse(text)
    assert TOKEN not in str(caught.value)
    assert "with a space" not in str(caught.value)


@given(st.text(max_size=80))
def test_any_authorization_header_is_a_token_or_none(header: str) -> None:
    found = tokens.presented(header)
    assert found is None or found


# --- fetching -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2002:c0a8:101::", "2001:db8::1"),
    ],
)
def test_no_address_inside_a_network_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://other.example/a", "not on the list"),
        ("http://images.example:8080/a", "not on the list"),
        ("http://images.example.other.example/a", "not on the list"),
        ("http://images.example@other.example/a", "credentials"),
        ("file:///etc/passwd", "no http or https"),
        ("ftp://images.example/a", "no http or https"),
        ("http://images.example:99999/a", "malformed"),
        ("http://images.example/a\r\nX: y", "no http or https|malformed|private"),
        ("http://images.example/a", "private network"),
        ("https://IMAGES.example./a", "private network"),
        ("", "no http or https"),
    ],
)
def test_an_address_is_fetched_only_from_listed_and_public_hosts(url: str, reason: str) -> None:
    fetcher = Fetcher(
        allowed_hosts(["images.example"]), 1000, resolve=lambda h, p: ["8.8.8.8", "10.0.0.1"]
    )
    with pytest.raises(HttpError, match=reason):
        fetcher.get(url)


@pytest.mark.parametrize("word", ["", "http://a", "a/b", "*.example", "a:b", "a b"])
def test_a_listed_host_is_a_name(word: str) -> None:
    with pytest.raises(UsageError, match="host name"):
        allowed_hosts([word])


@pytest.fixture
def web() -> Iterator[str]:
    """A web server on loopback: /ok, /big, /slow, /away (redirect elsewhere), /loop."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            places = {"/away": "http://inside.example/secret", "/loop": "/loop", "/hop": "/ok"}
            if self.path in places:
                self.send_response(302)
                self.send_header("Location", places[self.path])
                self.end_headers()
                return
            self.send_response(200 if self.path != "/gone" else 404)
            self.end_headers()
            if self.path == "/slow":
                for _ in range(40):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)
            self.wfile.write(b"host:" + self.headers["Host"].encode())
            self.wfile.write(bytes(5000) if self.path == "/big" else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"images.example:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_fetch_speaks_to_the_address_that_was_checked(web: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    fetcher = Fetcher(
        allowed_hosts([web]), 1000, timeout=0.8, resolve=resolve, permitted=lambda a: True
    )
    assert fetcher.get(f"http://{web}/ok") == b"host:" + web.encode()
    assert asked == ["images.example"]
    assert fetcher.get(f"http://{web}/hop").startswith(b"host:")
    for path, reason in (
        ("/away", "not on the list"),
        ("/loop", "redirected too often"),
        ("/gone", "answered 404"),
        ("/slow", "took too long"),
        ("/big", "larger than 1000"),
    ):
        with pytest.raises(HttpError, match=reason):
            fetcher.get(f"http://{web}{path}")


def test_listed_hosts_can_be_named_in_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fetcher, "get", lambda self, url: picture(240))
    settings = replace(QUICK, allow_fetch=("images.example",))
    with TestClient(create_app(settings, StandIn())) as started:
        urls = {"urls": ["https://images.example/a", "https://images.example/b"]}
        found = started.post("/v1/score", json=urls).json()["findings"]
        assert [f["path"] for f in found] == urls["urls"]
        for body in ({}, {"urls": []}, {"url": 3}, [], {"urls": "x"}, {"inputs": "?"}):
            answer = started.post("/v1/score", json=body)
            assert (answer.status_code, error(answer)["code"]) == (422, "bad_json")


# --- policy, adapters, figures, log -----------------------------------------------------------


def test_a_policy_adds_its_action_and_decides_for_pict_rs(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    rule = (
        '[[rules]]\nname = "bright"\naction = "reject"\nwhen = {pixel_verdict = "likely_generated"}'
    )
    file.write_text(f"dry_run = false\n{rule}\n")
    with TestClient(create_app(replace(QUICK, policy=file), StandIn())) as started:
        (found,) = started.post("/v1/score", content=picture(240), headers=RAW).json()["findings"]
        assert found["action"] == {"name": "reject", "rule": "bright", "dry_run": False}
        assert started.post("/v1/pict-rs", content=picture(240), headers=RAW).status_code == 403
        assert started.post("/v1/pict-rs", content=picture(20), headers=RAW).status_code == 200
        file.write_text(f"dry_run = true\n{rule}\n")
    with TestClient(create_app(replace(QUICK, policy=file), StandIn())) as started:
        assert started.post("/v1/pict-rs", content=picture(240), headers=RAW).status_code == 200


def test_figures_count_requests_and_images(client: TestClient) -> None:
    client.post("/v1/score", content=b"no image", headers=RAW)
    client.get("/a-path-that-a-stranger-typed")
    text = client.get("/metrics").text
    assert 'detector_images_total{status="unsupported",verdict="none"}' in text
    assert 'route="/v1/score",status="200"' in text
    assert "stranger" not in text
    assert "detector_images_held 0.0" in text


def test_the_log_has_ids_and_figures_and_nothing_of_an_image(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "detector.serve")
    form = [("file", ("secret-name.png", picture()))]
    answer = client.post("/v1/score", files=form, headers={"x-request-id": "mine-7"})
    assert answer.headers["x-request-id"] == "mine-7"
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert (line["event"], line["id"], line["status"], line["images"]) == (
        "request",
        "mine-7",
        200,
        1,
    )
    assert "secret-name" not in caplog.text
    assert "secret-name" not in json.dumps(line)
    forged = client.get("/healthz", headers={"x-request-id": "a b"})
    assert forged.headers["x-request-id"] != "a b"


# --- the command ----------------------------------------------------------------------------


def test_a_service_that_others_can_reach_wants_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "--token-file" in capsys.readouterr().err


def test_a_model_or_policy_that_is_not_there_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", "no_such_model"]) == 2
    assert "no model bundle" in capsys.readouterr().err
    assert main(["serve", "--policy", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
