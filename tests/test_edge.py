"""`dlhw edge`: lines of stability on quadratics, eigenvalues against `eigvalsh`, and what Cohen et al. 2021 found.

Oracles: spectral radii of the iterations, trainings of quadratics by the library's own optimizers just below and just
above the lines, dense Hessians of the same trainings. Would miss: an eigenvalue that Lanczos's method skips at steps
that are not compared.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dlhw import measure, training
from dlhw.checkpoints import MemoryCheckpoints
from dlhw.errors import UserError
from dlhw.experiments import edge
from dlhw.experiments.edge import images
from dlhw.experiments.edge.measurements import overlaps
from dlhw.experiments.edge.numbers import hovers, numbers_of
from dlhw.models import architectures, assign, image_net, mlp
from dlhw.runs import function_training
from dlhw.runs.context import Context
from dlhw.runs.settings import build

METHODS = [("sgd", 0.0), ("sgd", 0.5), ("sgd", 0.9), ("nesterov", 0.5), ("nesterov", 0.9)]


def factor(optimizer, momentum):
    return edge.Settings(optimizer=optimizer, momentum=momentum).factor


@pytest.mark.parametrize(("optimizer", "momentum"), METHODS)
def test_on_the_line_the_spectral_radius_of_the_iteration_is_one(optimizer, momentum):
    """(p, m) -> (p', m') on a quadratic is a matrix; rate times curvature is a."""

    def radius(a):
        if optimizer == "nesterov":
            matrix = [[1 - (1 + momentum) * a, momentum**2], [-a, momentum]]
        else:
            matrix = [[1 - a, momentum], [-a, momentum]]
        return np.abs(np.linalg.eigvals(matrix)).max()

    line = factor(optimizer, momentum)
    assert radius(line) == pytest.approx(1, abs=1e-9)
    assert radius(0.999 * line) < 1 < radius(1.001 * line)


@pytest.mark.parametrize(("optimizer", "momentum"), METHODS)
def test_trainings_of_a_quadratic_diverge_exactly_above_the_line(optimizer, momentum):
    """A linear net with squared error, trained by the stack that `edge` trains with."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)) * [3.0, 1.0, 0.3]
    y = x @ [[1.0], [-2.0], [3.0]] + 0.5
    line = factor(optimizer, momentum)
    design = np.hstack([x, np.ones((30, 1))])
    sharpness = np.linalg.eigvalsh(2 * design.T @ design / 30)[-1]
    nets = [mlp((), inputs=3, seed=s, dtype="float64") for s in range(2)]
    h = measure.hessian(nets[0], "mse", x, y)
    assert measure.eigenpairs(h).values[0] == pytest.approx(sharpness)
    below, above = training.fit_many(
        nets,
        x,
        y,
        steps=4000,
        optimizer=training.optimizer(optimizer, 1.0, momentum),
        learning_rates=[0.99 * line / sharpness, 1.01 * line / sharpness],
    )
    assert below.diverged_at is None
    assert below.loss[-1] < 1e-3 * below.loss[0]
    assert above.diverged_at is not None


def test_the_lines_by_name():
    assert edge.Settings().lines.tolist() == pytest.approx([20, 10, 8, 20 / 3])
    assert factor("sgd", 0.9) == pytest.approx(3.8)
    assert factor("nesterov", 0.9) == pytest.approx(3.8 / 2.8)
    assert factor("sgd", 0.0) == 2


@pytest.mark.slow
def test_eigenvalues_and_overlaps_equal_the_dense_ones_at_every_point_of_a_571_parameter_net():
    settings = edge.Settings(net="deep", learning_rates=(0.2, 0.5), epochs=300, every=60, points=25, seeds=1)
    assert settings.parameters == 571
    result = edge.run(settings, Context())
    function = settings.function_settings()
    x, y = function.samples()
    models, histories = function_training.fit(
        function, ["deep"] * 2, Context(), keep=settings.steps.tolist(), dtype="float64", rates=settings.learning_rates
    )
    stack = measure.StackedObjective(models[:1], x[:, None], y[:, None])
    for r, history in enumerate(histories):
        np.testing.assert_array_equal(result.loss[r, 0], history.loss)
        _, gradients, matrices = stack.hessian(history.weights)
        values, vectors = np.linalg.eigh(matrices)
        np.testing.assert_allclose(result.eigenvalues[r, 0], values[:, -1:-4:-1], rtol=1e-6, atol=1e-9)
        share = np.einsum("fpk,fp->fk", vectors[:, :, -1:-4:-1], gradients) ** 2
        share /= np.sum(gradients**2, axis=1, keepdims=True)
        expected = np.stack([share[:, 0], share.sum(axis=1)], axis=1)
        np.testing.assert_allclose(result.overlap[r, 0], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.gradient_norm[r, 0], np.linalg.norm(gradients, axis=1), rtol=1e-12)
    assert result.converged.all()
    # The stack itself, at one point, against Keras's model and the Hessian by `Objective`.
    model = mlp(architectures.parse("deep"), activation="tanh", dtype="float64")
    assign(model, histories[1].weights[3])
    h = measure.hessian(model, "mse", x[:, None], y[:, None])
    assert measure.eigenpairs(h, 1, tolerance=1e-7).values[0] == pytest.approx(result.eigenvalues[1, 0, 3, 0], rel=1e-6)


