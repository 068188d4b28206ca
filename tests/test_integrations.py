"""The adapters without the tools that they are for; `test_integrations_real.py` has those."""

from __future__ import annotations

import ast
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import main
from detector.cli.integrations import INTEGRATIONS
from detector.errors import UsageError
from detector.integrations import pict_rs, synapse
from detector.integrations.actions import FAULT, UNSCORED, Rules, decide_by
from detector.integrations.asynchronous import threaded
from detector.integrations.client import (
    JudgeError,
    Judgement,
    LocalJudge,
    ServiceJudge,
    finding_from_record,
    judgement_from_answer,
    make_judge,
)
from detector.integrations.signals import (
    ImageSignal,
    RuleSignal,
    matches,
    parse_signal,
    signal_of,
)
from detector.policy import Policy
from detector.results import FileFacts, Finding, Status, Stratum, Verdict
from tests.moderation_made import (
    BRIGHT,
    DARK,
    EVIDENCE,
    MIDDLE,
    TOKEN,
    Service,
    judge,
    picture,
    real_service,
    service,
    token_file,
)

LIGHT = ("client", "actions", "synapse", "signals", "label_studio", "auto_archiver")


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with service() as found:
        yield found


@pytest.fixture
def detector_service(running: Service) -> Service:
    running.reset()
    return running


# What a tool's environment needs


@pytest.mark.parametrize("module", LIGHT)
def test_an_adapter_needs_the_standard_library_only(module: str) -> None:
    heavy = ["torch", "numpy", "cv2", "PIL", "fastapi", "pydantic", "click", "google", "fsspec"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy}))\n"  # importing these fails now
        f"import detector.integrations.{module}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


# Asking the service


def test_a_judgement_comes_with_its_evidence(detector_service: Service) -> None:
    found = ServiceJudge(detector_service.url, TOKEN)(picture(BRIGHT))
    assert found == replace(judge(picture(BRIGHT)), finding=found.finding)
    assert found.finding.verdict is Verdict.LIKELY_GENERATED
    assert found.evidence == (EVIDENCE,)


def test_the_real_service_and_the_adapters_understand_each_other(tmp_path: Path) -> None:
    with real_service(tmp_path) as found:
        asked = ServiceJudge(found.url, TOKEN, timeout=60)
        flagged = asked(picture(BRIGHT, declared=True))
        assert flagged.finding.verdict is Verdict.LIKELY_GENERATED
        assert "a1111_parameters" in [item.kind for item in flagged.evidence]
        assert asked(picture(DARK)).finding.verdict is Verdict.NO_SIGN
        assert asked(picture(DARK)[:300]).finding.status is Status.TRUNCATED
        with pytest.raises(JudgeError, match="401"):
            ServiceJudge(found.url, "another-token-0123")(picture(DARK))


def test_a_file_that_cannot_be_scored_is_a_finding(detector_service: Service) -> None:
    found = ServiceJudge(detector_service.url, TOKEN)(picture(DARK)[:300])
    assert found.finding.status is Status.TRUNCATED


@pytest.mark.parametrize(("token", "status"), [("", "401"), ("another-one", "401")])
def test_a_refused_token_is_a_fault(detector_service: Service, token: str, status: str) -> None:
    with pytest.raises(JudgeError, match=status):
        ServiceJudge(detector_service.url, token)(picture(DARK))


def test_a_busy_service_is_asked_once_more(detector_service: Service) -> None:
    detector_service.status = 429
    with pytest.raises(JudgeError, match="429"):
        ServiceJudge(detector_service.url, TOKEN)(picture(DARK))
    assert len(detector_service.asked) == 2


def test_a_service_that_is_away_is_a_fault() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(JudgeError, match="cannot be asked"):
        ServiceJudge(f"http://127.0.0.1:{port}")(b"x")


def test_a_service_that_never_answers_is_given_up(detector_service: Service) -> None:
    detector_service.gate.clear()
    with pytest.raises(JudgeError, match=r"took over 0\.3 s"):
        ServiceJudge(detector_service.url, TOKEN, timeout=0.3)(picture(DARK))
    detector_service.gate.set()


