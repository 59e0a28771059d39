"""Eigenvalues of a Hessian: blocks in place of the whole.

Oracle: whole Hessians of small nets by central differences of NumPy gradients, and their blocks cut out by index. The
rule would miss the diagonal blocks together of a net with one output whose biases are left out of its loss, blocks of a
cross entropy where all are listed together, and blocks among the largest eigenvalues alone.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.checks.gradients import hessian, squared, weights
from tests.checks.judging import codes, undecided

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))


def trained(outputs, seed):
    """A net after some training, its Hessian, and the places of its tensors in that."""
    y = np.sin(X @ np.random.default_rng(1).normal(size=(2, outputs)))
    tensors = weights((2, 5, outputs), seed)
    for _ in range(200):
        for t, g in zip(tensors, squared(tensors, X, y)[1], strict=True):
            t -= 0.1 * g
    ends = np.cumsum([0, *(t.size for t in tensors)])
    return hessian(tensors, X, y), [slice(a, b) for a, b in pairwise(ends)]


@pytest.fixture(scope="module", params=[(1, 0), (1, 1), (3, 0), (3, 1)], ids=str)
def net(request):
    return trained(*request.param)


def short(values):
    """Seven digits, as a file has them."""
    return [float(f"{v:.7g}") for v in values]


def test_the_whole(net):
    values = short(np.linalg.eigvalsh(net[0]))
    assert codes("hessian", eigenvalue=values, parameters=len(values), complete="yes") == []
    assert codes("hessian", eigenvalue=values) == []


def test_blocks_of_other_numbers(net):
    matrix, places = net
    size = len(matrix)
    kernels = np.concatenate([np.linalg.eigvalsh(matrix[p, p]) for p in places[::2]])
    largest = np.linalg.eigvalsh(matrix[places[0], places[0]])
    for values in (kernels, largest):
        given = {"eigenvalue": short(values), "parameters": size}
        assert codes("hessian", complete="yes", **given) == ["blocks-for-the-hessian"]
    assert codes("hessian", eigenvalue=np.arange(size + 1.0), parameters=size) == ["blocks-for-the-hessian"]
    assert codes("hessian", eigenvalue=np.arange(size - 1.0) * 0.3, parameters=size) == []


def test_all_diagonal_blocks_together(net):
    """Their number is right: the second derivative by the bias of the output, and C-fold eigenvalues, show them."""
    matrix, places = net
    values = np.concatenate([np.linalg.eigvalsh(matrix[p, p]) for p in places])
    exact = np.round(values, 7)  # the differences are right to some nine digits
    assert codes("hessian", eigenvalue=exact, parameters=len(matrix), complete="yes") == ["blocks-for-the-hessian"]


def test_both_sides_of_exactly_two():
    others = [0.01, 0.02, 0.07, 0.3, 0.5, 1.1, 4.0]
    assert codes("hessian", eigenvalue=[*others, 2.000004]) == ["blocks-for-the-hessian"]
    assert codes("hessian", eigenvalue=[*others, 2.00002]) == []
    assert codes("hessian", eigenvalue=[0.0] * 7 + [2.0]) == []  # units without a gradient leave the bias alone


def test_rounded_numbers_are_no_twins():
    values = np.round(np.random.default_rng(0).exponential(0.01, 80), 3)
    assert len(np.unique(values)) < 60
    assert codes("hessian", eigenvalue=values, parameters=80) == []


def test_where_the_number_does_not_decide():
    given = {"eigenvalue": [0.3, 1.2, 5.1]}
    assert "`parameters`" in undecided("hessian", **given)["blocks-for-the-hessian"]
    assert "`complete`" in undecided("hessian", parameters=10, **given)["blocks-for-the-hessian"]
