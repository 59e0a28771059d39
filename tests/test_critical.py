"""Signs of eigenvalues, whole Hessians of stacked nets, and the way to a critical point.

Oracles: closed forms (least squares; the saddle of a 1-1-1 tanh net, whose Hessian fits on a line), the Hessian of
`measure.hessian_matrix`, finite differences of the gradient in float64.
Would miss: a critical point that the search steps over on its way to another one.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib

import numpy as np
import pytest

from dlhw.errors import UserError
from dlhw.experiments.minimal_ratio.compute import _correlations
from dlhw.experiments.minimal_ratio.levels import distinct_losses, levels
from dlhw.experiments.minimal_ratio.spec import kinds_of
from dlhw.measure.eigenvalue_signs import chance_curvature, effective_rank, gradient_flatness, inertia, resolution
from dlhw.runs import experiment as registry
from dlhw.runs import function_training, runner
from dlhw.runs.context import Context
from dlhw.runs.settings import build

keras = pytest.importorskip("keras")

from dlhw import measure  # noqa: E402
from dlhw.measure import StackedObjective, critical_point  # noqa: E402
from dlhw.models import mlp  # noqa: E402

RNG = np.random.default_rng(0)
X = np.linspace(-1, 1, 40)[:, None]
Y = np.sin(3 * X) + 0.5


def test_signs_are_counted_with_and_without_the_error_of_the_solver():
    values = np.array([[-2.0, -1e-17, 0.0, 1e-17, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    found = inertia(values)
    np.testing.assert_array_equal([found.positive, found.zero, found.negative], [[1, 5], [3, 0], [1, 0]])
    np.testing.assert_allclose(found.tolerance, 5 * np.finfo(float).eps * np.array([2, 5]))
    np.testing.assert_allclose(found.minimal_ratio, [0.2, 1.0])
    strict = inertia(values, 0)
    np.testing.assert_array_equal([strict.positive, strict.zero, strict.negative], [[2, 5], [1, 0], [2, 0]])
    assert inertia([1.0, 0.5], 0.7).positive == 1
    for bad in ([], [np.nan], 3.0):
        with pytest.raises(UserError):
            inertia(bad)
    with pytest.raises(UserError, match="-1"):
        inertia([1.0], -1)


def test_rounding_of_float32_draws_the_strict_ratio_to_one_half():
    """100 x 100 of rank five, four of them positive: what lies between is rounding, and half of it positive."""
    basis = np.linalg.qr(RNG.normal(size=(100, 5)))[0]
    matrix = (basis @ np.diag([5, 4, 3, 2, -1]) @ basis.T).astype(np.float32)
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    assert inertia(values).minimal_ratio == 0.04
    assert 0.3 < inertia(values, 0).minimal_ratio < 0.7


def test_effective_rank_and_flatness_in_closed_form():
    assert effective_rank([2.0, -2.0, 2.0]) == pytest.approx(3)
    assert effective_rank([0.0, 0.0, 7.0]) == pytest.approx(1)
    shares = np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(effective_rank([shares, 4 * shares]), np.exp(-(shares * np.log(shares)).sum()))
    assert np.isnan(effective_rank([0.0, 0.0]))
    hessian = np.diag([0.0, 3.0])
    np.testing.assert_allclose(gradient_flatness([hessian] * 2, [[5.0, 0.0], [0.0, 2.0]]), [0, 3])
    assert np.isnan(gradient_flatness(hessian, [0.0, 0.0]))


@pytest.mark.slow
def test_stacked_hessians_are_those_of_the_nets_and_of_finite_differences():
    models = [mlp((4, 3), activation="tanh", seed=s, dtype="float64") for s in range(5)]
    together = StackedObjective(models, X, Y, block=2)
    theta = StackedObjective.stack(models)
    loss, gradient, hessian = together.hessian(theta)
    np.testing.assert_array_equal(together.gradient(theta)[1], gradient)
    for s, model in enumerate(models):
        alone = measure.Objective(model, "mse", X, Y)
        value, slope = alone.gradient()
        assert loss[s] == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(gradient[s], slope, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(hessian[s], measure.hessian_matrix(model, "mse", X, Y), rtol=1e-9, atol=1e-12)
    step, size = 1e-5, theta.shape[1]
    ends = [together.gradient(theta[0] + sign * step * np.eye(size))[1] for sign in (1, -1)]
    np.testing.assert_allclose(hessian[0], (ends[0] - ends[1]) / (2 * step), atol=1e-8)


def test_a_float64_copy_and_a_net_whose_layers_are_called_elsewhere_are_chains():
    """A copy calls its layers once more outside of the model; loss and gradient are those of the net by itself."""
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)])
    copy = measure.as_float64(net)
    keras.Model(copy.inputs, copy.layers[0](copy.inputs[0] * 2.0))
    together = StackedObjective([copy], X, Y, block=1, whole=False)
    loss, gradient = together.gradient(StackedObjective.stack([copy]))
    value, slope = measure.Objective(copy, "mse", X, Y).gradient()
    assert loss[0] == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(gradient[0], slope, rtol=1e-11, atol=1e-14)
    inputs, twice = keras.Input((3,)), keras.layers.Dense(3)
    with pytest.raises(UserError, match="plain chains of Dense layers"):
        StackedObjective([keras.Model(inputs, twice(twice(inputs)))], np.ones((4, 3)), np.ones((4, 3)))


def test_stacks_refuse_what_is_no_stack():
    with pytest.raises(UserError, match="one shape"):
        StackedObjective([mlp((4,)), mlp((3,))], X, Y)
    with pytest.raises(UserError, match="at most 1000"):
        StackedObjective([mlp((400,))], X, Y)
    for y in (Y[:1], np.hstack([Y, Y])):
        with pytest.raises(UserError, match="outputs"):
            StackedObjective([mlp((3,))], X, y)
    frozen = mlp((3,))
    frozen.layers[1].trainable = False
    with pytest.raises(UserError, match="StackedObjective"):
        StackedObjective([frozen], X, Y)
    with pytest.raises(UserError, match="theta"):
        StackedObjective([mlp((3,))], X, Y).gradient(np.zeros((2, 3)))


def test_the_critical_point_of_a_line_is_its_least_squares_fit():
    model = mlp((), seed=1, dtype="float64")
    wide = np.hstack([X, np.ones_like(X)])
    best, residual, *_ = np.linalg.lstsq(wide, Y, rcond=None)
    found = critical_point(StackedObjective([model], X, Y, block=1), measure.flat(model))
    assert found.arrived
    np.testing.assert_allclose(found.theta, best[:, 0], rtol=1e-10)
    assert found.loss == pytest.approx(residual[0] / len(X), rel=1e-12)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(2 / len(X) * wide.T @ wide), rtol=1e-10)
    assert inertia(found.eigenvalues).minimal_ratio == 1


def test_a_saddle_that_is_known_is_found():
    """f = mean (v tanh(w x + c) + b - y)^2 is stationary at w = v = 0, b = mean y, whatever c.

    There d2f/dw dv = -2 cov(x, y) (1 - t^2), d2f/dv2 = 2 t^2, d2f/dv db = 2 t, d2f/db2 = 2 with t = tanh c, and
    nothing else: one direction up and one down of (w, v), one up of b, none of c.
    """
    model = mlp((1,), activation="tanh", dtype="float64")
    near = np.array([0.01, 0.1, -0.02, Y.mean() + 0.01])  # w, c, v, b
    found = critical_point(StackedObjective([model], X, Y, block=1), near)
    assert found.arrived
    w, c, v, b = found.theta
    np.testing.assert_allclose([w, v, b], [0, 0, Y.mean()], atol=1e-8)
    t, k = np.tanh(c), -2 * np.mean((X - X.mean()) * (Y - Y.mean())) * (1 - np.tanh(c) ** 2)
    known = np.zeros((4, 4))
    known[0, 2] = known[2, 0] = k
    known[2, 2], known[2, 3], known[3, 2], known[3, 3] = 2 * t * t, 2 * t, 2 * t, 2
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(known), atol=1e-7)
    signs = inertia(found.eigenvalues)
    assert (signs.positive, signs.zero, signs.negative) == (2, 1, 1)
    assert found.loss == pytest.approx(Y.var(), rel=1e-12)


class Powers:
    """f = (x - 1)^p / p + y^2 / 2: at (1, 0) the Hessian is diag(0, 1), for p = 3 of neither sign along x."""

    dtype = "float64"

    def __init__(self, power):
        self.power = power

    def gradient(self, theta):
        (x, y), p = theta.T, self.power
        return (x - 1) ** p / p + y**2 / 2, np.stack([(x - 1) ** (p - 1), y], 1)

    def hessian(self, theta):
        curved = (self.power - 1) * (theta[:, 0] - 1) ** (self.power - 2)
        return *self.gradient(theta), np.stack([np.diag([c, 1.0]) for c in curved])


@pytest.mark.parametrize(("power", "start"), [(3, 1.5), (3, 0.5), (4, 1.5)])
def test_what_nearness_to_a_degenerate_point_leaves_lies_within_the_resolution(power, start):
    found = critical_point(Powers(power), np.array([start, 0.5]))
    assert found.arrived
    assert found.ended in ("rounding", "stalled")
    left = np.abs(found.eigenvalues).min()
    assert left > float(inertia(found.eigenvalues).tolerance)  # above the error of the solver: a sign without meaning
    assert left < float(resolution(found.eigenvalues, found.gradient_norm))
    assert np.isclose(np.abs(found.eigenvalues).max(), 1)


class Rounded:
    """f = |x|^2 / 2 + 5000 whose gradient carries an error of 1e-14, as the sum of large terms does: eps sqrt(2 f) is
    2e-14, and the weights, which are zero at the minimum, add none."""

    dtype = "float64"

    def gradient(self, theta):
        noise = [np.random.default_rng(zlib.crc32(row.tobytes())).normal(size=row.shape) for row in theta]
        return (theta**2).sum(1) / 2 + 5000, theta + 1e-14 * np.array(noise)

    def hessian(self, theta):
        return *self.gradient(theta), np.stack([np.eye(theta.shape[1])] * len(theta))


def test_a_gradient_that_rounding_keeps_from_zero_has_arrived():
    found = critical_point(Rounded(), np.full(6, 0.3), hessians=400)
    assert found.arrived
    assert found.ended in ("rounding", "stalled")
    assert found.hessians < 40
    assert found.gradient_norm < 1e-11


def test_a_slow_search_far_above_rounding_has_not_arrived():
    """(x - 1)^30 / 30: Newton's method on its derivative gains little a step, and 1e-8 is not rounding."""
    found = critical_point(Powers(30), np.array([1.9, 0.0]), hessians=12)
    assert found.ended == "budget"


