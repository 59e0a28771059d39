"""Train every net from every seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.classify.spec import Result, Settings
from dlhw.present import stopping
from dlhw.runs import image_training, records, tuning
from dlhw.runs.context import Context
from dlhw.runs.jobs import Job, make_job
from dlhw.runs.records import TrainingRecord

Array = NDArray[np.floating]


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed, with `tune` at the rate that suits it."""
    if not settings.tune:
        jobs = {net: _jobs(settings, net) for net in settings.models}
        return _result(settings, image_training.train_rows(settings, jobs, context))
    nets, rates = settings.models, settings.rates
    # Both phases meet the same number of threads, whichever of them an interrupted run has finished.
    among = len(nets) * max(len(rates) * settings.tune_seeds, 2 * settings.seeds)
    scores = tune(settings, context, among)
    chosen = tuning.chosen_rates(nets, scores, rates)
    jobs = {f"{net} tuned": _jobs(settings, net, rate) for net, rate in zip(nets, chosen.tolist(), strict=True)}
    again = [net for net, rate in zip(nets, chosen, strict=True) if rate != settings.learning_rate]
    jobs |= {net: _jobs(settings, net) for net in again}
    rows = dict(zip(jobs, image_training.train_rows(settings, jobs, context, among=among), strict=True))
    tuned = [rows[f"{net} tuned"] for net in nets]
    untuned = [rows.get(net, rows[f"{net} tuned"]) for net in nets]
    losses = np.array([[record.final("test_loss") for record in row] for row in untuned])
    return replace(_result(settings, tuned), tuned_rate=chosen, tuning_loss=scores, untuned_loss=losses)


def tune(settings: Settings, context: Context, among: int) -> Array:
    """Train every net at every rate of the grid on seeds that are not reported; late validation losses, (N, G, K)."""
    rates, seeds = settings.rates, settings.tuning_seeds
    jobs = {
        f"{net} rate {rate:g} validation": _jobs(settings, net, rate, validation=True)
        for net in settings.models
        for rate in rates
    }
    shown = replace(context, tensorboard=None, live_page=None)  # which show what is reported
    rows = image_training.train_rows(settings, jobs, shown, seeds=seeds, among=among)
    losses = np.array([[late_loss(record) for record in row] for row in rows])
    return losses.reshape(len(settings.models), len(rates), len(seeds))


def late_loss(record: TrainingRecord) -> float:
    """Return the median of the last 5 % of the losses on what a training evaluated; nan where it diverged."""
    if record.diverged:
        return float("nan")
    last = stopping.last_epochs(np.array(record.stopped_at), record.test_loss)
    return float(stopping.late_medians(record.test_loss[None], last[None])[0])


def _jobs(settings: Settings, net: str, rate: float | None = None, *, validation: bool = False) -> Callable[[int], Job]:
    """Return the training of a net as a function of its seed; rate: default: that of the settings."""

    def job(seed: int) -> Job:
        job = make_job(settings, net, seed, until_converged=settings.until == "converged")
        return replace(job, learning_rate=rate or settings.learning_rate, validation=validation)

    return job


def _result(settings: Settings, rows: list[list[TrainingRecord]]) -> Result:
    result = records.stack_curves(rows, Result)
    if settings.until == "epochs":
        return result
    return replace(result, stopped_at=np.array([[record.stopped_at for record in row] for row in rows]))
