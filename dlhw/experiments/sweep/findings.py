"""The table of a sweep, and what its numbers support."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlhw.experiments.sweep.answer import answer, ends
from dlhw.experiments.sweep.spec import TOLERANCE, Array, Result, SweepSettings
from dlhw.present import findings, sweep_findings
from dlhw.present.curves import CURVES
from dlhw.present.findings import Finding
from dlhw.present.numbers import format_median_range, format_number, format_percent
from dlhw.present.statistics import spearman
from dlhw.present.tables import Summary, statistic_of_tables, statistics
from dlhw.runs.settings import described

SCALARS = (
    "sensitivity",
    "sensitivity_error",
    "batch_mean_gradient",
    "jacobian",
    "eigenvalue",
    "eigenvalue_residual",
)


def summary(settings: SweepSettings, result: Result) -> Summary:
    """Return the table, one row per value, and how each measure relates to the variable and the generalization gap."""
    gap = result.test_loss - result.train_loss
    seconds = np.reshape(result.seconds, gap.shape)
    numbers: dict[str, Any] = {"parameters": settings.parameters(settings.net)}
    rows = []
    names = [_name(settings, point) for point in settings.points]
    for k, point in enumerate(settings.points):
        diverged = int((result.diverged_at[k] >= 0).sum())
        values = {name: getattr(result, name)[k] for name in (*CURVES, *SCALARS)}
        values |= {f"keskar_{e!r}": result.keskar[k, :, i] for i, e in enumerate(settings.epsilon)}
        net = settings.training(point).net
        numbers[names[k]] = {
            "updates": settings.updates(point),
            "parameters": settings.parameters(net),
            **{name: statistics(v) for name, v in (values | {"gap": gap[k], "seconds": seconds[k]}).items()},
            "diverged": diverged,
        }
        losses = [format_median_range(values[name]) for name in ("train_loss", "test_loss")]
        keskar = [f"keskar_{e!r}" for e in settings.epsilon]
        mistake = ["batch_mean_gradient"] if settings.of_batch_size else []
        others = ("sensitivity", *mistake, "jacobian", *keskar, "eigenvalue")
        cells = [*losses, format_percent(values["test_accuracy"]), *(format_median_range(values[n]) for n in others)]
        size = f"{settings.parameters(net):,}" if settings.variable.name == "width" else f"{settings.updates(point):,}"
        rows.append((settings.variable.text(point), size, *cells, f"{diverged} of {settings.seeds}"))
    with_gap, correlations = _correlations_with_gap(settings, result, gap)
    comparisons = [
        *answer(settings, result),
        *findings.at_chance(names, result.train_accuracy, settings.info.classes),
        *_against_the_variable(settings, result),
        *_popular_mistake(settings, result),
        *_searches(result),
        *_saturated(result),
        *_eigenvalues(result),
        *_what_is_equal(settings, result),
        *with_gap,
        *findings.one_seed(settings.seeds, f"training per {settings.variable.name.replace('-', ' ')}"),
    ]
    all_findings = [
        *(findings.nothing_learned(result.train_accuracy, settings.info.classes) or comparisons),
        *findings.diverged(names, result.diverged_at),
    ]
    command = "sweep-batch" if settings.of_batch_size else f"sweep over {settings.variable.name}"
    title = f"{command} on {settings.where()}: equal {settings.equal}, {statistic_of_tables(settings.seeds)}"
    return Summary(
        title, _columns(settings), tuple(rows), tuple(all_findings), numbers | correlations, described(settings)
    )


def _name(settings: SweepSettings, point: float) -> str:
    """Return what findings and numbers call a value of the variable: batch 64, learning rate 0.01."""
    what = settings.variable
    return f"{'batch' if settings.of_batch_size else what.name.replace('-', ' ')} {what.text(point)}"


def _columns(settings: SweepSettings) -> tuple[str, ...]:
    of_batch_size, what = settings.of_batch_size, settings.variable.name
    return (
        "batch" if of_batch_size else what.replace("-", " "),
        "parameters" if what == "width" else "updates",
        *("train loss", "test loss", "test accuracy, %", "sensitivity"),
        *(["mistake: of the batch mean"] if of_batch_size else []),
        "Jacobian",
        *(f"φ, ε = {e:g}" for e in settings.epsilon),
        *("largest eigenvalue", "diverged"),
    )


GLOSSES = {
    "sensitivity": "mean size of the gradient of the loss by an input image",
    "largest Hessian eigenvalue": "largest curvature of the loss",
}
"""What measures are, in words."""


def _measures(settings: SweepSettings, result: Result) -> dict[str, Array]:
    """Return the measures of flatness by name, each (B, S)."""
    boxes = {f"Keskar's sharpness (ε = {e:g})": result.keskar[..., k] for k, e in enumerate(settings.epsilon)}
    return {"sensitivity": result.sensitivity, **boxes, "largest Hessian eigenvalue": result.eigenvalue}


def _against_the_variable(settings: SweepSettings, result: Result) -> list[Finding]:
    """Relate every measure to the variable."""
    small, large = ends(settings)
    what = "batch" if settings.of_batch_size else settings.variable.name.replace("-", " ")
    points = [settings.variable.text(point) for point in settings.points]
    labels = points[small], points[large]
    all_findings = []
    for name, values in _measures(settings, result).items():
        title = name[0].upper() + name[1:]
        box = title.replace(")", ": how far the loss rises in a box of that size around the weights, in %)")
        glossed = f"{title} ({GLOSSES[name]})" if name in GLOSSES else box
        pair = sweep_findings.range_of_ends(glossed, values[[small, large]], labels, what)
        all_findings += pair
        all_findings += sweep_findings.not_monotone(values, points, small, large, title) if pair else []
    return all_findings


def _popular_mistake(settings: SweepSettings, result: Result) -> list[Finding]:
    """State how much of the decrease of the batch-mean gradient is the factor 1/B."""
    small, large = ends(settings)
    a, b = (int(settings.points[k]) for k in (small, large))
    if not (np.isfinite(result.sensitivity[small]).any() and np.isfinite(result.sensitivity[large]).any()):
        return []
    if settings.variable.name == "width":  # whose nets start from weights of their own
        return []
    start = format_median_range(result.start_sensitivity)
    all_findings = [
        Finding(
            "sensitivity-before-training",
            f"Before training, the sensitivity is {start}; a net that hardly moves stays near that value, whatever its "
            "batch.",
        )
    ]
    if not settings.of_batch_size:
        return all_findings
    high, low = (float(np.nanmedian(result.batch_mean_gradient[k])) for k in (small, large))
    if high > 0 and low > 0:
        n = settings.info.test
        batches = -(-n // a), -(-n // b)
        factor = batches[0] / batches[1]
        share = "mostly" if factor**2 > high / low else "in part"
        text = (
            "The popular figure of sensitivity takes the gradient of the batch mean, which divides by the batch size: "
            "it is "
            f"{format_number(high / low)} times smaller at {b} than at {a}. The number of batches alone, {batches[0]} "
            "and "
            f"{batches[1]} of {n} test images, accounts for a factor of {factor:.3g}; the remaining "
            f"{high / low / factor:.2g} is due to the net. So its fall shows {share} the division by the batch size; "
            "the "
            "sensitivity above takes one gradient per image."
        )
        all_findings.append(Finding("batch-mean-gradient", text))
    return all_findings


def _searches(result: Result) -> list[Finding]:
    """State how far the searches for Keskar's maximum agree."""
    if result.keskar_spread is None or result.keskar_settled is None:
        text = "Keskar's sharpness of this older run used ten iterations per search, which find less for some nets."
        return [Finding("not-converged", text)]
    known = np.isfinite(result.keskar)
    spreads = result.keskar_spread[np.isfinite(result.keskar_spread)]
    all_findings = []
    if len(spreads):
        text = f"Searches for one maximum from different starts differ by {format_median_range(100 * spreads)} %"
        all_findings.append(
            Finding("sharpness-searches", f"{text}; the largest is reported, a lower bound of the true maximum.")
        )
    capped = int((known & (result.keskar_settled < 1)).sum())
    what = f"of {int(known.sum())} searches for Keskar's maximum"
    return all_findings + findings.not_converged(capped, what, "they ended at their limit while still increasing")


