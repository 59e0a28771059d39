"""The table of `minimal-ratio`, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.minimal_ratio.critical import critical_points
from dlhw.experiments.minimal_ratio.spec import END_KINDS, Array, Result, Settings, kinds_of, relative_flatness
from dlhw.experiments.minimal_ratio.spectra import spectrum_numbers
from dlhw.present import findings
from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE, format_median_range, format_number
from dlhw.present.tables import Summary, statistics
from dlhw.runs.settings import described

COLUMNS = {
    "loss": "MSE",
    "gradient_norm": "|g|",
    "ratio": "minimal ratio",
    "strict_ratio": "ratio, strict",
    "positive": "n+",
    "zero": "n0",
    "negative": "n−",
    "unsettled": "± within 10√(|g| λmax)",
    "effective_rank": "effective rank",
    "flatness": "|Hg|/|g| over chance",
}
INCOMPLETE = {
    "close": "Below the tolerance, but cut off after {n} Hessians: {k}, |g| {g}; small eigenvalues are not settled yet",
    "flat": "In a gradient-flat region after at most {n} Hessians: {k}, |g| {g}; |Hg|/|g| is {f} of that of a random "
    "direction, below a tenth, so that |g|² falls slowly; more `hessians` may lead further",
    "cut": "Cut off after {n} Hessians: {k}, |g| {g}; more `hessians` may lead further",
    "stalled": "No step lowers |g| further: {k}, |g| {g}",
}
"""Findings on searches that ended short of a critical point, by the kind of their end."""


def summary(settings: Settings, result: Result) -> Summary:
    """Return the table: one row per kind of end of a search, with `stop` also for nets stopped in training."""
    kinds = kinds_of(result)
    numbers: dict[str, Any] = {"parameters": settings.parameters, "nets": settings.seeds}
    numbers["diverged"] = int((result.diverged_at >= 0).sum())
    rows = []
    for key, label in END_KINDS.items():
        mask = kinds == key
        values = {"loss": result.loss[mask], "gradient_norm": result.gradient_norm[mask]}
        values |= spectrum_numbers(result.eigenvalues[mask], result.gradient_norm[mask])
        values["flatness"] = relative_flatness(result.flatness, result.eigenvalues)[mask]
        numbers[key] = {"nets": int(mask.sum()), **{k: statistics(v) for k, v in values.items()}}
        if mask.any() or key == "critical":
            rows.append((label, str(int(mask.sum())), *(format_median_range(values[k]) for k in COLUMNS)))
    stopped = _stopped(result)
    if stopped is not None:
        n = len(stopped["loss"])
        numbers["stopped in training"] = {"nets": n, **{k: statistics(v) for k, v in stopped.items()}}
        cells = (format_median_range(stopped[k]) if k in stopped else NONE for k in COLUMNS)
        rows.append(("stopped in training", str(n), *cells))
    numbers |= {"spearman_all": result.correlation[0].tolist(), "spearman_critical": result.correlation[1].tolist()}
    numbers |= {"seconds": result.seconds, "search_seconds": result.search_seconds}
    title = f"minimal-ratio: {settings.nets()}, {settings.precision}; median (min to max)"
    all_findings = [
        *critical_points(settings, result, kinds == "critical"),
        *_incomplete(settings, result, kinds),
        *_strict(settings, result),
        *_trends(result, kinds),
        *_end_of_training(settings, result),
        *_stopped_in_training(settings, stopped),
        *_piecewise(settings),
        *findings.one_seed(settings.seeds, "net"),
        *findings.diverged([settings.net], result.diverged_at[None]),
    ]
    return Summary(
        title, ("", "nets", *COLUMNS.values()), tuple(rows), tuple(all_findings), numbers, described(settings)
    )


def _stopped(result: Result) -> dict[str, Array] | None:
    """Return the numbers of nets that were stopped in training, each (n,); None where nothing was stopped."""
    if result.path_eigenvalues is None or result.path_loss is None or result.path_norm is None:
        return None
    mask = np.isfinite(result.path_loss)
    values = {"loss": result.path_loss[mask], "gradient_norm": result.path_norm[mask]}
    return values | spectrum_numbers(result.path_eigenvalues[mask], result.path_norm[mask])


def _incomplete(settings: Settings, result: Result, kinds: NDArray[np.str_]) -> list[Finding]:
    """State how many searches ended before a critical point."""
    all_findings = []
    for key, text in INCOMPLETE.items():
        mask = kinds == key
        if mask.any():
            flatness = relative_flatness(result.flatness, result.eigenvalues)[mask]
            values = {"n": settings.hessians, "k": f"{int(mask.sum())} of {settings.seeds} nets"}
            values |= {"g": format_median_range(result.gradient_norm[mask]), "f": format_median_range(flatness)}
            all_findings.append(Finding("incomplete-searches", f"{text.format(**values)}."))
    if not set(kinds) <= {"critical", ""}:
        all_findings.append(
            Finding("incomplete-searches", "The signs at these points are not those of a critical point.")
        )
    return all_findings


def _strict(settings: Settings, result: Result) -> list[Finding]:
    """State how rounding changes a count of all eigenvalues above zero."""
    known = np.isfinite(result.loss)
    if not settings.strict or not known.any():
        return []
    values = spectrum_numbers(result.eigenvalues[known], result.gradient_norm[known])
    text = (
        f"Over all {int(known.sum())} nets the strict ratio is {format_median_range(values['strict_ratio'])}, and "
        f"{format_median_range(values['ratio'])} above rounding: eigenvalues of rounding, half of them positive, draw "
        "the strict one towards one half."
    )
    return [Finding("strict-ratio", text)]


def _end_of_training(settings: Settings, result: Result) -> list[Finding]:
    """State what the usual figure shows: every eigenvalue above zero counted where training stopped."""
    if result.start_eigenvalues is None or not np.isfinite(result.start_norm).any():
        return []
    known = np.isfinite(result.start_norm)
    norms, values = result.start_norm[known], result.start_eigenvalues[known]
    below = int((norms < settings.arrival).sum())
    text = (
        "The usual mistake is to count eigenvalues above zero where training stops: their share there is "
        f"{format_median_range((values > 0).mean(axis=1))}, but the gradient does not vanish (|g| is "
        f"{format_median_range(norms)}, and below {settings.arrival:g} in {below} of {len(norms)} nets), so that "
        "share does not tell a minimum from a saddle."
    )
    return [Finding("stopped-in-training", text)]


def _stopped_in_training(settings: Settings, stopped: dict[str, Array] | None) -> list[Finding]:
    if stopped is None:
        return []
    text = (
        f"Stopped in training at |g| ≤ {settings.threshold:g}: {len(stopped['loss'])} of {settings.seeds} nets, "
        f"minimal ratio {format_median_range(stopped['ratio'])}; these are not critical points."
    )
    return [Finding("stopped-in-training", text)]


def _piecewise(settings: Settings) -> list[Finding]:
    if settings.activation != "relu":
        return []
    text = "A relu net is piecewise smooth: its Hessian, and the signs, do not see the kinks."
    return [Finding("piecewise-smooth", text)]


def _trends(result: Result, kinds: NDArray[np.str_]) -> list[Finding]:
    """Relate the ratio to the loss: over all ends of searches, and over the critical points."""
    all_findings: list[Finding] = []
    others = int((kinds != "critical").sum())
    for interval, key in zip(result.correlation, ("all", "critical"), strict=True):
        mask = kinds == "critical" if key == "critical" else kinds != ""
        n = int(mask.sum())
        which = "critical points" if key == "critical" else "nets"
        if key == "all" and (kinds[mask] == "critical").all():
            continue  # the same nets come again
        if n > 1 and format_number(result.loss[mask].min()) == format_number(result.loss[mask].max()):
            loss = format_number(result.loss[mask].max())
            text = f"All {n} {which} have the same loss, {loss}: there is no trend of the ratio with the loss."
            all_findings.append(Finding("rank-correlation", text))
            continue
        all_findings += findings.rank_correlation(
            "minimal ratio",
            "loss",
            (float(interval[0]), float(interval[1]), float(interval[2])),
            n,
            which if key == "critical" or not others else f"nets, {others} of them not at a critical point",
        )
    return all_findings
