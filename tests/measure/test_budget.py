"""Progress, time limits, memory and files of long measurements, on matrices whose answers are known.

Would miss: what a limit does in the middle of one product, which nothing interrupts.
"""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from dlhw import measure
from dlhw.errors import DlhwWarning, UserError
from dlhw.measure import budget
from dlhw.models import mlp
from dlhw.training import cross_entropy

RNG = np.random.default_rng(0)
Q = np.linalg.qr(RNG.normal(size=(60, 60)))[0]
MATRIX = Q @ np.diag(np.r_[40.0, 20.0, 10.0, 1 / np.arange(1, 58)]) @ Q.T
SOLVERS = {
    "eigenpairs": lambda a, **more: measure.eigenpairs(a, 3, steps=50, tolerance=1e-9, **more),
    "trace": lambda a, **more: measure.trace(a, products=30, **more),
    "hutchinson": lambda a, **more: measure.trace(a, products=30, method="hutchinson", **more),
    "diagonal": lambda a, **more: measure.diagonal(a, products=30, **more),
    "spectral_density": lambda a, **more: measure.spectral_density(a, steps=20, probes=3, **more),
}


def products_of(result):
    return result.steps if isinstance(result, measure.Eigenpairs) else result.products


def timed(monkeypatch, seconds):
    """A clock that only products advance."""
    now = [0.0]
    monkeypatch.setattr(budget.time, "perf_counter", lambda: now[0])

    def product(v):
        now[0] += seconds
        return MATRIX @ v

    return LinearOperator(MATRIX.shape, matvec=product, dtype=np.float64)


@pytest.mark.parametrize("name", SOLVERS)
def test_progress_counts_products_and_estimates_the_others(name, monkeypatch):
    seen = []
    result = SOLVERS[name](timed(monkeypatch, 2.0), progress=lambda *row: seen.append(row))
    assert [done for done, _, _ in seen] == list(range(1, products_of(result) + 1))
    assert all(remaining == pytest.approx(2.0 * (most - done)) for done, most, remaining in seen)


LIMITS = [(name, limit) for name in SOLVERS for limit in (1, 2, 7, 15)]
LIMITS.remove(("eigenpairs", 15))  # they have converged by then


@pytest.mark.parametrize(("name", "limit"), LIMITS)
def test_no_product_begins_after_the_limit_and_the_result_says_so(name, limit, monkeypatch):
    operator = timed(monkeypatch, 1.0)
    result = SOLVERS[name](operator, max_seconds=limit)
    assert products_of(result) == limit
    whole = SOLVERS[name](MATRIX, max_seconds=1e9)
    if name == "eigenpairs":
        assert result.ended == "time"
        assert len(result.values) == min(limit, 3)
        assert whole.ended == "converged"
        # Ritz values: below the true ones, each within its residual of an eigenvalue.
        gaps = np.abs(np.linalg.eigvalsh(MATRIX)[:, None] - result.values).min(0)
        assert (gaps <= result.residuals + 1e-12).all()
        exact = np.linalg.norm(result.vectors @ MATRIX - result.values[:, None] * result.vectors, axis=1)
        np.testing.assert_allclose(result.residuals, exact, atol=1e-9)
    else:
        assert (result.complete, whole.complete) == (False, True)
    if name in ("trace", "hutchinson"):
        assert np.isfinite(result.value)
        assert np.isnan(result.standard_error) == (limit == 1)
        if limit == 15:
            assert result.method == "hutchinson"  # the dominant part takes 20
            assert abs(result.value - np.trace(MATRIX)) < 5 * result.standard_error
    if name == "spectral_density":
        assert result.weights.sum() == pytest.approx(1)


def test_an_exact_trace_that_runs_out_of_time_is_an_estimate_from_random_entries(monkeypatch):
    found = [measure.trace(timed(monkeypatch, 1.0), products=180, max_seconds=20, seed=s) for s in range(100)]
    values = np.array([f.value for f in found])
    assert {(f.products, f.complete) for f in found} == {(20, False)}
    assert abs(values.mean() - np.trace(MATRIX)) < 4 * values.std() / 10
    assert np.sqrt(np.mean([f.standard_error**2 for f in found])) == pytest.approx(values.std(), rel=0.3)


def test_a_trace_that_ends_while_it_samples_keeps_its_exact_part(monkeypatch):
    result = SOLVERS["trace"](timed(monkeypatch, 1.0), max_seconds=25)
    assert (result.method, result.products, result.complete) == ("hutch++", 25, False)
    assert abs(result.value - np.trace(MATRIX)) < 5 * result.standard_error + 0.1


