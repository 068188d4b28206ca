"""Every channel keeps its word: its gallery holds, its faults stay its own, its time is bounded."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import evidence
from detector.evidence import CHANNELS, build, wording
from detector.evidence.base import EvidenceInput, Example
from detector.evidence.text import plain
from detector.results import Asserts, Evidence, Trust

TOP = Path(__file__).parent.parent


def channels() -> list[str]:
    """The table's channels that can be imported; a missing one fails one test, by its name."""
    return [name for name, module in CHANNELS.items() if importlib.util.find_spec(module)]


def gallery() -> Iterator[object]:
    for name in channels():
        for example in evidence.channel(name).examples():
            yield pytest.param(name, example, id=f"{name}: {example.name}")


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_of_the_table_is_there(name: str) -> None:
    module = evidence.channel(name)
    assert callable(module.find)
    assert module.examples()


@pytest.mark.parametrize(("name", "example"), list(gallery()))
def test_every_example_gives_what_it_says(name: str, example: Example) -> None:
    if name == "c2pa":
        pytest.importorskip("c2pa")
    found = evidence.channel(name).find(EvidenceInput(example.data))
    assert {e.kind for e in found} == set(example.finds)
    assert {e.asserts for e in found} - {Asserts.UNKNOWN} == set(example.asserts)
    assert {e.channel for e in found} <= {name}
    for e in found:
        assert e.caveat.endswith("."), "a caveat is a sentence"
        json.dumps(e.to_record(), allow_nan=False)


@pytest.mark.parametrize("name", channels())
def test_every_gallery_shows_something_and_nothing(name: str) -> None:
    examples = evidence.channel(name).examples()
    assert any(example.finds for example in examples)
    assert any(not example.asserts for example in examples)
    assert len({example.name for example in examples}) == len(examples)


class _Faulty:
    """A channel that fails in a given way."""

    def __init__(self, fault: BaseException | None = None, gives: Sequence[object] = ()) -> None:
        self.fault = fault
        self.gives = gives

    def find(self, item: EvidenceInput) -> Sequence[object]:
        if self.fault is not None:
            raise self.fault
        return self.gives


def only(monkeypatch: pytest.MonkeyPatch, **modules: object) -> None:
    """Let the table hold these channels, and the system no plug-ins."""
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"made_{name}", module)  # type: ignore[arg-type]
    monkeypatch.setattr(evidence, "CHANNELS", {name: f"made_{name}" for name in modules})
    monkeypatch.setattr(evidence, "plugins", dict)


SOUND = Evidence("sound", "good", Asserts.CAPTURED, "", Trust.INFERRED, {}, "A caveat.")


@pytest.mark.parametrize(
    "fault", [ValueError("x\x1b[31m"), MemoryError(), RecursionError(), KeyError("k")]
)
def test_a_fault_in_one_channel_loses_no_other(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    only(monkeypatch, first=_Faulty(fault), good=_Faulty(gives=[SOUND]), last=_Faulty(fault))
    first, good, last = evidence.gather(b"no image")
    assert good == SOUND
    assert (first.kind, first.channel, first.asserts) == (
        "channel_failed",
        "first",
        Asserts.UNKNOWN,
    )
    assert last.channel == "last"
    assert first.raw["error"] == type(fault).__name__


def test_a_channel_that_gives_something_else_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, odd=_Faulty(gives=["text"]), none=_Faulty(gives=None))  # type: ignore[arg-type]
    assert [e.kind for e in evidence.gather(b"")] == ["channel_failed"] * 2


def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, stop=_Faulty(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        evidence.gather(b"")


def test_a_missing_module_is_reported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "CHANNELS", {"gone": "detector.evidence.no_such_channel"})
    monkeypatch.setattr(evidence, "plugins", dict)
    (failed,) = evidence.gather(b"")
    assert (failed.channel, failed.raw["error"]) == ("gone", "ModuleNotFoundError")


