"""A lecturer's notebook of five famous mistakes: each is diagnosed right, and its corrected twin raises no alarm.

Small programs, trained for a second each on made-up data, under `dlhw.Watch` as a reader would use it.
Would miss: mistakes that are less blatant than those of a lecture.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

import dlhw

pytestmark = pytest.mark.slow

CLASSES, FEATURES = 4, 16


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four clouds of points around centres at a distance of about 4 standard deviations."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(0, 0.7, (CLASSES, FEATURES))
    y = rng.integers(0, CLASSES, 1280)
    return (centres[y] + rng.normal(0, 0.7, (len(y), FEATURES))).astype("float32"), y


def watched(layers, optimizer, loss="sparse_categorical_crossentropy", *, shuffle_labels=False, epochs=10):
    """Train on 1024 examples, with 256 others as the probe."""
    keras.utils.set_random_seed(0)
    x, y = data()
    if shuffle_labels:
        y = np.random.default_rng(2).permutation(y)
    model = keras.Sequential([keras.Input((FEATURES,)), *layers])
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    watch = dlhw.Watch(probe=(x[1024:], y[1024:]), measures=("loss", "units", "sharpness"))
    model.fit(x[:1024], y[:1024], epochs=epochs, batch_size=32, verbose=0, callbacks=[watch])
    return watch, model


def dense(units, activation="relu", name=None, **options):
    return keras.layers.Dense(units, activation, name=name, **options)


def small(last="softmax", **options):
    return [dense(32, name="hidden", **options), dense(CLASSES, last, "output")]


def deep(activation, initializer):
    hidden = [dense(16, activation, f"hidden_{k}", kernel_initializer=initializer) for k in range(8)]
    return [*hidden, dense(CLASSES, "softmax", "output")]


@functools.cache
def corrected():
    """The same program for three of the mistakes."""
    return watched(small(), keras.optimizers.SGD(0.1))


def from_logits():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


MISTAKES = {
    "logits where probabilities are expected": (
        lambda: watched(small(None), keras.optimizers.SGD(0.1)),
        lambda: watched(small(None), keras.optimizers.SGD(0.1), from_logits()),
        ("output-and-loss", "output"),
    ),
    "all weights start at zero": (
        lambda: watched(small(kernel_initializer="zeros"), keras.optimizers.SGD(0.1)),
        corrected,
        ("constant-weights", "hidden"),
    ),
    "the learning rate is too high": (
        lambda: watched(small(), keras.optimizers.SGD(30.0)),
        corrected,
        ("rate-above-edge", "optimizer"),
    ),
    "eight hidden layers of sigmoids": (
        lambda: watched(deep("sigmoid", "glorot_uniform"), keras.optimizers.SGD(0.1)),
        lambda: watched(deep("relu", "he_normal"), keras.optimizers.SGD(0.02)),
        ("gradient-vanishes", "hidden_0"),
    ),
    "labels were shuffled without their inputs": (
        lambda: watched(small(), keras.optimizers.SGD(0.01), shuffle_labels=True),
        corrected,
        ("nothing-learned", "data"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_diagnosed(name):
    wrong, _, (code, where) = MISTAKES[name]
    watch, _ = wrong()
    first = watch.findings[0]
    assert first.code == code, [str(finding) for finding in watch.findings]
    assert first.severity in ("severe", "warning")
    assert first.layer.rpartition("/")[-1] == where or first.place == where


@pytest.mark.parametrize("name", MISTAKES)
def test_its_corrected_twin_raises_no_alarm_and_learns(name):
    _, right, _ = MISTAKES[name]
    watch, model = right()
    assert [str(finding) for finding in watch.findings if finding.severity != "note"] == []
    x, y = data(seed=3)
    assert model.evaluate(x, y, verbose=0)[1] > 0.8
