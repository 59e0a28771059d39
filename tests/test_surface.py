"""Directions, planes and the loss over them, and `landscape`, which draws them.

Oracles: a bowl and a saddle whose every number is known; the plain way to the loss, against which the fast one is held;
Li et al. 2018 (a ReLU net whose layers are rescaled has the same filter-normalized surface); the nets of `classify`.
Would miss: a wrong loss that both ways share. That is for test_measure.py.
"""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from dlhw.checkpoints import FolderCheckpoints
from dlhw.errors import UserError
from dlhw.experiments.landscape import nets, subject, surface
from dlhw.measure.directions import (
    Plane,
    normalized,
    path_plane,
    random_direction,
    random_plane,
    three_point_plane,
)
from dlhw.measure.grid_order import coarse_to_fine
from dlhw.runs import experiment as registry
from dlhw.runs import runner, saved_models
from dlhw.runs.context import Context

keras = pytest.importorskip("keras")

from dlhw import measure  # noqa: E402
from dlhw.models import image_net, mlp  # noqa: E402
from dlhw.training import cross_entropy, fit_many, optimizer  # noqa: E402

RNG = np.random.default_rng(0)
LANDSCAPE, CLASSIFY = registry.get("landscape"), registry.get("classify")
A, B = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), np.array([-2.0, 0.0, 1.0])


def run(**values):
    return runner.execute("landscape", dataclasses.replace(LANDSCAPE.tiny, **values), Context())


def shapes(model):
    return [tuple(v.shape) for v in model.trainable_variables]


def quadratic(signs):
    """f(w) = mean of s_i w_i^2 over the weights of a linear net: a bowl, or a saddle."""
    size = len(signs)
    inputs = keras.Input((size,), dtype="float64")
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, dtype="float64")(inputs))
    model.dtype_policy = keras.DTypePolicy("float64")
    return model, np.eye(size), np.array(signs, float)[:, None], lambda s, w: (s * w**2)[:, 0]


@pytest.mark.parametrize("signs", [(1.0, 3.0), (2.0, -1.0)])
def test_the_surface_of_a_bowl_and_of_a_saddle(signs):
    model, x, y, loss = quadratic(signs)
    plane = Plane(np.array([0.5, -0.25]), np.array([1.0, 1.0]), np.array([0.0, 2.0]))
    before, seen = measure.flat(model), []
    found = measure.surface(model, plane, loss, x, y, A, B, progress=lambda n, value: seen.append(n))
    a, b = np.meshgrid(A, B, indexing="ij")
    exact = (signs[0] * (0.5 + a) ** 2 + signs[1] * (-0.25 + a + 2 * b) ** 2) / 2
    np.testing.assert_allclose(found.loss, exact, rtol=1e-12, atol=1e-14)
    assert np.isnan(found.accuracy).all()
    assert seen[-1] == exact.size
    np.testing.assert_array_equal(measure.flat(model), before)


def branches(inputs, *layers):
    h = inputs
    for layer in layers:
        h = layer(h)
    return keras.Model(inputs, h)


def nets_of_a_first_layer():
    """Nets whose first layer is combined from three passes."""
    image, row = keras.Input((8, 8, 2), dtype="float64"), keras.Input((5,), dtype="float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield "pool", image_net("3c3-p2-6", (8, 8, 2), 4, activation="gelu", dtype="float64")
        yield "pool with a rest", image_net("3c4-p2-6", (8, 8, 2), 4, dtype="float64")
        conv = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, activation="tanh")
        yield "strides", branches(image, conv, keras.layers.BatchNormalization(), keras.layers.Flatten(), dense(4))
        yield "flat", branches(image, keras.layers.Flatten(), dense(6, "sigmoid"), keras.layers.Dropout(0.5), dense(4))
        yield "rows", branches(row, keras.layers.Rescaling(0.1), dense(6, "silu"), dense(4))
        yield "frozen", branches(row, dense(5, trainable=False), dense(4))
    finally:
        keras.config.set_dtype_policy("float32")


def dense(units, activation=None, **more):
    return keras.layers.Dense(units, activation=activation, **more)


