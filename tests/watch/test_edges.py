"""The edge of stability of Keras's optimizers.

Oracle: the optimizers themselves on a quadratic f(w) = h w^2 / 2, which grow without bound where h is a little above
the edge and shrink where it is a little below. Would miss: what clipping does beyond the edge.
"""

from __future__ import annotations

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw.watch.probes.edges import edge

import keras  # isort: skip


def size_after(optimizer, curvature, steps=400):
    """|w| after steps of an optimizer on h w^2 / 2 from w = 1."""
    w = keras.Variable(np.ones(1), dtype="float64")
    optimizer.build([w])
    for _ in range(steps):
        optimizer.apply([curvature * w.value], [w])
    return abs(float(w.numpy()[0]))


RULES = {
    "plain": {},
    "heavy ball": {"momentum": 0.9},
    "heavy ball, less": {"momentum": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "nesterov, less": {"momentum": 0.5, "nesterov": True},
    "decay": {"weight_decay": 0.5},
    "decay and heavy ball": {"weight_decay": 0.5, "momentum": 0.8},
    "decay and nesterov": {"weight_decay": 0.5, "momentum": 0.8, "nesterov": True},
    "nesterov without momentum": {"nesterov": True},
}


@pytest.mark.parametrize("name", RULES)
def test_steps_diverge_above_the_edge_and_converge_below(name):
    make = lambda: keras.optimizers.SGD(0.1, **RULES[name])  # noqa: E731
    limit = edge(make())
    assert size_after(make(), 1.03 * limit) > 1e3
    assert size_after(make(), 0.97 * limit) < 0.5


def test_the_formulas():
    assert edge(keras.optimizers.SGD(0.1)) == pytest.approx(20)
    assert edge(keras.optimizers.SGD(0.1, momentum=0.9)) == pytest.approx(38)
    assert edge(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)) == pytest.approx(3.8 / 0.28)
    assert edge(keras.optimizers.SGD(0.1, weight_decay=0.5)) == pytest.approx(19.5)


def test_the_rate_of_a_schedule_is_the_present_one():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.01])
    optimizer = keras.optimizers.SGD(schedule)
    w = keras.Variable(np.ones(1))
    optimizer.build([w])
    assert edge(optimizer) == pytest.approx(20, rel=1e-6)
    for _ in range(3):
        optimizer.apply([w.value], [w])
    assert edge(optimizer) == pytest.approx(200, rel=1e-6)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.learning_rate = 0.5
    assert edge(optimizer) == pytest.approx(4)


def test_a_scaled_loss_has_the_edge_of_the_inner_optimizer():
    inner = keras.optimizers.SGD(0.1, momentum=0.9)
    assert edge(keras.optimizers.LossScaleOptimizer(inner)) == pytest.approx(38)


def test_other_optimizers_have_none():
    class Halved(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient / 2, variable, learning_rate)

    for optimizer in (keras.optimizers.Adam(0.1), keras.optimizers.RMSprop(), Halved(0.1), keras.optimizers.SGD(0.0)):
        assert np.isnan(edge(optimizer))
    assert np.isnan(edge(None))
