"""All rules, and which finding explains which: consequences are not reported beside their cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dlhw.errors import warn
from dlhw.watch.diagnosis import SEVERITIES, Diagnosis
from dlhw.watch.findings import (
    batches,
    curves,
    finite,
    gradients,
    learning,
    outputs,
    ranges,
    rates,
    ratios,
    scales,
    starts,
)
from dlhw.watch.findings import units as activations
from dlhw.watch.spec import Result, Settings

Judgement = Callable[[Settings, Result], list[Diagnosis]]

RULES: tuple[Judgement, ...] = (
    outputs.output_and_loss,
    ranges.targets_out_of_reach,
    ranges.broadcast_targets,
    starts.constant_weights,
    scales.inputs_unscaled,
    scales.targets_unscaled,
    scales.probe_differs,
    starts.dropout_extreme,
    rates.rate_above_edge,
    finite.loss_not_finite,
    activations.dead_units,
    activations.saturated_units,
    gradients.gradient_vanishes,
    gradients.gradient_explodes,
    gradients.no_gradient,
    ratios.update_ratio_high,
    ratios.update_ratio_low,
    rates.rate_below_edge,
    learning.nothing_learned,
    curves.overfitting,
    batches.noise_scale,
    curves.running_mean,
)
"""In the order in which findings of one severity are shown: causes before what follows from them."""

SYMPTOMS = (
    *("nothing-learned", "gradient-vanishes", "gradient-explodes", "no-gradient", "update-ratio-low"),
    *("update-ratio-high", "rate-below-edge", "dead-units", "saturated-units"),
)
EXPLAINS: dict[str, tuple[str, ...]] = {
    "output-and-loss": SYMPTOMS,
    "broadcast-targets": SYMPTOMS,
    "constant-weights": SYMPTOMS,
    "loss-not-finite": (*SYMPTOMS, "targets-unscaled", "noise-scale"),
    "rate-above-edge": ("update-ratio-high", "gradient-explodes", "nothing-learned", "dead-units", "saturated-units"),
    "inputs-unscaled": ("saturated-units", "gradient-explodes", "nothing-learned", "dead-units"),
    "targets-unscaled": ("gradient-explodes", "nothing-learned"),
    "probe-differs": ("overfitting", "nothing-learned"),
    "dropout-extreme": ("nothing-learned",),
    "dead-units": ("no-gradient", "gradient-vanishes", "nothing-learned", "update-ratio-low", "rate-below-edge"),
    "saturated-units": ("gradient-vanishes", "nothing-learned"),
    "gradient-vanishes": ("nothing-learned", "update-ratio-low", "rate-below-edge"),
    "gradient-explodes": ("update-ratio-high", "nothing-learned"),
    "no-gradient": ("nothing-learned", "gradient-vanishes", "update-ratio-low", "rate-below-edge"),
    "update-ratio-low": ("nothing-learned", "rate-below-edge"),
    "rate-below-edge": ("nothing-learned",),
    "update-ratio-high": ("nothing-learned",),
}
"""Findings that follow from another. A note explains notes only."""


def diagnose(settings: Settings, result: Result) -> tuple[Diagnosis, ...]:
    """Return what the numbers of a training say, most severe first; nothing where nothing is wrong.

    Args:
        settings: of the watched training.
        result: what was recorded; that of a training which still runs is judged by what there is.

    Returns:
        The findings, one of a code, without those that follow from another one.

    Example:
        >>> import keras, numpy as np, dlhw
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(1e30), "mse")
        >>> watch = dlhw.Watch()
        >>> _ = model.fit(x, 3 * x, epochs=2, batch_size=16, verbose=0, callbacks=[watch])  # doctest: +ELLIPSIS
        after epoch 1: severe loss-not-finite ...
        >>> diagnose(Settings(), watch.result)[0].code
        'loss-not-finite'
    """
    everything = [finding for judge in RULES for finding in _judged(judge, settings, result)]
    causes = [finding for finding in everything if not any(_explains(cause, finding) for cause in everything)]
    raised = [_raised(finding, everything) for finding in causes]
    ordered = sorted(raised, key=lambda finding: SEVERITIES.index(finding.severity))
    return tuple({finding.code: finding for finding in reversed(ordered)}.values())[::-1]


def _judged(judge: Judgement, settings: Settings, result: Result) -> list[Diagnosis]:
    """Return the findings of one rule; one that fails must not make a stored training unreadable."""
    try:
        return judge(settings, result)
    except Exception as error:
        warn(f"the rule {judge.__name__} could not judge this training ({type(error).__name__}: {error})")
        return []


def _explains(cause: Diagnosis, finding: Diagnosis) -> bool:
    """Whether a finding follows from another one, which is no note unless both are."""
    strong = cause.severity != "note" or finding.severity == "note"
    return strong and finding.code in EXPLAINS.get(cause.code, ())


def _raised(cause: Diagnosis, everything: list[Diagnosis]) -> Diagnosis:
    """Return a cause as severe as the worst that follows from it: a training cannot work if nothing is learned."""
    worst = min((f.severity for f in everything if _explains(cause, f)), key=SEVERITIES.index, default=cause.severity)
    return replace(cause, severity=min(cause.severity, worst, key=SEVERITIES.index))
