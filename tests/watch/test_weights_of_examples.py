"""Weights of examples are noticed, and a training by class weights raises no alarm.

Its loss is another one than that of the probe, and its outputs are no shares of classes: compared with the entropy of
the classes it would seem to have learned nothing.
"""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

import dlhw
from dlhw.watch.findings import diagnose


@pytest.mark.parametrize("weights", [None, {0: 0.53, 1: 10.0}], ids=["none", "by class"])
def test_class_weights_are_noticed_and_raise_no_alarm(weights):
    rng = np.random.default_rng(0)
    y = (rng.random(1600) < 0.05).astype(int)
    x = (rng.normal(0, 1, (1600, 8)) + 0.6 * y[:, None]).astype("float32")  # classes that overlap
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", jit_compile=False)
    watch = dlhw.Watch(probe=(x[1200:], y[1200:]), measures=("loss",))
    model.fit(x[:1200], y[:1200], epochs=4, class_weight=weights, verbose=0, callbacks=[watch])
    assert watch.result.facts.weighted == ("no" if weights is None else "yes")
    entropy = float(keras.losses.binary_crossentropy(y[1200:].astype("float32"), np.full(400, y[1200:].mean())))
    if weights is not None:
        assert watch.result.probe_loss[-1] > entropy
        assert [finding for finding in watch.findings if finding.severity != "note"] == []
        unnoticed = dataclasses.replace(watch.result, facts=dataclasses.replace(watch.result.facts, weighted=""))
        assert "nothing-learned" in [finding.code for finding in diagnose(watch.settings, unnoticed)]
