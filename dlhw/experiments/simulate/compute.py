"""Train every net from every seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.simulate.spec import DEAD, Result, Settings
from dlhw.present import stopping
from dlhw.runs import function_training, tuning
from dlhw.runs.context import Context
from dlhw.runs.function_training import FunctionRecord

Array = NDArray[np.floating]


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed, with `tune` at the rate that suits it; losses and final predictions."""
    until_converged = settings.until == "converged"
    if not settings.tune:
        records = function_training.train(settings, settings.models, context, until_converged=until_converged)
        return _result(settings, records)
    scores = tune(settings, context)
    rates = tuning.chosen_rates(settings.models, scores, settings.rates)
    # Nets whose best rate is the untuned one are trained once.
    again = [k for k, rate in enumerate(rates) if rate != settings.learning_rate]
    nets = [*settings.models, *(settings.models[k] for k in again)]
    at = [*rates.tolist(), *(settings.learning_rate for _ in again)]
    records = function_training.train(settings, nets, context, until_converged=until_converged, rates=at)
    tuned, untuned = records[: len(rates)], list(records[: len(rates)])
    for k, record in zip(again, records[len(rates) :], strict=True):
        untuned[k] = record
    losses = np.stack([late_loss(record) for record in untuned])
    return replace(_result(settings, tuned), tuned_rate=rates, tuning_loss=scores, untuned_loss=losses)


def tune(settings: Settings, context: Context) -> Array:
    """Train every net at every rate of the grid on seeds that are not reported; late losses, (N, G, K)."""
    rates, seeds = settings.rates, settings.tuning_seeds
    records = function_training.train(
        settings,
        [net for net in settings.models for _ in rates],
        replace(context, animate=False, tensorboard=None, live_page=None),  # which show what is reported
        until_converged=settings.until == "converged",
        seeds=seeds,
        rates=[*rates] * len(settings.models),
    )
    losses = np.stack([late_loss(record) for record in records])
    return losses.reshape(len(settings.models), len(rates), len(seeds))


def late_loss(record: FunctionRecord) -> Array:
    """Return the median of the last 5 % of the losses of every training, (S,); nan where it diverged."""
    late = stopping.late_medians(record.loss, stopping.last_epochs(record.stopped_at, record.loss))
    return np.where(record.diverged_at < 0, late, np.nan)


def _result(settings: Settings, records: list[FunctionRecord]) -> Result:
    x, y = settings.samples(5)
    stops = [record.stopped_at for record in records if record.stopped_at is not None]
    prediction = np.stack([record.prediction for record in records])
    diverged_at = np.stack([record.diverged_at for record in records])
    with np.errstate(invalid="ignore"):  # of a diverged net: inf - inf
        variance = np.var(prediction[..., ::5].astype(np.float64), axis=-1)
    frames = [record.frames for record in records if record.frames is not None]
    return Result(
        x=x,
        y=y,
        loss=np.stack([record.loss for record in records]),
        prediction=prediction,
        diverged_at=diverged_at,
        dead=(variance < DEAD * np.var(y[::5])) & (diverged_at < 0),
        seconds=tuple(record.seconds for record in records),
        compile_seconds=tuple(record.compile_seconds for record in records),
        frames=np.stack(frames) if frames else None,
        stopped_at=np.stack(stops) if stops else None,
    )