def test_a_long_measurement_without_progress_or_limit_warns_once_of_what_is_to_come(monkeypatch):
    with pytest.warns(DlhwWarning, match="trace: the remaining 98 products take about 49 min") as caught:
        measure.trace(timed(monkeypatch, 30.0))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure.trace(timed(monkeypatch, 30.0), progress=lambda *_: None)
        measure.trace(timed(monkeypatch, 30.0), progress=False)
        measure.trace(timed(monkeypatch, 0.1))


def test_progress_true_prints_lines(monkeypatch, capsys):
    measure.trace(timed(monkeypatch, 30.0), progress=True, products=30)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "trace: 1 of 30 products, about 14 min to go"
    assert lines[-1] == "trace: 30 of 30 products"
    assert len(lines) <= 12


@pytest.mark.parametrize("name", SOLVERS)
def test_limits_that_are_no_times_are_refused(name):
    with pytest.raises(UserError, match="`max_seconds` 0 must be positive"):
        SOLVERS[name](MATRIX, max_seconds=0)


@pytest.mark.usefixtures("uncompiled")
def test_rows_of_a_hessian_and_blocks_of_a_kernel_have_a_limit(monkeypatch):
    model = mlp((12, 12), inputs=3, outputs=2, activation="tanh", seed=0, dtype="float64")
    x, y = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
    seen = []
    whole = measure.hessian_matrix(model, "mse", x, y, progress=lambda *row: seen.append(row[:2]))
    size = len(whole)
    assert seen == [(128, size), (size, size)]
    operator = measure.hessian(model, "mse", x, y, check=False)
    columns = [0, 100, 127, 128, size - 1]
    np.testing.assert_allclose(operator @ np.eye(size)[:, columns], whole[:, columns], atol=1e-13)
    with pytest.warns(DlhwWarning, match=f"after 128 of {size} rows"):
        part = measure.hessian_matrix(model, "mse", x, y, check=False, max_seconds=1e-9)
    known = np.arange(size) < 128
    np.testing.assert_array_equal(np.isnan(part), ~(known[:, None] | known))
    np.testing.assert_allclose(part[:128], whole[:128], atol=1e-13)
    np.testing.assert_array_equal(part, part.T)

    from dlhw.measure import tangent_kernel

    kernel, blocks = measure.ntk(model, x).matrix, []
    monkeypatch.setattr(tangent_kernel, "_MEMORY", 4 * 2 * size * 8)  # four examples
    tiled = measure.ntk(model, x, progress=lambda *row: blocks.append(row[:2]))
    np.testing.assert_allclose(tiled.matrix, kernel, atol=1e-13)
    assert blocks == [(1, 9), (2, 9), (4, 9), (5, 9), (7, 9), (9, 9)]
    first = measure.ntk(model, x, max_seconds=1e-9)
    assert (first.examples, first.complete) == (4, False)
    np.testing.assert_allclose(first.matrix, kernel[:8, :8], atol=1e-13)


@pytest.mark.usefixtures("uncompiled")
def test_searches_and_samples_have_a_limit():
    model = mlp((4,), inputs=3, outputs=2, activation="tanh", seed=0, dtype="float64")
    data = model, "mse", RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
    seen = []
    ball = measure.random_ball(*data, radius=0.1, samples=10, progress=lambda *row: seen.append(row[:2]))
    assert seen == [(k, 10) for k in (2, 4, 6, 8, 10)]
    part = measure.random_ball(*data, radius=0.1, samples=10, max_seconds=1e-9)
    assert (ball.complete, part.complete) == (True, False)
    np.testing.assert_array_equal(part.rises, ball.rises[:4])
    count = []
    box = measure.keskar(*data, epsilon=0.1, starts=2, iterations=20, progress=lambda *row: count.append(row))
    assert len(count) == box.evaluations - 1  # all but that of the loss at the weights
    cut = measure.keskar(*data, epsilon=0.1, starts=2, iterations=20, max_seconds=1e-9)
    assert (len(box.searches), len(cut.searches), cut.settled) == (3, 1, False)
    assert 0 <= cut.value <= box.value


