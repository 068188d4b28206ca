"""The Label Studio adapter without Label Studio: shapes, brush strokes, images, the backend."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detector.errors import UsageError
from detector.integrations.asynchronous import threaded
from detector.integrations.client import JudgeError
from detector.integrations.label_studio import LABEL_CONFIG, Settings, prediction, router
from detector.integrations.label_studio import read_controls as controls_of
from detector.integrations.label_studio.brush import decode_mask, encode_mask
from detector.integrations.label_studio.fetch import FetchError, Images, origin
from tests.moderation_made import BRIGHT, DARK, MIDDLE, heat, judge, left_half_is_hot, picture

FLAGGED, PLAIN = picture(BRIGHT), picture(DARK)


def results(data: bytes, **options: Any) -> dict[str, Any]:
    found = judge(data)
    made = prediction(found.finding, found.evidence, **options)
    assert made is not None
    return {item["type"]: item for item in made["result"]}


# Brush strokes


@given(arrays.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_a_brush_stroke_covers_its_mask(mask: Any) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask), mask.shape[1], mask.shape[0]), mask)


def test_long_runs_are_split() -> None:
    mask = np.zeros((600, 400), dtype=bool)
    mask[100:500] = True
    assert np.array_equal(decode_mask(encode_mask(mask), 400, 600), mask)


@given(st.lists(st.integers(0, 255), max_size=40))
def test_any_code_is_a_mask_or_an_error(code: list[int]) -> None:
    try:
        mask = decode_mask(code, 3, 2)
    except ValueError:
        return
    assert mask.shape == (2, 3)


# Predictions


def test_a_finding_fills_the_shipped_interface() -> None:
    found = results(FLAGGED, heatmap=heat(320, 240))
    assert found["choices"]["value"] == {"choices": ["likely_generated"]}
    assert found["choices"]["to_name"] == "image"
    assert found["number"]["value"]["number"] > 1
    assert any("a1111_parameters" in line for line in found["textarea"]["value"]["text"])
    assert found["brushlabels"]["value"]["brushlabels"] == ["speaks_for_generated"]
    assert found["brushlabels"]["original_width"] == 320


def test_the_score_of_a_prediction_is_a_probability() -> None:
    found = judge(FLAGGED)
    made = prediction(found.finding)
    assert made is not None
    assert made["score"] == pytest.approx(found.finding.probability)
    assert made["model_version"] == "standin_v1"


def test_the_same_finding_gives_the_same_prediction() -> None:
    assert results(FLAGGED, heatmap=heat(320, 240)) == results(FLAGGED, heatmap=heat(320, 240))
    ids = [item["id"] for item in results(FLAGGED, heatmap=heat(320, 240)).values()]
    assert len(set(ids)) == len(ids)


def test_an_unflagged_image_has_no_regions() -> None:
    assert "brushlabels" not in results(PLAIN, heatmap=heat(320, 240))


def test_a_maps_record_gives_the_same_regions() -> None:
    made = heat(320, 240)
    assert results(FLAGGED, heatmap=made.to_record()) == results(FLAGGED, heatmap=made)
    with pytest.raises(UsageError, match="no heatmap"):
        results(FLAGGED, heatmap={"layers": []})


def test_a_map_without_a_hot_piece_gives_no_region() -> None:
    cold = heat(320, 240)
    cold.layers[0].values[:] = 0.1
    assert "brushlabels" not in results(FLAGGED, heatmap=cold)


def test_a_file_that_was_not_scored_is_said_to_be_unscored() -> None:
    found = results(FLAGGED[:300])
    assert found["choices"]["value"] == {"choices": ["unscored"]}
    assert "number" not in found


def interface(inside: str) -> Any:
    return controls_of(f'<View><Image name="i" value="$pic"/>{inside}</View>')


@pytest.mark.parametrize(
    ("inside", "word"),
    [
        ('<Choice value="Likely generated"/>', "Likely generated"),
        ('<Choice value="AI" alias="likely-generated"/>', "likely-generated"),
        ('<Choice value="likely_generated" alias="ai"/>', "ai"),
    ],
)
def test_choices_are_found_by_value_or_alias(inside: str, word: str) -> None:
    controls = interface(f'<Choices name="c" toName="i">{inside}</Choices>')
    assert results(FLAGGED, controls=controls)["choices"]["value"] == {"choices": [word]}


def test_a_project_without_a_place_for_it_gets_no_prediction() -> None:
    other = interface('<Choices name="c" toName="i"><Choice value="cat"/></Choices>')
    found = judge(FLAGGED)
    assert prediction(found.finding, controls=other) is None


@pytest.mark.parametrize("kind", ["RectangleLabels", "KeyPointLabels"])
def test_regions_come_as_the_interface_wants_them(kind: str) -> None:
    labels = f'<{kind} name="r" toName="i"><Label value="AI"/></{kind}>'
    controls = interface(labels + '<Number name="n" toName="i"/>')
    region = results(FLAGGED, heatmap=heat(320, 240), controls=controls)[kind.lower()]
    assert region["value"][kind.lower()] == ["AI"]
    assert 0 <= region["value"]["x"] <= 50
    assert 0.5 < region["score"] < 1


def test_regions_need_a_label_that_means_generated() -> None:
    labels = '<BrushLabels name="r" toName="i"><Label value="a"/><Label value="b"/></BrushLabels>'
    controls = interface(labels + '<Number name="n" toName="i"/>')
    assert "brushlabels" not in results(FLAGGED, heatmap=heat(320, 240), controls=controls)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "<View>",
        "<View/>",
        '<View><Image name="i" value="https://example.org/x.png"/></View>',
        '<!DOCTYPE x [<!ENTITY a "b">]><View><Image name="i" value="$a"/></View>',
    ],
)
def test_an_interface_that_cannot_be_used_is_refused(config: str) -> None:
    with pytest.raises(UsageError):
        controls_of(config)


@given(st.text(alphabet="<>/=\"'! $aChoiesViwImgnmtT", max_size=80))
def test_any_text_is_an_interface_or_an_error(text: str) -> None:
    try:
        assert controls_of(text).image
    except UsageError as fault:
        assert str(fault)  # noqa: PT017 - the other branch is as good


# Images from Label Studio


class Site:
    """Two web servers: Label Studio's, and another one."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []  # path and Authorization
        self.expired = ""
        self.servers = [self._serve(), self._serve()]
        self.home, self.other = (f"http://127.0.0.1:{s.server_address[1]}" for s in self.servers)

    def _serve(self) -> ThreadingHTTPServer:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                site.seen.append((self.path, ""))
                number = sum(path == self.path for path, _ in site.seen)
                self._answer(200, json.dumps({"access": f"access-{number}"}).encode())

            def do_GET(self) -> None:
                given_ = self.headers.get("Authorization", "")
                site.seen.append((self.path, given_))
                if self.path == "/away":
                    self._answer(302, b"", Location=site.other + "/there")
                elif self.path == "/round":
                    self._answer(302, b"", Location="/round")
                elif given_ and given_ == site.expired:
                    self._answer(401, b"")
                elif self.path == "/missing":
                    self._answer(404, b"")
                else:
                    self._answer(200, b"bytes of " + self.path.encode())

            def _answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    for server in made.servers:
        server.shutdown()
        server.server_close()


