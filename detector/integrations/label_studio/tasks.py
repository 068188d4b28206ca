"""Writes a campaign as Label Studio tasks with predictions, for its "Import" page.

One task per distinct image; `data.image` is what the browser loads, so it must be a URL that
Label Studio can reach: a prefix that stands before the path, such as
"/data/local-files/?d=" for its local storage. The prediction is that of the ML backend.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from detector import names
from detector.campaign.records import Campaign, Item
from detector.export.files import plain, to_json, writing
from detector.integrations.label_studio.shape import DEFAULT_CONTROLS, Controls, prediction

LOCAL_FILES = "/data/local-files/?d="


def write(
    campaign: Campaign,
    out: str,
    *,
    image_url: str = LOCAL_FILES,
    controls: Controls = DEFAULT_CONTROLS,
) -> int:
    """Write the tasks as one JSON list to a file, or to standard output for "-"; gives the count.

    Args:
        image_url: stands before every path; paths that are URLs stay as they are.
        controls: the project's labelling interface; the default is `shape.LABEL_CONFIG`.
    """
    count = 0
    with writing(out) as stream:
        stream.write("[")
        for item in campaign.items:
            if item.finding.sha256:
                stream.write(",\n" if count else "\n")
                stream.write(to_json(task(item, image_url=image_url, controls=controls)))
                count += 1
        stream.write("\n]\n")
    return count


def task(
    item: Item, *, image_url: str = LOCAL_FILES, controls: Controls = DEFAULT_CONTROLS
) -> dict[str, Any]:
    """One image as a task: its URL and facts under `data`, and the finding as a prediction."""
    finding = item.finding
    path = names.printable(finding.path)
    url = path if names.is_url(path) else image_url + quote(path.lstrip("/"))
    made = prediction(finding, item.evidence, controls=controls)
    data = {
        controls.key: url,
        "sha256": finding.sha256,
        "path": path,
        "status": str(finding.status),
        "verdict": None if finding.verdict is None else str(finding.verdict),
        "cluster": item.cluster or None,
        "accounts": sorted({post.account for post in item.posts if post.account}),
    }
    found: dict[str, Any] = plain({"data": data, "predictions": [] if made is None else [made]})
    return found