def others():
    """Nets that go the plain way."""
    row = keras.Input((5,))
    first = dense(5, "relu")
    yield "used twice", keras.Model(row, dense(4)(first(first(row))))
    yield "a way around", keras.Model(row, dense(4)(keras.layers.Add()([dense(5, "relu")(row), row])))
    h = dense(6, "relu")(row)
    yield "two ways on", keras.Model(row, dense(4)(keras.layers.Concatenate()([h, dense(3)(h)])))
    yield "regularised", branches(row, dense(5, kernel_regularizer="l2"), dense(4))
    yield "adding a loss", branches(row, dense(5), keras.layers.ActivityRegularization(l2=0.1), dense(4))
    yield "activity", branches(row, dense(5, activity_regularizer="l2"), dense(4))
    yield "activity later", branches(row, dense(5), dense(4, activity_regularizer="l2"))
    yield "more than its graph", Tenfold(row, dense(4)(dense(5)(row)))
    yield "softmax", branches(row, dense(5, "softmax"), dense(4))
    yield "normalized", branches(row, keras.layers.BatchNormalization(), dense(4))


@keras.saving.register_keras_serializable()
class Tenfold(keras.Model):
    """Its call is not its graph."""

    def call(self, inputs, training=None, mask=None):
        return 10 * super().call(inputs, training=training, mask=mask)


def over_a_plane(model):
    plane = random_plane(measure.flat(model), shapes(model), seed=3)
    x, y = RNG.normal(size=(13, *model.input_shape[1:])), RNG.integers(0, 4, 13)
    return measure.PlaneLoss(model, plane, cross_entropy, x, y, batch_size=5)


@pytest.mark.slow
def test_the_fast_way_to_the_loss_is_the_plain_one():
    for name, model in nets_of_a_first_layer():
        at = over_a_plane(model)
        assert at._fast is not None, name
        points = RNG.normal(size=(11, 2))
        for (a, b), value in zip(points, at.points(points), strict=True):
            plain = at.at(at.plane.at(a, b))
            assert value.loss == pytest.approx(plain.loss, rel=1e-10), name
            assert value.accuracy == plain.accuracy, name


def test_other_nets_go_the_plain_way():
    for name, model in others():
        at = over_a_plane(model)
        assert at._fast is None, name
        assert at(0.3, -0.2) == at.at(at.plane.at(0.3, -0.2)), name


def test_a_surface_leaves_the_graph_of_the_model_alone():
    model = mlp((6,), inputs=2, seed=4)
    x, y = RNG.normal(size=(30, 2)).astype("f"), RNG.normal(size=(30, 1)).astype("f")
    plane = random_plane(measure.flat(model), shapes(model))
    before = [len(layer._outbound_nodes) for layer in model.layers]
    measure.surface(model, plane, "mse", x, y, A, B)
    assert [len(layer._outbound_nodes) for layer in model.layers] == before
    fit_many([model], x, y, steps=3, optimizer=optimizer("sgd", 0.01))  # refuses what is not a plain chain


def test_a_model_of_two_outputs_is_refused_as_everywhere():
    row = keras.Input((5,))
    h = dense(3)(row)
    model = keras.Model(row, [h, keras.layers.Softmax()(h)])
    plane = random_plane(measure.flat(model), shapes(model))
    with pytest.raises(UserError, match="several outputs"):
        measure.surface(model, plane, cross_entropy, np.ones((4, 5), "f"), np.zeros(4, int), A, B)


def test_filters_lie_on_the_last_axis_and_biases_stay():
    sizes = [(3, 4), (4,), (2, 2, 3, 5), (5,), ()]
    theta = RNG.normal(size=12 + 4 + 60 + 5 + 1)
    d = random_direction(theta, sizes, seed=1)
    for shape, part in (((3, 4), slice(0, 12)), ((2, 2, 3, 5), slice(16, 76))):
        made, like = d[part].reshape(shape), theta[part].reshape(shape)
        axes = tuple(range(len(shape) - 1))
        np.testing.assert_allclose(np.sqrt((made**2).sum(axes)), np.sqrt((like**2).sum(axes)), rtol=1e-12)
        others = tuple(range(1, len(shape)))  # the filters of PyTorch
        assert not np.allclose((made**2).sum(others), (like**2).sum(others), rtol=1e-3)
    assert not d[12:16].any()
    assert not d[76:].any()
    np.testing.assert_array_equal(random_direction(theta, sizes, seed=1), d)
    assert not np.array_equal(random_direction(theta, sizes, seed=2), d)


