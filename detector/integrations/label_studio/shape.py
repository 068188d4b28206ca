"""A finding as a Label Studio prediction: choice, scores, words and regions; pure functions.

Label Studio's form: https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from detector.errors import UsageError
from detector.results import Asserts, Evidence, Finding, Verdict

if TYPE_CHECKING:
    from detector.explain import Heatmap

Box = tuple[int, int, int, int]
# Pieces of an image whose own likelihood ratio is below this are not worth a reviewer's look.
HOT = math.log(2.0)
MOST_REGIONS = 12
UNSCORED = "unscored"
_FOR_GENERATED = ("likely_generated", "generated", "speaks_for_generated")
_CONTROLS = {
    "choices": "choice",
    "brushlabels": "label",
    "keypointlabels": "label",
    "rectanglelabels": "label",
    "textarea": "",
    "number": "",
}

LABEL_CONFIG = """\
<View>
  <Image name="image" value="$image" zoom="true"/>
  <Choices name="verdict" toName="image" choice="single">
    <Choice value="likely_generated"/>
    <Choice value="inconclusive"/>
    <Choice value="no_sign"/>
    <Choice value="unscored"/>
  </Choices>
  <BrushLabels name="regions" toName="image">
    <Label value="speaks_for_generated" background="#eb7d23"/>
  </BrushLabels>
  <Number name="score" toName="image"/>
  <TextArea name="reason" toName="image" rows="4" editable="true"/>
</View>
"""


@dataclass(frozen=True)
class Control:
    """One control of a labelling interface.

    Attributes:
        kind: its tag in lower case, such as "choices".
        name: what results call it.
        words: the values that it offers, by their plain spelling; empty for free text.
    """

    kind: str
    name: str
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Controls:
    """The parts of a project's labelling interface that a prediction can fill.

    Attributes:
        image: name of the Image tag that they belong to.
        key: the key of a task's data that holds the image's URL.
        controls: in the order of the interface.
    """

    image: str
    key: str
    controls: tuple[Control, ...]

    @property
    def regions(self) -> bool:
        """Whether there is a place for regions."""
        return any(
            self.first(kind) for kind in ("brushlabels", "rectanglelabels", "keypointlabels")
        )

    def first(self, kind: str) -> Control | None:
        """The first control of a kind; None when there is none."""
        return next((c for c in self.controls if c.kind == kind), None)


def read_controls(label_config: str) -> Controls:
    """The controls of a project's labelling interface that belong to its first image.

    Raises:
        UsageError: it is no XML, or shows no image from the tasks' data.
    """
    # Entities can make a short text enormous, and no labelling interface needs them.
    if "<!" in label_config.replace("<!--", ""):
        raise UsageError("the labelling interface must not declare a document type or entities")
    try:
        tree = ElementTree.fromstring(label_config)
    except ElementTree.ParseError as fault:
        raise UsageError(f"the labelling interface is no XML: {fault}") from fault
    image = next((e for e in tree.iter() if e.tag.lower() == "image" and e.get("name")), None)
    value = "" if image is None else image.get("value", "")
    if image is None or not value.startswith("$"):
        raise UsageError("the labelling interface shows no image from the tasks' data")
    name = image.get("name", "")
    found = []
    for element in tree.iter():
        kind = element.tag.lower()
        if kind in _CONTROLS and element.get("toName") == name and element.get("name"):
            found.append(Control(kind, element.get("name", ""), _words(element, _CONTROLS[kind])))
    return Controls(name, value[1:], tuple(found))


def _words(element: ElementTree.Element, tag: str) -> dict[str, str]:
    words: dict[str, str] = {}
    for item in element.iter():
        if tag and item.tag.lower() == tag:
            # Label Studio writes the alias, where there is one, into results.
            written = item.get("alias") or item.get("value") or ""
            for spelling in (item.get("value"), item.get("alias")):
                if spelling:
                    words.setdefault(_plain(spelling), written)
    return words


def _plain(word: str) -> str:
    return "_".join(word.strip().lower().replace("-", " ").replace("_", " ").split())


DEFAULT_CONTROLS = read_controls(LABEL_CONFIG)


@dataclass(frozen=True)
class Pieces:
    """The parts of a heatmap that regions are made of, from the map itself or from its record.

    Attributes:
        size: (width, height) of the upright image in pixels.
        hot: natural-log LR and box (x, y, width, height) of the pieces that speak for
            generated, strongest first, at most `MOST_REGIONS`.
    """

    size: tuple[int, int]
    hot: tuple[tuple[float, Box], ...]

    @classmethod
    def of(cls, heatmap: Heatmap | Mapping[str, Any]) -> Pieces:
        """The pieces of the map's first layer; raises UsageError for another record."""
        try:
            record = heatmap if isinstance(heatmap, Mapping) else heatmap.to_record()
            layer = record["layers"][0]
            width, height = (int(side) for side in record["size"])
            values = [float(value) for row in layer["values"] for value in row]
            blank = [bool(nothing) for row in layer["blank"] for nothing in row]
            boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h in layer["boxes"]]
            found = zip(values, boxes, blank, strict=True)
            hot = [(v, box) for v, box, nothing in found if not nothing and v >= HOT]
        except (LookupError, TypeError, ValueError) as fault:
            raise UsageError(f"this is no heatmap of the detector: {fault}") from fault
        hot.sort(key=lambda piece: (-piece[0], piece[1]))
        return cls((width, height), tuple(hot[:MOST_REGIONS]))


