"""What the solvers take as an operator, against NumPy's eigenvalues, and what they refuse in one line."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure
from dlhw.errors import UserError

MATRIX = np.diag([1.0, -2.0, 5.0]) + 0.5 * (np.eye(3, k=1) + np.eye(3, k=-1))


@pytest.mark.parametrize(
    "form",
    [np.asarray, np.ndarray.tolist, scipy.sparse.csr_matrix, scipy.sparse.coo_array, aslinearoperator],
    ids=["array", "list", "csr_matrix", "coo_array", "operator"],
)
def test_every_form_of_a_matrix_has_its_eigenvalues_trace_and_diagonal(form):
    operator, values = form(MATRIX), np.linalg.eigvalsh(MATRIX)[::-1]
    np.testing.assert_allclose(measure.eigenpairs(operator, k=3).values, values, atol=1e-12)
    assert measure.trace(operator, products=9).value == pytest.approx(4.0)
    np.testing.assert_allclose(measure.diagonal(operator, products=3).values, [1, -2, 5])


def test_what_is_no_symmetric_matrix_is_refused():
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for solver in (measure.eigenpairs, measure.trace, measure.diagonal, measure.spectral_density):
        with pytest.raises(UserError, match=r"not symmetric: entry \(0, 1\) is 1 and \(1, 0\) -1"):
            solver(rotation)
        with pytest.raises(UserError, match="must be square"):
            solver(np.ones((2, 3)))
        with pytest.raises(UserError, match="must be square"):
            solver(np.ones((2, 2, 2)))
        with pytest.raises(UserError, match="of type str"):
            solver("hessian")
    rounded = MATRIX.astype(np.float32)
    rounded[0, 1] *= 1 + 1e-6
    assert np.isfinite(measure.eigenpairs(rounded).values).all()


def test_products_that_are_not_finite_are_refused():
    """An estimate would be nan with a standard error of 0."""
    for solver in (measure.eigenpairs, measure.trace, measure.diagonal, measure.spectral_density):
        with pytest.raises(UserError, match="values that are not finite"):
            solver(np.full((3, 3), np.nan))