class Slope:
    """f = x^3 / 3 + x + y^2 / 2: |g| is least, 1, on the line x = 0, y = 0, where H g = 0 and g is not."""

    dtype = "float64"

    def gradient(self, theta):
        x, y = theta.T
        return x**3 / 3 + x + y**2 / 2, np.stack([x**2 + 1, y], 1)

    def hessian(self, theta):
        x, _ = theta.T
        return *self.gradient(theta), np.stack([np.diag([2 * a, 1.0]) for a in x])


def test_a_gradient_flat_point_is_told_from_a_critical_one():
    seen = []
    found = critical_point(Slope(), np.array([1.0, 1.0]), progress=lambda n, size: seen.append((n, size)))
    assert not found.arrived
    assert found.gradient_norm == pytest.approx(1, abs=1e-6)
    assert found.flatness < 1e-3
    assert [n for n, _ in seen] == list(range(1, found.hessians + 1))
    assert all(b < a for (_, a), (_, b) in itertools.pairwise(seen))
    cut = critical_point(Slope(), np.array([1.0, 1.0]), hessians=2)
    assert cut.hessians == 2
    assert cut.ended == "budget"
    assert found.ended == "stalled"
    assert cut.gradient_norm > found.gradient_norm
    for bad in ({"tolerance": 0.0}, {"hessians": 0}):
        with pytest.raises(UserError):
            critical_point(Slope(), np.array([1.0, 1.0]), **bad)


