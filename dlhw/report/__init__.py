"""Stored runs as one page, and runs of one experiment compared. Needs no TensorFlow."""

from dlhw.report.builder import build
from dlhw.report.comparison import compare
from dlhw.report.composition import compose
from dlhw.report.contents import Report
from dlhw.report.presets import in_order, is_reduced, preset_settings, stored_runs
from dlhw.report.writer import as_json, html, write

__all__ = [
    "Report",
    "as_json",
    "build",
    "compare",
    "compose",
    "html",
    "in_order",
    "is_reduced",
    "preset_settings",
    "stored_runs",
    "write",
]