def test_the_other_norms():
    sizes, theta, d = [(2, 3), (3,)], RNG.normal(size=9), RNG.normal(size=9)
    layer = normalized(d, theta, sizes, norm="layer")
    np.testing.assert_allclose(layer[:6], d[:6] * np.linalg.norm(theta[:6]) / np.linalg.norm(d[:6]))
    np.testing.assert_allclose(normalized(d, theta, sizes, norm="weight")[:6], np.abs(theta[:6]) * np.sign(d[:6]))
    np.testing.assert_array_equal(normalized(d, theta, sizes, norm="none"), d)
    assert not layer[6:].any()
    assert not normalized(np.zeros(9), theta, sizes).any()
    with pytest.raises(UserError, match="`norm` 'l2'"):
        normalized(d, theta, sizes, norm="l2")
    with pytest.raises(UserError, match="9 weights"):
        normalized(d[:-1], theta, sizes)


@pytest.mark.parametrize("norm", ["filter", "layer", "weight"])
def test_a_rescaled_relu_net_has_the_same_surface(norm):
    """Li et al. 2018, section 4: the reason for the normalisation; without it the surface differs."""
    model = mlp((6,), inputs=2, seed=4, dtype="float64")
    x, y = RNG.normal(size=(30, 2)), RNG.normal(size=(30, 1))

    def drawn(how):
        plane = random_plane(measure.flat(model), shapes(model), norm=how, seed=5)
        return measure.surface(model, plane, "mse", x, y, A, B).loss

    before, plain = drawn(norm), drawn("none")
    k, b, m, c = model.get_weights()
    model.set_weights([3 * k, 3 * b, m / 3, c])
    np.testing.assert_allclose(drawn(norm), before, rtol=1e-10)
    assert not np.allclose(drawn("none"), plain, rtol=0.01)


def test_points_of_a_plane_have_their_coordinates_and_distances():
    one, two = np.array([2.0, 0, 0, 0]), np.array([1.0, 1, 0, 0])
    plane = Plane(np.array([1.0, 1, 1, 1]), one, two)
    where, away = plane.coordinates(np.stack([plane.at(0.5, -2), plane.at(0.5, -2) + np.array([0, 0, 3, 4])]))
    np.testing.assert_allclose(where, [[0.5, -2], [0.5, -2]], atol=1e-12)
    np.testing.assert_allclose(away, [0, 5], atol=1e-12)


def test_planes_through_paths_and_points():
    steps = np.outer([0, 1, 2, 3], [1.0, 0, 0, 0]) + np.outer([0, 1, 1, 0], [0, 2.0, 0, 0]) + 7
    plane, shares = path_plane(steps)
    where, away = plane.coordinates(steps)
    np.testing.assert_allclose(away, 0, atol=1e-12)
    np.testing.assert_allclose(where[-1], 0, atol=1e-12)
    assert shares[:2].sum() == pytest.approx(1)
    np.testing.assert_allclose([plane.first @ plane.first, plane.first @ plane.second], [1, 0], atol=1e-12)
    line, _ = path_plane(steps[[0, -1]])
    assert line.first @ line.second == pytest.approx(0, abs=1e-12)
    with pytest.raises(UserError, match="does not move"):
        path_plane(np.ones((3, 4)))
    nets = RNG.normal(size=(3, 6))
    through = three_point_plane(*nets)
    where, away = through.coordinates(nets)
    np.testing.assert_allclose(away, 0, atol=1e-12)
    np.testing.assert_allclose(where[0], 0, atol=1e-12)
    np.testing.assert_allclose(where[1], [np.linalg.norm(nets[1] - nets[0]), 0], atol=1e-12)
    for flat in ([nets[0], nets[1], (nets[0] + nets[1]) / 2], [nets[0]] * 3):
        with pytest.raises(UserError, match="on a line"):
            three_point_plane(*flat)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (5, 1), (8, 5), (51, 51)])
