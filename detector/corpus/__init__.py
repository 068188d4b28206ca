"""Corpora: manifests of images by reference, the files behind them, splits, and benchmarks."""

from detector.corpus.layouts import LAYOUTS, detect_layout, load_layout
from detector.corpus.manifest import Manifest, Row, read_manifest, write_manifest
from detector.corpus.samples import Sample, cap, manifest_samples
from detector.corpus.split import leave_sources_out, validation_sources

__all__ = [
    "LAYOUTS",
    "Manifest",
    "Row",
    "Sample",
    "cap",
    "detect_layout",
    "leave_sources_out",
    "load_layout",
    "manifest_samples",
    "read_manifest",
    "validation_sources",
    "write_manifest",
]
