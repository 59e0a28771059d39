"""Trace and diagonal of a symmetric operator from products with vectors of random signs, one vector at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers, require
from dlhw.measure.budget import Budget, Progress
from dlhw.measure.operators import Operator, inner, precision, symmetric_operator
from dlhw.measure.results import Saved

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Estimate(Saved):
    """A number estimated from random samples."""

    value: float
    standard_error: float  # of the value; 0 where nothing is random, nan for a single sample
    products: int  # with the operator
    complete: bool = True  # whether all products that were asked for were made in time
    method: str = ""  # "hutch++" or "hutchinson"


@check_numbers
def trace(
    operator: Any,
    *,
    products: int = 100,
    method: Literal["hutchinson", "hutch++"] = "hutch++",
    seed: int = 0,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> Estimate:
    """Estimate the trace of a symmetric operator from products with vectors of random signs.

    hutchinson: mean of z^T A z over vectors z of random signs (Hutchinson 1989); error ~ |A|_F / sqrt(products).
        Memory: a few vectors.
    hutch++: a third of the products finds the dominant directions, whose part is then taken exactly, and only the
        rest is sampled (Meyer et al. 2021); error ~ 1 / products for spectra that decay. Memory: a third of `products`
        vectors in the precision of the operator. With three products per row, unit vectors give the exact trace.

    The trace of the block of a layer is that of `hessian(..., layers=...)`; the blocks of all layers add up to the
    whole.

    Args:
        operator: as in :func:`dlhw.measure.eigenpairs`.
        products: number of products with the operator.
        method: see above.
        seed: of the signs.
        progress: as in :func:`dlhw.measure.eigenpairs`.
        max_seconds: no product begins later. The estimate is then that of the products made, by "hutchinson" where the
            dominant directions were not finished, and `complete` is False.

    Returns:
        The estimate. Its standard error is that of the sampled part, so it is itself an estimate.

    Raises:
        UserError: for an unknown method, and too few products.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> round(measure.trace(np.diag([1.0, 2.0, 3.0]), products=30).value, 9)
        6.0
    """
    given = symmetric_operator(operator)
    require(method in ("hutchinson", "hutch++"), f"`method` {method!r} is unknown; use hutchinson or hutch++")
    least = 2 if method == "hutchinson" else 6
    require(products >= least, f"`products` {products} must be at least {least}")
    size = given.shape[0]
    third = products // 3 if method == "hutch++" else 0
    budget = Budget("trace", products if third < size else size, progress, max_seconds)
    a = budget.watched(given)
    signs = _Signs(a, seed)
    if third >= size:
        return _exact_trace(_exact_diagonal(a, signs, budget, signs.rng.permutation(size)), method)
    exact, basis, sketch = _dominant_part(a, signs, third, budget)
    if third and exact is None:  # out of time
        return _mean(sketch, 0.0, budget.done, False, "hutchinson")
    samples: list[float] = []
    wanted = products - third - len(basis)
    while len(samples) < wanted and not (budget.is_spent and (samples or third)):
        z = signs.draw()
        if third:
            z -= basis.T @ (basis @ z)
        samples.append(_quadratic(a, z))
    complete = len(samples) == wanted
    if third and len(samples) < 2 and not complete:
        return _mean(sketch, 0.0, budget.done, False, "hutchinson")
    return _mean(samples, float(exact or 0.0), budget.done, complete, method)


def _exact_trace(known: Diagonal, method: str) -> Estimate:
    """Return the trace from a diagonal, of which a random part is known if time was up."""
    size, entries = len(known.values), known.values[np.isfinite(known.standard_error)]
    k = len(entries)
    error = float(np.std(entries, ddof=1) * size * np.sqrt((1 - k / size) / k)) if k > 1 else float("nan")
    return Estimate(size * float(entries.mean()), 0.0 if k == size else error, known.products, known.complete, method)


class _Signs:
    """Vectors of random signs, drawn one at a time."""

    def __init__(self, a: Operator, seed: int) -> None:
        self.size, self.values = a.shape[0], np.array([-1.0, 1.0], precision(a))
        self.rng = np.random.default_rng(seed)

    def draw(self) -> Array:
        """Return the next vector."""
        return np.asarray(self.rng.choice(self.values, self.size))


def _dominant_part(a: Operator, signs: _Signs, count: int, budget: Budget) -> tuple[float | None, Array, list[float]]:
    """Return the trace within the range of A on `count` random vectors, an orthonormal basis of it, and z^T A z.

    The trace is None if time is up before it is known.
    """
    basis = np.empty((count, a.shape[0]), precision(a))
    rank, sketch = 0, list[float]()
    for _ in range(count):
        z = signs.draw()
        image = np.asarray(a.matvec(z), basis.dtype)
        sketch.append(inner(z, image))
        scale = float(np.linalg.norm(image))
        for _ in range(2):  # Gram and Schmidt, twice is enough
            image = image - basis[:rank].T @ (basis[:rank] @ image)
        length = float(np.linalg.norm(image))
        if length > 100 * float(np.finfo(basis.dtype).eps) * scale:  # else the range of A is exhausted
            basis[rank] = image / length
            rank += 1
        if budget.is_spent:
            return None, basis[:rank], sketch
    total = 0.0
    for q in basis[:rank]:
        total += _quadratic(a, q)
        if budget.is_spent:
            return None, basis[:rank], sketch
    return total, basis[:rank], sketch


def _quadratic(a: Operator, z: Array) -> float:
    return inner(z, np.asarray(a.matvec(z), z.dtype))


def _mean(samples: list[float], exact: float, products: int, complete: bool, method: str) -> Estimate:
    """Return the estimate of an exact part and the mean of samples."""
    error = float(np.std(samples, ddof=1) / np.sqrt(len(samples))) if len(samples) > 1 else float("nan")
    return Estimate(exact + float(np.mean(samples)), error, products, complete, method)


@dataclass(frozen=True)
class Diagonal(Saved):
    """The diagonal of a symmetric operator, estimated from random samples."""

    values: Array  # (P,)
    standard_error: Array  # (P,) of each value; 0 where nothing is random, nan for a single sample
    products: int  # with the operator
    complete: bool = True  # whether all products that were asked for were made in time


@check_numbers
def diagonal(
    operator: Any,
    *,
    products: int = 100,
    seed: int = 0,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> Diagonal:
    """Estimate the diagonal of a symmetric operator: the mean of z * A z over vectors z of random signs.

    Bekas, Kokiopoulou and Saad 2007, An estimator for the diagonal of a matrix; Hutchinson's estimator of the trace
    without its sum. The variance of entry i is the sum of the squares of the other entries of row i, divided by the
    number of products. With as many products as rows, unit vectors take the place of random ones: it is exact.

    Args:
        operator: as in :func:`dlhw.measure.eigenpairs`.
        products: number of products with the operator.
        seed: of the signs.
        progress: as in :func:`dlhw.measure.eigenpairs`.
        max_seconds: no product begins later; the estimate is then that of the products made (with unit vectors, the
            other entries are nan), and `complete` is False.

    Returns:
        The values and their standard errors, (P,): for a Hessian in the order of :func:`dlhw.measure.flat`, so that
        :func:`dlhw.measure.layer_parts` cuts them into layers.

    Raises:
        UserError: for fewer than two products.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> measure.diagonal(np.diag([1.0, 2.0, 3.0]), products=2).values.tolist()
        [1.0, 2.0, 3.0]
    """
    given = symmetric_operator(operator)
    require(products >= 2, f"`products` {products} must be at least 2")
    size = given.shape[0]
    budget = Budget("diagonal", min(size, products), progress, max_seconds)
    a = budget.watched(given)
    signs = _Signs(a, seed)
    if products >= size:
        return _exact_diagonal(a, signs, budget, np.arange(size))
    mean, squares = np.zeros(size), np.zeros(size)
    while budget.done < products and not (budget.done and budget.is_spent):
        z = signs.draw()
        sample = z * np.asarray(a.matvec(z), z.dtype)
        change = sample - mean  # Welford: mean and squared deviations from it, updated sample by sample
        mean += change / budget.done
        squares += change * (sample - mean)
    k = budget.done
    error = np.sqrt(squares / (k * (k - 1))) if k > 1 else np.full(size, np.nan)
    return Diagonal(mean, error, k, k == products)


def _exact_diagonal(a: Operator, signs: _Signs, budget: Budget, order: NDArray[np.integer]) -> Diagonal:
    """Return the diagonal from unit vectors, in an order; entries that time did not allow are nan."""
    size = a.shape[0]
    values, errors = np.full((2, size), np.nan)
    for i in order:
        unit = np.zeros(size, signs.values.dtype)
        unit[i] = 1.0
        values[i], errors[i] = np.asarray(a.matvec(unit)).ravel()[i], 0.0
        if budget.is_spent:
            break
    return Diagonal(values, errors, budget.done, budget.done == size)