def plug_in(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    monkeypatch.setattr("detector.plugins.entry_points", lambda group: points)
    monkeypatch.setattr(evidence, "CHANNELS", {})
    evidence.plugins.cache_clear()


def test_plug_ins_are_run_named_and_made_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Evidence("k", "pretender", Asserts.UNKNOWN, "", Trust.INFERRED, {"b": b"\xff", "d": {}})
    module = SimpleNamespace(good=_Faulty(gives=[odd]), bad=_Faulty(OSError("disk")))
    monkeypatch.setitem(sys.modules, "made_plugins", module)  # type: ignore[arg-type]
    plug_in(
        monkeypatch,
        EntryPoint("good", "made_plugins:good", "detector.evidence"),
        EntryPoint("bad", "made_plugins:bad", "detector.evidence"),
        EntryPoint("gone", "made_plugins:nothing", "detector.evidence"),
    )
    found = {e.channel: e for e in evidence.gather(b"")}
    evidence.plugins.cache_clear()
    assert found["good"].raw == {"b": "ff", "d": {}}
    assert found["bad"].raw["error"] == "OSError"
    assert found["gone"].raw["error"] == "AttributeError"


def test_a_plug_in_cannot_take_a_built_in_name(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = EntryPoint("metadata", "made_plugins:x", "detector.evidence")
    monkeypatch.setattr("detector.plugins.entry_points", lambda group: (taken,))
    evidence.plugins.cache_clear()
    assert evidence.plugins() == {}
    evidence.plugins.cache_clear()


def test_pixels_that_the_caller_has_are_not_decoded_again() -> None:
    pixels = build.picture()
    assert EvidenceInput(b"no image", given_rgb=pixels).rgb is pixels
    assert EvidenceInput(b"no image").rgb is None


STARTS = {"PNG": build.png(), "JPEG": build.jpeg(), "WebP": build.webp(), "nothing": b""}


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(sorted(STARTS)), st.integers(0, 3_000))
def test_no_bytes_make_a_channel_raise(noise: bytes, start: str, cut: int) -> None:
    for data in (STARTS[start] + noise, STARTS[start][:cut] + noise):
        for name in channels():
            evidence.channel(name).find(EvidenceInput(data))


def test_nothing_loads_torch_or_the_c2pa_library_for_a_plain_file(tmp_path: Path) -> None:
    file = tmp_path / "plain.png"
    file.write_bytes(build.png())
    code = (
        "import sys; from detector.evidence import gather; "
        f"gather(open({str(file)!r}, 'rb').read()); "
        "print([m for m in ('torch', 'torchvision', 'c2pa') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOP
    )
    assert done.stdout.strip() == "[]"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_plain_values_are_always_json(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text) == plain(value)
    text.encode("utf-8")


def test_plain_values_are_bounded() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    huge = {"deep": deep, "wide": list(range(10_000)), "long": "x" * 10**6, "big": 10**400}
    assert len(json.dumps(plain(huge))) < 10_000


def made(
    kind: str, asserts: Asserts, trust: Trust = Trust.SELF_DECLARED, **raw: object
) -> Evidence:
    return Evidence(kind, "c", asserts, "", trust, raw, "")


def test_a_camera_beside_a_generator_is_a_conflict() -> None:
    both = [made("camera_exif", Asserts.CAPTURED), made("aigc_label", Asserts.GENERATED)]
    (sentence,) = wording.conflicts(both)
    assert "both cannot be right" in sentence


def test_the_signed_side_of_a_conflict_is_named() -> None:
    both = [
        made("c2pa_manifest", Asserts.CAPTURED, Trust.TRUSTED),
        made("iptc_digital_source_type", Asserts.GENERATED),
    ]
    assert "only the C2PA manifest is signed" in wording.conflicts(both)[0]


def test_a_photograph_edited_with_ai_is_no_conflict() -> None:
    both = [made("camera_exif", Asserts.CAPTURED), made("google_credit", Asserts.EDITED_WITH_AI)]
    assert wording.conflicts(both) == []


def test_a_broken_signature_is_named_and_its_claim_left_out() -> None:
    both = [
        made("c2pa_manifest", Asserts.CAPTURED, Trust.INVALID),
        made("aigc_label", Asserts.GENERATED),
    ]
    assert wording.conflicts(both) == [
        "The C2PA manifest says that the image was captured by a camera, but its signature does "
        "not hold."
    ]
    assert "signature does not hold" in wording.summary(both)


def test_two_generators_and_a_foreign_thumbnail_are_told() -> None:
    listed = [
        made("a1111_parameters", Asserts.GENERATED),
        made("midjourney_job", Asserts.GENERATED),
        made("camera_exif", Asserts.UNKNOWN, thumbnail={"correlation": 0.1}),
    ]
    one, two = wording.conflicts(listed)
    assert "more than one generator" in one
    assert "does not show this image" in two


def test_no_claim_is_said_so() -> None:
    assert wording.summary([]) == "No claim about the image's origin was found."


BOMBS = {
    "zTXt": lambda: build.png(*[build.compressed("parameters", bytes(60 * 2**20))] * 20),
    "nested JSON": lambda: build.png(build.text("prompt", '{"a":' * 50_000 + "1" + "}" * 50_000)),
    "wide JSON": lambda: build.png(build.text("prompt", "{" + '"a":[],' * 90_000 + '"b":1}')),
    "long number": lambda: build.png(build.text("Comment", '{"seed":' + "9" * 10**6 + "}")),
    "settings": lambda: build.png(build.text("parameters", "Steps: 1, " + "a b " * 400_000)),
    "options": lambda: build.png(build.text("Description", " --a b" * 400_000)),
    "quotes": lambda: build.png(build.text("Dream", '"' * 10**6)),
    "XMP depth": lambda: build.png(build.xmp_chunk("<a>" * 200_000)),
    "XMP width": lambda: build.png(build.xmp_chunk(build.xmp(inner="<dc:a>b</dc:a>" * 100_000))),
    "XMP entities": lambda: build.png(build.xmp_chunk(LAUGHS)),
    "chunks": lambda: build.png(*[build.text("parameters", "x")] * 60_000),
    "segments": lambda: build.jpeg(*[(0xE9, b'AIGC{"Label"')] * 9_000),
    "large chunk": lambda: build.png((b"tEXt", b"parameters\0" + bytes(100 * 2**20))),
}
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>'
    "<x>&d;</x>"
)


@pytest.mark.parametrize("bomb", BOMBS)
def test_hostile_metadata_takes_no_time_that_grows_without_bound(bomb: str) -> None:
    item = EvidenceInput(BOMBS[bomb]())
    start = time.process_time()
    for name in ("c2pa", "aigc_label", "metadata"):
        evidence.channel(name).find(item)
    # Alone these take a tenth of a second; what explodes takes minutes, on any machine.
    assert time.process_time() - start < 20.0


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own account of memory")
def test_hostile_metadata_costs_little_memory() -> None:
    code = """
import resource, sys
from tests.test_evidence import BOMBS
from detector.evidence import channel
from detector.evidence.base import EvidenceInput
name = sys.argv[1]
data = BOMBS[name]()
item = EvidenceInput(data)
channel("metadata").find(EvidenceInput(b""))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for each in ("c2pa", "aigc_label", "metadata"):
    channel(each).find(item)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    for bomb in ("zTXt", "wide JSON", "large chunk"):
        done = subprocess.run(
            [sys.executable, "-c", code, bomb], capture_output=True, text=True, check=True, cwd=TOP
        )
        assert float(done.stdout) < 200, bomb
