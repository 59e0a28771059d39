"""The largest eigenvalues of many operators at once, against `numpy.linalg.eigh` of the matrices.

Would miss: a pair that Lanczos's method skips on matrices unlike these; `edge` is tested on Hessians of nets.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

from dlhw import measure
from dlhw.errors import UserError
from dlhw.measure.stacked_lanczos import leading_eigenpairs
from dlhw.models import mlp

RNG = np.random.default_rng(0)


def symmetric(*spectra):
    """Matrices with these spectra in random directions, (B, P, P)."""
    turns = [np.linalg.qr(RNG.normal(size=(len(s), len(s))))[0] for s in spectra]
    return np.stack([(q * np.asarray(s, float)) @ q.T for q, s in zip(turns, spectra, strict=True)])


def products(matrices):
    return lambda v: np.einsum("bij,bj->bi", matrices, v)


def test_values_vectors_and_residuals_are_those_of_the_matrices():
    decaying = np.geomspace(50, 1e-3, 40)
    matrices = symmetric(decaying, -decaying, np.linspace(-100, 3, 40))  # the largest is not the largest in size
    pairs = leading_eigenpairs(products(matrices), RNG.normal(size=(3, 40)), 3, tolerance=1e-8)
    expected = np.linalg.eigvalsh(matrices)[:, ::-1][:, :3]
    np.testing.assert_allclose(pairs.values, expected, rtol=1e-10, atol=1e-10)
    assert pairs.converged.all()
    assert pairs.steps <= 40
    for b in range(3):
        np.testing.assert_allclose(pairs.vectors[b] @ pairs.vectors[b].T, np.eye(3), atol=1e-10)
        images = pairs.vectors[b] @ matrices[b]
        true = np.linalg.norm(images - pairs.values[b][:, None] * pairs.vectors[b], axis=1)
        np.testing.assert_allclose(pairs.residuals[b], true, atol=1e-9)


def test_residuals_are_true_where_the_steps_end_first():
    matrices = symmetric(np.linspace(0, 1, 60), np.linspace(0, 2, 60))
    pairs = leading_eigenpairs(products(matrices), RNG.normal(size=(2, 60)), 2, steps=10)
    images = np.einsum("bkp,bpq->bkq", pairs.vectors, matrices)
    true = np.linalg.norm(images - pairs.values[..., None] * pairs.vectors, axis=2)
    np.testing.assert_allclose(pairs.residuals, true, rtol=1e-8)
    assert not pairs.converged.any()
    assert pairs.steps == 10
    distance = np.abs(pairs.values[:, :, None] - np.linalg.eigvalsh(matrices)[:, None]).min(axis=2)
    assert (distance <= pairs.residuals).all()


def test_eigenvalues_of_multiplicity_are_met_as_often_as_they_are_there():
    """One start vector has one direction in an eigenspace: the others come from new random directions."""
    matrices = symmetric([5, 5, 2, 1, 1, 0], [3, 3, 3, 3, 3, 3])
    pairs = leading_eigenpairs(products(matrices), np.ones((2, 6)), 3)
    np.testing.assert_allclose(pairs.values, [[5, 5, 2], [3, 3, 3]], atol=1e-10)


def test_a_start_vector_that_is_an_eigenvector_hides_no_larger_one():
    matrices = np.diag([9.0, 4.0, 1.0, 0.5])[None]
    pairs = leading_eigenpairs(products(matrices), np.array([[0.0, 0.0, 1.0, 0.0]]), 2)
    np.testing.assert_allclose(pairs.values, [[9, 4]], atol=1e-10)


def test_bad_input_is_one_line():
    with pytest.raises(UserError, match=r"`k` 3 must lie in 1\.\.2"):
        leading_eigenpairs(products(np.eye(2)[None]), np.ones((1, 2)), 3)
    with pytest.raises(UserError, match="not finite"):
        leading_eigenpairs(lambda v: v * np.nan, np.ones((1, 4)), 1)


def test_the_product_of_a_stack_is_the_hessian_times_the_vector():
    """Against the whole Hessians, and a central difference of the gradient."""
    x = np.linspace(-1, 1, 7)[:, None]
    nets = [mlp((3, 2), activation="tanh", seed=s, dtype="float64") for s in range(3)]
    stack = measure.StackedObjective(nets, x, np.sin(3 * x), block=2)
    theta = stack.stack(nets)
    vectors = RNG.normal(size=theta.shape)
    result = stack.product(theta, vectors)
    _, _, matrices = stack.hessian(theta)
    np.testing.assert_allclose(result, np.einsum("bij,bj->bi", matrices, vectors), rtol=1e-10, atol=1e-12)
    h = 1e-5
    difference = (stack.gradient(theta + h * vectors)[1] - stack.gradient(theta - h * vectors)[1]) / (2 * h)
    np.testing.assert_allclose(result, difference, rtol=1e-6, atol=1e-7)
    with pytest.raises(UserError, match="`vectors` has shape"):
        stack.product(theta, vectors[:1])


def test_products_have_no_limit_of_size():
    x = np.linspace(-1, 1, 5)[:, None]
    net = mlp((400,), activation="tanh", dtype="float64")
    with pytest.raises(UserError, match="at most 1000 weights, not 1201"):
        measure.StackedObjective([net], x, x)
    stack = measure.StackedObjective([net], x, x, block=1, whole=False)
    vector = RNG.normal(size=(1, 1201))
    expected = measure.hessian(net, keras.losses.MeanSquaredError(), x, x) @ vector[0]
    np.testing.assert_allclose(stack.product(stack.stack([net]), vector)[0], expected, rtol=1e-9, atol=1e-10)