def test_a_service_that_trickles_is_given_up() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            link, _ = server.accept()
            with link:
                link.recv(65536)
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        link.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        try:
            with pytest.raises(JudgeError, match="took over"):
                ServiceJudge(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.5)(b"x")
        finally:
            stop.set()
            thread.join(10)


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "ftp://host"},
        {"endpoint": "no address"},
        {"endpoint": "http://host", "timeout": 0},
        {"endpoint": "http://host", "token": "two\nlines"},
        {"endpoint": "http://host", "model": "lite"},
        {"token": "without an endpoint"},
        {"endpoint": "http://host", "token_file": "/no/such/file"},
    ],
)
def test_wrong_options_are_told_at_the_start(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make_judge(**options)


def test_a_token_comes_from_a_files_first_line(detector_service: Service, tmp_path: Path) -> None:
    asked = make_judge(detector_service.url, token_file=token_file(tmp_path))
    assert asked(picture(DARK)).finding.ok
    empty = tmp_path / "empty"
    empty.write_text("# nothing\n")
    with pytest.raises(UsageError, match="no token"):
        make_judge(detector_service.url, token_file=empty)


def test_without_an_endpoint_nothing_is_loaded_before_the_first_image() -> None:
    assert isinstance(make_judge(model="no such bundle"), LocalJudge)


def test_in_process_the_verdict_counts_evidence_as_the_service_does(tmp_path: Path) -> None:
    from tests.bundles import untrained_bundle

    asked = make_judge(model=untrained_bundle(tmp_path / "made_v1"))
    plain, declared = asked(picture(DARK)), asked(picture(DARK, declared=True))
    assert plain.finding.model == declared.finding.model == "made_v1"
    assert plain.finding.score == declared.finding.score
    assert "a1111_parameters" in [item.kind for item in declared.claims]
    assert declared.finding.verdict is not Verdict.NO_SIGN
    assert asked(picture(DARK)[:300]).finding.status is Status.TRUNCATED


def test_a_missing_model_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detector.scorers", None)
    with pytest.raises(JudgeError, match="endpoint"):
        LocalJudge()(b"x")


FINDINGS = st.builds(
    Finding,
    path=st.text(max_size=10),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    status=st.just(Status.OK),
    reason=st.text(max_size=20),
    model=st.text(max_size=10),
    score=st.floats(-50, 50),
    probability=st.none() | st.floats(0, 1),
    lr=st.none() | st.floats(0, 1e6),
    verdict=st.sampled_from(Verdict),
    verdict_code=st.sampled_from(["", "a_rule"]),
    spread=st.none() | st.floats(0, 10),
    stratum=st.none() | st.just(Stratum("jpeg", "small", "light")),
    file=st.none() | st.just(FileFacts("", 10, "PNG", 3, 4)),
    notes=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    conflicts=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    pixel_verdict=st.none() | st.sampled_from(Verdict),
    stability=st.sampled_from(["", "stable", "wavers", "flips"]),
)


@given(FINDINGS)
def test_a_finding_survives_its_record(finding: Finding) -> None:
    record = json.loads(json.dumps(finding.to_record()))
    again = finding_from_record(record)
    assert again.to_record() == finding.to_record()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["findings", "status", "score", "verdict", "evidence", "stratum"]),
            inner | st.sampled_from(["ok", "likely_generated", "empty"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
def test_any_answer_gives_a_judgement_or_a_fault(body: bytes) -> None:
    told = ""
    try:
        judgement_from_answer(body)
    except JudgeError as fault:
        told = str(fault)
    assert not told or told.isprintable()


# Rules and policies


KNOWN = ("accept", "reject")
DEFAULTS = dict.fromkeys(map(str, Verdict), "accept") | {UNSCORED: "accept", FAULT: "reject"}


def test_each_case_has_its_own_action() -> None:
    rules = Rules.from_options({"likely_generated": "reject", "other": 1}, KNOWN, DEFAULTS)
    assert rules.choose(judge(picture(BRIGHT))).action == "reject"
    assert rules.choose(judge(picture(DARK))).action == "accept"
    assert rules.choose(judge(b"no image")).rule == UNSCORED
    assert rules.on_fault(JudgeError("away")).action == "reject"


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(UsageError, match="likely_generated must be one of accept, reject"):
        Rules.from_options({"likely_generated": "explode"}, KNOWN, DEFAULTS)


POLICY = """
name = "uploads"
dry_run = false
[[rules]]
name = "declared"
action = "review"
[rules.when]
evidence = { asserts = "generated" }
[[rules]]
name = "torn"
action = "reject"
[rules.when]
status = "truncated"
"""
WORDS = {"allow": "accept", "review": "reject", "reject": "reject"}


def policy(dry_run: bool = False) -> Policy:
    text = POLICY
    return Policy.parse(text.replace("dry_run = false", f"dry_run = {str(dry_run).lower()}"))


def test_a_policy_decides_on_evidence() -> None:
    rules = Rules(DEFAULTS, decide_by(policy(), WORDS, "accept"))
    assert rules.choose(judge(picture(BRIGHT))).rule == "policy: declared"
    assert rules.choose(judge(picture(BRIGHT))).action == "reject"
    assert rules.choose(judge(picture(MIDDLE))).action == "accept"


def test_a_policy_decides_on_unscored_files_that_it_names() -> None:
    rules = Rules({**DEFAULTS, UNSCORED: "reject"}, decide_by(policy(), WORDS, "accept"))
    assert rules.choose(judge(picture(DARK)[:300])).rule == "policy: torn"
    assert rules.choose(judge(b"no image")).rule == UNSCORED


def test_a_dry_run_says_what_it_would_do() -> None:
    rules = Rules(DEFAULTS, decide_by(policy(dry_run=True), WORDS, "accept"))
    choice = rules.choose(judge(picture(BRIGHT)))
    assert choice.action == "accept"
    assert "would review" in choice.rule


def test_a_policy_with_an_action_that_the_tool_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="review"):
        decide_by(policy(), {"allow": "accept", "reject": "reject"}, "accept")


# pict-rs


def pict(judgement: Any = judge, **options: Any) -> TestClient:
    app = FastAPI()
    app.include_router(pict_rs.router(threaded(judgement), pict_rs.Settings.from_options(options)))
    return TestClient(app)


def away(data: bytes) -> Judgement:
    raise JudgeError("the service is away")


@pytest.mark.parametrize(("brightness", "status"), [(BRIGHT, 403), (MIDDLE, 200), (DARK, 200)])
def test_pict_rs_accepts_by_verdict(brightness: int, status: int) -> None:
    assert pict().post("/v1/pict-rs", content=picture(brightness)).status_code == status


def test_pict_rs_answers_as_its_address_asks() -> None:
    where = "/v1/pict-rs?inconclusive=reject&likely_generated=accept&unscored=reject"
    assert pict().post(where, content=picture(MIDDLE)).status_code == 403
    assert pict().post(where, content=picture(BRIGHT)).status_code == 200
    assert pict().post(where, content=b"no image").status_code == 403
    assert pict().post("/v1/pict-rs?fault=perhaps", content=b"x").status_code == 422


def test_pict_rs_fails_open_or_closed() -> None:
    assert pict(away).post("/v1/pict-rs", content=b"x").status_code == 200
    assert pict(away, fault="reject").post("/v1/pict-rs", content=b"x").status_code == 403
    assert pict(away).post("/v1/pict-rs?fault=reject", content=b"x").status_code == 403


def test_pict_rs_does_not_read_long_bodies() -> None:
    client = pict(max_bytes=1000, unscored="reject")
    answer = client.post("/v1/pict-rs", content=picture(DARK))
    assert answer.status_code == 403
    assert "1,000 bytes" in answer.json()["reason"]


def test_a_dry_run_accepts_and_says_what_it_would_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        answer = pict(dry_run=True).post("/v1/pict-rs", content=picture(BRIGHT))
    assert answer.status_code == 200
    assert answer.json()["action"] == "reject"
    assert "reject by likely_generated" in caplog.text


# Synapse


def test_synapse_checks_its_configuration(tmp_path: Path) -> None:
    config = synapse.DetectorModule.parse_config(
        {
            "endpoint": "http://127.0.0.1:8000",
            "likely_generated": "reject",
            "fault": "reject",
            "notes": str(tmp_path / "notes"),
        }
    )
    assert config.rules.actions["likely_generated"] == "reject"
    assert config.rules.actions["inconclusive"] == "allow"
    assert config.notes == tmp_path / "notes"


@pytest.mark.parametrize(
    "options",
    [
        {"endpont": "http://127.0.0.1"},
        {"likely_generated": "delete"},
        {"timeout": "soon"},
        {"timeout": -1},
        {"threads": True},
        {"notes": "/no/such/folder/notes"},
        {"policy": "/no/such/policy.toml"},
    ],
)
def test_synapse_does_not_start_with_a_wrong_configuration(options: dict[str, Any]) -> None:
    from detector.errors import DetectorError

    with pytest.raises(DetectorError):
        synapse.DetectorModule.parse_config(options)


def test_nothing_is_refused_unless_the_operator_says_so() -> None:
    actions = synapse.DetectorModule.parse_config({}).rules.actions
    assert synapse.REJECT not in actions.values()
    assert synapse.QUARANTINE not in actions.values()


def test_a_policy_file_works_for_synapse(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    config = synapse.DetectorModule.parse_config({"policy": str(path)})
    assert config.rules.choose(judge(picture(BRIGHT))).action == synapse.LOG


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_what_the_detector_reads_looks_like_an_image(kind: str) -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, kind)
    assert synapse.looks_like_image(buffer.getvalue()[:16])


@pytest.mark.parametrize(
    "start", [b"", b"%PDF-1.7", b"\0\0\0\x18ftypmp42\0\0\0\0", b"RIFF1234WAVE"]
)
def test_other_files_do_not_look_like_images(start: bytes) -> None:
    assert not synapse.looks_like_image(start)


def test_a_note_names_the_medium_and_the_reason() -> None:
    found = judge(picture(BRIGHT))
    rules = Rules(dict(synapse.DEFAULTS))
    info = SimpleNamespace(server_name=None, file_id="abc")
    note = synapse.make_note(rules.choose(found), found, info, "example.org", 0.1234)
    assert note["mxc"] == "mxc://example.org/abc"
    assert note["verdict"] == "likely_generated"
    assert note["evidence"] == ["a1111_parameters"]
    assert json.loads(json.dumps(note)) == note


# Signals


MODELS = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
SCORES = st.floats(-99, 99).map(lambda score: round(score, 2) + 0.0)
IMAGES = st.builds(
    ImageSignal,
    MODELS,
    SCORES,
    st.sampled_from(Verdict),
    st.text("0123456789abcdef", min_size=16, max_size=16),
)
RULES = st.builds(RuleSignal, st.sampled_from(Verdict)) | st.builds(
    RuleSignal, st.none(), MODELS, SCORES
)


@given(IMAGES | RULES)
def test_a_signal_survives_its_written_form(signal: ImageSignal | RuleSignal) -> None:
    assert parse_signal(str(signal)) == signal
    assert not any(c.isspace() for c in str(signal))


@given(st.text(max_size=60))
def test_other_text_is_no_signal(text: str) -> None:
    try:
        signal = parse_signal(text)
    except ValueError:
        return
    assert parse_signal(str(signal)) == signal


@given(IMAGES, IMAGES)
def test_two_images_match_only_when_they_are_the_same_file(
    one: ImageSignal, other: ImageSignal
) -> None:
    assert matches(str(one), str(other)) == (one.file == other.file)


@given(IMAGES, RULES)
def test_a_rule_matches_in_either_order(image: ImageSignal, rule: RuleSignal) -> None:
    assert matches(str(image), str(rule)) == matches(str(rule), str(image)) == rule.met_by(image)


def test_rules_over_scores_are_of_one_model() -> None:
    image = signal_of(judge(picture(BRIGHT)).finding)
    assert image is not None
    assert matches(str(image), "verdict=likely_generated")
    assert matches(str(image), "standin_v1>=+1.00")
    assert not matches(str(image), "standin_v2>=+1.00")
    assert not matches(str(image), "standin_v1>=+3.99")
    assert not matches(str(image), "verdict=no_sign")


def test_a_file_that_was_not_scored_has_no_signal_and_matches_nothing() -> None:
    assert signal_of(judge(b"no image").finding) is None
    assert not matches("", "verdict=likely_generated")


# auto-archiver


@pytest.fixture
def enricher(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The enricher's module with a stand-in for auto-archiver's base class."""
    core, log = ModuleType("auto_archiver.core"), ModuleType("auto_archiver.utils.custom_logger")
    core.Enricher = object  # type: ignore[attr-defined]
    log.logger = logging.getLogger("auto_archiver")  # type: ignore[attr-defined]
    for name in ("auto_archiver", "auto_archiver.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "auto_archiver.core", core)
    monkeypatch.setitem(sys.modules, "auto_archiver.utils.custom_logger", log)
    name = "detector.integrations.auto_archiver.aigi_detector_enricher.aigi_detector_enricher"
    monkeypatch.delitem(sys.modules, name, raising=False)
    import importlib

    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    made = module.AigiDetectorEnricher()
    for key, option in manifest()["configs"].items():
        setattr(made, key, option["default"])
    return made


def manifest() -> dict[str, Any]:
    from detector.integrations.auto_archiver import FOLDER

    text = (FOLDER / "aigi_detector_enricher" / "__manifest__.py").read_text(encoding="utf-8")
    found: dict[str, Any] = ast.literal_eval(text)
    return found


class Media:
    """As auto-archiver's, as far as the enricher uses it."""

    def __init__(self, path: Path, **properties: Any) -> None:
        self.filename, self.properties = str(path), properties
        self.get, self.inner = self.properties.get, []

    def set(self, key: str, value: Any) -> None:
        self.properties[key] = value

    def is_image(self) -> bool:
        return self.filename.endswith(".png")

    def all_inner_media(self, include_self: bool) -> list[Media]:
        return [self, *self.inner]


def test_the_enricher_writes_findings_and_failures(
    enricher: Any, detector_service: Service, tmp_path: Path
) -> None:
    pictures = {"a.png": picture(BRIGHT), "b.png": picture(DARK)[:300], "c.txt": b"words"}
    for name, data in pictures.items():
        (tmp_path / name).write_bytes(data)
    media = [Media(tmp_path / name) for name in [*pictures, "away.png"]]
    shot = Media(tmp_path / "a.png", id="screenshot_1")
    media[0].inner.append(shot)
    enricher.endpoint = detector_service.url
    enricher.token_file = str(token_file(tmp_path))
    enricher.setup()
    enricher.enrich(SimpleNamespace(media=media))
    assert media[0].properties["ai_generated_verdict"] == "likely_generated"
    assert "a1111_parameters" in media[0].properties["ai_generated_evidence"][0]
    assert media[1].properties["ai_generated_status"].startswith("truncated: ")
    assert media[2].properties == {}
    assert media[3].properties["ai_generated_status"].startswith("not judged: ")
    assert "ai_generated_verdict" not in shot.properties


def test_the_enricher_refuses_a_wrong_option_at_the_start(enricher: Any) -> None:
    enricher.endpoint = "no address"
    with pytest.raises(UsageError):
        enricher.setup()


# The command


def test_the_command_names_what_each_tool_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    import importlib

    for item in INTEGRATIONS:
        assert main(["integrations", "path", item.name]) == 0
        given_ = capsys.readouterr().out.strip()
        if item.kind == "folder":
            assert (Path(given_) / "aigi_detector_enricher" / "__manifest__.py").is_file()
        elif item.name == "synapse":
            module, _, name = given_.rpartition(".")
            assert hasattr(importlib.import_module(module), name)


def test_the_command_lists_tools_for_people_and_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["integrations", "list"]) == 0
    people = capsys.readouterr().out
    assert main(["integrations", "list", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == [item.name for item in INTEGRATIONS]
    assert all(line["value"] in people for line in lines)