def prediction(
    finding: Finding,
    evidence: Sequence[Evidence] = (),
    heatmap: Heatmap | Mapping[str, Any] | None = None,
    *,
    controls: Controls = DEFAULT_CONTROLS,
) -> dict[str, Any] | None:
    """One finding as a Label Studio prediction, or None when the project has no place for it.

    Args:
        finding: what the model says.
        evidence: what the file says of its origin.
        heatmap: where the CNN looked, or the record of that; gives regions when the interface
            has brush, rectangle or keypoint labels and the verdict is not `no_sign`.
        controls: the project's labelling interface; the default is `LABEL_CONFIG`.

    Returns:
        A dict with "model_version", "score" (the calibrated probability, in [0, 1]) and
        "result". The same finding gives the same prediction, region ids included.
    """
    case = UNSCORED if finding.verdict is None else str(finding.verdict)
    results: list[dict[str, Any]] = []
    choices = controls.first("choices")
    if choices is not None and case in choices.words:
        results.append(_result(controls, choices, {"choices": [choices.words[case]]}, finding))
    number = controls.first("number")
    if number is not None and finding.score is not None:
        results.append(_result(controls, number, {"number": round(finding.score, 3)}, finding))
    if not results:
        return None
    text = controls.first("textarea")
    if text is not None:
        results.append(_result(controls, text, {"text": _sentences(finding, evidence)}, finding))
    if heatmap is not None and finding.verdict is not Verdict.NO_SIGN:
        results += _regions(controls, finding, Pieces.of(heatmap))
    return {
        "model_version": finding.model,
        "score": 0.0 if finding.probability is None else round(finding.probability, 6),
        "result": results,
    }


def _sentences(finding: Finding, evidence: Sequence[Evidence]) -> list[str]:
    lines = [finding.reason, *finding.notes]
    lines += [
        f"{item.channel}: {item.kind} asserts {item.asserts} ({item.trust})."
        for item in evidence
        if item.asserts is not Asserts.UNKNOWN  # measurements that claim nothing
    ]
    return [line for line in lines if line]


def _result(
    controls: Controls,
    control: Control,
    value: Mapping[str, Any],
    finding: Finding,
    part: str = "",
    **more: Any,
) -> dict[str, Any]:
    # Derived, so that two exports of one finding are the same file.
    key = f"{finding.sha256}/{finding.model}/{control.name}/{part}"
    result: dict[str, Any] = {
        "id": hashlib.sha256(key.encode()).hexdigest()[:10],
        "type": control.kind,
        "from_name": control.name,
        "to_name": controls.image,
        "value": dict(value),
        **more,
    }
    if control.kind == "choices" and finding.probability is not None:
        result["score"] = round(finding.probability, 6)
    return result


def _regions(controls: Controls, finding: Finding, pieces: Pieces) -> list[dict[str, Any]]:
    for kind, draw in (
        ("brushlabels", _brush),
        ("rectanglelabels", _rectangles),
        ("keypointlabels", _keypoints),
    ):
        control = controls.first(kind)
        label = None if control is None else _label(control)
        if control is not None and label is not None:
            width, height = pieces.size
            more = {"original_width": width, "original_height": height, "image_rotation": 0}
            return [
                _result(
                    controls, control, {**value, kind: [label]}, finding, part, **more, **scored
                )
                for part, value, scored in draw(pieces)
            ]
    return []


def _label(control: Control) -> str | None:
    for word in _FOR_GENERATED:
        if word in control.words:
            return control.words[word]
    only = set(control.words.values())
    return only.pop() if len(only) == 1 else None


# What tells a region from the others of its image, its value, and its score if it has one.
Region = tuple[str, dict[str, Any], dict[str, float]]


def _brush(pieces: Pieces) -> list[Region]:
    import numpy as np

    from detector.integrations.label_studio.brush import encode_mask

    width, height = pieces.size
    mask = np.zeros((height, width), dtype=bool)
    for _, (x, y, w, h) in pieces.hot:
        mask[y : y + h, x : x + w] = True
    if not mask.any():
        return []
    return [("brush", {"format": "rle", "rle": encode_mask(mask)}, {})]


def _rectangles(pieces: Pieces) -> list[Region]:
    return [
        (str(box), {**_percent(pieces.size, box), "rotation": 0}, {"score": _share(value)})
        for value, box in pieces.hot
    ]


def _keypoints(pieces: Pieces) -> list[Region]:
    regions: list[Region] = []
    for value, box in pieces.hot:
        at = _percent(pieces.size, box)
        point = {
            "x": at["x"] + at["width"] / 2,
            "y": at["y"] + at["height"] / 2,
            "width": min(at["width"], at["height"]) / 4,
        }
        regions.append((str(box), point, {"score": _share(value)}))
    return regions


def _percent(size: tuple[int, int], box: Box) -> dict[str, float]:
    width, height = size
    x, y, w, h = box
    return {
        "x": 100 * x / width,
        "y": 100 * y / height,
        "width": 100 * w / width,
        "height": 100 * h / height,
    }


def _share(value: float) -> float:
    """A natural-log LR as a number in [0, 1] for a region's score: the posterior at even odds."""
    return round(1 / (1 + math.exp(-value)), 4)
