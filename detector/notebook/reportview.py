"""A written report, shown inside a notebook without leaving its own frame."""

from __future__ import annotations

from pathlib import Path

from detector.html import escape

# A notebook file holds what its cells show; a page of many megabytes would make it unusable.
_LARGEST = 4 * 2**20


class ReportView:
    """A report page on disk; shows itself in a notebook in a sandboxed frame.

    Args:
        path: the HTML file.
        height: of the frame, in pixels.
    """

    def __init__(self, path: Path, height: int = 640) -> None:
        self.path = path
        self.height = height

    def __repr__(self) -> str:
        return f"report at {self.path}"

    def _repr_html_(self) -> str:
        import html

        line = f"<div>Report: <code>{escape(str(self.path))}</code></div>"
        if not self.path.is_file() or self.path.stat().st_size > _LARGEST:
            return f"{line}<div>Open the file in a browser; it is too large to show here.</div>"
        page = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        return (
            f'{line}<iframe sandbox="allow-scripts" title="report" srcdoc="{page}" '
            f'style="width:100%;height:{self.height}px;border:1px solid rgba(128,128,128,.45);'
            'border-radius:6px;background:#fff;"></iframe>'
        )
