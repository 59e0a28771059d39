"""Train the net from every seed; loss and gradient norms of every iteration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.gradient_norm.spec import BLOCK, Result, Settings
from dlhw.present.statistics import spearman
from dlhw.runs import function_training, image_training
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job

Array = NDArray[np.floating]


def run(settings: Settings, context: Context) -> Result:
    """Train the net from every seed and store loss and gradient norms of every iteration."""
    return _on_function(settings, context) if settings.data == "function" else _on_images(settings, context)


def _on_function(settings: Settings, context: Context) -> Result:
    (record,) = function_training.train(settings, (settings.model,), context, gradient_norm=True)
    if record.gradient_norm is None or record.layer_gradient_norms is None:
        raise TypeError("the training recorded no gradient norms")
    loss = record.loss[:, :-1]
    return Result(
        loss=loss,
        gradient_norm=record.gradient_norm,
        layer_gradient_norms=record.layer_gradient_norms,
        correlation=_correlations(settings, loss, record.gradient_norm, record.diverged_at),
        diverged_at=record.diverged_at,
        seconds=record.seconds,
        compile_seconds=record.compile_seconds,
    )


def _on_images(settings: Settings, context: Context) -> Result:
    images = settings.image_settings()
    jobs = {
        f"seed {s}": make_job(images, settings.image_net, s, updates=settings.epochs, record_updates=True)
        for s in settings.seed_range
    }
    records = list(image_training.train(images, jobs, context).values())
    loss, norm, layers = (
        np.stack([getattr(record, name) for record in records])
        for name in ("step_loss", "gradient_norm", "layer_gradient_norms")
    )
    epochs = np.array([record.diverged_at for record in records])
    diverged_at = np.where(epochs < 0, -1, np.minimum(epochs * settings.steps_per_epoch, settings.epochs))
    return Result(
        loss=loss,
        gradient_norm=norm,
        layer_gradient_norms=layers,
        correlation=_correlations(settings, loss, norm, diverged_at),
        diverged_at=diverged_at,
        seconds=max(record.seconds for record in records),
        compile_seconds=max(record.compile_seconds for record in records),
    )


def _correlations(settings: Settings, loss: Array, norm: Array, diverged_at: NDArray[np.integer]) -> Array:
    """Return Spearman's correlation of norm and loss for every seed, with its interval, (S, 3)."""
    # Ranks do not change under a logarithm, so the raw values are correlated; a diverged training has no number.
    return np.array(
        [
            spearman(n, v, block=BLOCK, seed=settings.seed + s) if diverged_at[s] < 0 else (np.nan,) * 3
            for s, (n, v) in enumerate(zip(norm, loss, strict=True))
        ]
    )
