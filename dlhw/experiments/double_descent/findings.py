"""The table of double descent, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.double_descent.figures import Family, families, label_of
from dlhw.experiments.double_descent.peaks import Peak, highest_peak
from dlhw.experiments.double_descent.spec import PENALTIES, Array, Result, Settings
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_number, format_percent
from dlhw.present.tables import Summary, row_medians, statistic_of_tables, statistics

FITTED = 0.01
"""Training error up to which a model counts as interpolating."""
FLAT = 0.1
"""Height of the peak of a control, relative to that without it, up to which it counts as flattened."""
ERROR, SQUARED = "test error", "squared error on test images"
NAMES = {"features": "random features", "nets": "nets of one hidden layer"}


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table, one row per model and noise level, and what the peaks and their controls show."""
    rows, numbers, texts = [], dict[str, Any](), list[Finding]()
    kinds = families(settings, result)
    for name, family in kinds.items():
        for k, noise in enumerate(settings.noise):
            peak = highest_peak(family.test_error[k])
            rows.append(_row(name, family, k, noise, peak))
            numbers |= _numbers(f"{name} noise {noise!r}", family, k, peak)
            texts += _peak(name, family, k, noise)
            texts += _control(name, family, k, noise)
        texts += _not_interpolated(settings, name, family)
    texts += _penalties_at_the_edge(settings, result)
    levels = [f"nets with {label_of(noise)}" for noise in settings.noise]
    if settings.nets:
        texts += findings.diverged(levels, result.diverged_at.reshape(len(levels), -1))
    texts = _answer(settings, kinds) + texts + findings.one_seed(settings.seeds, "training of every model")
    columns = ("model", "labels", "threshold", "lowest test error before, %", "peak, %", "lowest after, %")
    columns += ("control at the peak, %", "lowest of the control, %")  # type: ignore[assignment]
    title = f"double-descent on {settings.size()}: {statistic_of_tables(settings.seeds)}"
    controls = "control: ridge with a penalty, and early stopping at an epoch, that "
    controls += f"{settings.validation} other images select"
    return Summary(title, columns, tuple(rows), tuple(texts), numbers, (controls,))


def _row(name: str, family: Family, k: int, noise: float, peak: Peak | None) -> tuple[str, ...]:
    errors, control = family.test_error[k], family.control_error[k]

    def cell(values: Array, at: int) -> str:
        return f"{format_percent(values[at])} at {family.x[at]:,}"

    medians = row_medians(control)
    lowest = cell(control, int(np.nanargmin(medians))) if np.isfinite(medians).any() else NONE
    head = NAMES[name], label_of(noise), f"{family.threshold:,}"
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


def _described(family: Family, k: int, peak: Peak, quantity: str) -> str:
    """Return how the test error, or the squared error, goes through the peak, in words."""
    by_loss = quantity == SQUARED
    medians = row_medians((family.test_loss if by_loss else family.test_error)[k])
    values = [float(medians[i] if by_loss else 100 * medians[i]) for i in (peak.before, peak.at, peak.after)]
    shown = [f"{v:,.0f}" if v >= 1000 else format_number(v) for v in values]
    sizes = [f"{family.x[i]:,}" for i in (peak.before, peak.at, peak.after)]
    low, top, last = (f"{v}{'' if by_loss else ' %'} at {n}" for v, n in zip(shown, sizes, strict=True))
    return f"the {quantity} falls to {low} {family.unit}, rises to {top} and falls again to {last}"


def _peak(name: str, family: Family, k: int, noise: float) -> list[Finding]:
    """State where the peaks of test error and squared error are, how high, and whether they are at the threshold."""
    what = f"{NAMES[name][0].upper()}{NAMES[name][1:]}, {label_of(noise)}"
    nearest = int(np.abs(np.log(family.x / family.threshold)).argmin())
    where = f"the interpolation threshold ({family.at_threshold})"
    result = []
    for quantity, values in ((ERROR, family.test_error[k]), (SQUARED, family.test_loss[k])):
        peak = highest_peak(values)
        if peak is None:
            text = f"{what}: the {quantity} has no peak; at no size is its median lower on both sides"
            result.append(Finding("interpolation-peak", f"{text}."))
            continue
        described = _described(family, k, peak, quantity)
        if not peak.separated:
            text = f"{what}: by the medians, {described}; the seeds do not separate this peak from the minima on its "
            text += "sides, so it may be chance"
        elif peak.at == nearest:
            text = f"{what}: {described}. The peak is at {where}"
        elif abs(peak.at - nearest) == 1:
            text = f"{what}: {described}. The peak is one size of the grid from {where}"
        else:
            text = f"{what}: {described}. The peak is not at {where}, "
            text += f"but at {family.x[peak.at] / family.threshold:.2g} times that"
        result.append(Finding("interpolation-peak", f"{text}."))
    return result


def _control(name: str, family: Family, k: int, noise: float) -> list[Finding]:
    """State what ridge or early stopping does at the peak of the test error; without a peak, at the threshold."""
    peak, remaining = highest_peak(family.test_error[k]), highest_peak(family.control_error[k])
    errors, control = (row_medians(values[k]) for values in (family.test_error, family.control_error))
    if not (np.isfinite(errors).any() and np.isfinite(control).any()):
        return []
    at = int(np.abs(np.log(family.x / family.threshold)).argmin()) if peak is None else peak.at
    text = "Ridge" if name == "features" else "Early stopping"
    text += f", {label_of(noise)}: at {family.x[at]:,} {family.unit} the test error is {100 * control[at]:.3g} % "
    text += f"in place of {100 * errors[at]:.3g} %"
    is_shown = peak is not None and peak.separated
    if is_shown and remaining is None:
        text += "; no peak is left"
    elif peak is not None and is_shown and remaining is not None:
        share = "hardly any of the peak is left, " if remaining.height <= FLAT * peak.height else "a peak is left, "
        text += f"; {share}{100 * remaining.height:.2g} points at {family.x[remaining.at]:,}"
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
    text = f"In {count} of {chosen.size} choices, the selected ridge penalty is the smallest or largest of those tried "
    text += f"({PENALTIES[0]:g} and {PENALTIES[-1]:g}): a better one may lie beyond."
    return [Finding("penalty-at-the-edge", text)]


def _answer(settings: Settings, families: dict[str, Family]) -> list[Finding]:
    """Answer whether more parameters always generalize worse, or always better: by the highest peaks shown."""
    parts = []
    for name, family in families.items():
        for quantity, values in ((ERROR, family.test_error), (SQUARED, family.test_loss)):
            peaks = [(k, highest_peak(values[k])) for k in range(len(settings.noise))]
            shown = [(k, p) for k, p in peaks if p is not None and (p.separated or settings.seeds == 1)]
            if shown:
                k, peak = max(shown, key=lambda item: item[1].height)
                of = f"of {NAMES[name]}, {label_of(settings.noise[k])}"
                parts.append(f"{of}, {_described(family, k, peak, quantity)}")
                break
    if not parts:
        text = "This run does not show a peak of the test error that the seeds separate: between these sizes, it gives "
        text += "no reason to say that more parameters generalize worse, or better, for good"
        return [Finding("double-descent", f"{text}.")]
    doubt = "; with one seed, nothing can be concluded" if settings.seeds == 1 else ""
    text = f"More parameters generalize neither always worse nor always better: {'; '.join(parts)}{doubt}"
    return [Finding("double-descent", f"{text}.")]