def test_an_image_comes_from_label_studio_with_its_token(site: Site) -> None:
    images = Images(site.home, "legacy")
    assert images("/data/upload/1/x.png") == b"bytes of /data/upload/1/x.png"
    assert images(site.home + "/y.png") == b"bytes of /y.png"
    assert site.seen[0] == ("/data/upload/1/x.png", "Token legacy")


@pytest.mark.parametrize("place", ["http://169.254.169.254/x", "file:///etc/hostname", "//host/x"])
def test_no_other_host_is_asked(site: Site, place: str) -> None:
    with pytest.raises(FetchError):
        Images(site.home, "legacy")(place)
    assert site.seen == []


def test_a_redirect_to_another_host_is_not_followed(site: Site) -> None:
    with pytest.raises(FetchError, match="not fetched from"):
        Images(site.home, "legacy")("/away")
    assert [path for path, _ in site.seen] == ["/away"]


def test_a_listed_host_is_asked_without_the_token(site: Site) -> None:
    images = Images(site.home, "legacy", also=[site.other])
    assert images("/away") == b"bytes of /there"
    assert site.seen[-1] == ("/there", "")


def test_redirects_end(site: Site) -> None:
    with pytest.raises(FetchError, match="redirects"):
        Images(site.home, "legacy")("/round")


def test_a_personal_token_is_exchanged_and_renewed(site: Site) -> None:
    images = Images(site.home, "head.body.signature")
    images("/a")
    images("/b")
    site.expired = "Bearer access-1"
    assert images("/c") == b"bytes of /c"
    assert [auth for path, auth in site.seen if path == "/c"] == [
        "Bearer access-1",
        "Bearer access-2",
    ]
    assert "head.body.signature" not in str(site.seen)