def test_the_diagonal():
    exact = np.diag(MATRIX)
    sampled = [measure.diagonal(MATRIX, products=20, seed=s) for s in range(100)]
    scores = np.array([(d.values - exact) / d.standard_error for d in sampled])
    assert np.abs(scores.mean(0)).max() < 0.5
    assert 0.8 < np.median(scores.std(0)) < 1.3
    # Bekas et al. 2007: the variance is the sum of the squares of the other entries of the row, over the products.
    variance = ((MATRIX**2).sum(1) - exact**2) / 20
    ratio = np.var([d.values for d in sampled], axis=0) / variance
    assert 0.8 < ratio.mean() < 1.2
    all_rows = measure.diagonal(MATRIX, products=60)
    np.testing.assert_allclose(all_rows.values, exact, rtol=1e-12)
    assert not all_rows.standard_error.any()
    exact_trace = measure.trace(MATRIX, products=180, max_seconds=1e9)
    assert (exact_trace.value, exact_trace.standard_error) == (pytest.approx(np.trace(MATRIX), rel=1e-12), 0.0)
    assert (exact_trace.products, exact_trace.complete) == (60, True)
    with pytest.raises(UserError, match="`products` 1 must be at least 2"):
        measure.diagonal(MATRIX, products=1)


def test_solvers_of_a_float32_operator_hold_float32():
    narrow = LinearOperator(MATRIX.shape, matvec=lambda v: MATRIX.astype("float32") @ v, dtype=np.float32)
    pairs = measure.eigenpairs(narrow, 3, steps=40)
    assert pairs.vectors.dtype == np.float32
    assert pairs.converged.all()
    np.testing.assert_allclose(pairs.values, [40, 20, 10], rtol=1e-5)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(3), atol=1e-5)
    found = measure.trace(narrow, products=45)
    assert abs(found.value - np.trace(MATRIX)) < 4 * found.standard_error + 1e-4
    # The range is used up before the steps are.
    low = (MATRIX @ np.diag(np.r_[np.ones(4), np.zeros(56)]) @ MATRIX.T).astype("float32")
    few = LinearOperator(low.shape, matvec=lambda v: low @ v, dtype=np.float32)
    exact = np.linalg.eigvalsh(low.astype(float))[::-1]
    np.testing.assert_allclose(measure.eigenpairs(few, 4, steps=30).values, exact[:4], atol=1e-4 * exact[0])
    assert measure.trace(few, products=30).value == pytest.approx(np.trace(low), rel=1e-4)


