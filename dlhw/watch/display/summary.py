"""The table of a watched training, its findings, and its numbers by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.present.numbers import NONE, format_number
from dlhw.present.tables import Summary
from dlhw.watch.display import curves
from dlhw.watch.findings import diagnose
from dlhw.watch.spec import Result, Settings

Array = NDArray[np.floating]
COLUMNS = (
    "layer",
    "gradient norm at start",
    "gradient norm, median",
    "gradient norm, last 5 %",
    "update / weights, median",
    "zero gradient entries",
    "dead units at the end",
)
NOTES = (
    "gradient norm: of the batch, before clipping; update / weights: norm of the change of the weights over norm of "
    "the weights, of steps that changed them; last 5 %: median of the last steps; "
    "zero gradient entries: median over the steps; dead units: zero for every "
    "example of the last probe.",
)


def summary(settings: Settings, result: Result) -> Summary:
    """Return one row for every layer, what the numbers say, and the numbers."""
    rows = [
        (
            str(layer["layer"]),
            *(
                format_number(layer[name])
                for name in ("gradient_norm_start", "gradient_norm_median", "gradient_norm_end", "update_ratio_median")
            ),
            _percent(layer["zero_share_median"]),
            _percent(layer["dead_share_end"]),
        )
        for layer in layers(result)
    ]
    title = f"{settings.model or 'model'} ({settings.parameters:,} weights), {_length(result)}"
    findings = tuple(diagnose(settings, result))
    notes = (*NOTES, *result.notes)
    return Summary(title, COLUMNS, tuple(rows), findings, numbers(settings, result), notes)


def layers(result: Result) -> list[dict[str, Any]]:
    """Return the numbers of every layer: those with weights, then those that only have units."""
    ratio = curves.column_medians(curves.update_ratio(result))
    start, median, end = (
        of(result.gradient_norm) for of in (curves.first_values, curves.column_medians, curves.end_medians)
    )
    zero = curves.column_medians(result.zero_share)
    units = dict(zip(result.unit_layers, _units_at_the_end(result), strict=True))
    rows = []
    for k, name in enumerate(result.layers):
        dead, saturated = units.pop(name, (np.nan, np.nan))
        rows.append(_layer(name, (start[k], median[k], end[k]), float(ratio[k]), float(zero[k]), dead, saturated))
    nothing = (np.nan, np.nan, np.nan)
    return rows + [_layer(name, nothing, np.nan, np.nan, *shares) for name, shares in units.items()]


def numbers(settings: Settings, result: Result) -> dict[str, Any]:
    """Return every number of a watched training by name; those of the findings are theirs."""
    whole = curves.whole_norm(result.gradient_norm)[:, None]
    loss = np.asarray(result.loss, np.float64)[:, None]
    nonfinite = np.flatnonzero((result.nonfinite_share > 0).any(axis=1) | np.isinf(result.loss))
    history = {
        name: float(last)
        for name, last in zip(result.history_names, curves.last_values(result.history), strict=True)
        if len(result.history)
    }
    return {
        "parameters": settings.parameters,
        "epochs": len(result.epoch_step),
        "recorded_steps": len(result.step),
        "updates": dict(zip(result.optimizers, map(int, result.updates), strict=True)),
        "loss_start": float(curves.first_values(loss)[0]),
        "loss_end": float(curves.end_medians(loss)[0]),
        "gradient_norm_start": float(curves.first_values(whole)[0]),
        "gradient_norm_median": float(curves.column_medians(whole)[0]),
        "gradient_norm_end": float(curves.end_medians(whole)[0]),
        "first_nonfinite_step": int(result.step[nonfinite[0]]) if len(nonfinite) else -1,
        "nonfinite_layer": result.nonfinite_layer,
        "history_end": history,
        "probes": len(result.probe_epoch),
        **_of_probes(result),
        "layers": layers(result),
        "seconds": result.seconds,
        "probe_seconds": float(np.nansum(result.probe_seconds)),
        "ended": result.ended or "as planned",
    }


def _of_probes(result: Result) -> dict[str, float]:
    """Return first and last value of everything that was measured on the probe."""
    measured = {
        name: getattr(result, name)
        for name in ("probe_loss", "probe_accuracy", "sensitivity", "sharpness", "edge", "noise_scale")
    }
    measured |= {name: result.functions[:, k] for k, name in enumerate(result.function_names)}
    values: dict[str, float] = {}
    for name, column in measured.items():
        ends = (f"{name}_start", curves.first_values), (f"{name}_end", curves.last_values)
        values |= {key: float(of(np.asarray(column)[:, None])[0]) for key, of in ends}
    return values


def _units_at_the_end(result: Result) -> list[tuple[float, float]]:
    dead, saturated = (curves.last_values(v) for v in (result.dead_share, result.saturated_share))
    return [(float(d), float(s)) for d, s in zip(dead, saturated, strict=True)]


def _layer(
    name: str, norms: tuple[float, float, float], ratio: float, zero: float, dead: float, saturated: float
) -> dict[str, Any]:
    start, median, end = map(float, norms)
    return {
        "layer": name,
        "gradient_norm_start": start,
        "gradient_norm_median": median,
        "gradient_norm_end": end,
        "update_ratio_median": ratio,
        "zero_share_median": zero,
        "dead_share_end": dead,
        "saturated_share_end": saturated,
    }


def _length(result: Result) -> str:
    steps = int(result.step[-1]) + 1 if len(result.step) else 0
    epochs = len(result.epoch_step)
    ended = f", {result.ended}" if result.ended else ""
    return f"{steps:,} batch{'' if steps == 1 else 'es'}, {epochs} epoch{'' if epochs == 1 else 's'}{ended}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if np.isfinite(share) else NONE
