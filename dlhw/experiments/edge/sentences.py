"""The findings of `edge`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.edge.numbers import NEAR, Numbers, hovers
from dlhw.experiments.edge.spec import EIGENVALUES, Array, Result, Settings
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range, format_percent

RISE = 1.1
"""Growth of the sharpness that counts as a rise."""


def sentences(settings: Settings, result: Result, numbers: Numbers) -> list[Finding]:
    """Return what the numbers support."""
    names = [f"η = {rate:g}" for rate in settings.learning_rates]
    return [
        *_hovering(settings, numbers, names),
        *_below(settings, numbers, names),
        *_left(settings, numbers, names),
        *_sharpening(settings, result, numbers),
        *_raised(settings, numbers, names),
        *_overlap(settings, numbers, names),
        *findings.diverged(names, result.diverged_at),
        *_piecewise(settings),
        *findings.not_converged(
            int((~result.converged).sum()),
            "measurements of the eigenvalues",
            "the second and third may be too small, and the overlaps too",
        ),
        *findings.one_seed(settings.seeds),
    ]


def format_ratio(values: Array) -> str:
    """Return median and range with three decimals: three digits would hide what lies above 1."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return NONE
    spread = f" ({finite.min():.3f} to {finite.max():.3f})" if len(values) > 1 else ""
    return f"{np.median(finite):.3f}{spread}"


def _at_the_edge(settings: Settings, numbers: Numbers) -> NDArray[np.bool_]:
    """Return at which rates every training that did not diverge hovers at the edge, (R,)."""
    whole = np.isfinite(numbers.late_ratio)
    return np.asarray(whole.any(axis=1) & (hovers(settings, numbers) | ~whole).all(axis=1))


def _hovering(settings: Settings, numbers: Numbers, names: list[str]) -> list[Finding]:
    if not np.isfinite(numbers.late_ratio).any():
        return []
    at, count = _at_the_edge(settings, numbers), len(names)
    quantity = f"sharpness over {settings.line_name}"
    over = f"median over {settings.seeds} seeds, least to largest" if settings.seeds > 1 else "one seed"
    if not at.any():
        finite = np.flatnonzero(np.isfinite(numbers.late_ratio).any(axis=1))
        ratios = [f"{format_ratio(numbers.late_ratio[r])} at {names[r]}" for r in finite]
        text = f"At none of {count} learning rates do all trainings end at the edge of stability: {quantity}, median "
        text += f"of the last quarter, is {', '.join(ratios)} ({over})."
        return [Finding("edge-of-stability", text)]
    ratios = [f"{format_ratio(numbers.late_ratio[r])} at {names[r]}" for r in np.flatnonzero(at)]
    median = np.array([np.nanmedian(v) for v in numbers.late_ratio[at]])
    where = "just above the line" if (median >= 1).all() else "about the line"
    text = (
        f"Training ends at the edge of stability at {int(at.sum())} of {count} learning rates: the sharpness hovers "
        f"{where} instead of passing it: {quantity}, median of the last quarter, is {', '.join(ratios)} ({over})."
    )
    return [Finding("edge-of-stability", text)]


def _below(settings: Settings, numbers: Numbers, names: list[str]) -> list[Finding]:
    """State at which rates no training reached the line."""
    below = []
    for name, ratio, at in zip(names, numbers.late_ratio, numbers.reached_at, strict=True):
        whole = np.isfinite(ratio)
        if whole.any() and (at[whole] < 0).all():
            below.append(f"{name} (late sharpness over the line {format_ratio(ratio)})")
    if not below:
        return []
    text = f"No training reaches the line at {', '.join(below)}: within {settings.epochs} steps the net does not "
    text += "become that sharp, and the step is stable throughout; nothing follows for the edge."
    return [Finding("below-the-edge", text)]


def _left(settings: Settings, numbers: Numbers, names: list[str]) -> list[Finding]:
    """State at which rates trainings reached the line and ended below it."""
    with np.errstate(invalid="ignore"):
        ended_below = (numbers.late_ratio < NEAR[0]) & (numbers.reached_at >= 0)
    rows = [
        f"{int(mask.sum())} of {settings.seeds} at {name} (late {format_ratio(ratio[mask])} of it)"
        for name, mask, ratio in zip(names, ended_below, numbers.late_ratio, strict=True)
        if mask.any()
    ]
    if not rows:
        return []
    why = "; with cross entropy the sharpness falls as the examples are fitted" if settings.loss != "squares" else ""
    return [Finding("left-the-edge", f"Trainings that reach the line and end below it: {', '.join(rows)}{why}.")]


def _sharpening(settings: Settings, result: Result, numbers: Numbers) -> list[Finding]:
    """State whether the sharpness rises in the trainings that start below the line."""
    starts_below = numbers.start < settings.lines[:, None]
    if not starts_below.any():
        return []
    reached = numbers.reached_at[..., None]
    before = (result.steps <= reached) | (reached < 0)
    highest = np.max(np.where(before, result.eigenvalues[..., 0], -np.inf), axis=2)
    growth = (highest / numbers.start)[starts_below]
    rising, count = int((growth > RISE).sum()), len(growth)
    factor = f"by a factor of {format_median_range(growth)}"
    text = f"Progressive sharpening: of {count} trainings that start below the line, the sharpness rises by more than "
    text += f"a tenth in {rising}, until it reaches the line or the training ends; {factor}."
    if 2 * rising <= count:
        text = f"The sharpness does not rise in most of the {count} trainings that start below the line: it grows "
        text += f"{factor} until it reaches the line or the training ends, so there is no progressive sharpening."
    return [Finding("progressive-sharpening", text)]


def _raised(settings: Settings, numbers: Numbers, names: list[str]) -> list[Finding]:
    known = [r for r in range(len(names)) if np.isfinite(numbers.raised[r]).any()]
    before = numbers.raised_before[np.isfinite(numbers.raised_before)]
    if not known:
        return []
    shares = [f"{format_percent(numbers.raised[r], ' %')} at {names[r]}" for r in known]
    text = f"From where the line is reached, the loss rises at {', '.join(shares)} of the steps"
    text += f"; before, and where it never is, at {format_percent(before, ' %')}." if len(before) else "."
    return [Finding("loss-raising-steps", text)]


def _overlap(settings: Settings, numbers: Numbers, names: list[str]) -> list[Finding]:
    known = [r for r in range(len(names)) if np.isfinite(numbers.overlap[r]).any()]
    if not known:
        return []
    shares = [
        " and ".join(format_percent(share, " %") for share in numbers.overlap[r].T) + f" at {names[r]}" for r in known
    ]
    chance, span = 100 / settings.parameters, 100 * EIGENVALUES / settings.parameters
    text = (
        f"Share of |g|² along the first eigenvector and in the span of the first {EIGENVALUES}, mean of the last "
        f"quarter: {', '.join(shares)}; a random direction has {chance:.2g} % and {span:.2g} %."
    )
    return [Finding("gradient-along-the-edge", text)]


def _piecewise(settings: Settings) -> list[Finding]:
    if settings.activation != "relu":
        return []
    text = "A relu net is piecewise smooth: its Hessian does not see the kinks, which also bound a stable step."
    return [Finding("piecewise-smooth", text)]
