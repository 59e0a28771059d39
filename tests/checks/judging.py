"""What the rules say of columns and facts."""

from __future__ import annotations

from dlhw.checks.examination import examine, table_of
from dlhw.checks.items import item


def answer(name, **values):
    return examine(table_of(item(name), values))


def codes(name, **values):
    """Codes of the detections."""
    return [detection.code for detection in answer(name, **values).detections]


def undecided(name, **values):
    """Reasons of the rules that could not decide, by code."""
    return dict(answer(name, **values).undecided)
