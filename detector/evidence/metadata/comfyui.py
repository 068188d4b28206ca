"""Reads ComfyUI's graphs: which model, which prompt, which seed, and what it began from.

ComfyUI stores two graphs: `prompt`, the nodes that ran, with their inputs and links, and
`workflow`, the editor's drawing. A PNG with a key named "prompt" is no evidence by itself: the
text must be a graph, and the graph must hold a node that generates.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from detector.evidence.metadata.fields import Field, Fields
from detector.evidence.metadata.rules import evidence
from detector.evidence.text import as_text, parse_object
from detector.results import Asserts, Evidence

# Graphs are followed this far; real ones have tens to hundreds of nodes.
_MAX_NODES = 5_000
_MAX_INPUTS = 40
_MAX_STEPS = 1_000
_MAX_LISTED = 20

_SAMPLER = re.compile(r"sampler", re.IGNORECASE)
_NO_SAMPLER = re.compile(r"select|scheduler|sigmas|preview|loader", re.IGNORECASE)
_SERVICE = re.compile(
    r"(OpenAI(Dalle|GPTImage)|Ideogram|Flux(Pro|Kontext|2)|Stability|Recraft|Luma|Kling|Gemini"
    r"|ByteDance|Seedream|Runway|Wan\w*Api|Reve|Grok|Bria|Krea)"
)
_EMPTY_LATENT = re.compile(r"^Empty|EmptyLatent|EmptySD3|EmptyHunyuan")
_LOADS_IMAGE = re.compile(r"load.*image|image.*load", re.IGNORECASE)
_EDITS = re.compile(r"ReferenceLatent|ImageEdit|InpaintModel|ForInpaint|SetLatentNoiseMask")
_WEIGHTS = re.compile(r"\.(safetensors|ckpt|gguf|sft|pth?|bin)$", re.IGNORECASE)
_TEXT_KEYS = (
    "text",
    "text_g",
    "text_l",
    "t5xxl",
    "clip_l",
    "prompt",
    "string",
    "value",
    "positive",
)
_SEED_KEYS = ("seed", "noise_seed")
_EXIF_PREFIX = re.compile(r"^(prompt|workflow):\s*(?=\{)")


@dataclass(frozen=True)
class Node:
    """One node: its class, its plain inputs, and its links by input name."""

    kind: str
    inputs: dict[str, Any]
    links: dict[str, str]


Graph = dict[str, Node]


def find(fields: Fields) -> list[Evidence]:
    """Evidence for the graphs of the file; at most one, whichever graphs there are."""
    prompt, workflow = _first_graph(fields, "prompt"), _first_graph(fields, "workflow")
    graph = read_prompt(prompt[1]) if prompt else {}
    drawing = read_workflow(workflow[1]) if workflow else {}
    if not graph and not drawing:
        return []
    raw = {
        "found_in": [place for place, _ in filter(None, (prompt, workflow))],
        **(describe(graph) if graph else describe_drawing(drawing)),
    }
    asserts, why = _claim(graph or drawing, bool(graph))
    return [evidence("comfyui_graph", {**raw, "reading": why}, asserts=asserts)]


def _first_graph(fields: Fields, name: str) -> tuple[str, dict[str, Any]] | None:
    """The first text that stands for a graph of that name, in PNG text or ComfyUI's EXIF."""
    for field in fields:
        value = _graph_text(field, name)
        if value is None:
            continue
        found = field.object if value == field.value else parse_object(value)
        if found is not None:
            return field.place, found
    return None


def _graph_text(field: Field, name: str) -> str | None:
    if field.key == name:
        return field.value
    if field.where == "EXIF":
        prefix = _EXIF_PREFIX.match(field.value)
        if prefix and prefix.group(1) == name:
            return field.value[prefix.end() :]
    return None