@pytest.mark.slow
def test_the_sharpness_rises_and_then_hovers_just_above_the_line():
    """Cohen et al. 2021, figure 1, on the default net: three rates, of seeds that are not those of the default run."""
    settings = edge.Settings(learning_rates=(0.2, 0.25, 0.3), seed=100, seeds=2)
    numbers = numbers_of(settings, edge.run(settings, Context()))
    assert hovers(settings, numbers).all()
    assert (np.median(numbers.late_ratio, axis=1) > 0.985).all()
    assert (np.median(numbers.late_ratio, axis=1) < 1.05).all()
    assert (numbers.start[:2] < 0.95 * settings.lines[:2, None]).all()
    assert (numbers.raised > 0).all()
    assert np.nanmax(numbers.raised_before) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "momentum"), [("sgd", 0.5), ("nesterov", 0.5)])
def test_with_momentum_it_hovers_at_the_line_of_momentum_and_not_at_two_over_the_rate(optimizer, momentum):
    rate = 0.2 * factor(optimizer, momentum) / 2
    settings = edge.Settings(optimizer=optimizer, momentum=momentum, learning_rates=(rate,), seeds=1)
    numbers = numbers_of(settings, edge.run(settings, Context()))
    assert hovers(settings, numbers).all()
    assert abs(float(numbers.late_sharpness[0, 0]) * rate / 2 - 1) > 0.1


def test_a_training_that_diverges_is_kept_and_named():
    settings = edge.Settings(net="4", learning_rates=(0.05, 30.0), epochs=60, every=5, points=20, seeds=2)
    result = edge.run(settings, Context())
    assert (result.diverged_at[0] == -1).all()
    assert (result.diverged_at[1] > 0).all()
    for s, at in enumerate(result.diverged_at[1]):
        assert np.isfinite(result.loss[1, s, :at]).all()
        assert np.isnan(result.loss[1, s, at:]).all()
        before = result.steps < at
        assert np.isfinite(result.eigenvalues[1, s][before]).all()
        assert np.isnan(result.eigenvalues[1, s][~before]).all()
    summary = edge.summary(settings, result)
    assert summary.rows[1][-1] == "2"
    assert "2 of 2 trainings of η = 30 diverged" in " ".join(summary.sentences)
    edges = edge.figures(settings, result)["edge"]
    assert sum(line.get_marker() == "x" for axes in edges.axes for line in axes.lines) == 4
    assert "crosses: diverged" in " ".join(text.get_text() for text in edges.texts)


DIGITS = {"data": "digits", "net": "5", "learning_rates": (0.4,), "epochs": 6, "every": 2, "examples": 60, "seeds": 2}


