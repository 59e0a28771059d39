"""Interactive figures -> JSON that stands inside of a page."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.checks.in_page import rules_in_page
from dlhw.checks.items import item as item_of
from dlhw.present import style
from dlhw.present.interactive import Axis, Examples, InteractiveFigure, Line, Panel, TypedNumbers, positions_of

Array = NDArray[Any]
DIGITS = 4
"""Significant digits of a value, in the page and in what it shows: no rounding happens twice."""
PLACE_DIGITS, WHOLE_DIGITS = 5, 15
"""Significant digits of x: more than of values, or neighbours would be one; whole numbers are exact."""


def as_text(value: Any) -> str:
    """Return JSON that may stand between the tags of an HTML script: it holds no "<"."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def numbers(values: Array, digits: int = DIGITS) -> list[Any]:
    """Return numbers rounded to significant digits, nested like the array; None where one is not finite."""
    if values.ndim > 1:
        return [numbers(row, digits) for row in values]
    return [_short(float(v), digits) for v in values]


def places(x: Array) -> list[Any]:
    """Return values of x, rounded to the digits that the page shows."""
    return numbers(x, WHOLE_DIGITS if x.dtype.kind in "iu" else PLACE_DIGITS)


def _short(value: float, digits: int) -> float | int | None:
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def as_value(figure: InteractiveFigure) -> dict[str, Any]:
    """Return a figure as plain values, numbers rounded; what is empty is left out."""
    lists: list[list[Any]] = []  # the values of x, each list once
    value = {
        "slider": figure.slider,
        "mode": figure.mode,
        "positions": _positions(figure),
        "start": figure.start,
        "columns": figure.columns,
        "statistic": figure.statistic,
        "views": [{"key": v.key, "label": v.label, "note": v.note} for v in figure.views],
        "panels": [_panel(panel, lists) for panel in figure.panels],
        "examples": _examples(figure.examples) if figure.examples is not None else None,
        "own": figure.own,
        "picture": not figure.chart_first,
    }
    if figure.page is not None:
        page = figure.page
        value["page"] = {"key": code_key(page.code), "title": page.title, "note": page.note, "data": page.data}
    return _without_empty(value | {"places": lists})


def _positions(figure: InteractiveFigure) -> list[Any] | None:
    """Return the stops of the slider; None where the page finds them in the lines of the view."""
    if figure.positions is None and figure.mode == "x":
        return None
    positions = positions_of(figure)
    return positions.tolist() if positions.dtype.kind in "US" else places(positions)


def _panel(panel: Panel, lists: list[list[Any]]) -> dict[str, Any]:
    return _without_empty(
        {
            "title": panel.title,
            "x": _axis(panel.x),
            "y": _axis(panel.y),
            "equal": panel.equal,
            "marks": [[float(at), text] for at, text in panel.marks],
            "levels": [[_short(float(at), DIGITS), text] for at, text in panel.levels if np.isfinite(at)],
            "lines": [_line(line, lists) for line in panel.lines],
            "checks": [_check(typed) for typed in panel.typed],
        }
    )


def _check(typed: TypedNumbers) -> dict[str, Any]:
    """Return what the page needs to check readers' numbers as two columns of an item."""
    columns = [column for column in item_of(typed.item).columns if column.name in (typed.x, typed.y)]
    fractions = [column.name for column in columns if column.fraction]
    value = {"item": typed.item, "x": typed.x, "y": typed.y, "label": typed.label}
    return _without_empty(value | {"first": columns[0].name, "fractions": fractions})


def _axis(axis: Axis) -> dict[str, Any]:
    return _without_empty({"label": axis.label, "log": axis.log, "low": axis.low, "high": axis.high})


def _line(line: Line, lists: list[list[Any]]) -> dict[str, Any]:
    x = places(np.asarray(line.x))
    if x not in lists:
        lists.append(x)
    value: dict[str, Any] = {"label": line.label, "x": lists.index(x), "view": line.view}
    value["color"] = line.color % len(style.COLORS)
    value["dash"] = line.dash % len(style.DASHES)
    value |= {"points": not line.joined, "faint": line.faint, "silent": not line.read}
    for name in ("y", "low", "high", "seeds"):
        array = getattr(line, name)
        if array is not None:
            value[name] = numbers(np.asarray(array))
    value["details"] = {name: _details(np.asarray(array)) for name, array in line.details.items()}
    return _without_empty(value)


def _details(values: Array) -> list[Any]:
    return numbers(values) if values.dtype.kind in "fiu" else [str(v) for v in values]


def _examples(examples: Examples) -> dict[str, Any]:
    images = np.ascontiguousarray(examples.images, np.uint8)
    return {
        "height": images.shape[1],
        "width": images.shape[2],
        "channels": images.shape[3],
        "pixels": base64.b64encode(images.tobytes()).decode(),
        "labels": examples.labels.tolist(),
        "nets": list(examples.nets),
        "predicted": examples.predicted.tolist(),
        "probability": numbers(np.asarray(examples.probability)),
    }


def _without_empty(value: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the script of the page takes for granted: nothing, false, and empty."""
    return {
        key: v
        for key, v in value.items()
        if not (v is None or v is False or (isinstance(v, (str, list, dict)) and not v))
    }


def code_key(code: str) -> str:
    """Return the name under which a page shares the code of an embedded one."""
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def as_json(figure: InteractiveFigure | None, group: str = "") -> tuple[str, tuple[str, str]]:
    """Return a figure as JSON for the page, and the key and code, as JSON, of the page that it opens; "" for none.

    Args:
        figure: to be written.
        group: name of the run: sliders of one run that run along the same quantity stand at the same place.
    """
    if figure is None:
        return "", ("", "")
    code = figure.page.code if figure.page is not None else ""
    return as_text(as_value(figure) | {"group": group}), (code_key(code), as_text(code)) if code else ("", "")


def check_rules() -> str:
    """Return the rules that the page applies to numbers of its readers, as JSON that can stand in HTML."""
    return as_text(rules_in_page())
