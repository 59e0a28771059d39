"""What the logs of Keras say by epoch: overfitting, and the running mean that Keras shows as training loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlhw.present.numbers import format_number
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.findings import sources
from dlhw.watch.findings.recorded import one_median
from dlhw.watch.spec import Array, Integers, Result, Settings

VALIDATION = "validation"
WORSE = 1.2
"""Loss on held-out examples at the end over its minimum."""
SLIGHTLY = 1.05
"""A rise that is only a note."""
NOISE = 3.0
"""The rise has to exceed so many times the usual change from one epoch to the next."""
AFTER = 3
"""Epochs after the minimum in which the loss stayed above it; of probes, which are ever further apart, one less."""
GAP = 0.1
"""Training accuracy above the held-out one."""
LOST = 0.01
"""Accuracy that was lost since its best epoch, and at least so many standard errors:"""
RESOLVED = 2.0
FEW = 100
"""Held-out examples that are assumed where their number is not known."""
APART = 1.25
"""Keras's loss of an epoch over the loss at its end: the weights improved while the mean was taken."""
SEVERAL = 1 / 3
"""Share of the epochs in which it misleads; in the first one it does so in nearly every training."""
END = 0.1
"""The end of an epoch is its last tenth of batches."""


@dataclass(frozen=True)
class Curves:
    """Training loss and loss on held-out examples at the same moments."""

    epochs: Integers
    steps: Integers
    training: Array
    held_out: Array
    name: str
    accuracy: Array  # on the held-out examples; empty: not known
    gap: float = float("nan")  # of the accuracies at the end, training above held-out


def overfitting(settings: Settings, result: Result) -> list[Diagnosis]:
    """A loss on held-out examples that rises from some epoch on, beyond its noise, while the training loss falls."""
    for curves, after in ((_of_history(result), AFTER), (_of_probe(result), AFTER - 1)):
        if curves is not None:
            return _overfitting(settings, curves, after)
    return []


def _overfitting(settings: Settings, curves: Curves, after: int) -> list[Diagnosis]:
    held_out, training = curves.held_out, curves.training
    if len(held_out) <= after or not (np.isfinite(held_out).all() and np.isfinite(training).all()):
        return []
    best = int(np.argmin(held_out))
    if len(held_out) - 1 - best < after or held_out[best] <= 0 or training[-1] >= training[best]:
        return []
    lowest, late = float(held_out[best]), float(np.median(held_out[-after:]))
    noise = float(np.median(np.abs(np.diff(held_out, 2)))) / np.sqrt(6) if curves.name == VALIDATION else 0.0
    if late - lowest <= NOISE * noise or late <= SLIGHTLY * lowest:
        return []
    epoch = int(curves.epochs[best])
    text = (
        f"Overfitting from epoch {epoch}: the {curves.name} loss rises from {format_number(lowest)} to "
        f"{format_number(late)}, while the training loss falls from {format_number(float(training[best]))} to "
        f"{format_number(float(training[-1]))}."
    )
    return [
        Diagnosis(
            "overfitting",
            text,
            severity="warning" if late > WORSE * lowest and _harms(settings, curves) else "note",
            place="generalization",
            step=int(curves.steps[best]),
            evidence={"epoch": float(epoch), "lowest": lowest, "late": late, "noise": noise},
            remedy="Stop at the minimum (EarlyStopping with restore_best_weights), or use more data or regularization.",
            source=sources.PRECHELT,
        )
    ]


def _harms(settings: Settings, curves: Curves) -> bool:
    """Whether the accuracy falls too, or is far below that of training; otherwise, outputs are only too sure."""
    known = curves.accuracy[np.isfinite(curves.accuracy)]
    if not known.size:
        return True
    best, last = float(known.max()), float(np.median(known[-AFTER:]))
    error = np.sqrt(best * (1 - best) / max(settings.probe, FEW))
    return bool(best - last > max(RESOLVED * error, LOST) or curves.gap > GAP)


def _of_history(result: Result) -> Curves | None:
    """Return the losses that Keras computed after every epoch; None without `validation_data`."""
    training, validation = _log(result, "loss"), _log(result, "val_loss")
    if not len(validation) or not len(training):
        return None
    return Curves(
        np.arange(1, len(validation) + 1), result.epoch_step, training, validation, VALIDATION, *_accuracies(result)
    )


def _of_probe(result: Result) -> Curves | None:
    """Return the losses on the probe, and those of the batches before each of them; None for several optimizers."""
    known = np.isfinite(result.probe_loss) & (result.probe_step > 0)
    if len(result.optimizers) > 1 or not known.any() or not len(result.step):
        return None
    batches = max(1, int(result.probe_step[known][0] * END))
    steps = result.probe_step[known]
    training = [one_median(result.loss[(result.step >= s - batches) & (result.step < s)]) for s in steps]
    accuracy = result.probe_accuracy[known]
    return Curves(result.probe_epoch[known], steps, np.array(training), result.probe_loss[known], "probe's", accuracy)


def _accuracies(result: Result) -> tuple[Array, float]:
    """Return the accuracy on the validation data by epoch, and how far that of training is above it at the end."""
    for name in result.history_names:
        if name.startswith("val_") and (name.endswith("accuracy") or name == "val_acc"):
            accuracy, training = _log(result, name), _log(result, name.removeprefix("val_"))
            return accuracy, float(training[-1] - accuracy[-1]) if len(training) else float("nan")
    return np.empty(0), float("nan")


def running_mean(settings: Settings, result: Result) -> list[Diagnosis]:
    """Epochs whose training loss in Keras's logs is above their validation loss only because it is a mean."""
    shown, validation = _log(result, "loss"), _log(result, "val_loss")
    if len(result.optimizers) > 1 or not len(shown) or not len(validation):
        return []
    begin, misleading = 0, []
    for epoch, (stop, mean) in enumerate(zip(result.epoch_step, shown, strict=True)):
        losses = result.loss[(result.step >= begin) & (result.step < stop)]
        begin = int(stop)
        if len(losses) < 1 / END:
            continue
        reached = one_median(losses[-max(3, round(END * len(losses))) :])
        if reached > 0 and mean > APART * reached and mean > validation[epoch]:
            misleading.append(_running(epoch, float(mean), reached, float(validation[epoch]), int(stop)))
    return misleading[-1:] if len(misleading) >= max(2, SEVERAL * len(shown)) else []


def _running(epoch: int, mean: float, reached: float, validation: float, step: int) -> Diagnosis:
    text = (
        f"The training loss {format_number(mean)} that Keras shows for epoch {epoch + 1} is the mean over the epoch; "
        f"its last batches had {format_number(reached)}, so the lower validation loss {format_number(validation)} "
        "shows nothing."
    )
    return Diagnosis(
        "running-mean",
        text,
        severity="note",
        step=step,
        evidence={"epoch": float(epoch + 1), "mean": mean, "reached": reached, "validation": validation},
        remedy="Compare the validation loss with the loss of the batches at the end of the epoch, or with `evaluate`.",
        source=sources.KERAS_FAQ,
    )


def _log(result: Result, name: str) -> Array:
    """Return a column of the history; empty where there is none."""
    if name not in result.history_names:
        return np.empty(0)
    return np.asarray(result.history[:, result.history_names.index(name)], float)
