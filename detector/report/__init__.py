"""Reports made from a campaign or a result store."""

from detector.report.heatmaps import Overlay, overlay
from detector.report.page import write_report

__all__ = ["Overlay", "overlay", "write_report"]
