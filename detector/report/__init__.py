"""Reports made from a result store."""

from detector.report.page import write_report

__all__ = ["write_report"]
