"""Fit functions of x with nets from many seeds at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlhw.models import architectures
from dlhw.runs.base_settings import FunctionSettings
from dlhw.runs.context import Context

if TYPE_CHECKING:
    import keras

    from dlhw.training import History
    from dlhw.training.stacked_fit import StepCallback
    from dlhw.training.tensorboard import EventWriter

Array = NDArray[np.floating]


@dataclass(frozen=True)
class FunctionRecord:
    """The trainings of one net: S seeds, T epochs, m points of the dense grid."""

    loss: Array  # (S, T + 1) mean squared error of the scaled target
    prediction: Array  # (S, m) after training, on a grid five times denser than the training points
    diverged_at: NDArray[np.integer]  # (S,) epoch, or -1
    seconds: float
    compile_seconds: float
    frames: Array | None = None  # (F, n) predictions of the first seed at the training points, for an animation
    gradient_norm: Array | None = None  # (S, T)
    layer_gradient_norms: Array | None = None  # (S, T, layers)
    stopped_at: NDArray[np.integer] | None = None  # (S,) epoch, or -1, if trainings stop where they have converged


def train(
    settings: FunctionSettings,
    nets: Sequence[str],
    context: Context,
    *,
    gradient_norm: bool = False,
    until_converged: bool = False,
    seeds: Sequence[int] | None = None,
    rates: Sequence[float] | None = None,
) -> list[FunctionRecord]:
    """Train every net from every seed, side by side; one record per net, in the order of `nets`.

    What is trained so far is stored in `context.checkpoints`, so that an interrupted run resumes.

    Args:
        settings: of the trainings.
        nets: names or hidden widths.
        context: of the run; its provenance gets the plan. `animate` records the frames of an animation.
        gradient_norm: record the norms of every step.
        until_converged: stop every training where it has converged; the epochs of the settings are its limit.
        seeds: of the initial weights; default: those of the settings.
        rates: learning rates, one for every entry of `nets`, which may name a net several times; default: that of the
            settings for all.
    """
    keep, seeds = settings.frames() if context.animate else (), seeds or settings.seed_range
    models, histories = fit(
        settings,
        nets,
        context,
        keep=keep,
        gradient_norm=gradient_norm,
        seeds=seeds,
        until_converged=until_converged,
        rates=rates,
    )
    spans = [slice(k * len(seeds), (k + 1) * len(seeds)) for k in range(len(nets))]
    records = [_record(settings, models[span], histories[span]) for span in spans]
    if not until_converged:
        return records
    stops = [np.array([-1 if h.stopped_at is None else h.stopped_at for h in histories[span]]) for span in spans]
    return [replace(record, stopped_at=at) for record, at in zip(records, stops, strict=True)]


def fit(
    settings: FunctionSettings,
    nets: Sequence[str],
    context: Context,
    *,
    keep: Sequence[int] = (),
    gradient_norm: bool = False,
    dtype: str = "float32",
    seeds: Sequence[int] | None = None,
    until_converged: bool = False,
    rates: Sequence[float] | None = None,
    data: tuple[Array, Array] | None = None,
) -> tuple[list[keras.Model], list[History]]:
    """Train every net from every seed; return the models, net by net, and their histories.

    Args:
        settings: of the trainings.
        nets: names or hidden widths.
        context: of the run; its provenance gets the plan.
        keep: steps after which the weights go into the histories.
        gradient_norm: record the norms of every step.
        dtype: precision of the nets.
        seeds: of the initial weights; default: those of the settings.
        until_converged: stop every training where it has converged.
        rates: learning rates, one for every entry of `nets`; default: that of the settings for all.
        data: inputs (n, inputs) and targets (n, outputs) in place of the function.
    """
    import tensorflow as tf

    from dlhw.models import mlp
    from dlhw.training import fit_many

    points = settings.samples()
    x, y = data or (points[0][:, None], points[1][:, None])
    sizes = {"inputs": x.shape[1], "outputs": y.shape[1]}
    shared: dict[str, Any] = {"activation": settings.activation, "init": settings.init, "dtype": dtype, **sizes}
    seeds = seeds or settings.seed_range
    rows = nets if rates is None else [f"{net} rate {rate:g}" for net, rate in zip(nets, rates, strict=True)]
    plan = context.plan(splittable=False)
    context.provenance.plan = plan
    device = plan.devices[0]
    with tf.device(device):
        models = [mlp(architectures.parse(net), seed=seed, **shared) for net in nets for seed in seeds]
        histories = fit_many(
            models,
            x,
            y,
            steps=settings.epochs,
            device=device,
            optimizer=settings.make_optimizer(),
            gradient_norm=gradient_norm,
            workers=context.workers,
            progress=context.progress,
            checkpoints=context.checkpoints,
            keep=keep,
            until_converged=until_converged,
            learning_rates=None if rates is None else [rate for rate in rates for _ in seeds],
            callback=_callback(context, [f"{row} seed {seed}" for row in rows for seed in seeds], models, (x, y)),
        )
    return models, histories


def _callback(
    context: Context, names: Sequence[str], models: Sequence[keras.Model], data: tuple[Array, Array]
) -> StepCallback | None:
    """Return what is called with the numbers of a net while it trains: event files, `live.html`; None for neither."""
    folder, page = context.tensorboard, context.live_page
    if folder is None and page is None:
        return None
    writers: dict[int, EventWriter] = {}
    lock = threading.Lock()

    def report(k: int, step: int, scalars: Mapping[str, float], weights: Mapping[str, np.ndarray]) -> None:
        if folder is not None:
            if k not in writers:
                from dlhw.training.tensorboard import EventWriter

                writers[k] = EventWriter(folder / names[k])
            writers[k].write(step, scalars, weights)
        if page is not None:
            with lock:  # the copy of a net serves one thread at a time
                page.add(names[k], step, scalars["loss"], lambda: _gradient_norm(models[k], weights, data))

    return report


def _gradient_norm(model: keras.Model, weights: Mapping[str, np.ndarray], data: tuple[Array, Array]) -> float:
    """Return the gradient norm at weights of a stack, whose kernels are (out, in); the model is left as it was."""
    from dlhw import measure

    x, y = (part.astype(np.float32) for part in data)
    with measure.restore_weights(model):
        for variable, value in zip(model.trainable_variables, weights.values(), strict=True):
            variable.assign(np.reshape(value.T, variable.shape))
        return float(measure.gradient_norm(model, "mean_squared_error", x, y)[0])


def _record(settings: FunctionSettings, models: Sequence[keras.Model], histories: Sequence[History]) -> FunctionRecord:
    points, _ = settings.samples()
    dense = settings.samples(5)[0][:, None].astype(np.float32)
    path = histories[0].weights
    norms, layer_norms = ([getattr(h, name) for h in histories] for name in ("gradient_norm", "layer_gradient_norms"))
    return FunctionRecord(
        loss=np.stack([h.loss for h in histories]).astype(np.float32),
        prediction=np.stack([np.asarray(model(dense, training=False))[:, 0] for model in models]),
        diverged_at=np.array([-1 if h.diverged_at is None else h.diverged_at for h in histories]),
        seconds=max(h.seconds for h in histories),
        compile_seconds=max(h.compile_seconds for h in histories),
        frames=None if path is None else _predictions_along(models[0], path, points),
        gradient_norm=None if norms[0] is None else np.stack(norms).astype(np.float32),
        layer_gradient_norms=None if layer_norms[0] is None else np.stack(layer_norms).astype(np.float32),
    )


def _predictions_along(model: keras.Model, path: Array, x: Array) -> Array:
    """Return the predictions (F, n) at the weights (F, P)."""
    from dlhw.models import assign, flat

    end, inputs, predictions = flat(model), x[:, None].astype(np.float32), []
    for weights in path:
        assign(model, weights)
        predictions.append(np.asarray(model(inputs, training=False))[:, 0])
    assign(model, end)
    return np.stack(predictions)