def test_a_long_or_missing_image_is_an_error_that_names_no_token(site: Site) -> None:
    with pytest.raises(FetchError, match="404") as fault:
        Images(site.home, "legacy")("/missing")
    assert "legacy" not in str(fault.value)
    with pytest.raises(FetchError, match="more than 5 bytes"):
        Images(site.home, "legacy", max_bytes=5)("/x")


@given(st.text(max_size=30) | st.text(max_size=10).map(lambda rest: "http://" + rest))
def test_an_origin_is_a_scheme_a_host_and_a_port(url: str) -> None:
    try:
        found = origin(url)
    except UsageError:
        return
    assert origin(found) == found


# The backend


def backend(
    site: Site, asked: Any = judge, draw: Any = left_half_is_hot, **options: Any
) -> TestClient:
    app = FastAPI()
    settings = Settings(site.home, "legacy", **options)
    app.include_router(
        router(
            threaded(asked),
            settings,
            model_version="standin_v1-1",
            heatmap=draw,
            prefix="/ls",
        )
    )
    return TestClient(app)


@pytest.fixture
def pictures(site: Site, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Images by path; `Images` gives them instead of asking."""
    made = {"/flagged": FLAGGED, "/plain": PLAIN, "/middle": picture(MIDDLE)}

    def get(self: Images, place: str) -> bytes:
        if place not in made:
            raise FetchError("not there")
        return made[place]

    monkeypatch.setattr(Images, "__call__", get)
    return made


def ask(client: TestClient, *places: str, **more: Any) -> Any:
    tasks = [{"id": i, "data": {"image": place}} for i, place in enumerate(places)]
    return client.post("/ls/predict", json={"tasks": tasks, "label_config": LABEL_CONFIG, **more})


def test_the_backend_is_up_and_says_its_model(site: Site) -> None:
    client = backend(site)
    assert client.get("/ls/health").json()["status"] == "UP"
    said = client.post("/ls/setup", json={"project": "1", "schema": LABEL_CONFIG})
    assert said.json() == {"model_version": "standin_v1-1"}
    assert client.get("/ls/versions").json() == {"versions": ["standin_v1-1"]}
    assert client.post("/ls/webhook", json={"action": "X"}).status_code == 200


@pytest.mark.usefixtures("pictures")
def test_each_task_gets_its_prediction_in_order(site: Site) -> None:
    answer = ask(backend(site), "/flagged", "/plain", "/middle").json()
    verdicts = [found["result"][0]["value"]["choices"][0] for found in answer["results"]]
    assert verdicts == ["likely_generated", "no_sign", "inconclusive"]
    assert {found["model_version"] for found in answer["results"]} == {"standin_v1-1"}


@pytest.mark.usefixtures("pictures")
def test_maps_are_made_only_where_a_project_shows_them(site: Site) -> None:
    mapped: list[bytes] = []

    async def note(data: bytes) -> Any:
        mapped.append(data)
        raise UsageError("this model gives no map")

    client = backend(site, draw=note)
    answer = ask(client, "/flagged", "/plain").json()
    assert mapped == [FLAGGED]
    assert answer["results"][0]["result"], "a prediction without regions is one all the same"
    plain = LABEL_CONFIG.replace("BrushLabels", "Other")
    ask(client, "/flagged", label_config=plain)
    assert mapped == [FLAGGED]


@pytest.mark.usefixtures("pictures")
def test_a_task_without_an_image_gets_no_prediction(site: Site) -> None:
    answer = ask(backend(site), "/flagged", "/not-there").json()
    assert len(answer["results"]) == 2
    assert answer["results"][1] == []


@pytest.mark.usefixtures("pictures")
def test_a_fault_of_the_detector_is_no_prediction(site: Site) -> None:
    def away(data: bytes) -> Any:
        raise JudgeError("away")

    assert ask(backend(site, away), "/flagged").json()["results"] == [[]]


def test_requests_that_make_no_sense_are_refused(site: Site) -> None:
    client = backend(site, most_tasks=2)
    assert client.post("/ls/predict", json={"tasks": "all"}).status_code == 422
    assert client.post("/ls/predict", json={"tasks": [1]}).status_code == 422
    assert ask(client, "/a", "/b", "/c").status_code == 422
    assert ask(client, "/a", label_config="<View>").status_code == 409


schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")


def described() -> FastAPI:
    app = FastAPI()
    settings = Settings("http://127.0.0.1:9", "legacy")
    app.include_router(router(threaded(judge), settings, model_version="standin_v1-1"))
    return app


@schemathesis.openapi.from_asgi("/openapi.json", described()).parametrize()
@given_settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Any) -> None:
    case.call_and_validate()
