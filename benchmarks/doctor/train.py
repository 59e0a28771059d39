"""Trains programs once under `dlhw.Watch` and stores what was recorded."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.doctor.program import Program, Training

OUTCOME = "outcome.json"
"""What a program scores on its held-out data, in its folder of the cache."""
RUN = "run"


def fit(training: Training, callbacks: Sequence[Any] = ()) -> dict[str, float]:
    """Train, and return what `evaluate` says of the held-out data; a loss that is not finite is no error."""
    options = dict(training.fit)
    callbacks = [*options.pop("callbacks", []), *callbacks]
    if training.y is not None:
        options["batch_size"] = training.batch_size
    with np.errstate(all="ignore"):
        training.model.fit(training.x, training.y, epochs=training.epochs, callbacks=callbacks, verbose=0, **options)
        scores = training.model.evaluate(*training.probe, verbose=0, return_dict=True)
    return {name: float(value) for name, value in scores.items()}


def built(program: Program) -> Training:
    """Build a program from its seed, with no layer of another program in the way."""
    with suppress(RuntimeError):  # set already
        tf.config.threading.set_intra_op_parallelism_threads(1)  # the nets are small
    keras.utils.clear_session()
    keras.utils.set_random_seed(program.seed)
    return program.build(program.seed)


def train(program: Program, folder: Path) -> dict[str, Any]:
    """Train a program under Watch into folder/run and folder/outcome.json, replacing what is there."""
    import dlhw
    from dlhw.watch import saving

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    training = built(program)
    began = time.perf_counter()
    watch = dlhw.Watch(probe=training.probe)
    scores = fit(training, [watch])
    seconds = round(time.perf_counter() - began, 2)
    saving.save(folder / RUN, watch.settings, watch.result, saving.environment(seconds))
    outcome = {"name": program.name, "seed": program.seed, "scores": scores}
    outcome["healthy"] = program.criterion is not None and program.criterion.holds(scores)
    outcome["seconds"] = seconds
    (folder / OUTCOME).write_text(json.dumps(outcome), encoding="utf-8")
    return outcome


def train_all(programs: Iterable[Program], cache: Path, again: bool, report: Callable[[str], None]) -> None:
    """Train every program whose run is not in the cache, one after the other; one that fails is reported, and left out.

    Args:
        programs: to train.
        cache: folder of their folders.
        again: train even if the run is there.
        report: called with a line a program.
    """
    for program in programs:
        folder = cache / program.name
        if (folder / OUTCOME).exists() and not again:
            continue
        try:
            outcome = train(program, folder)
        except Exception as error:
            report(f"{program.name}: FAILED, {type(error).__name__}: {str(error)[:200]}")
            continue
        scores = ", ".join(f"{name} {value:.4g}" for name, value in outcome["scores"].items())
        unhealthy = program.criterion is not None and not outcome["healthy"]
        report(f"{program.name}: {scores} ({outcome['seconds']} s){' NOT HEALTHY' if unhealthy else ''}")
