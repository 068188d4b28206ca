"""Each story of the gallery gets its verdict, the rule's name and the words of its conflict."""

from __future__ import annotations

import importlib.util

import pytest

from detector.evidence import gather
from detector.verdict import decide
from tests import gallery

HAS_C2PA = all(importlib.util.find_spec(name) for name in ("c2pa", "cryptography"))
PIECES = [*gallery.pieces(), *(gallery.signed_pieces() if HAS_C2PA else [])]


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.name)
def test_each_piece_is_decided_as_its_story_goes(piece: gallery.Piece) -> None:
    anchors = None
    if HAS_C2PA:
        from tests import c2pa_made as made

        anchors = made.authority().root_pem if piece.trusted else None
    evidence = gather(piece.data, trust_list=anchors)
    kinds = {item.kind for item in evidence}
    assert piece.finds <= kinds
    assert "channel_failed" not in kinds
    decision = decide(piece.pixels, evidence)
    assert (decision.verdict, decision.code) == (piece.verdict, piece.code)
    assert piece.pixels.reason in decision.reason
    if piece.conflict:
        assert any(piece.conflict in sentence for sentence in decision.conflicts)
    else:
        assert decision.conflicts == ()


@pytest.mark.skipif(not HAS_C2PA, reason="needs the extra 'c2pa'")
def test_the_gallery_writes_itself(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gallery", str(tmp_path)])
    gallery.main()
    assert {piece.name for piece in PIECES} | {"anchors.pem"} == {
        path.name for path in tmp_path.iterdir()
    }