RATIO = registry.get("minimal-ratio")


def test_how_long_a_net_trains_does_not_depend_on_the_others():
    settings = RATIO.settings()
    steps = settings.steps()
    assert steps.min() >= 100
    assert steps.max() <= settings.epochs
    assert np.median(np.log(steps)) == pytest.approx(np.log(100 * settings.epochs) / 2, rel=0.1)
    np.testing.assert_array_equal(dataclasses.replace(settings, seed=40, seeds=3).steps(), steps[40:43])
    assert (dataclasses.replace(settings, lengths="equal").steps() == settings.epochs).all()


@pytest.mark.slow
def test_the_numbers_of_a_run_are_those_of_its_nets():
    settings = dataclasses.replace(RATIO.tiny, stop="gradient-norm", threshold=0.2, epochs=60)
    result = runner.execute("minimal-ratio", settings, Context()).result
    keep = sorted({*settings.steps().tolist(), *settings.checks()})
    models, histories = function_training.fit(settings, (settings.net,), Context(), keep=keep, dtype="float64")
    x, y = settings.samples()
    assert (result.path_step >= 0).any()
    for s, (model, history) in enumerate(zip(models, histories, strict=True)):
        objective = measure.Objective(model, "mse", x[:, None], y[:, None])
        objective.move(history.weights[keep.index(result.steps[s])])
        value, slope = objective.gradient()
        np.testing.assert_allclose(
            [result.start_loss[s], result.start_norm[s]], [value, np.linalg.norm(slope)], rtol=1e-9
        )
        assert result.gradient_norm[s] < result.start_norm[s]
        assert result.arrived[s] == (result.gradient_norm[s] < settings.arrival)
        norms = {}
        for step in settings.checks():
            objective.move(history.weights[keep.index(step)])
            norms[step] = np.linalg.norm(objective.gradient()[1])
        first = next((step for step, norm in norms.items() if norm <= settings.threshold), -1)
        assert result.path_step[s] == first
        if first >= 0:
            assert result.path_norm[s] == pytest.approx(norms[first], rel=1e-9)
            objective.move(history.weights[keep.index(first)])
            exact = np.linalg.eigvalsh(measure.hessian_matrix(model, "mse", x[:, None], y[:, None]))
            np.testing.assert_allclose(result.path_eigenvalues[s], exact, atol=1e-12)