@pytest.mark.parametrize("loss", ["squares", "cross-entropy"])
def test_on_images_loss_and_eigenvalues_are_those_of_plain_full_batch_training(loss):
    """Against `training.fit` on the whole batch, and `eigvalsh` of the dense Hessian in float64 where it ends."""
    from dlhw import datasets

    settings = edge.Settings(**DIGITS, loss=loss, momentum=0.5)
    result = edge.run(settings, Context())
    data = datasets.load("digits", examples=60, seed=0)
    y = np.eye(10, dtype="float32")[data.y_train] if loss == "squares" else data.y_train
    function = "mean_squared_error" if loss == "squares" else training.cross_entropy
    for s in range(2):
        model = image_net("5", data.shape, data.classes, activation="tanh", seed=s)
        rule = training.optimizer("sgd", 0.4, 0.5)
        history = training.fit(model, data.x_train, y, steps=6, optimizer=rule, loss=function)
        np.testing.assert_allclose(result.loss[0, s], history.loss, rtol=1e-4)
        wide = measure.as_float64(model, data.x_train[:5])
        values, vectors = np.linalg.eigh(measure.hessian_matrix(wide, function, data.x_train, y))
        np.testing.assert_allclose(result.eigenvalues[0, s, -1], values[-1:-4:-1], rtol=1e-3)
        _, gradient = measure.Objective(wide, function, data.x_train, y).gradient()
        expected = overlaps(gradient[None], vectors.T[None, -1:-4:-1])[0]
        np.testing.assert_allclose(result.overlap[0, s, -1], expected, atol=5e-3)
    assert result.converged.all()


def test_an_interrupted_training_on_images_resumes_and_ends_as_if_it_had_not(monkeypatch):
    monkeypatch.setattr(images, "CHECKPOINT_SECONDS", 0.0)
    settings = edge.Settings(**DIGITS)
    whole = edge.run(settings, Context(jobs=1))
    checkpoints, reports = MemoryCheckpoints(), []

    def stop(*report, **_):
        reports.append(report)
        if len(reports) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edge.run(settings, Context(stop, checkpoints, jobs=1))
    resumed = edge.run(settings, Context(checkpoints=checkpoints, jobs=1))
    for field in ("loss", "eigenvalues", "overlap", "gradient_norm", "converged"):
        np.testing.assert_array_equal(getattr(resumed, field), getattr(whole, field))


def artificial(sharpness, loss, rates=(0.2,), diverged_at=None, overlap=0.5):
    """A result of S seeds with these sharpnesses (R, S, F) and losses (R, S, T + 1)."""
    sharpness, loss = np.asarray(sharpness, float), np.asarray(loss, float)
    steps = loss.shape[2] - 1
    settings = edge.Settings(
        learning_rates=rates, epochs=steps, every=steps // (sharpness.shape[2] - 1), seeds=loss.shape[1]
    )
    shape = sharpness.shape
    result = edge.Result(
        steps=settings.steps,
        loss=loss,
        eigenvalues=sharpness[..., None] * [1, 0.5, 0.25],
        residual=np.zeros(shape),
        converged=np.ones(shape, bool),
        gradient_norm=np.ones(shape),
        overlap=np.full((*shape, 2), overlap),
        diverged_at=np.full(shape[:2], -1) if diverged_at is None else np.asarray(diverged_at),
        seconds=1.0,
        compile_seconds=0.0,
        curvature_seconds=0.0,
    )
    return settings, result


def sentences(*args, **kwargs):
    settings, result = artificial(*args, **kwargs)
    return {finding.code: finding.text for finding in edge.summary(settings, result).findings}


FALLING = [9, 8, 7, 6, 5, 4, 3, 2, 1]
ZIGZAG = [9, 8, 7, 6, 5, 6, 4, 5, 3]


def test_numbers_of_curves():
    settings, result = artificial([[[4, 8, 10, 10.2, 10.4], [4, 5, 6, 7, 8]]], [[ZIGZAG, FALLING]])
    numbers = numbers_of(settings, result)
    np.testing.assert_array_equal(numbers.reached_at, [[4, -1]])
    np.testing.assert_allclose(numbers.late_ratio, [[1.03, 0.75]])
    np.testing.assert_allclose(numbers.raised, [[0.5, np.nan]])
    np.testing.assert_allclose(numbers.raised_before, [[0, 0]])
    np.testing.assert_allclose(numbers.start, [[4, 4]])
    np.testing.assert_array_equal(hovers(settings, numbers), [[True, False]])


