"""Curves of classifiers on true labels, and what goes wrong with the numbers of a loss."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.checking.corpus import Case, Family
from benchmarks.checking.images import CURVES, Lab, Setting, columns, evaluate

SETTINGS = (
    Setting("digits", "30", rate=0.02),
    Setting("digits", "8c3-p2-30", "adam", 0.002, batch=64),
    Setting("digits", "100-20", rate=0.05, examples=500, epochs=25),
    Setting("digits", "20-20-20", "rmsprop", 0.001, batch=16, activation="tanh"),
    Setting("blobs", "50", "adam", 0.003, batch=64),
    Setting("blobs", "30-30", rate=0.05, batch=100),
    Setting("mnist-5k", "60-20", rate=0.02, epochs=8, batch=64),
    Setting("mnist-5k", "4c5-p2-30", "adam", 0.001, epochs=6, examples=2000),
    Setting("mnist", "100", "adam", 0.001, epochs=5, examples=10000, batch=128),
    Setting("fashion-mnist", "50", rate=0.01, epochs=8, examples=3000),
    Setting("fashion-mnist", "6c5-p2-40", "adam", 0.002, epochs=6, examples=2000, batch=64),
    Setting("mnist", "40-40", "adam", 0.0005, epochs=10, examples=4000),
)


def trained(setting: Setting) -> Iterator[Case]:
    lab = Lab(setting)
    facts = {"kind": "cross-entropy", "classes": lab.data.classes}
    seed = 20 * SETTINGS.index(setting)
    batches = -(-len(lab.data.y) // setting.batch)
    for s in range(3):
        seeds = seed + s
        logged: list[list[float]] = []

        def with_log10(epoch: int, model: Any, rows: list[list[float]] = logged) -> None:
            d = lab.data
            parts = (evaluate(lab.logits(None, x), y, np.log10)[0] for x, y in ((d.x, d.y), (d.x_test, d.y_test)))
            rows.append([*parts])

        curves = lab.train(seeds, record=True, hook=with_log10)
        if curves.diverged_at is not None:
            continue
        right = columns(curves, first=s % 2)
        yield Case("loss-curve", right, facts if s else {}, seed=seeds, variant="four curves")
        if s == 0:
            yield Case("loss-curve", columns(curves, 1, CURVES[:2]), facts, seed=seeds, variant="losses")
        if s == 1:
            losses = {"step": right["epoch"], "value": right["train_loss"]}
            yield Case("loss", losses, facts, seed=seeds, variant="classifier")
        steps = np.asarray(curves.step_loss)[: batches * setting.epochs].reshape(setting.epochs, batches)
        running = columns(curves, 1, CURVES[:2]) | {"train_loss": steps.mean(1)}
        yield Case("loss-curve", running, facts, mistake="running-mean", seed=seeds, variant="mean of step losses")
        ten = np.array(logged)
        in_ten = columns(curves, 0) | {"train_loss": ten[:, 0], "test_loss": ten[:, 1]}
        yield Case("loss-curve", in_ten, facts, mistake="log-base-ten", seed=seeds, variant="curves from epoch 0")
        per_batch = {"step": np.arange(setting.epochs + 1), "value": ten[:, 0]}
        yield Case("loss", per_batch, facts, mistake="log-base-ten", seed=seeds, variant="from epoch 0")
        # reduction="sum" in the loss, averaged over the batches of the loader
        first = evaluate(lab.logits(lab.start(seeds), lab.data.x), lab.data.y)[0] * setting.batch
        summed = np.array([first, *(steps.mean(1) * setting.batch)])
        yield Case(
            "loss",
            {"step": np.arange(len(summed)), "value": summed},
            facts,
            mistake="start-off",
            seed=seeds,
            variant="summed over the batch",
        )
        sums = {name: np.asarray(getattr(curves, name)) * setting.batch for name in CURVES[:2]}
        yield Case(
            "loss-curve",
            columns(curves, 0) | sums,
            facts,
            mistake="start-off",
            seed=seeds,
            variant="summed over the batch",
        )


NEGATIVE = (
    Setting("digits", "30", "adam", 0.003, epochs=10),
    Setting("digits", "60-20", rate=0.1, epochs=10),
    Setting("blobs", "40", "adam", 0.003, epochs=10),
    Setting("mnist-5k", "50", "adam", 0.001, epochs=6, examples=1500),
)


def negative(setting: Setting) -> Iterator[Case]:
    """A likelihood that expects log-probabilities and gets probabilities; a binary loss on labels 0 to 9."""
    import keras

    def likelihood(y_true: Any, y_pred: Any) -> Any:
        ones = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[-1])
        return -keras.ops.sum(ones * keras.ops.softmax(y_pred), axis=-1)

    seed = 20 * NEGATIVE.index(setting)
    lab = Lab(setting, likelihood)
    binary = Lab(setting, keras.losses.BinaryCrossentropy(from_logits=True), outputs=1)
    d = binary.data
    labels, tests = (y.astype("float32")[:, None] for y in (d.y, d.y_test))
    for s in range(3):
        runs = {
            "probabilities for log-probabilities": lab.train(seed + s),
            "binary cross entropy of labels 0 to 9": binary.train(seed + s, labels=labels, tests=tests),
        }
        for variant, curves in runs.items():
            losses = columns(curves, 1, CURVES[:2])
            yield Case("loss-curve", losses, {}, mistake="negative-loss", seed=seed + s, variant=variant)
            one = {"step": losses["epoch"], "value": losses["train_loss"]}
            facts = {"kind": "cross-entropy"}
            yield Case("loss", one, facts, mistake="negative-loss", seed=seed + s, variant=variant)


FIT = (
    Setting("digits", "40", "adam", 0.001, epochs=10),
    Setting("digits", "6c3-p2-20", rate=0.02, epochs=8),
    Setting("blobs", "30", rate=0.02, epochs=8),
    Setting("mnist-5k", "50-20", "adam", 0.001, epochs=5, examples=2000),
)


def keras_fit(setting: Setting) -> Iterator[Case]:
    """What the History of Keras holds, and the same training evaluated after every epoch."""
    import keras

    seed = 20 * FIT.index(setting)
    lab = Lab(setting)
    d, facts = lab.data, {"kind": "cross-entropy", "classes": lab.data.classes}
    rates = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
    options = {"momentum": setting.momentum} if setting.optimizer == "sgd" else {}
    for s in range(3):
        keras.utils.set_random_seed(seed + s)
        lab.model.set_weights(lab.start(seed + s))
        after: list[tuple[float, float]] = []
        take = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_, rows=after: rows.append(evaluate(lab.logits(None, d.x), d.y))
        )
        lab.model.compile(
            rates[setting.optimizer](setting.rate, **options),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,
        )
        history = lab.model.fit(
            d.x,
            d.y,
            batch_size=setting.batch,
            epochs=setting.epochs,
            validation_data=(d.x_test, d.y_test),
            verbose=0,
            callbacks=[take],
        ).history
        shown = {
            "epoch": np.arange(1, setting.epochs + 1),
            "train_loss": history["loss"],
            "test_loss": history["val_loss"],
            "train_accuracy": history["accuracy"],
            "test_accuracy": history["val_accuracy"],
        }
        yield Case("loss-curve", shown, facts, mistake="running-mean", seed=seed + s, variant="History of Keras")
        loss, accuracy = np.array(after).T
        right = shown | {"train_loss": loss, "train_accuracy": accuracy}
        yield Case("loss-curve", right, facts, seed=seed + s, variant="evaluated after every epoch")


FAMILIES = (
    *(Family(f"curves/{s.name}", partial(trained, s)) for s in SETTINGS),
    *(Family(f"negative/{s.name}", partial(negative, s)) for s in NEGATIVE),
    *(Family(f"fit/{s.name}", partial(keras_fit, s)) for s in FIT),
)