def _saturated(result: Result) -> list[Finding]:
    dead = int((result.sensitivity == 0).sum())
    text = f"In {dead} trainings, the gradients vanish on every test image: those nets are saturated."
    return [Finding("saturated", text)] if dead else []


def _eigenvalues(result: Result) -> list[Finding]:
    loose = int((result.eigenvalue_residual > TOLERANCE * np.abs(result.eigenvalue)).sum())
    return findings.not_converged(loose, "of the largest eigenvalues", "they are lower bounds")


def _what_is_equal(settings: SweepSettings, result: Result) -> list[Finding]:
    """State what differs between the trainings beside the variable: updates or examples, and how far they came."""
    small, large = ends(settings)
    a, b = settings.points[small], settings.points[large]
    if not settings.of_batch_size:
        text = f"All trainings take {settings.updates(a)} updates, and do not come equally far"
        medians = [float(np.median(row[np.isfinite(row)])) for row in result.train_loss if np.isfinite(row).any()]
        if not medians or max(medians) < 2 * min(medians):
            return []
        text += f": median training loss {format_number(min(medians))} to {format_number(max(medians))}. A difference "
        text += "in flatness between them may be one in training."
    elif settings.equal == "epochs":
        text = (
            f"Equal epochs: batch {a} took {settings.updates(a)} updates, batch {b} {settings.updates(b)}, so large "
            "batches are trained less. `equal` updates fixes the steps; then large batches see more examples: compare "
            "both."
        )
    else:
        text = f"Equal updates, {settings.updates(a)} each: large batches see more examples."
    return [Finding("equal-epochs-or-updates", text)]


def _correlations_with_gap(settings: SweepSettings, result: Result, gap: Array) -> tuple[list[Finding], dict[str, Any]]:
    """Correlate every measure with the generalization gap: findings if the gap is resolved, and numbers."""
    resolved, all_findings = findings.generalization_gap(gap, result.gap_error)
    boxes = {f"Keskar's sharpness (ε = {e:g})": result.keskar[..., k] for k, e in enumerate(settings.epsilon)}
    measures = {"sensitivity": result.sensitivity, "Jacobian norm": result.jacobian, **boxes}
    measures["largest eigenvalue"] = result.eigenvalue
    numbers = {}
    for name, values in measures.items():
        interval = spearman(values.ravel(), gap.ravel(), seed=settings.seed)
        n = int((np.isfinite(values) & np.isfinite(gap)).sum())
        numbers[f"spearman of {name} and gap"] = dict(zip(("rho", "low", "high"), interval, strict=True)) | {"n": n}
        if resolved:
            all_findings += findings.rank_correlation(name, "generalization gap", interval, n, "trainings")
    return all_findings, numbers