def test_a_grid_is_filled_from_coarse_to_fine(rows, columns):
    levels = coarse_to_fine(rows, columns)
    every = np.concatenate(levels)
    assert len({tuple(p) for p in every}) == len(every) == rows * columns
    np.testing.assert_array_equal(levels[0][len(levels[0]) // 2], [rows // 2, columns // 2])
    for level in range(1, len(levels) + 1):
        so_far = np.concatenate(levels[:level])
        assert len(so_far) == len(np.unique(so_far[:, 0])) * len(np.unique(so_far[:, 1]))  # a grid of its own
    with pytest.raises(UserError):
        coarse_to_fine(0, 3)


def test_both_ends_are_on_the_line_between_them():
    for margin, points in ((0.5, 51), (0.5, 50), (0.3, 51), (2.0, 20), (0.5, 3)):
        found = subject.axis_of_a_line(margin, points)
        assert {0.0, 1.0} <= set(found)
        assert abs(len(found) - points) <= 3
        ends, step = [found[0], found[-1]], found[1] - found[0]
        np.testing.assert_allclose(ends, [-margin, 1 + margin], rtol=0, atol=step / 2 + 1e-9)


def test_zero_is_on_every_axis():
    for low, high, points in ((-1, 1, 51), (-0.37, 5.1, 9), (0, 1, 3), (-2.0, 0.3, 4)):
        found = subject.axis(low, high, points)
        assert 0.0 in found
        assert abs(len(found) - points) <= 1
        np.testing.assert_allclose(np.diff(found), (high - low) / (points - 1))


@pytest.mark.slow
def test_the_surface_stands_on_the_nets_that_it_names(tiny_run):
    tiny = tiny_run("landscape")
    result, about = tiny.result, tiny.settings
    trained = runner.execute(
        "classify",
        dataclasses.replace(
            CLASSIFY.tiny, models=about.nets, examples=about.examples, epochs=about.epochs, learning_rate=0.05,
            batch_size=about.training_settings().batch_size, seed=0, seeds=2,
        ),
        Context(),
    ).result  # fmt: skip
    whole = run(subset=about.examples).result
    i, j = (int(np.abs(v[0]).argmin()) for v in (whole.a, whole.b))
    for s in range(2):
        i, j = int(np.abs(whole.a[s]).argmin()), int(np.abs(whole.b[s]).argmin())
        np.testing.assert_allclose(whole.loss[s, i, j], trained.train_loss[0, s, -1], rtol=1e-5)
        np.testing.assert_allclose(whole.accuracy[s, i, j], trained.train_accuracy[0, s, -1], rtol=1e-6)
        np.testing.assert_allclose(whole.mark_loss[s], trained.train_loss[0, s], rtol=1e-5)  # the path itself
        np.testing.assert_allclose(result.loss[s, i, j], result.mark_loss[s, -1], rtol=1e-5)
    np.testing.assert_allclose(result.away[:, -1], 0, atol=1e-6)
    np.testing.assert_allclose(result.plane_loss[:, -1], result.mark_loss[:, -1], rtol=1e-5)
    assert (result.away[:, 1:-1] > 0).all()
    assert (result.explained.sum(1) < 1).all()


SOLID = {"contour", "filled", "surface", "accuracy"}
DRAWN = {
    "random": SOLID,
    "three-points": SOLID | {"curvature"},
    "hessian": SOLID,
    "start-end": {"line"},
    "line": {"line"},
}


@pytest.mark.slow
def test_every_plane_is_drawn_and_told():
    for plane in DRAWN:
        done = run(plane=plane, curvature=2 if plane == "three-points" else 0, seeds=1)
        assert set(done.figures()) == DRAWN[plane] <= set(LANDSCAPE.section.captions)
        assert len(done.summary().sentences) >= 2
        middle = done.result.loss[0][np.abs(done.result.a[0]).argmin(), np.abs(done.result.b[0]).argmin()]
        own = done.summary().numbers["6"]["loss"]
        assert middle == pytest.approx(own, rel=1e-5), plane
    of = run(
        of=("simulate",), data="mnist", nets=("3",), epochs=20, learning_rate=0.0, examples=0, subset=5000, seeds=1
    )
    assert of.result.loss.shape == (1, 5, 5)
    assert np.isnan(of.result.accuracy).all()


@pytest.mark.slow
def test_the_plane_of_the_hessian_has_its_curvature_along_the_axes(tmp_path):
    """Eigenvalues of the whole matrix; second differences of the loss that is drawn, on the same examples."""
    parts = FolderCheckpoints(tmp_path)
    # At the kinks of a ReLU net the loss bends by more than the Hessian says.
    settings = dataclasses.replace(LANDSCAPE.tiny, plane="hessian", seeds=1, span=0.02, activation="tanh")
    result = runner.execute("landscape", settings, Context(checkpoints=parts)).result
    (one,) = nets.find(settings, Context(checkpoints=parts))
    model = one.model()
    measure.assign(model, one.weights[0])
    values = np.linalg.eigvalsh(measure.hessian_matrix(model, one.loss, one.x, one.y))
    np.testing.assert_allclose(result.plane_eigenvalues[0], values[[-1, -2]], rtol=1e-3)
    a, b, loss = result.a[0], result.b[0], result.loss[0]
    second = [(row[0] - 2 * row[2] + row[4]) / 0.02**2 for row in (loss[:, 2], loss[2])]
    assert (a[2], b[2]) == (0, 0)
    np.testing.assert_allclose(second, values[[-1, -2]], rtol=0.05)
    assert [path.name.split()[0] for path in tmp_path.glob("eigenvectors*")] == ["eigenvectors"]
    again = runner.execute("landscape", settings, Context(checkpoints=parts)).result
    np.testing.assert_array_equal(again.loss, result.loss)
    wide = run(plane="hessian", seeds=1)
    own = wide.summary().numbers["6"]["loss"]
    reach = np.sqrt(2 * 10 * own / wide.result.plane_eigenvalues[0, 0])
    np.testing.assert_allclose(wide.result.a[0][[0, -1]], [-reach, reach], rtol=1e-3)
    assert "two largest eigenvalues" in " ".join(wide.summary().sentences)


@pytest.mark.slow
def test_the_plane_of_the_hessian_of_a_net_of_ones_own(saved):
    file, data, model, x, y = saved
    unchanged = {"nets": (), "examples": 0, "epochs": 0, "learning_rate": 0.0, "seeds": 1}
    result = run(of=(str(file),), data=str(data), plane="hessian", **unchanged).result
    pairs = measure.eigenpairs(measure.hessian(model, None, x, y), 2)
    np.testing.assert_allclose(result.plane_eigenvalues[0], pairs.values, rtol=1e-3)


@pytest.mark.slow
def test_the_map_of_curvature_is_that_of_the_hessian():
    done = run(plane="random", seeds=1, curvature=5, subset=40)
    result = done.result
    (one,) = nets.find(done.settings, Context())
    model = one.model()
    measure.assign(model, subject.plane_grid(done.settings, one).plane.at(result.a[0, 1], result.b[0, 3]))
    exact = np.linalg.eigvalsh(measure.hessian_matrix(model, one.loss, one.x, one.y))
    low, high, residual = result.eigenvalues[0, 1, 3]
    assert residual < 0.05 * abs(high)
    np.testing.assert_allclose([high, low], [exact[-1], exact[0]], rtol=1e-3)
    loose = result.eigenvalues.copy()
    loose[0, 0, 0, 2] = 1e9
    text = " ".join(LANDSCAPE.summary(done.settings, dataclasses.replace(result, eigenvalues=loose)).sentences)
    assert "1 of 25 points of the curvature map did not converge" in text


@pytest.fixture
def saved(tmp_path):
    """A model of one's own, saved, and its data: the paths, the model, x and y."""
    x, y = RNG.normal(size=(30, 5)).astype("f"), RNG.normal(size=(30, 1)).astype("f")
    inputs = keras.Input((5,))
    h = keras.layers.BatchNormalization()(dense(6, "tanh")(inputs))
    model = keras.Model(inputs, dense(1)(h))
    model.compile("adam", "mae")
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "own.keras")
    np.savez(tmp_path / "own.npz", x=x, y=y)
    return tmp_path / "own.keras", tmp_path / "own.npz", model, x, y


def test_a_model_of_ones_own(saved):
    file, data, model, x, y = saved
    done = run(of=(str(file),), data=str(data), nets=(), examples=0, epochs=0, learning_rate=0.0, plane="random")
    loss = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(done.result.loss[:, 2, 2], loss, rtol=1e-5)
    assert done.result.labels == ("own, plane 0", "own, plane 1")
    assert not np.array_equal(done.result.loss[0], done.result.loss[1])


def test_files_that_do_not_fit_are_refused_and_nothing_is_written(saved, inside, tmp_path):
    file, data, *_ = saved
    np.savez(tmp_path / "narrow.npz", x=np.zeros((4, 3), "f"), y=np.zeros((4, 1), "f"))
    np.savez(tmp_path / "nothing.npz", z=np.zeros(3))
    np.savez(tmp_path / "nan.npz", x=np.full((4, 5), np.nan, "f"), y=np.zeros((4, 1), "f"))
    (tmp_path / "text.keras").write_text("no model")
    np.save(tmp_path / "plain.npy", np.zeros((4, 5)))
    np.savez(tmp_path / "scalar.npz", x=1.0, y=np.zeros(4))
    (tmp_path / "cut.npz").write_bytes(data.read_bytes()[:80])
    keras.Sequential([dense(3)]).save(tmp_path / "unbuilt.keras")
    of = ["--plane", "random", "--of", file]
    for said, args in {
        "no such file": ["--of", tmp_path / "other.keras"],
        "cannot be loaded": ["--plane", "random", "--of", tmp_path / "text.keras", "--data", data],
        "no training path": ["--of", file, "--data", data, "--plane", "path"],
        r"\(5,\), --data \S+ has \(3,\)": [*of, "--data", tmp_path / "narrow.npz"],
        "arrays x and y": [*of, "--data", tmp_path / "nothing.npz"],
        "plain.npy must be an .npz": [*of, "--data", tmp_path / "plain.npy"],
        "scalar.npz: x ": [*of, "--data", tmp_path / "scalar.npz"],
        "cut.npz must be": [*of, "--data", tmp_path / "cut.npz"],
        "not been built": ["--plane", "random", "--of", tmp_path / "unbuilt.keras", "--data", data],
        "no path that could grow": [*of, "--data", data, "--animate"],
        "applies to random directions": ["--norm", "layer"],
        "applies to saved models": ["--loss", "mse"],
        "applies to images": ["--of", "simulate", "--batch-size", "5"],
        "--func applies to simulate": ["--func", "sign"],
        "there is one plane": [
            "--plane",
            "three-points",
            "--of",
            f"{file},{file},{file}",
            "--data",
            data,
            "--seeds",
            2,
        ],
        "one plane of the Hessian": ["--plane", "hessian", "--of", file, "--data", data, "--seeds", 2],
        "must be finite": [*of, "--data", tmp_path / "nan.npz"],
        "is not a file": [*of, "--data", tmp_path / "other.npz"],
        "'huber2' is unknown": [*of, "--data", data, "--loss", "huber2"],
        "not three": ["--plane", "three-points", "--of", file, "--data", data],
        "--nets are trained here": [*of, "--data", data, "--nets", "5"],
        "--epochs applies to a training": [*of, "--data", data, "--epochs", "5"],
    }.items():
        _, told = inside("landscape", *args, "--out", tmp_path / "out", expect=2)
        assert re.search(said, told), (said, told)
        assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_surface_goes_on_where_it_was_left(tmp_path):
    parts = FolderCheckpoints(tmp_path)
    first = runner.execute("landscape", LANDSCAPE.tiny, Context(checkpoints=parts, jobs=2))
    gone = sorted(tmp_path.glob("surface 1 2*"))
    assert len(gone) == 1
    gone[0].unlink()
    seen = []
    again = runner.execute("landscape", LANDSCAPE.tiny, Context(lambda *a, **_: seen.append(a), parts, jobs=2))
    assert {s[3] for s in seen} == {"points"}  # no training
    assert seen[0][0] > seen[0][1] / 2  # of what is done
    np.testing.assert_array_equal(again.result.loss, first.result.loss)


def test_another_loss_or_model_is_another_surface(saved):
    file, data, model, x, y = saved
    subjects = [
        subject.TrainedNet("a", 0, [measure.flat(model)], None, np.empty(0), -1, lambda m=m: m, loss, x, y)
        for m, loss in ((model, "mae"), (model, "mse"), (moved(model), "mae"))
    ]
    settings = LANDSCAPE.settings(of=(str(file),), data=str(data), plane="random", grid=5)
    chart = subject.plane_grid(settings, subjects[0])
    marks = [surface.SurfaceTask(s, chart).fingerprint() for s in (*subjects, subjects[0])]
    assert len(set(marks)) == 3
    assert marks[0] == marks[-1]


def moved(model):
    """The same net with other moving statistics."""
    copy = keras.models.clone_model(model)
    copy.set_weights([w if len(w) != 6 or k < 5 else w + 0.5 for k, w in enumerate(model.get_weights())])
    return copy


@pytest.mark.slow
def test_three_nets_of_ones_own_have_the_losses_that_keras_gives(saved, tmp_path):
    file, data, model, x, y = saved
    files, losses = [str(file)], [model.evaluate(x, y, verbose=0)]
    for k in (1, 2):
        other = moved(model)
        other.compile("adam", "mae")
        other.fit(x, y, epochs=k, verbose=0)
        other.save(tmp_path / f"{k}.keras")
        files.append(str(tmp_path / f"{k}.keras"))
        losses.append(other.evaluate(x, y, verbose=0))
    alone = {"nets": (), "examples": 0, "epochs": 0, "learning_rate": 0.0, "seeds": 1}
    done = run(of=tuple(files), data=str(data), plane="three-points", **alone)
    np.testing.assert_allclose(done.result.mark_loss[0], losses, rtol=1e-5)
    assert "with the untrained state of A" in " ".join(done.summary().sentences)  # moving statistics differ
    inputs = keras.Input((5,))
    keras.Model(inputs, dense(1)(keras.layers.BatchNormalization()(dense(6, "relu")(inputs)))).save(
        tmp_path / "r.keras"
    )
    with pytest.raises(UserError, match="differ in their layers"):
        run(of=(*files[:2], str(tmp_path / "r.keras")), data=str(data), plane="three-points", **alone)


def test_the_loss_is_that_of_the_file(saved):
    integers = np.zeros(len(saved[3]), int)
    choose = lambda settings, path, model, y: saved_models._loss_of(settings, path, model, saved[3], y)  # noqa: E731
    settings = LANDSCAPE.settings(of=(str(saved[0]),), data=str(saved[1]), plane="random")
    model = saved[2]
    for given, name in ((keras.losses.huber, "huber"), (["mae"], "mae"), (keras.losses.Huber(), "huber_loss")):
        model.compile("sgd", given)
        assert saved_models.loss_name(choose(settings, "own", model, saved[4])) == name
    model.compile("sgd", {"a": "mse"})
    with pytest.raises(UserError, match="name one with `loss`"):
        choose(settings, "own", model, saved[4])
    inputs = keras.Input((5,))
    for last in (dense(3, "softmax"), keras.layers.Softmax()):
        loss = choose(settings, "own", keras.Model(inputs, last(inputs)), integers)
        assert loss == "sparse_categorical_crossentropy"
    assert choose(settings, "own", keras.Model(inputs, dense(3)(inputs)), integers) is cross_entropy
    assert choose(settings, "own", keras.Model(inputs, dense(3)(inputs)), saved[4]) == "mean_squared_error"


@pytest.mark.slow
def test_half_a_part_is_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr(surface, "CHECKPOINT_SECONDS", 0.0)
    parts = FolderCheckpoints(tmp_path)
    kept = []
    put = parts.put
    monkeypatch.setattr(parts, "put", lambda name, arrays: (kept.append((name, arrays)), put(name, arrays)))
    first = runner.execute("landscape", LANDSCAPE.tiny, Context(checkpoints=parts))
    name, half = next((n, a) for n, a in kept if n.startswith("surface 0 1") and "so far" in n)
    whole = next(tmp_path.glob("surface 0 1*"))
    whole.unlink()
    put(name, half | {"rows": half["rows"] + 100.0})  # wrong on purpose: they must be taken as they are
    again = runner.execute("landscape", LANDSCAPE.tiny, Context(checkpoints=parts))
    changed = again.result.loss[0] - first.result.loss[0]
    assert (np.abs(changed - 100) < 1e-3).sum() == len(half["rows"])
    assert (np.abs(changed) < 1e-6).sum() == changed.size - len(half["rows"])


def test_the_page_stands_alone(tiny_run):
    page = tiny_run("landscape").pages()["surface"]
    assert not re.search(r"(?:src|href|url\(|import|fetch)[^>\n]{0,20}//", page)
    assert "http" not in page.replace("http://www.w3.org", "")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [n["label"] for n in data["nets"]] == list(tiny_run("landscape").result.labels)
    assert np.shape(data["nets"][0]["loss"]) == tiny_run("landscape").result.loss.shape[1:]


def test_names_on_the_page_stay_text(tiny_run):
    run_ = tiny_run("landscape")
    bad = '</script><img src=x onerror="alert(1)">'
    page = LANDSCAPE.pages(run_.settings, dataclasses.replace(run_.result, labels=(bad, "b")))["surface"]
    assert "<img" not in page
    assert page.count("</script>") == 2