def read_prompt(value: dict[str, Any]) -> Graph:
    """The graph that ran; empty when the object is no such graph."""
    if not value or len(value) > _MAX_NODES:
        return {}
    graph: Graph = {}
    for number, node in value.items():
        if not isinstance(node, dict):
            continue
        kind, inputs = node.get("class_type"), node.get("inputs")
        if isinstance(kind, str) and isinstance(inputs, dict):
            graph[number] = Node(kind, *_split(inputs))
    return graph if 2 * len(graph) >= len(value) else {}


def _split(inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Plain inputs, and links: a link is a list of a node's number and an output's index."""
    plain, links = {}, {}
    for name, value in list(inputs.items())[:_MAX_INPUTS]:
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int):
            links[name] = as_text(value[0])
        else:
            plain[name] = value
    return plain, links


def read_workflow(value: dict[str, Any]) -> Graph:
    """The editor's drawing as a graph without names of inputs; empty when it is none.

    Nodes that are switched off (mode 2) or bypassed (mode 4) are left out.
    """
    nodes = value.get("nodes")
    if not isinstance(nodes, list) or len(nodes) > _MAX_NODES or "links" not in value:
        return {}
    graph: Graph = {}
    for node in nodes:
        if not isinstance(node, dict) or node.get("mode") in (2, 4):
            continue
        kind, widgets = node.get("type"), node.get("widgets_values")
        if isinstance(kind, str):
            values = widgets if isinstance(widgets, list) else []
            graph[as_text(node.get("id")) or str(len(graph))] = Node(
                kind, {str(i): v for i, v in enumerate(values[:50])}, {}
            )
    return graph


def describe(graph: Graph) -> dict[str, Any]:
    """The leads in a graph that ran: models, prompts, seed, sampler, steps, input pictures."""
    samplers = [number for number, node in graph.items() if _is_sampler(node)]
    engines = samplers or [number for number, node in graph.items() if _is_service(node)]
    first = engines[0] if engines else ""
    models, loras = _weights(graph.values())
    return {
        "prompt": _texts(graph, engines, ("positive", "conditioning", "prompt")),
        "negative_prompt": _texts(graph, engines, ("negative",)),
        "models": models,
        "loras": loras,
        "seed": _setting(graph, first, _SEED_KEYS),
        "sampler": _setting(graph, first, ("sampler_name",)),
        "steps": _setting(graph, first, ("steps",)),
        "cfg": _setting(graph, first, ("cfg", "guidance")),
        "input_images": _input_images(graph),
        "engines": _distinct(graph[number].kind for number in engines),
        "nodes": len(graph),
    }


def describe_drawing(graph: Graph) -> dict[str, Any]:
    """The leads in a drawing, whose inputs have no names."""
    models, loras = _weights(graph.values())
    prompts = [
        text
        for node in graph.values()
        if "TextEncode" in node.kind
        for text in node.inputs.values()
        if isinstance(text, str) and len(text) > 3
    ]
    return {
        "texts": _distinct(prompts),
        "models": models,
        "loras": loras,
        "engines": _distinct(n.kind for n in graph.values() if _generates(n)),
        "nodes": len(graph),
    }


def _claim(graph: Graph, ran: bool) -> tuple[Asserts, str]:
    """What the graph says of the image: it generates, it edits, or it does neither."""
    engines = [number for number, node in graph.items() if _generates(node)]
    if not engines:
        return Asserts.UNKNOWN, "no node of this graph generates an image"
    loads = any(_LOADS_IMAGE.search(node.kind) for node in graph.values())
    if not loads:
        return Asserts.GENERATED, "the graph generates without an input picture"
    if any(_EDITS.search(node.kind) for node in graph.values()):
        return Asserts.EDITED_WITH_AI, "the graph edits an input picture"
    if not ran:
        return Asserts.GENERATED, "the drawing holds a generating node and an input picture"
    if all(_begins_from_picture(graph, number) for number in engines[:_MAX_LISTED]):
        return Asserts.EDITED_WITH_AI, "every generating node begins from an input picture"
    return Asserts.GENERATED, "the graph generates; an input picture only guides it"


def _begins_from_picture(graph: Graph, number: str) -> bool:
    """Whether the pixels that a generating node begins from are a loaded picture's."""
    node = graph[number]
    starts = [link for name, link in node.links.items() if "latent" in name or "image" in name]
    for _, upstream in _upstream(graph, starts):
        if _LOADS_IMAGE.search(upstream.kind):
            return True
        if _EMPTY_LATENT.search(upstream.kind):
            return False
    return False


def _is_sampler(node: Node) -> bool:
    names = {"positive", "model", "guider", "latent_image", "latent"}
    return (
        _SAMPLER.search(node.kind) is not None
        and _NO_SAMPLER.search(node.kind) is None
        and bool(names & node.links.keys())
    )


def _is_service(node: Node) -> bool:
    asked = node.inputs.get("prompt") or node.links.get("prompt")
    return _SERVICE.match(node.kind) is not None and bool(asked)


def _generates(node: Node) -> bool:
    if node.links or not _SAMPLER.search(node.kind):
        return _is_sampler(node) or _is_service(node)
    # A drawing keeps its links apart, so the name has to do.
    return _NO_SAMPLER.search(node.kind) is None and node.kind != "SamplerCustomAdvanced"


def _upstream(graph: Graph, starts: Iterable[str], skip: str = "") -> Iterator[tuple[str, Node]]:
    """Nodes that lead to the given ones, nearest first; each once, in circles too.

    Links of the name `skip` are not followed: many nodes pass both prompts through.
    """
    queue, seen = deque(starts), set(starts)
    for _ in range(_MAX_STEPS):
        if not queue:
            return
        number = queue.popleft()
        node = graph.get(number)
        if node is None:
            continue
        yield number, node
        for name, link in node.links.items():
            if link not in seen and name != skip:
                seen.add(link)
                queue.append(link)


def _texts(graph: Graph, engines: list[str], names: tuple[str, ...]) -> str:
    """The texts that reach the engines through inputs of these names, joined by lines."""
    other = "positive" if "negative" in names else "negative"
    # A guider holds both prompts under names of its own.
    through = (*names, "guider")
    found: list[str] = []
    for number in engines[:_MAX_LISTED]:
        node = graph[number]
        found += [node.inputs[n] for n in names if isinstance(node.inputs.get(n), str)]
        for name in through:
            if name in node.links:
                found += _texts_above(graph, node.links[name], name, other)
    return "\n".join(_distinct(text.strip() for text in found if text.strip()))


def _texts_above(graph: Graph, link: str, name: str, other: str) -> list[str]:
    """Texts of the nodes above a link; those above a guider only by the asked prompt's name."""
    guider = graph.get(link)
    if name == "guider" and other == "positive":
        starts = [guider.links["negative"]] if guider and "negative" in guider.links else []
    else:
        starts = [link]
    found: list[str] = []
    for _, node in _upstream(graph, starts, skip=other):
        found += [node.inputs[k] for k in _TEXT_KEYS if isinstance(node.inputs.get(k), str)]
        if len(found) >= _MAX_LISTED:
            break
    return found


def _setting(graph: Graph, number: str, names: tuple[str, ...]) -> str:
    """A setting of an engine, or of the nearest node above it that has one."""
    for _, node in _upstream(graph, [number]):
        for name in names:
            value = as_text(node.inputs.get(name))
            if value:
                return value
    return ""


def _weights(nodes: Iterable[Node]) -> tuple[list[str], list[str]]:
    """Names of weight files: models, and LoRAs apart."""
    models: list[str] = []
    loras: list[str] = []
    for node in nodes:
        for value in node.inputs.values():
            if isinstance(value, str) and len(value) < 300 and _WEIGHTS.search(value):
                (loras if "lora" in node.kind.lower() else models).append(value)
    return _distinct(models), _distinct(loras)


def _input_images(graph: Graph) -> list[str]:
    names = (
        as_text(node.inputs.get("image"))
        for node in graph.values()
        if _LOADS_IMAGE.search(node.kind)
    )
    return _distinct(name for name in names if name)


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))[:_MAX_LISTED]
