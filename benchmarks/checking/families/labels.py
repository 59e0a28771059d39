"""Training on random labels: shuffled once, anew in every epoch, in part; accuracy on labels that were not learned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family
from benchmarks.checking.images import CURVES, Array, Lab, Setting, columns, evaluate

SETTINGS = (
    Setting("digits", "200-100", "adam", 0.001, epochs=25, batch=64),
    Setting("digits", "100", rate=0.1, epochs=25, examples=500),
    Setting("digits", "8c3-p2-60", "adam", 0.002, epochs=25, examples=600),
    Setting("digits", "20", rate=0.02, epochs=20),
    Setting("digits", "300", "adam", 0.0003, epochs=25),
    Setting("blobs", "100-50", "adam", 0.001, epochs=25, batch=64),
    Setting("mnist-5k", "100-50", "adam", 0.001, epochs=20, examples=1000),
    Setting("mnist-5k", "50", rate=0.05, epochs=20, examples=2000),
    Setting("mnist", "200", "adam", 0.001, epochs=20, examples=3000, batch=64),
    Setting("fashion-mnist", "100", "adam", 0.001, epochs=25, examples=1500, batch=64),
    Setting("mnist", "20", "adam", 0.0001, epochs=8, examples=4000, batch=128),
    Setting("fashion-mnist", "6c5-p2-40", "adam", 0.001, epochs=15, examples=1500, batch=64),
)
ANEW_RATE = 0.1
"""Of plain SGD, which has no state, so that an epoch is a training of its own."""
ANEW_EPOCHS = 15


def random_labels(setting: Setting) -> Iterator[Case]:
    from dlhw.datasets import shuffle_labels

    lab = Lab(setting)
    d, facts, seed = lab.data, lab.data.sizes, 20 * SETTINGS.index(setting)
    for s in range(2):
        shuffled = shuffle_labels(d.y, 1.0, seed + s)
        curves = lab.train(seed + s, labels=shuffled)
        given = facts if s else ({} if setting.data == "mnist" and not setting.examples else facts)
        names = CURVES if s < 2 else CURVES[2:]
        yield Case("random-labels", columns(curves, s % 2, names), given, seed=seed + s, variant="shuffled once")
        for noise in (0.5, 0.8)[: 2 if s else 1]:
            part = lab.train(seed + s, labels=shuffle_labels(d.y, noise, seed + s))
            variant = f"{100 * noise:.0f} % shuffled"
            yield Case("random-labels", columns(part), facts, mistake="labels-leaked", seed=seed + s, variant=variant)
        if s == 0:  # the shuffled copy was never passed on
            true = lab.train(seed + s)
            yield Case(
                "random-labels",
                columns(true),
                facts,
                mistake="labels-leaked",
                seed=seed + s,
                variant="labels not shuffled",
            )
        yield Case(
            "random-labels",
            anew(lab, seed + s),
            facts,
            mistake="labels-drawn-anew",
            seed=seed + s,
            variant="every epoch",
        )
        for variant, wrong in under_chance(lab, seed + s, shuffled).items():
            yield Case(
                "random-labels", wrong, facts, mistake="train-accuracy-under-chance", seed=seed + s, variant=variant
            )


def anew(lab: Lab, seed: int) -> dict[str, Array]:
    """Train on labels that are shuffled before every epoch; training loss and accuracy are those of the latest."""
    from dlhw.datasets import shuffle_labels

    weights, rows = lab.start(seed), []
    for epoch in range(min(lab.setting.epochs, ANEW_EPOCHS)):
        labels = shuffle_labels(lab.data.y, 1.0, 1000 * (seed + 1) + epoch)
        changes: dict[str, Any] = {"optimizer": "sgd", "rate": ANEW_RATE, "momentum": 0.0, "epochs": 1}
        curves = lab.train(1000 * (seed + 1) + epoch, weights=weights, labels=labels, **changes)
        rows.append([getattr(curves, name)[1] for name in CURVES])
        weights = lab.weights()
    values = dict(zip(CURVES, np.array(rows).T, strict=True))
    return {"epoch": np.arange(1, len(rows) + 1), **values}


def under_chance(lab: Lab, seed: int, shuffled: Array) -> dict[str, dict[str, Array]]:
    """Training accuracy against labels numbered from 1, and against labels that were not those of the training."""
    d, off, other = lab.data, [], []
    wrong = (d.y + 1 + np.random.default_rng(seed).integers(0, d.classes - 1, len(d.y))) % d.classes  # never the true

    def numbered_from_one(epoch: int, model: object) -> None:
        off.append(evaluate(lab.logits(None, d.x), (shuffled + 1) % d.classes)[1])

    def never_the_true(epoch: int, model: object) -> None:
        other.append(evaluate(lab.logits(None, d.x), wrong)[1])

    learned = lab.train(seed, labels=shuffled, hook=numbered_from_one)
    first = columns(learned, 0) | {"train_accuracy": np.array(off)}
    true = lab.train(seed, hook=never_the_true)
    second = columns(true, 0, ("train_loss", "test_loss")) | {"train_accuracy": np.array(other)}
    tables = {"labels numbered from one": first, "trained on other labels": second}
    sure = 1 / d.classes - 4 * np.sqrt(0.1 / len(d.y))  # a net that has learned nothing is at chance whatever one does
    return {name: table for name, table in tables.items() if table["train_accuracy"].min() < sure}


FAMILIES = tuple(Family(f"labels/{s.name}", partial(random_labels, s)) for s in SETTINGS)
