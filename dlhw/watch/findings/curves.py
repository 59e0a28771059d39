"""What the logs of Keras say by epoch: overfitting, and the running mean that Keras shows as training loss."""

from __future__ import annotations

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.recorded import one_median
from dlhw.watch.spec import Array, Result, Settings

WORSE = 1.2
"""Validation loss at the end over its minimum."""
NOISE = 3.0
"""The rise has to exceed so many times the usual change from one epoch to the next."""
AFTER = 3
"""Epochs after the minimum in which the loss stayed above it."""
APART = 1.25
"""Keras's loss of an epoch over the loss at its end: the weights improved while the mean was taken."""
END = 0.1
"""The end of an epoch is its last tenth of batches."""


def overfitting(settings: Settings, result: Result) -> list[Diagnosis]:
    """A validation loss that rises from some epoch on, beyond its noise, while the training loss goes on to fall."""
    training, validation = (_log(result, name) for name in ("loss", "val_loss"))
    if not (np.isfinite(validation).all() and np.isfinite(training).all()) or len(validation) <= AFTER:
        return []
    best = int(np.argmin(validation))
    rest = validation[best + 1 :]
    if len(rest) < AFTER or validation[best] <= 0 or training[-1] >= training[best]:
        return []
    late = float(np.median(validation[-AFTER:]))
    noise = float(np.median(np.abs(np.diff(validation, 2)))) / np.sqrt(6) if len(validation) > AFTER else 0.0
    if late - validation[best] <= NOISE * noise or late <= (1 + (WORSE - 1) / 4) * validation[best]:
        return []
    text = (
        f"Overfitting from epoch {best + 1}: the validation loss rises from {format_number(float(validation[best]))} "
        f"to {format_number(late)}, while the training loss falls from {format_number(float(training[best]))} to "
        f"{format_number(float(training[-1]))}."
    )
    return [
        Diagnosis(
            "overfitting",
            text,
            severity="warning" if late > WORSE * validation[best] else "note",
            step=int(result.epoch_step[best]) if best < len(result.epoch_step) else -1,
            evidence={
                "epoch": float(best + 1),
                "lowest": float(validation[best]),
                "late": late,
                "noise": noise,
            },
            remedy="Stop at the minimum (EarlyStopping with restore_best_weights), or use more data or regularization.",
            source=sources.PRECHELT,
        )
    ]


def running_mean(settings: Settings, result: Result) -> list[Diagnosis]:
    """An epoch whose loss in Keras's logs, the mean over its batches, is far above the loss that was reached."""
    shown = _log(result, "loss")
    if len(result.optimizers) > 1 or not len(shown):
        return []
    begin = 0
    for epoch, (stop, mean) in enumerate(zip(result.epoch_step, shown, strict=True)):
        inside = (result.step >= begin) & (result.step < stop)
        losses = result.loss[inside]
        begin = int(stop)
        if len(losses) < 1 / END:
            continue
        reached = one_median(losses[-max(3, round(END * len(losses))) :])
        if reached > 0 and mean > APART * reached:
            return [_running(epoch, float(mean), reached, int(stop))]
    return []


def _running(epoch: int, mean: float, reached: float, step: int) -> Diagnosis:
    text = (
        f"Keras shows the loss {format_number(mean)} for epoch {epoch + 1}, the mean over the epoch; its last batches "
        f"had {format_number(reached)}, so the curve lags behind, and a lower validation loss means nothing there."
    )
    return Diagnosis(
        "running-mean",
        text,
        severity="note",
        step=step,
        evidence={"epoch": float(epoch + 1), "mean": mean, "reached": reached},
        remedy="Compare the validation loss with the loss of the batches at the end of the epoch, or with `evaluate`.",
        source=sources.KERAS_FAQ,
    )


def _log(result: Result, name: str) -> Array:
    """Return a column of the history; empty where there is none."""
    if name not in result.history_names:
        return np.empty(0)
    return np.asarray(result.history[:, result.history_names.index(name)], float)