def test_findings_on_both_sides_of_their_thresholds():
    edge_path, low_path, flat = [4, 8, 10, 10.2, 10.4], [4, 5, 6, 7, 8], [4, 4, 4, 4, 4]
    at = sentences([[edge_path, edge_path]], [[ZIGZAG, ZIGZAG]])
    assert (
        "at the edge of stability at 1 of 1 learning rates: the sharpness hovers just above" in at["edge-of-stability"]
    )
    assert "1.030 (1.030 to 1.030) at η = 0.2 (median over 2 seeds" in at["edge-of-stability"]
    assert "rises at 50.00 % (50.00 to 50.00) at η = 0.2 of the steps" in at["loss-raising-steps"]
    assert "in 2, until" in at["progressive-sharpening"]
    assert "below-the-edge" not in at
    assert "one-seed" not in at
    below = sentences([[low_path, low_path]], [[FALLING, FALLING]])
    assert below["edge-of-stability"].startswith("At none of 1 learning rates")
    assert "0.750 (0.750 to 0.750)" in below["below-the-edge"]
    assert "loss-raising-steps" not in below
    assert "does not rise" in sentences([[flat, flat]], [[FALLING, FALLING]])["progressive-sharpening"]
    mixed = sentences([[edge_path, low_path]], [[ZIGZAG, FALLING]])
    assert mixed["edge-of-stability"].startswith("At none of 1")
    assert "below-the-edge" not in mixed
    beyond = sentences([[[4, 8, 10, 13, 13]] * 2], [[ZIGZAG, ZIGZAG]])
    assert beyond["edge-of-stability"].startswith("At none of 1")
    late = sentences([[[4, 5, 8, 9.5, 10.1]] * 2], [[FALLING, FALLING]])
    assert late["edge-of-stability"].startswith("At none of 1")
    assert "below-the-edge" not in late
    assert "left-the-edge" not in late
    fallen = sentences([[[4, 10, 10, 5, 5], edge_path]], [[ZIGZAG, ZIGZAG]])
    assert "end below it: 1 of 2 at η = 0.2 (late 0.500 of it)" in fallen["left-the-edge"]
    about = sentences([[[4, 10, 9.7, 9.7, 9.7]] * 2], [[ZIGZAG, ZIGZAG]])
    assert "hovers about the line" in about["edge-of-stability"]
    assert "one-seed" in sentences([[edge_path]], [[ZIGZAG]])
    lost = sentences([[edge_path, edge_path]], [[ZIGZAG, ZIGZAG]], diverged_at=[[-1, 5]])
    assert "1 of 2 trainings of η = 0.2 diverged" in lost["diverged"]
    assert "1.030" in lost["edge-of-stability"]
    all_lost = sentences([[edge_path]], [[ZIGZAG]], diverged_at=[[5]])
    assert set(all_lost) == {"diverged", "one-seed"}


def test_overlaps_are_shares_of_the_squared_norm():
    vectors = np.eye(4)[None, :3]
    np.testing.assert_allclose(overlaps(np.array([[3.0, 0, 0, 4.0]]), vectors), [[9 / 25, 9 / 25]])
    np.testing.assert_allclose(overlaps(np.array([[0.0, 1, 1, 1]]), vectors), [[0, 2 / 3]])
    assert np.isnan(overlaps(np.zeros((1, 4)), vectors)).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rates": ()}, "`learning_rates` is empty"),
        ({"learning_rates": (0.1, 0.1)}, "`learning_rates` names a rate twice"),
        ({"learning_rates": (0.1, -1)}, "`learning_rates` -1 must be positive"),
        ({"momentum": 1.0}, "`momentum` 1 must lie in"),
        ({"optimizer": "adam"}, "`optimizer`"),
        ({"optimizer": "nesterov"}, "`optimizer` nesterov with `momentum` 0 is gradient descent"),
        ({"every": 0}, "`every` 0 must lie in"),
        ({"every": 9000}, "`every` 9000 must lie in 1..8000"),
        ({"epochs": 0}, "`epochs` 0"),
        ({"func": "nothing"}, "nothing"),
        ({"net": "0"}, "net"),
        ({"loss": "cross-entropy"}, "`loss` applies to images, and"),
        ({"examples": 100}, "`examples` applies to images"),
        ({"data": "digits", "func": "sign"}, "`func` applies to a function"),
        ({"data": "digits", "examples": 5}, "`examples` 5 must lie in"),
        ({"seeds": 0}, "`seeds` 0"),
    ],
)
def test_bad_settings_are_one_line(values, message):
    with pytest.raises(UserError) as error:
        build(edge.Settings, values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_another_rate_beside_it_changes_no_training():
    settings = edge.TINY
    both = edge.run(settings, Context())
    one = edge.run(dataclasses.replace(settings, learning_rates=settings.learning_rates[1:]), Context())
    np.testing.assert_allclose(one.loss[0], both.loss[1], rtol=1e-9)
    np.testing.assert_allclose(one.eigenvalues[0], both.eigenvalues[1], rtol=1e-6)
