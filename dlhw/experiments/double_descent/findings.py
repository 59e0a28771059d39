"""The table of double descent, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.double_descent.figures import Family, families, label_of
from dlhw.experiments.double_descent.peaks import Peak, highest_peak
from dlhw.experiments.double_descent.spec import PENALTIES, Array, Result, Settings
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_percent
from dlhw.present.tables import Summary, row_medians, statistic_of_tables, statistics

FITTED = 0.01
"""Training error up to which a model counts as interpolating."""
FLAT = 0.1
"""Height of the peak of a control, relative to that without it, up to which it counts as flattened."""
NAMES = {"features": "random features", "nets": "nets of one hidden layer"}


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per model and noise level, and what the peaks and their controls show."""
    rows, numbers, texts = [], dict[str, Any](), list[Finding]()
    seen: list[tuple[str, Family, int, Peak | None]] = []
    for name, family in families(settings, result).items():
        for k, noise in enumerate(settings.noise):
            errors, control = family.test_error[k], family.control_error[k]
            peak = highest_peak(errors)
            seen.append((name, family, k, peak))
            rows.append(_row(settings, name, family, k, peak))
            numbers |= _numbers(f"{name} noise {noise!r}", family, k, peak)
            texts += _peak(settings, name, family, k, peak)
            texts += _control(settings, name, family, k, peak, highest_peak(control))
        texts += _not_interpolated(settings, name, family)
    texts += _penalties_at_the_edge(settings, result)
    levels = [f"nets with {label_of(noise)}" for noise in settings.noise]
    if settings.nets:
        texts += findings.diverged(levels, result.diverged_at.reshape(len(levels), -1))
    texts = _answer(settings, seen) + texts + findings.one_seed(settings.seeds, "training of every model")
    columns = ("model", "labels", "threshold", "lowest test error before, %", "peak, %", "lowest after, %")
    columns += ("control at the peak, %", "lowest of the control, %")  # type: ignore[assignment]
    title = f"double-descent on {settings.size()}: {statistic_of_tables(settings.seeds)}"
    controls = "control: ridge with a penalty, and early stopping at an epoch, that "
    controls += f"{settings.validation} other images select"
    return Summary(title, columns, tuple(rows), tuple(texts), numbers, (controls,))


def _row(settings: Settings, name: str, family: Family, k: int, peak: Peak | None) -> tuple[str, ...]:
    errors, control = family.test_error[k], family.control_error[k]

    def cell(values: Array, at: int) -> str:
        return f"{format_percent(values[at])} at {family.x[at]:,}"

    medians = row_medians(control)
    lowest = cell(control, int(np.nanargmin(medians))) if np.isfinite(medians).any() else NONE
    head = NAMES[name], label_of(settings.noise[k]), f"{family.threshold:,}"
    if peak is None:
        return (*head, NONE, "no peak", NONE, NONE, lowest)
    points = [cell(errors, at) for at in (peak.before, peak.at, peak.after)]
    return (*head, *points, cell(control, peak.at), lowest)


def _numbers(key: str, family: Family, k: int, peak: Peak | None) -> dict[str, Any]:
    sizes = {
        f"{key} size {size}": {
            "test_error": statistics(family.test_error[k, i]),
            "train_error": statistics(family.train_error[k, i]),
            "norm": statistics(family.norm[k, i]),
            "control_test_error": statistics(family.control_error[k, i]),
        }
        for i, size in enumerate(family.x.tolist())
    }
    if peak is None:
        return sizes
    errors = row_medians(family.test_error[k])
    ends = {"before": peak.before, "peak": peak.at, "after": peak.after}
    summary: dict[str, Any] = {f"{n}_size": int(family.x[i]) for n, i in ends.items()}
    summary |= {f"{n}_test_error": float(errors[i]) for n, i in ends.items()} | {"threshold": family.threshold}
    return sizes | {key: summary | {"height": peak.height, "separated": peak.separated}}


def _described(family: Family, k: int, peak: Peak) -> str:
    """Return how the test error goes through the peak, in words."""
    errors = row_medians(family.test_error[k])
    low, top, last = (f"{100 * errors[i]:.3g} % at {family.x[i]:,}" for i in (peak.before, peak.at, peak.after))
    return f"the test error falls to {low} {family.unit}, rises to {top} and falls again to {last}"


