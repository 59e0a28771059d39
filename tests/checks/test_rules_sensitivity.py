"""Sensitivity against batch size: the marks of the batch mean.

Oracle: nets trained here by NumPy on scikit-learn's digits, with input gradients of the sum and of the mean of every
batch; the kept sweep over MNIST. The rules would miss a batch mean whose net grows sharper as fast as 1/B shrinks, one
measured with batches larger than the data set, and every factor where `data` is not given and inputs lie in 0 to 255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlhw.checks.batch_slopes import LIKELIER, SPAN, fit
from tests.checks.gradients import entropy, weights
from tests.checks.judging import answer, codes, undecided

KEPT = np.load(Path(__file__).parents[2] / "artifacts/kept/sweep-batch/default/arrays.npz")
BATCHES = (16, 64, 256, 1000)
DIGITS = load_digits()
X, Y = DIGITS.data / 16, DIGITS.target
TRAIN, TEST = slice(0, 1000), slice(1000, 1797)


def trained(batch, seed, epochs=30, rate=0.3):
    tensors, rng = weights((64, 20, 10), seed), np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(1000)
        for k in range(0, 1000, batch):
            rows = order[k : k + batch]
            for t, g in zip(tensors, entropy(tensors, X[TRAIN][rows], Y[TRAIN][rows], mean=True)[1], strict=True):
                t -= rate * g
    return tensors


def norms(tensors, batch, *, mean):
    """Mean over the test set of the norms of the input gradients of the loss of each batch."""
    x, y = X[TEST], Y[TEST]
    parts = [entropy(tensors, x[k : k + batch], y[k : k + batch], mean=mean)[2] for k in range(0, len(x), batch)]
    return float(np.linalg.norm(np.concatenate(parts), axis=1).mean())


@pytest.fixture(scope="module", params=[0, 1])
def sweep(request):
    nets = [trained(b, request.param) for b in BATCHES]
    right = [norms(net, b, mean=False) for net, b in zip(nets, BATCHES, strict=True)]
    return right, [norms(net, b, mean=True) for net, b in zip(nets, BATCHES, strict=True)]


@pytest.mark.parametrize("facts", [{}, {"data": "digits"}])
def test_real_gradients_of_sums_and_of_batch_means(sweep, facts):
    right, wrong = sweep
    twice = np.array(wrong) / BATCHES
    assert codes("sensitivity", batch=BATCHES, value=right, **facts) == []
    assert codes("sensitivity", batch=BATCHES, value=wrong, **facts) == ["batch-mean-gradient"]
    assert codes("sensitivity", batch=BATCHES, value=twice, **facts) == ["batch-mean-gradient-twice"]


@pytest.mark.parametrize("seed", range(3))
def test_the_kept_sweep(seed):
    batch = [64, 100, 500, 4000, 8000]
    right, wrong = KEPT["sensitivity"][:, seed], KEPT["batch_mean_gradient"][:, seed]
    assert codes("sensitivity", batch=batch, value=right) == []
    assert codes("sensitivity", batch=batch, value=wrong) == ["batch-mean-gradient"]
    assert codes("sensitivity", batch=batch, value=wrong / batch) == ["batch-mean-gradient-twice"]


def test_a_right_curve_that_falls_carries_no_mark():
    """Large batches train less; that gives slopes to -0.7."""
    batch = np.array([32, 64, 128, 256, 512, 1024])
    for slope in (0, -0.3, -0.5):
        assert codes("sensitivity", batch=batch, value=0.6 * (batch / 32.0) ** slope) == []


def test_both_sides_of_the_likelihood():
    """From a flat sweep to one that falls as 1/B: the mark begins where the preference is LIKELIER."""
    batch = np.array([32, 64, 128, 256, 512, 1024])
    decided = []
    for power in np.linspace(0, 1, 41):
        value = 0.4 * batch**-power
        line = fit(np.log(batch), np.log(value), known=False)
        marked = codes("sensitivity", batch=batch, value=value) == ["batch-mean-gradient"]
        assert marked == (line.factor == 1 and line.preference(1) >= LIKELIER)
        decided.append(marked)
    assert not decided[0]
    assert decided[-1]
    assert decided == sorted(decided)


def test_between_the_two_it_does_not_decide():
    batch = np.array([32, 64, 128, 256, 512, 1024])
    for power in np.linspace(0.4, 1, 61):
        value = 0.4 * batch**-power
        line = fit(np.log(batch), np.log(value), known=False)
        if line.factor == 1 and line.preference(1) < LIKELIER:
            assert "fits 1/B as well" in undecided("sensitivity", batch=batch, value=value)["batch-mean-gradient"]
            return
    pytest.fail("no slope lies between the two")


def test_the_slope_and_its_interval_are_those_of_scipy():
    from scipy.stats import linregress, t

    rng = np.random.default_rng(0)
    for count in (3, 6, 30):
        x, y = rng.normal(size=count), rng.normal(size=count)
        line, reference = fit(x, y, known=False), linregress(x, y)
        assert line.slope == pytest.approx(reference.slope)
        assert line.half_width == pytest.approx(reference.stderr * t.ppf(0.975, count - 2), rel=2e-3)


def test_few_or_near_batch_sizes_do_not_decide():
    for batch in ([64, 128], [64, 64, 512], [64, 100, 64 * SPAN - 1]):
        reasons = undecided("sensitivity", batch=batch, value=1 / np.array(batch))
        assert "batch sizes" in reasons["batch-mean-gradient"]
    assert "batch-mean-gradient" not in undecided("sensitivity", batch=[64, 100, 64 * SPAN], value=[0.3, 0.3, 0.3])


def test_the_reason_states_slope_and_interval():
    batch = np.array([10, 100, 1000])
    text = answer("sensitivity", batch=batch, value=0.3 / batch).detections[0].text
    assert "-1.00 ± 0.00 (95 %)" in text
    assert "times as likely with the factor 1/B" in text


def test_negative_values():
    assert "negative-sensitivity" in codes("sensitivity", batch=[1, 2, 3], value=[0.1, -1e-9, 0.2])
    assert codes("sensitivity", batch=[1, 2, 3], value=[0.1, 0.0, 0.2]) == []


def test_values_divided_by_the_number_of_examples():
    batch, value = np.array([16, 64, 256, 1000]), np.array([0.5, 0.6, 0.5, 0.3])
    assert codes("sensitivity", batch=batch, value=value / 10000, data="mnist") == ["sensitivity-too-small"]
    assert codes("sensitivity", batch=batch, value=value / 1000, data="mnist") == []
    assert codes("sensitivity", batch=batch, value=value / 10000) == []  # the inputs may be of any size
