"""No bytes break a promise of the readers: not the made seeds, and nothing that the fuzzer kept."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("resource", reason="measures memory as POSIX does")

from detector.images import sniff
from tests.fuzz import seeds, target

KEPT = sorted((Path(__file__).parent / "fuzz" / "corpus").iterdir())


def test_the_kept_corpus_breaks_no_promise() -> None:
    assert len(KEPT) >= 50
    for path in KEPT:
        try:
            target.check(path.read_bytes())
        except target.BrokenPromiseError as error:
            pytest.fail(f"{path.name}: {error}")


def test_the_seeds_break_no_promise_and_are_of_every_container() -> None:
    made = list(seeds.seeds())
    for data in made:
        target.check(data)
    kinds = {sniff(data) for data in made}
    assert {"JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"} <= kinds


def test_a_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from detector.evidence import compression

    def fault(item: object) -> list[object]:
        raise ValueError("a fault of ours")

    data = next(seeds.seeds())
    target.check(data)
    with monkeypatch.context() as patch:
        patch.setattr(compression, "find", fault)
        with pytest.raises(target.BrokenPromiseError, match="a fault of ours"):
            target.check(data)
    monkeypatch.setattr(target, "SECONDS", -1.0)
    with pytest.raises(target.BrokenPromiseError, match=" s"):
        target.check(data)


def test_the_words_are_a_dictionary_that_libfuzzer_reads() -> None:
    lines = (Path(__file__).parent / "fuzz" / "words.dict").read_text().splitlines()
    for line in lines:
        assert line.startswith("#") or (line[0] == line[-1] == '"' and len(line) > 2)
