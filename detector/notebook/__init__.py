"""Result sets for notebooks: scan, look at tables, HTML cards and plots.

`scan` gives a `ResultSet`; `ResultSet.open` reads the store of an earlier scan. Both show
themselves in Jupyter, VS Code and Colab, and work without a display. Importing this loads
neither torch nor pandas nor matplotlib; each is loaded where it is needed.
"""

from __future__ import annotations

from detector.notebook.reportview import ReportView
from detector.notebook.resultset import ResultSet
from detector.notebook.scanning import scan

__all__ = ["ReportView", "ResultSet", "scan"]
