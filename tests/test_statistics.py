"""Spearman against SciPy, the bootstrap against its limits, numbers as text."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from dlhw.present.numbers import format_median_range, format_percent
from dlhw.present.statistics import spearman
from dlhw.present.tables import statistics


def test_spearman_equals_scipy_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    b = np.round(a + rng.normal(size=200), 1)  # ties
    rho, low, high = spearman(a, b)
    assert rho == pytest.approx(spearmanr(a, b).statistic, rel=1e-12)
    assert low < rho < high
    # Bonett and Wright (2000): standard error sqrt((1 + rho^2/2)/(n - 3)) on Fisher's scale.
    error = np.sqrt((1 + rho**2 / 2) / 197)
    expected = np.tanh(np.arctanh(rho) + 1.96 * error) - np.tanh(np.arctanh(rho) - 1.96 * error)
    assert high - low == pytest.approx(expected, rel=0.25)


def test_blocks_widen_the_interval_of_a_slow_series():
    slow = np.cumsum(np.random.default_rng(1).normal(size=(2, 1000)), axis=1)
    one, many = spearman(*slow), spearman(*slow, block=50)
    assert many[2] - many[1] > 2 * (one[2] - one[1])


def test_too_few_blocks_or_pairs_give_no_interval():
    a = np.arange(100.0)
    rho, low, high = spearman(a, a, block=50)
    assert rho == 1
    assert np.isnan([low, high]).all()
    assert np.isnan(spearman(a[:2], a[:2])).all()
    assert np.isnan(spearman(a, np.ones(100))[0])


def test_spread_and_statistics_leave_out_what_is_not_finite():
    assert format_median_range(np.array([1.0, 3.0, np.nan])) == "2 (1 to 3)"
    assert format_median_range(np.array([0.5])) == "0.5"
    assert format_percent(np.array([0.9, 0.91234, 0.99, np.nan])) == "91.23 (90.00 to 99.00)"
    assert format_percent(np.array([0.9, 0.99]), " %") == "94.50 % (90.00 to 99.00)"
    assert format_percent(np.array([0.9])) == "90.00"
    assert format_percent(np.array([np.nan])) == "–"
    found = statistics(np.array([1.0, 3.0, np.inf]))
    assert (found["mean"], found["std"], found["n"]) == (2.0, pytest.approx(np.sqrt(2)), 2)
