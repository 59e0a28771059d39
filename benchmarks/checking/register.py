"""Every family of the corpus, cheap ones first."""

from __future__ import annotations

import importlib

from benchmarks.checking.corpus import Family

MODULES = ("functions", "spectra", "paths", "sizes", "curves", "lines", "labels", "sweeps", "critical")


def families() -> list[Family]:
    modules = (importlib.import_module(f"benchmarks.checking.families.{name}") for name in MODULES)
    return [family for module in modules for family in module.FAMILIES]
