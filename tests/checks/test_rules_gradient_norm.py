"""The gradient norm: layers added up, averages over batches, a whole below its parts.

Oracle: gradients of small nets in NumPy under full-batch descent, whole, per tensor and per batch; the kept run.
Without layer columns the rules would miss descents near the edge of stability, with an adaptive optimizer, or in
mini-batches; with them, averages over batches whose layers keep their proportions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlhw.checks.layer_norms import APART
from tests.checks.gradients import squared, weights
from tests.checks.judging import answer, codes, undecided

KEPT = np.load(Path(__file__).parents[2] / "artifacts/kept/gradient-norm/default/arrays.npz")
X = np.linspace(-1, 1, 60)[:, None]
Y = np.sin(3 * X)


def size(gradients):
    return np.array([np.linalg.norm(g) for g in gradients])


@pytest.fixture(scope="module", params=[(8, 8), (20,), (6, 5, 4)], ids=str)
def descent(request):
    """Loss, norms per tensor, and the same averaged over batches, along full-batch descent."""
    tensors, rng = weights((1, *request.param, 1), 0), np.random.default_rng(0)
    loss, layers, batches, whole = [], [], [], []
    for _ in range(300):
        value, gradients = squared(tensors, X, Y)
        order = rng.permutation(len(X)).reshape(-1, 10)
        parts = np.array([size(squared(tensors, X[rows], Y[rows])[1]) for rows in order])
        loss.append(value)
        layers.append(size(gradients))
        batches.append(parts.mean(0))
        whole.append(np.linalg.norm(parts, axis=1).mean())
        for t, g in zip(tensors, gradients, strict=True):
            t -= 0.05 * g
    return {k: np.array(v) for k, v in {"loss": loss, "layers": layers, "batches": batches, "whole": whole}.items()}


STEPS = np.arange(300)


def test_with_layer_columns(descent):
    layers, right = descent["layers"], np.linalg.norm(descent["layers"], axis=1)
    assert codes("gradient-norm", iteration=STEPS, norm=right, layer=layers) == []
    assert codes("gradient-norm", iteration=STEPS, norm=layers.sum(1), layer=layers) == ["layer-norms-added"]
    batches = codes("gradient-norm", iteration=STEPS, norm=descent["whole"], layer=descent["batches"])
    assert batches == ["mean-of-batch-norms"]


def test_with_learning_rate(descent):
    right = np.linalg.norm(descent["layers"], axis=1)
    given = {"iteration": STEPS, "loss": descent["loss"], "learning_rate": 0.05}
    assert codes("gradient-norm", norm=right, **given) == []
    assert codes("gradient-norm", norm=descent["layers"].sum(1), **given) == ["layer-norms-added"]
    assert codes("gradient-norm", norm=descent["whole"], **given) == ["mean-of-batch-norms"]


def test_both_sides_of_the_descent(descent):
    """Norms 1.1 times too large are within what curvature allows, 1.3 times are not."""
    right = np.linalg.norm(descent["layers"], axis=1)
    given = {"iteration": STEPS, "loss": descent["loss"], "learning_rate": 0.05}
    assert codes("gradient-norm", norm=1.1 * right, **given) == []
    assert codes("gradient-norm", norm=1.3 * right, **given) == ["layer-norms-added"]
    assert f"{1.3:.3g} times too large" in answer("gradient-norm", norm=1.3 * right, **given).detections[0].text


def test_numbers_of_three_digits(descent):
    def short(values):
        return np.vectorize(lambda v: float(f"{v:.3g}"))(values)

    layers, right = descent["layers"], np.linalg.norm(descent["layers"], axis=1)
    assert codes("gradient-norm", iteration=STEPS, norm=short(right), layer=short(layers)) == []
    added = codes("gradient-norm", iteration=STEPS, norm=short(layers.sum(1)), layer=short(layers))
    assert added == ["layer-norms-added"]


@pytest.mark.parametrize("seed", range(5))
def test_the_kept_run(seed):
    """Momentum 0.9: a step is worth rate / (1 - momentum)."""
    norm, layers = KEPT["gradient_norm"][seed], KEPT["layer_gradient_norms"][seed]
    given = {"iteration": np.arange(len(norm)), "loss": KEPT["loss"][seed], "learning_rate": 0.01, "momentum": 0.9}
    assert codes("gradient-norm", norm=norm, layer=layers, **given) == []
    assert codes("gradient-norm", norm=norm, **given) == []
    assert codes("gradient-norm", norm=layers.sum(1), layer=layers, **given) == ["layer-norms-added"]
    assert codes("gradient-norm", norm=layers.sum(1), **given) in (["layer-norms-added"], [])
    if "layer-norms-added" not in undecided("gradient-norm", norm=layers.sum(1), **given):
        assert codes("gradient-norm", norm=layers.sum(1), **given) == ["layer-norms-added"]


def test_a_norm_below_its_largest_layer():
    layers = np.array([[3.001, 4.002], [3.001, 4.002]])
    assert codes("gradient-norm", iteration=[1, 2], norm=[5.002, 3.993], layer=layers) == ["norm-below-layers"]
    assert codes("gradient-norm", iteration=[1, 2], norm=[5.002, 4.501], layer=layers) == []


def test_where_the_numbers_do_not_suffice():
    one = np.array([[1.0, APART / 2], [2.0, APART / 2]])
    reasons = undecided("gradient-norm", iteration=[1, 2], norm=[1, 2], layer=one)
    assert "one layer holds" in reasons["layer-norms-added"]
    reasons = undecided("gradient-norm", iteration=[1, 2], norm=[1, 2])
    assert "`learning_rate`" in reasons["layer-norms-added"]
    rising = {"iteration": STEPS, "loss": 1 + 0.1 * (-1.0) ** STEPS, "norm": np.ones(300), "learning_rate": 0.1}
    assert "rises" in undecided("gradient-norm", **rising)["mean-of-batch-norms"]


def test_a_missing_column_is_not_taken_for_batches(descent):
    layers, right = descent["layers"], np.linalg.norm(descent["layers"], axis=1)
    given = {"iteration": STEPS, "norm": right, "layer": layers[:, 1:-1], "all_layers": "no"}
    assert codes("gradient-norm", **given) == []
    assert "all_layers" in undecided("gradient-norm", **given)["mean-of-batch-norms"]
