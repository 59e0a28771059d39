"""Shares of the principal components of a path: a random walk, and shares that no analysis gives.

Oracle: scikit-learn's PCA of random walks and of trainings by NumPy; the kept run. The rules would miss walks in fewer
than 50 dimensions, and walks with steps of very different lengths. Late parts of noisy trainings are random walks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from dlhw.checks.rules.random_walk_shares import CLOSE, walk_shares
from tests.checks.gradients import squared, weights
from tests.checks.judging import codes, undecided

KEPT = np.load(Path(__file__).parents[2] / "artifacts/kept/trajectory/default/arrays.npz")


def shares(path):
    return PCA().fit(path).explained_variance_ratio_


@pytest.mark.parametrize("points", [6, 9, 25, 60])
def test_random_walks(points):
    path = np.cumsum(np.random.default_rng(points).normal(size=(points, 2000)), axis=0)
    values = shares(path)[: points - 1]
    assert np.allclose(values[:3], walk_shares(points)[:3], rtol=0.15)
    assert codes("pca-path", share=values, points=points, weights=2000) == ["random-walk-shares"]
    assert codes("pca-path", share=values) == ["random-walk-shares"]
    assert codes("pca-path", share=values[:3]) == ["random-walk-shares"]


def test_the_limit_is_that_of_the_paper():
    k = np.arange(1, 6)
    assert np.allclose(walk_shares(20000)[:5], 6 / (np.pi * k) ** 2, rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_training(seed):
    tensors, x, path = weights((1, 10, 10, 1), seed), np.linspace(-1, 1, 50)[:, None], []
    for step in range(400):
        if step % 20 == 0:
            path.append(np.concatenate([t.ravel() for t in tensors]))
        for t, g in zip(tensors, squared(tensors, x, np.sin(4 * x))[1], strict=True):
            t -= 0.1 * g
    assert codes("pca-path", share=shares(np.array(path))[:8], points=20) == []


def test_the_kept_run():
    for values in KEPT["own_explained"].reshape(-1, 8):
        assert codes("pca-path", share=values, points=9) == []
    for values in KEPT["pooled_explained"]:
        assert codes("pca-path", share=values) == []


def test_both_sides_of_close():
    walk = walk_shares(20)
    for shift, expected in ((0.9 * CLOSE, ["random-walk-shares"]), (1.1 * CLOSE, [])):
        values = walk[:5].copy()
        values[2] *= np.exp(-shift)
        assert codes("pca-path", share=values, points=20, weights=10000) == expected


def test_shares_of_no_whole():
    assert codes("pca-path", share=[0.7, 0.2, -0.01]) == ["shares-not-of-a-whole"]
    assert codes("pca-path", share=[0.7, 0.1, 0.15]) == ["shares-not-of-a-whole"]
    assert codes("pca-path", share=[0.8, 0.3, 0.2]) == ["shares-not-of-a-whole"]
    assert codes("pca-path", share=[0.8, 0.19, 0.01]) == []
    assert codes("pca-path", share=[83.3, 13.4, 3.4]) == []  # per cent, rounded: 100.1


def test_where_the_shares_do_not_suffice():
    assert "first 3" in undecided("pca-path", share=[0.6, 0.15])["random-walk-shares"]
    two = undecided("pca-path", component=[1, 1, 2, 2], share=[0.6, 0.7, 0.2, 0.2])
    assert "several paths" in two["random-walk-shares"]
