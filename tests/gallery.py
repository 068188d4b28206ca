"""One made file for each story that a verdict has to tell, with what it must say.

    python -m tests.gallery FOLDER

writes the files and the test authority's certificate, so that one can look at them:
`detector inspect FOLDER/*.jpg FOLDER/*.png --trust-anchors FOLDER/anchors.pem`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from detector.evidence import _examples, aigc_examples, build, watermark
from detector.evidence.metadata import forms
from detector.results import Verdict
from detector.verdict import PixelJudgement

FLAGGED = PixelJudgement(Verdict.LIKELY_GENERATED, "score_above_threshold", "Score +4.00.")
BETWEEN = PixelJudgement(Verdict.INCONCLUSIVE, "score_between_thresholds", "Score +1.00.")
UNSEEN = PixelJudgement(Verdict.NO_SIGN, "score_below_threshold", "Score -4.00.")


@dataclass(frozen=True)
class Piece:
    """One file of the gallery.

    Attributes:
        name: of the file.
        data: its bytes.
        pixels: what its pixels are said to give.
        verdict, code: what must be decided.
        finds: kinds of evidence that must be among what is found.
        conflict: words that a conflict must hold; "" where there must be none.
        trusted: whether the test authority is on the trust list.
    """

    name: str
    data: bytes = field(repr=False)
    pixels: PixelJudgement
    verdict: Verdict
    code: str
    finds: frozenset[str] = frozenset()
    conflict: str = ""
    trusted: bool = True


def pieces() -> list[Piece]:
    """Every piece that needs no optional dependency."""
    return [*_cameras(), *_declared()]


def _cameras() -> Iterator[Piece]:
    scene = _examples.picture(392, 520)
    exif = build.exif_segment(build.exif(forms.CAMERA_MAIN, forms.CAMERA))
    photo = build.jpeg(exif, pixels=scene)
    camera = frozenset({"camera_exif", "jpeg_encoding"})
    yield Piece("camera.jpg", photo, UNSEEN, Verdict.NO_SIGN, UNSEEN.code, camera)
    yield Piece(
        "camera-flagged.jpg", photo, FLAGGED, Verdict.LIKELY_GENERATED, FLAGGED.code, camera,
        "clears nothing",
    )  # fmt: skip
    resaved = _examples.jpeg(_examples.decode(_examples.jpeg(scene, 70)), 90)
    twice = frozenset({"jpeg_encoding", "double_compression"})
    yield Piece("resaved.jpg", resaved, UNSEEN, Verdict.NO_SIGN, UNSEEN.code, twice)
    edited = build.jpeg(exif, build.iptc_segment({110: "Apple Photos Clean Up"}), pixels=scene)
    yield Piece(
        "cleaned-up.jpg", edited, UNSEEN, Verdict.INCONCLUSIVE, "says_edited_with_ai",
        camera | {"apple_clean_up"},
    )  # fmt: skip


def _declared() -> Iterator[Piece]:
    unsure = Verdict.INCONCLUSIVE
    graph = build.text("prompt", json.dumps(forms.GRAPH))
    comfyui = build.png(graph, build.text("workflow", json.dumps(forms.WORKFLOW)))
    yield Piece(
        "comfyui.png", comfyui, UNSEEN, unsure, "metadata_says_generated",
        frozenset({"comfyui_graph"}), "the CNN saw no sign",
    )  # fmt: skip
    yield Piece(
        "comfyui-flagged.png", comfyui, FLAGGED, Verdict.LIKELY_GENERATED, FLAGGED.code,
        frozenset({"comfyui_graph"}),
    )  # fmt: skip
    label = json.dumps(aigc_examples.LABEL)
    yield Piece(
        "labelled.jpg", build.jpeg(build.xmp_segment(aigc_examples.element(label))), BETWEEN,
        unsure, "aigc_label_says_generated", frozenset({"aigc_label"}),
    )  # fmt: skip
    doubted = build.text("AIGC", json.dumps(aigc_examples.LABEL | {"Label": "3"}))
    yield Piece(
        "suspected.png", build.png(doubted), UNSEEN, unsure, "aigc_label_suspects",
        frozenset({"aigc_label"}),
    )  # fmt: skip
    marked = _examples.mark(_examples.picture(512, 512), watermark.MESSAGES[3].bits)
    yield Piece(
        "watermarked.png", _examples.encode(marked, ".png"), UNSEEN, unsure,
        "watermark_says_generated", frozenset({"dwtdct_watermark"}), "the CNN saw no sign",
    )  # fmt: skip
    both = build.png(
        build.text("parameters", forms.A1111),
        (b"eXIf", build.exif(forms.CAMERA_MAIN, forms.CAMERA)),
    )
    yield Piece(
        "conflict.png", both, BETWEEN, unsure, "metadata_says_generated",
        frozenset({"a1111_parameters", "camera_exif"}), "both cannot be right",
    )  # fmt: skip


def signed_pieces() -> list[Piece]:
    """Pieces with Content Credentials; needs the extra "c2pa" and cryptography."""
    from tests import c2pa_made as made

    photo = build.jpeg(pixels=_examples.picture(120, 160))
    by_ai = made.sign(photo, made.manifest(made.created("trainedAlgorithmicMedia")))
    camera = made.sign(photo, made.manifest(made.created("digitalCapture"), generator="Camera"))
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["part0"]}}
    cropped = made.sign(photo, made.manifest(opened), ingredients=[("parentOf", by_ai)])
    definition = made.manifest(made.created("digitalCapture"))
    elsewhere = made.sign(photo, definition, remote="https://example.invalid/manifest.c2pa")
    manifest = frozenset({"c2pa_manifest"})
    likely, unsure, none = Verdict.LIKELY_GENERATED, Verdict.INCONCLUSIVE, Verdict.NO_SIGN
    declared = "signature_says_generated"
    return [
        Piece("signed.jpg", by_ai, UNSEEN, likely, "signed_generated", manifest, "trusted signer"),
        Piece("signed-cropped.jpg", cropped, BETWEEN, likely, "signed_generated", manifest),
        Piece("signed-by-anyone.jpg", by_ai, BETWEEN, unsure, declared, manifest, trusted=False),
        Piece(
            "tampered.jpg", _tampered(camera), FLAGGED, likely, FLAGGED.code, manifest,
            "its signature does not hold",
        ),
        Piece("camera-signed.jpg", camera, BETWEEN, none, "signed_captured", manifest),
        Piece(
            "camera-signed-flagged.jpg", camera, FLAGGED, unsure, "signed_captured_disputed",
            manifest, "photographed a generated picture",
        ),
        Piece(
            "manifest-elsewhere.jpg", elsewhere, UNSEEN, none, UNSEEN.code,
            frozenset({"c2pa_remote_manifest"}),
        ),
    ]  # fmt: skip


def _tampered(data: bytes) -> bytes:
    """The file with one changed byte in its pixels."""
    at = len(data) - 200
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def main() -> None:
    """Write the gallery into the folder that the command line names."""
    from tests import c2pa_made as made

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for piece in (*pieces(), *signed_pieces()):
        (folder / piece.name).write_bytes(piece.data)
    (folder / "anchors.pem").write_text(made.authority().root_pem)


if __name__ == "__main__":
    main()
