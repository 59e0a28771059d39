"""Train every net from every seed."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.simulate.spec import DEAD, Result, Settings
from dlhw.runs import function_training
from dlhw.runs.context import Context


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed; losses and final predictions."""
    until_converged = settings.until == "converged"
    records = function_training.train(settings, settings.models, context, until_converged=until_converged)
    stops = [record.stopped_at for record in records if record.stopped_at is not None]
    x, y = settings.samples(5)
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
