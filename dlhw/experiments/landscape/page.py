"""The interactive page of `landscape`: arrays of a result in, HTML out, with all its numbers inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dlhw.experiments.landscape import view
from dlhw.experiments.landscape.spec import Result, Settings
from dlhw.present.templates import load_template

DIGITS, EMBEDDED_DIGITS = 6, 4
"""Significant digits of the numbers in a page of its own, and in one inside of a report."""


def pages(settings: Settings, result: Result) -> dict[str, str]:
    """Return `surface`, the surfaces to rotate in a browser; nothing for a line, or if every training diverged."""
    data = as_json(settings, result, DIGITS)
    return {"surface": _render(view.title(settings), note(settings), data)} if data else {}


def code() -> str:
    """Return the page of any run, with %TITLE%, %NOTE% and %DATA% in place of what differs."""
    return _render("%TITLE%", "%NOTE%", "%DATA%")


def note(settings: Settings) -> str:
    """Return the line below the title."""
    return f"Measured on {settings.where()}."


def _render(title: str, below: str, data: str) -> str:
    return load_template(Path(__file__).parent, "surface.html").render(title=title, note=below, data=data)


def as_json(settings: Settings, result: Result, digits: int) -> str:
    """Return the numbers of the page as JSON that may stand in HTML; "" where there is no surface.

    Args:
        settings: of the run.
        result: of the run.
        digits: significant digits of the numbers.
    """
    if settings.is_line:
        return ""
    low, high = view.loss_range(result.loss)
    quantities = [{"key": "loss", "label": f"loss{' (log scale)' if low > 0 else ''}", "log": low > 0}]
    quantities[0] |= {"low": low, "high": high}
    if np.isfinite(result.accuracy).any():
        quantities.append({"key": "accuracy", "label": "accuracy", "log": False, "low": 0.0, "high": 1.0})

    def plain(values: np.ndarray) -> Any:
        short = np.vectorize(lambda v: float(f"{v:.{digits}g}") if np.isfinite(v) else None, otypes=[object])
        return short(values).tolist()

    nets = []
    for m in np.flatnonzero(result.diverged_at < 0):
        net = {"label": result.labels[m], "a": plain(result.a[m]), "b": plain(result.b[m])}
        net |= {"loss": plain(result.loss[m]), "accuracy": plain(result.accuracy[m])}
        if settings.plane == "path":
            net["path"] = plain(np.column_stack([result.marks[m], result.mark_loss[m]]))
        names = view.net_names(settings)
        # The nets themselves: all marks, or the last of a path.
        own = slice(-1, None) if settings.plane == "path" else slice(None)
        marked = zip(names, result.marks[m, own], result.mark_loss[m, own], strict=True)
        net["nets"] = [[name, *plain(np.array([*mark, loss]))] for name, mark, loss in marked]
        nets.append(net)
    if not nets:
        return ""
    data = json.dumps(
        {"nets": nets, "quantities": quantities, "axes": view.axis_names(settings)},
        allow_nan=False,
        separators=(",", ":"),
    )
    return data.replace("<", "\\u003c")