@pytest.mark.slow
def test_a_run_in_float32_keeps_float32():
    result = runner.execute("minimal-ratio", dataclasses.replace(RATIO.tiny, precision="float32"), Context()).result
    assert result.eigenvalues.dtype == np.float32
    assert not result.arrived.any()  # 1e-8 is out of its reach
    assert inertia(result.eigenvalues).tolerance.min() > 1e-8


def test_the_curvature_that_chance_gives():
    """E |Hu|^2 = trace(H^2) / P for a unit vector u of random direction."""
    generator = np.random.default_rng(0)
    a = generator.normal(size=(60, 60))
    h = a + a.T
    u = generator.normal(size=(4000, 60))
    share = np.linalg.norm(u @ h, axis=1) / np.linalg.norm(u, axis=1)
    assert np.sqrt((share**2).mean()) == pytest.approx(float(chance_curvature(np.linalg.eigvalsh(h))), rel=0.01)
    np.testing.assert_allclose(chance_curvature([[3.0, 4.0], [0.0, 0.0]]), [np.sqrt(12.5), 0])
    values, vectors = np.linalg.eigh(h)
    top = gradient_flatness(h, vectors[:, -1]) / chance_curvature(values)
    assert float(top) == pytest.approx(values[-1] / np.sqrt((values**2).mean()))


def test_ranks_do_not_order_the_rounding_of_one_loss():
    """Five nets at one loss to rounding, in the order of their ratios, and five at another: ties, not a trend."""
    settings = registry.get("minimal-ratio").tiny
    p = settings.parameters
    values = np.sort([np.where(np.arange(p) < k % 5 + 1, 1.0, -1.0) for k in range(10)], axis=1)
    loss = np.repeat([0.1, 0.2], 5) + 1e-15 * np.arange(10)
    rho, *_ = _correlations(settings, values, loss, np.full(10, "cut"))[0]
    assert rho == pytest.approx(0, abs=1e-12)


def wave():
    """Two tanh units that fit a wave; P = 7."""
    x = np.linspace(-1, 1, 30)[:, None]
    nets = [mlp((2,), activation="tanh", seed=s, dtype="float64") for s in range(6)]
    objective = measure.StackedObjective(nets, x, np.sin(3 * x), block=1)
    return objective, objective.stack(nets)