def _peak(settings: Settings, name: str, family: Family, k: int, peak: Peak | None) -> list[Finding]:
    """State where the peak is, how high, and whether it is at the interpolation threshold."""
    what = f"{NAMES[name][0].upper()}{NAMES[name][1:]}, {label_of(settings.noise[k])}"
    if peak is None:
        text = f"{what}: no peak; the median test error has no size with a lower one on both sides"
        return [Finding("interpolation-peak", f"{text}.")]
    text = f"{what}: {_described(family, k, peak)}"
    nearest = int(np.abs(np.log(family.x / family.threshold)).argmin())
    where = f"the interpolation threshold ({family.at_threshold})"
    if peak.at == nearest:
        text += f". The peak is at {where}"
    elif abs(peak.at - nearest) == 1:
        text += f". The peak is one size of the grid from {where}"
    else:
        text += f". The peak is not at {where}, but at {family.x[peak.at] / family.threshold:.2g} times that"
    text += "" if peak.separated else "; the seeds do not separate it from the sizes around it, so it may be chance"
    return [Finding("interpolation-peak", f"{text}.")]


def _control(
    settings: Settings, name: str, family: Family, k: int, peak: Peak | None, left_over: Peak | None
) -> list[Finding]:
    """State what ridge or early stopping does to the peak."""
    if peak is None:
        return []
    word = "Ridge" if name == "features" else "Early stopping"
    errors, control = (row_medians(values[k]) for values in (family.test_error, family.control_error))
    ends = f"{100 * control[peak.at]:.3g} % in place of {100 * errors[peak.at]:.3g} %"
    text = f"{word}, {label_of(settings.noise[k])}: at the peak the test error is {ends}"
    height = 0.0 if left_over is None else left_over.height
    flat = height <= FLAT * peak.height
    if flat:
        text += "; no peak is left, and larger models are no worse"
    elif left_over is not None:
        text += f"; a peak of {100 * height:.2g} points is left at {family.x[left_over.at]:,}"
    lowest = int(np.nanargmin(control))
    text += f". Its lowest test error is {100 * control[lowest]:.3g} %, at {family.x[lowest]:,}"
    text += f"; without it the lowest is {100 * np.nanmin(errors):.3g} %"
    return [Finding("ridge", f"{text}.") if name == "features" else Finding("early-stopping", f"{text}.")]


def _not_interpolated(settings: Settings, name: str, family: Family) -> list[Finding]:
    """State which models beyond the threshold do not fit their training labels: there the threshold is not reached."""
    beyond = family.x >= family.threshold
    worst = [float(np.nanmax(row_medians(e[beyond]), initial=0.0)) for e in family.train_error]
    open_ = [(label_of(n), w) for n, w in zip(settings.noise, worst, strict=True) if w > FITTED]
    if not open_:
        return []
    parts = ", ".join(f"{label} {100 * w:.3g} %" for label, w in open_)
    text = f"Some {NAMES[name]} beyond the threshold have not fitted their training labels (largest training error: "
    text += f"{parts}): the peak is then where training, not the number of parameters, lets them interpolate. More "
    text += "`epochs` or a larger `learning_rate` moves it."
    return [Finding("not-interpolated", text)]


def _penalties_at_the_edge(settings: Settings, result: Result) -> list[Finding]:
    """State how often the largest or smallest penalty was selected, so that the best one may lie beyond."""
    chosen = result.ridge_penalty
    count = int(((chosen == PENALTIES[0]) | (chosen == PENALTIES[-1])).sum())
    if not count:
        return []
    text = f"{count} of {chosen.size} ridge penalties are the smallest or largest tried ({PENALTIES[0]:g} and "
    text += f"{PENALTIES[-1]:g}): a better one may lie beyond."
    return [Finding("penalty-at-the-edge", text)]


def _answer(settings: Settings, seen: list[tuple[str, Family, int, Peak | None]]) -> list[Finding]:
    """Answer whether more parameters always generalize worse, or always better."""
    shown = [(name, family, k, peak) for name, family, k, peak in seen if peak is not None and _counts(settings, peak)]
    if not shown:
        text = "This run does not show a peak of the test error that the seeds separate: between these sizes, it gives "
        text += "no reason to say that more parameters generalize worse, or better, for good"
        return [Finding("double-descent", f"{text}.")]
    parts = []
    for wanted, words in NAMES.items():
        own = [(family, k, peak) for name, family, k, peak in shown if name == wanted]
        if own:
            family, k, peak = max(own, key=lambda item: item[2].height)
            parts.append(f"of {words}, {label_of(settings.noise[k])}, {_described(family, k, peak)}")
    doubt = "; with one seed, nothing can be concluded" if settings.seeds == 1 else ""
    text = f"More parameters generalize neither always worse nor always better: {'; '.join(parts)}{doubt}"
    return [Finding("double-descent", f"{text}.")]


def _counts(settings: Settings, peak: Peak) -> bool:
    return peak.separated or settings.seeds == 1
