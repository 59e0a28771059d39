"""The interactive page of `landscape`: arrays of a result in, HTML out, with all its numbers inside."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from dlhw.experiments.landscape import Result, Settings, axes_of, limits, title
from dlhw.report import template


def pages(settings: Settings, result: Result) -> dict[str, str]:
    """`surface`; nothing where every training diverged."""
    low, high = limits(result.loss)
    quantities = [{"key": "loss", "label": f"loss{' (log scale)' if low > 0 else ''}", "log": low > 0}]
    quantities[0] |= {"low": low, "high": high}
    if np.isfinite(result.accuracy).any():
        quantities.append({"key": "accuracy", "label": "accuracy", "log": False, "low": 0.0, "high": 1.0})

    def plain(values: np.ndarray) -> Any:
        short = np.vectorize(lambda v: float(f"{v:.6g}") if np.isfinite(v) else None, otypes=[object])
        return short(values).tolist()

    nets = []
    for m in np.flatnonzero(result.diverged_at < 0):
        net = {"label": result.labels[m], "a": plain(result.a[m]), "b": plain(result.b[m])}
        net |= {"loss": plain(result.loss[m]), "accuracy": plain(result.accuracy[m])}
        if settings.plane == "path":
            net["path"] = plain(np.column_stack([result.marks[m], result.mark_loss[m]]))
        names = "ABC" if settings.plane == "three-points" else [""]
        # The nets themselves: all marks, or the last of a path.
        own = slice(-1, None) if settings.plane == "path" else slice(None)
        marked = zip(names, result.marks[m, own], result.mark_loss[m, own], strict=True)
        net["nets"] = [[name, *plain(np.array([*mark, loss]))] for name, mark, loss in marked]
        nets.append(net)
    if not nets:
        return {}
    data = json.dumps({"nets": nets, "quantities": quantities, "axes": axes_of(settings)}, allow_nan=False)
    page = template("surface.html").render(
        title=title(settings), note=f"Measured on {settings.where()}.", data=data.replace("<", "\\u003c")
    )
    return {"surface": page}