def test_newton_and_descent_lead_to_critical_points():
    """By gradients from central differences of the loss; a descent never rises; a minimum has no negative curvature."""
    objective, starts = wave()
    kinds = set()
    for theta in starts:
        near, taken = measure.newton(objective, theta, radius=1.0, hessians=80)
        low, _ = measure.descend(objective, theta, hessians=200)
        assert taken <= 80
        assert objective.gradient(low[None])[0][0] < objective.gradient(theta[None])[0][0]
        for end, kind in ((near, "newton"), (low, "minimum")):
            point = critical_point(objective, end, hessians=40)
            if not point.arrived:
                continue
            kinds.add(kind)
            steps = 1e-5 * np.eye(len(theta))
            slope = [
                (objective.gradient((point.theta + s)[None])[0][0] - objective.gradient((point.theta - s)[None])[0][0])
                / 2e-5
                for s in steps
            ]
            np.testing.assert_allclose(slope, 0, atol=1e-8)
            if kind == "minimum":
                assert point.eigenvalues.min() > -1e-6 * point.eigenvalues.max()
    assert kinds == {"newton", "minimum"}


def test_newton_reaches_a_saddle_that_descent_leaves():
    """At the constant output both units are zero: a saddle, to which Newton's method returns from nearby."""
    objective, _ = wave()
    saddle = np.zeros(7)
    near = saddle + 1e-3 * np.random.default_rng(0).normal(size=7)
    constant = objective.gradient(saddle[None])[0][0]
    back, _ = measure.newton(objective, near, radius=0.1)
    low, _ = measure.descend(objective, near)
    assert objective.gradient(back[None])[0][0] == pytest.approx(constant, rel=1e-6)
    assert objective.gradient(low[None])[0][0] < 0.5 * constant
    for bad in ({"radius": 0.0}, {"hessians": 0}):
        with pytest.raises(UserError):
            measure.newton(objective, near, **bad)
    with pytest.raises(UserError):
        measure.descend(objective, near, hessians=0)


def test_losses_are_grouped_where_they_differ_clearly():
    groups = levels(np.array([2.0, 1.0, 1.001, 1.02, 2.001]))
    assert [sorted(group.tolist()) for group in groups] == [[1, 2], [3], [0, 4]]
    (finding,) = distinct_losses(np.array([2.0, 1.0, 1.0]), np.array([0.3, 0.9, 1.0]))
    assert "The lower the loss at a critical point, the more" in finding.text
    assert "1 (ratio 0.95 (0.9 to 1), 2 nets), 2 (ratio 0.3, 1 net)" in finding.text
    (finding,) = distinct_losses(np.array([2.0, 1.0]), np.array([0.9, 0.3]))
    assert "do not have more" in finding.text
    assert distinct_losses(np.array([1.0, 1.0]), np.array([0.9, 0.3])) == []


@pytest.mark.slow
def test_searches_of_the_default_net_reach_several_losses():
    settings = RATIO.settings(seeds=20, epochs=3000)
    result = runner.execute("minimal-ratio", settings, Context()).result
    critical = kinds_of(result) == "critical"
    assert critical.sum() >= 15
    assert len(levels(result.loss[critical])) >= 3
    assert (result.start_norm > 1e-6).all()


@pytest.mark.slow
def test_digits_are_fitted_in_the_mean_square():
    settings = build(RATIO.settings, {"task": "digits", "epochs": 200, "seeds": 2, "hessians": 40})
    assert settings.net == "2"
    assert settings.parameters == 64
    x, y = settings.data()
    assert x.shape == (300, 16)
    np.testing.assert_array_equal(y.sum(axis=1), 1)
    done = runner.execute("minimal-ratio", settings, Context())
    models, histories = function_training.fit(
        settings, ("2",), Context(), keep=settings.steps().tolist(), dtype="float64", data=(x, y)
    )
    keep = sorted(set(settings.steps().tolist()))
    for s, (model, history) in enumerate(zip(models, histories, strict=True)):
        measure.assign(model, history.weights[keep.index(done.result.steps[s])])
        error = np.mean((np.asarray(model(x)) - y) ** 2)
        assert done.result.start_loss[s] == pytest.approx(error, rel=1e-9)
    assert done.figures()
    for wrong in ({"func": "sign"}, {"points": 20}, {"domain": (0.0, 1.0)}, {"scale": "raw"}):
        with pytest.raises(UserError, match="`task` is digits"):
            build(RATIO.settings, {"task": "digits", **wrong})
