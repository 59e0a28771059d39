"""Sensitivity against batch size: of single examples, and from gradients of batch means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.checking.corpus import Case, Family
from benchmarks.checking.images import CURVES, Array, Lab, Setting


@dataclass(frozen=True)
class Sweep:
    setting: Setting
    batches: tuple[int, ...]
    updates: int = 0  # as many for every batch size; 0: equal epochs
    on: str = "train"

    @property
    def name(self) -> str:
        equal = "updates" if self.updates else "epochs"
        return f"{self.setting.name}-{'-'.join(map(str, self.batches))}-{equal}"


SWEEPS = (
    Sweep(Setting("digits", "8c3-p2-30", rate=0.01), (16, 64, 256, 1000)),
    Sweep(Setting("digits", "50", rate=0.02, epochs=20), (16, 32, 64, 128, 256, 512, 1024)),
    Sweep(Setting("digits", "60-30", "adam", 0.001), (16, 64, 128, 512, 1024), on="test"),
    Sweep(Setting("digits", "30-30", rate=0.05, momentum=0.0), (16, 64, 256, 1024), updates=600),
    Sweep(Setting("digits", "20", "rmsprop", 0.001, activation="tanh"), (32, 100, 300, 900)),
    Sweep(Setting("blobs", "50", rate=0.02), (16, 64, 256, 1024), on="test"),
    Sweep(Setting("blobs", "40-20", "adam", 0.002), (10, 50, 100, 500, 1000), updates=800),
    Sweep(Setting("mnist-5k", "50", rate=0.02, epochs=8, examples=2000), (16, 64, 256, 1024)),
    Sweep(Setting("mnist-5k", "60-20", "adam", 0.001, epochs=6, examples=3000), (32, 128, 512, 2048)),
    Sweep(Setting("fashion-mnist", "50", "adam", 0.001, epochs=6, examples=3000), (32, 64, 128, 256, 512, 1024)),
    Sweep(Setting("mnist", "40-40", rate=0.01, epochs=6, examples=4000), (32, 100, 500, 2000), on="test"),
    Sweep(Setting("digits", "100", rate=0.1, epochs=30, examples=1000), (8, 32, 128, 512), updates=1200),
)


def twice(each: Array, size: int) -> float:
    """Return what is left when gradients of batch means are averaged in their batch, summed, and divided by n."""
    batches = [each[k : k + size] for k in range(0, len(each), size)]
    return float(sum((batch / len(batch)).mean() for batch in batches) / len(each))


def sensitivities(sweep: Sweep) -> Iterator[Case]:
    from dlhw import measure, training
    from dlhw._tf.compiled import sharing

    lab, setting, seed = Lab(sweep.setting), sweep.setting, 20 * SWEEPS.index(sweep)
    d, facts = lab.data, {} if sweep.setting.data == "blobs" else {"data": sweep.setting.data.removesuffix("-5k")}
    x, y = (d.x, d.y) if sweep.on == "train" else (d.x_test, d.y_test)
    rows = [b for b in sweep.batches if b <= len(y)]
    values, wrong, more = (np.zeros((4, len(rows))) for _ in range(3))
    ends = np.zeros((4, len(rows), 4))
    with sharing({}):
        for k, size in enumerate(rows):
            epochs = setting.epochs if not sweep.updates else max(1, round(sweep.updates * size / len(d.y)))
            for s in range(4):
                run = lab.train(seed + s, batch=size, epochs=epochs)
                if run.diverged_at is not None:
                    values[s] = np.nan
                norms = measure.sensitivity(lab.model, training.cross_entropy, x, y)
                means = measure.batch_mean_sensitivity(lab.model, training.cross_entropy, x, y, batch_size=size)
                values[s, k], wrong[s, k], more[s, k] = norms.mean, means.mean, twice(norms.each, size)
                ends[s, k] = [getattr(run, name)[-1] for name in CURVES]

    batch = np.array(rows)
    for s in range(4):
        losses = dict(zip(CURVES, ends[s].T, strict=True)) if s % 2 == 0 else {}
        shown = facts if s < 2 else {}
        yield Case(
            "sensitivity", {"batch": batch, "value": values[s], **losses}, shown, seed=seed + s, variant=sweep.on
        )
        for mistake, column in (("batch-mean-gradient", wrong[s]), ("batch-mean-gradient-twice", more[s])):
            columns = {"batch": batch, "value": column, **losses}
            yield Case("sensitivity", columns, shown, mistake=mistake, seed=seed + s, variant=sweep.on)
    average = {"batch": batch, "value": values.mean(0)}
    yield Case("sensitivity", average, facts, seed=seed, variant="mean of four seeds")


FAMILIES = tuple(Family(f"sweeps/{s.name}", partial(sensitivities, s)) for s in SWEEPS)
