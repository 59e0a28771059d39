"""The rules that the report's page applies to numbers typed into it: words and thresholds, for its JavaScript."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from dlhw.checks.rule import rules

PARTS = {
    "batch-mean-gradient": ("batch_slopes", "student_t"),
    "batch-mean-gradient-twice": ("batch_slopes", "student_t"),
    "labels-drawn-anew": ("chance", "trends"),
    "labels-leaked": ("chance",),
    "train-accuracy-under-chance": ("chance",),
}
"""Code of a rule -> modules whose thresholds it uses beside its own."""
IN_PAGE = (
    "accuracy-out-of-range",
    "batch-mean-gradient",
    "batch-mean-gradient-twice",
    "constant-loss",
    "grid-misses-the-nets",
    "in-place-mixing",
    "labels-drawn-anew",
    "labels-leaked",
    "negative-loss",
    "negative-sensitivity",
    "never-below-the-start",
    "random-walk-shares",
    "ratio-not-a-count",
    "train-accuracy-under-chance",
)
"""Codes of the rules that two columns can decide, x and one more."""


def rules_in_page() -> list[dict[str, Any]]:
    """Return code, items, kind, title, remedy and thresholds of the rules that the page applies, as plain values."""
    return [
        {
            "code": entry.code,
            "items": entry.items,
            "kind": entry.kind,
            "title": entry.title,
            "remedy": entry.remedy,
            "limits": _thresholds(entry.code),
        }
        for entry in rules()
        if entry.code in IN_PAGE
    ]


def _thresholds(code: str) -> dict[str, Any]:
    modules = [importlib.import_module(f"dlhw.checks.rules.{code.replace('-', '_')}")]
    modules += [importlib.import_module(f"dlhw.checks.{name}") for name in PARTS.get(code, ())]
    return {name: value for module in modules for name, value in _constants(module).items()}


def _constants(module: ModuleType) -> dict[str, Any]:
    numbers = (int, float, tuple)
    return {k: v for k, v in vars(module).items() if k.isupper() and isinstance(v, numbers)}
