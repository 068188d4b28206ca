"""A policy's first matching rule decides; its file is read strictly; a replay does nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import main
from detector.policy import CONDITIONS, Policy, PolicyError
from detector.policy.rates import LEVELS, Rates, expected_real
from detector.policy.replay import replay
from detector.results import Asserts, Evidence, Finding, Status, Stratum, Trust, Verdict
from detector.store import Store
from detector.verdict import decided
from detector.weights import load_bundle

LIKELY = Finding(
    "a.jpg",
    "0" * 64,
    Status.OK,
    "because",
    "m_v1",
    2.5,
    0.9,
    6.0,
    Verdict.LIKELY_GENERATED,
    "score_above_threshold",
    stratum=Stratum("jpeg", "medium", "light"),
    pixel_verdict=Verdict.LIKELY_GENERATED,
    pixel_code="score_above_threshold",
    pixel_reason="because",
)
NOTHING = replace(
    LIKELY, verdict=Verdict.NO_SIGN, pixel_verdict=Verdict.NO_SIGN, score=-1.0, lr=0.3
)
BROKEN = Finding("b.jpg", "1" * 64, Status.TRUNCATED, "ends early", "m_v1")
SIGNED = Evidence("c2pa_manifest", "c2pa", Asserts.GENERATED, "somebody", Trust.TRUSTED)
CLAIMED = Evidence("a1111_parameters", "metadata", Asserts.GENERATED, "", Trust.SELF_DECLARED)


def policy(when: str, action: str = "review") -> Policy:
    """One rule."""
    return Policy.parse(f'[[rules]]\nname = "r"\naction = "{action}"\n[rules.when]\n{when}\n')


def takes(when: str, finding: Finding, *evidence: Evidence) -> bool:
    """Whether the rule matches."""
    return policy(when).decide(finding, evidence).rule == "r"


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ('verdict = "likely_generated"', LIKELY, NOTHING),
        ('verdict = ["likely_generated", "inconclusive"]', LIKELY, NOTHING),
        ('pixel_verdict = "no_sign"', NOTHING, LIKELY),
        ('verdict_code = "score_*"', LIKELY, replace(LIKELY, verdict_code="too_flat")),
        (
            'stratum = "jpeg/*/light"',
            LIKELY,
            replace(LIKELY, stratum=Stratum("webp", "s", "light")),
        ),
        ("lr_at_least = 6", LIKELY, NOTHING),
        ("lr_below = 1", NOTHING, LIKELY),
        ("probability_at_least = 0.9", LIKELY, replace(LIKELY, probability=0.89)),
        ("score_below = 0", NOTHING, LIKELY),
        ('status = "truncated"', BROKEN, LIKELY),
        ("conflicts = true", replace(LIKELY, conflicts=("no",)), LIKELY),
        ('model = "m_*"', LIKELY, replace(LIKELY, model="other")),
    ],
)
def test_a_condition_holds_for_the_one_and_not_for_the_other(
    when: str, yes: Finding, no: Finding
) -> None:
    assert takes(when, yes)
    assert not takes(when, no)


def test_every_condition_of_a_rule_must_hold() -> None:
    both = 'verdict = "likely_generated"\nlr_at_least = 6'
    assert takes(both, LIKELY)
    assert not takes(both, replace(LIKELY, lr=5.9))


def test_one_piece_of_evidence_must_fit_the_whole_table() -> None:
    when = 'evidence = { asserts = "generated", trust = ["trusted", "valid"] }'
    assert takes(when, NOTHING, SIGNED)
    camera = replace(SIGNED, asserts=Asserts.CAPTURED)
    assert not takes(when, NOTHING, CLAIMED, camera)
    assert takes('no_evidence = { channel = "c2pa" }', NOTHING, CLAIMED)
    assert not takes('no_evidence = { channel = "c2pa" }', NOTHING, SIGNED)


def test_a_file_that_was_not_scored_meets_only_rules_that_speak_of_files() -> None:
    assert not takes("lr_below = 1000", BROKEN)
    assert not takes('model = "*"', BROKEN)
    assert takes('evidence = { channel = "c2pa" }', BROKEN, SIGNED)


def test_the_first_rule_that_matches_decides_and_the_default_comes_last() -> None:
    text = """
        default = "label"
        dry_run = false
        [[rules]]
        name = "one"
        action = "reject"
        when = { lr_at_least = 5 }
        [[rules]]
        name = "two"
        action = "review"
        when = { lr_at_least = 1 }
    """
    rules = Policy.parse(text)
    assert rules.decide(LIKELY).to_record() == {"name": "reject", "rule": "one", "dry_run": False}
    assert rules.decide(replace(LIKELY, lr=2.0)).name == "review"
    assert rules.decide(NOTHING).rule == "default"
    assert rules.actions == ("reject", "review", "label")


def test_a_policy_is_a_dry_run_until_it_says_otherwise() -> None:
    assert policy("lr_at_least = 1").decide(LIKELY).dry_run


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("nmae = 'x'", 1, "did you mean 'name'"),
        ("\ndry_run = 'no'", 2, "true or false"),
        ("default = 'Do it!'", 1, "one word in small letters"),
        ("[[rules]]\nname='a'", 1, "add an action"),
        ("[[rules]]\naction='review'\nwhne={}", 3, "did you mean 'when'"),
        ("[[rules]]\naction='review'\n[rules.when]\nverdikt='no_sign'", 4, "mean 'verdict'"),
        ("[[rules]]\naction='review'\n[rules.when]\nverdict='fake'", 4, "none of likely_generated"),
        ("[[rules]]\naction='review'\n[rules.when]\nlr_at_least='9'", 4, "write a number"),
        ("[[rules]]\naction='review'\n[rules.when]\nprobability_below=7", 4, "between 0 and 1"),
        ("[[rules]]\naction='review'\n[rules.when]\nstratum='jpeg'", 4, "three parts"),
        (
            "[[rules]]\naction='a'\n[rules.when]\nverdict='no_sign'\n"
            "[[rules]]\naction='b'\n[rules.when]\nevidence={chanel='c2pa'}",
            8,
            "evidence.chanel is unknown: did you mean 'channel'",
        ),
        ("[[rules]]\nname='x'\naction='a'\n[[rules]]\nname='x'\naction='a'", 5, "another rule"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_cure(text: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.parse(text, "my.toml")
    assert str(caught.value).startswith(f"my.toml, line {line}: ")
    assert words in str(caught.value)


def test_text_that_is_no_toml_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"not valid TOML.*line 1"):
        Policy.parse("= 3")
    with pytest.raises(PolicyError, match="cannot be read"):
        Policy.load(tmp_path / "none.toml")


@given(st.text(max_size=200) | st.sampled_from(list(CONDITIONS)).map(lambda k: f"{k} = []"))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    try:
        read = Policy.parse(text)
    except PolicyError:
        return
    assert read.decide(LIKELY).name in read.actions


# --- replay ---------------------------------------------------------------------------------

CONFIG: dict[str, Any] = {
    "thresholds": {"nominal_fpr": 0.02, "inconclusive_fpr": 0.10},
    "validation": {
        "images": 2000,
        "likely_generated": {"fpr": 0.02, "recall": 0.4},
        "inconclusive": {"fpr": 0.10, "recall": 0.6},
    },
}


def of(verdict: Verdict, count: int) -> list[tuple[Finding, None]]:
    """So many findings."""
    return [(replace(LIKELY, verdict=verdict, pixel_verdict=verdict), None)] * count


def test_a_store_of_real_images_is_expected_to_be_all_wrong() -> None:
    rates = Rates.of_config(CONFIG)
    assert rates is not None
    files = [
        *of(Verdict.LIKELY_GENERATED, 20),
        *of(Verdict.INCONCLUSIVE, 80),
        *of(Verdict.NO_SIGN, 900),
    ]
    found = replay(policy('verdict = "likely_generated"'), files, rates)
    assert found.actions == {"review": 20, "allow": 980}
    assert found.wrong_on_real is not None
    wrong = found.wrong_on_real["review"]
    assert wrong.value == pytest.approx(20, abs=1.0)
    assert wrong.low < 20 <= wrong.high + 1e-9
    assert found.missed is not None
    assert found.missed.value == pytest.approx(0, abs=1.0)


def test_a_mixed_store_is_expected_to_be_wrong_as_often_as_its_real_part_says() -> None:
    rates = Rates.of_config(CONFIG)
    assert rates is not None
    # 500 real (10, 40, 450) and 500 generated (200, 100, 200).
    counts = dict(zip(LEVELS, (210, 140, 650), strict=True))
    real = expected_real(counts, rates)
    for level, truth in zip(LEVELS, (10, 40, 450), strict=True):
        assert real[level].value == pytest.approx(truth, rel=0.05)
        assert real[level].low <= truth <= real[level].high
    # Of what is let by, 200 no_sign and 100 inconclusive are generated.
    found = replay(
        policy('verdict = "likely_generated"'),
        [
            *of(Verdict.LIKELY_GENERATED, 210),
            *of(Verdict.INCONCLUSIVE, 140),
            *of(Verdict.NO_SIGN, 650),
        ],
        rates,
    )
    assert found.missed is not None
    assert found.missed.value == pytest.approx(300, rel=0.05)


@given(st.tuples(*[st.integers(0, 300)] * 3))
def test_expected_real_images_lie_between_none_and_all(counts: tuple[int, int, int]) -> None:
    rates = Rates.of_config(CONFIG)
    assert rates is not None
    named = dict(zip(LEVELS, counts, strict=True))
    for level, figure in expected_real(named, rates).items():
        assert -1e-9 <= figure.low <= figure.value + 1e-9 <= figure.high + 2e-9
        assert figure.high <= named[level] + 1e-9


def test_a_verdict_that_rests_on_the_file_s_claims_is_not_counted_with_the_pixels() -> None:
    signed = decided(NOTHING, [SIGNED])
    assert signed.verdict is not Verdict.NO_SIGN
    found = replay(
        policy('evidence = { asserts = "generated" }'),
        [(signed, [SIGNED])],
        Rates.of_config(CONFIG),
    )
    assert found.rules[0].by_verdict == {"evidence": 1}
    assert found.wrong_on_real == {}


def test_nothing_is_expected_where_nothing_was_measured() -> None:
    assert Rates.of_config({"thresholds": {}}) is None
    assert replay(policy("lr_at_least = 1"), of(Verdict.NO_SIGN, 3)).wrong_on_real is None
    two = [(LIKELY, None), (replace(LIKELY, model="other"), None)]
    assert replay(policy("lr_at_least = 1"), two, Rates.of_config(CONFIG)).rates is None


def test_the_bundle_that_ships_has_rates() -> None:
    rates = Rates.of_config(load_bundle(None).config)
    assert rates is not None
    assert 0 < rates.real.low <= rates.real.value <= rates.real.high < rates.generated.value


# --- command line ---------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A policy file."""
    path = tmp_path / "policy.toml"
    path.write_text(
        'name = "uploads"\n[[rules]]\nname = "signed"\naction = "label"\n'
        '[rules.when]\nevidence = { channel = "c2pa" }\n'
        '[[rules]]\nname = "pixels"\naction = "review"\n'
        '[rules.when]\nverdict = "likely_generated"\n'
    )
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of three files by the default bundle, one of them with evidence."""
    path = tmp_path / "results.db"
    model = load_bundle(None).id
    named = [
        replace(item, path=str(tmp_path / f"{n}.jpg"), sha256=f"{n:064x}", model=model)
        for n, item in enumerate((LIKELY, NOTHING, BROKEN))
    ]
    with Store.open(path) as opened:
        opened.put(named, config_hash="x")
        opened.put_evidence(named[1].sha256, [SIGNED])
    return path


def test_policy_test_says_what_would_have_happened(
    file: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.read_bytes()
    assert main(["policy", "test", str(file), str(store), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["actions"] == {"label": 1, "review": 1, "allow": 1}
    assert found["files"] == 3
    assert found["without_evidence"] == 2
    assert set(found["real_images_hit"]) <= {"label", "review"}
    assert store.read_bytes() == before

    assert main(["policy", "test", str(file), str(store)]) == 0
    text = capsys.readouterr().out
    assert "named and not carried out" in text
    assert "on real images" in text
    assert "2 files were never asked for evidence" in text


def test_policy_check_and_show(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", str(file)]) == 0
    assert "2 rules, default allow, dry run" in capsys.readouterr().out
    assert main(["policy", "show", str(file)]) == 0
    assert "when evidence with channel c2pa" in capsys.readouterr().out
    assert main(["policy", "show", "--keys"]) == 0
    shown = capsys.readouterr().out
    assert [key for key in CONDITIONS if key not in shown] == []
    file.write_text("verdict = 'x'")
    assert main(["policy", "check", str(file)]) == 2
    assert "line 1" in capsys.readouterr().err