MEMORY = """
import resource
import numpy as np
from scipy.sparse.linalg import LinearOperator
from dlhw import measure
from dlhw.measure import trace
size = 4_000_000
scale = np.ones(size, np.float32)
a = LinearOperator((size, size), matvec=lambda v: scale * np.ravel(v), dtype=np.float32)
a @ np.ones(size, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
value = trace(a, products=30, method={method!r}).value
print(value, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (4 * size))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("method", "vectors"), [("hutchinson", 10), ("hutch++", 10 + 10)])
def test_the_trace_of_a_large_operator_takes_the_memory_that_it_says(method, vectors):
    """In vectors of the operator: a few, and a third of the products for hutch++."""
    command = [sys.executable, "-c", MEMORY.format(method=method)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert float(output[0]) == pytest.approx(4e6, rel=5e-6)
    assert float(output[1]) < vectors


@pytest.mark.usefixtures("uncompiled")
def test_results_are_saved_and_loaded(tmp_path):
    model = mlp((4,), inputs=3, outputs=2, activation="tanh", seed=0, dtype="float64")
    x, y = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
    plane, pairs = measure.hessian_plane(model, "mse", x, y)
    results = [
        plane,
        pairs,
        measure.trace(MATRIX),
        measure.trace(MATRIX, method="hutchinson", products=2),
        measure.diagonal(MATRIX),
        measure.spectral_density(MATRIX),
        measure.ntk(model, x),
        measure.gradient_norm(model, "mse", x, y),
        measure.sensitivity(model, "mse", x, y),
        measure.sam(model, "mse", x, y),
        measure.random_ball(model, "mse", x, y, radius=0.1),
        measure.Estimate(1.0, float("nan"), 1),
    ]
    for k, result in enumerate(results):
        path = tmp_path / f"{k}.npz"
        result.save(path)
        again = type(result).load(path)
        for name, value in vars(result).items():
            np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)
            assert type(getattr(again, name)) is type(value), name
    with pytest.raises(UserError, match="holds Plane, not Eigenpairs"):
        measure.Eigenpairs.load(tmp_path / "0.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "0.npz").read_bytes()[:-40])
    for path in (tmp_path / "cut.npz", tmp_path / "none.npz"):
        with pytest.raises(UserError, match="holds no Plane, or is damaged"):
            measure.Plane.load(path)
    with pytest.raises(UserError, match=r"must end in \.npz"):
        plane.save(tmp_path / "plane.json")
    with pytest.raises(UserError, match="there is no folder"):
        plane.save(tmp_path / "none" / "plane.npz")


def test_a_subset_is_named_by_its_seed():
    x, y = {"a": np.arange(20.0)[:, None], "b": np.arange(20)}, np.arange(20)
    few, many = (measure.subset(x, y, n, seed=3) for n in (5, 11))
    np.testing.assert_array_equal(few[0]["b"], few[1])
    np.testing.assert_array_equal(few[0]["a"][:, 0], few[1])
    np.testing.assert_array_equal(many[1][:5], few[1])
    assert len(set(many[1].tolist())) == 11
    assert measure.subset(x, y, 5, seed=4)[1].tolist() != few[1].tolist()
    for n in (0, 21):
        with pytest.raises(UserError, match=r"must lie in 1\.\.20"):
            measure.subset(x, y, n)
    with pytest.raises(UserError, match=r"\[19, 20\] examples"):
        measure.subset(x, y[1:], 3)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("which", ["largest", "both"])
def test_the_plane_of_the_hessian(which):
    model = mlp((4,), inputs=3, outputs=2, activation="tanh", seed=0, dtype="float64")
    x, y = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
    values, vectors = np.linalg.eigh(measure.hessian_matrix(model, "mse", x, y))
    plane, pairs = measure.hessian_plane(model, "mse", x, y, which=which, tolerance=1e-9)
    at = [-1, -2] if which == "largest" else [-1, 0]
    np.testing.assert_allclose(pairs.values, values[at], rtol=1e-8)
    np.testing.assert_array_equal(plane.origin, measure.flat(model))
    for direction, k in zip((plane.first, plane.second), at, strict=True):
        assert abs(direction @ vectors[:, k]) == pytest.approx(1, abs=1e-7)
        assert direction[np.abs(direction).argmax()] > 0
    # The second difference of the loss along an axis is the eigenvalue.
    h = 1e-3
    loss = measure.surface(model, plane, "mse", x, y, [-h, 0, h], [-h, 0, h]).loss
    second = (loss[0, 1] - 2 * loss[1, 1] + loss[2, 1]) / h**2, (loss[1, 0] - 2 * loss[1, 1] + loss[1, 2]) / h**2
    np.testing.assert_allclose(second, pairs.values, rtol=1e-4)
    part = measure.layer_parts(model)["dense_2"]
    block, _ = measure.hessian_plane(model, "mse", x, y, which=which, layers="dense_2")
    assert not np.any([block.first[: part.start], block.second[: part.start]])
    with pytest.raises(UserError, match="too short for two"):
        measure.hessian_plane(model, "mse", x, y, max_seconds=1e-9)


def test_chunks_are_smaller_where_activations_are_large():
    import keras

    from dlhw.models.activations import activation_bytes, examples_that_fit

    small = mlp((4,), inputs=3, outputs=2)
    assert activation_bytes(small) == 4 * (4 + 2)
    assert examples_that_fit(small, "product", 10_000, 500) == 500
    inputs = keras.Input((128, 128, 1))
    h = keras.layers.Conv2D(64, 3, padding="same")(inputs)
    large = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(h))
    size = 4 * (128 * 128 * 64 + 64)
    assert activation_bytes(large) == size
    fit = (1 << 30) // (6 * size)
    assert 40 < fit < 50
    assert examples_that_fit(large, "product", 1009, 500) == fit  # a prime
    assert examples_that_fit(large, "product", 1000, 500) == 40
    assert examples_that_fit(large, "product", 30, 500) == 500  # all at once
    assert examples_that_fit(large, "value", 1000, 500) == 250


def test_the_batch_innermost_layout_gives_the_same_products():
    from dlhw import models

    model = models.image_net("3c3-p2-6", (8, 8, 1), 4, activation="tanh", seed=1, dtype="float64")
    x, y = RNG.normal(size=(90, 8, 8, 1)), RNG.integers(0, 4, 90)
    v = RNG.normal(size=model.count_params())
    kinds = {"true": measure.fisher, "ggn": measure.ggn}
    for make in (*kinds.values(), lambda *args, **more: measure.fisher(*args, kind="empirical", **more)):
        results = []
        for layout in ("plain", "batch-innermost"):
            with models.layout(layout):
                results.append(make(model, cross_entropy, x, y, check=False) @ v)
        np.testing.assert_allclose(results[1], results[0], atol=1e-11 * np.abs(results[0]).max())
