"""What every instrument that takes a model promises, whatever it measures.

The model is left as it was; the size of a chunk changes nothing but rounding; functional and Sequential models, and
float64, work; data of a wrong shape are refused in one line. Would miss: a number that is wrong in the same way for all
of these. Those are for the tests of each instrument and for tests/zoo.
"""

from __future__ import annotations

import contextlib
import inspect

import numpy as np
import pytest
import tensorflow as tf

import dlhw
from dlhw import measure, models
from dlhw.errors import UserError, check_numbers

import keras  # isort: skip

N, FEATURES = 12, 3
ALPHAS, GRID = (0.0, 0.5, 1.0), np.array([-0.5, 0.0, 0.5])


def shifted(model):
    return [w + 0.1 for w in model.get_weights()]


def plane(model):
    return measure.random_plane(measure.flat(model), model)


def noise(scale):
    return np.array([scale.trace, scale.squared_norm])


def other(model):
    net = models.copied(model)
    net.set_weights(shifted(model))
    return net


def statistics(model, x, batch):
    with measure.restore_weights(model):
        measure.reset_batch_norm(model, x, batch_size=batch)
        return np.concatenate([np.ravel(w) for w in model.get_weights()])


def aligned(model, x, y, batch):
    alignment = measure.align(model, other(model), method="correlation", x=x, batch_size=batch)
    return np.concatenate([np.ravel(w) for w in alignment.weights]) + 0 * len(y)


INSTRUMENTS = {
    "align": aligned,
    "batch_mean_sensitivity": lambda m, x, y, b: measure.batch_mean_sensitivity(m, "mse", x, y, batch_size=4).each,
    "fisher": lambda m, x, y, b: measure.fisher(m, "mse", x, y, batch_size=b) @ np.ones(len(measure.flat(m))),
    "curve": lambda m, x, y, b: (
        measure.curve(m, shifted(m), "mse", x, y, epochs=2, ts=ALPHAS, batch_size=b, batch_norm="interpolate").loss
    ),
    "gap_standard_error": lambda m, x, y, b: measure.gap_standard_error(m, "mse", (x, y), (x[:5], y[:5])),
    "ggn": lambda m, x, y, b: measure.ggn(m, "mse", x, y, batch_size=b) @ np.ones(len(measure.flat(m))),
    "gradient_noise_scale": lambda m, x, y, b: noise(
        measure.gradient_noise_scale(m, "mse", x, y, small=3, batch_size=b)
    ),
    "gradient_norm": lambda m, x, y, b: np.append(*measure.gradient_norm(m, "mse", x, y, batch_size=b)[::-1]),
    "hessian": lambda m, x, y, b: measure.hessian(m, "mse", x, y, batch_size=b) @ np.ones(len(measure.flat(m))),
    "hessian_matrix": lambda m, x, y, b: measure.hessian_matrix(m, "mse", x, y, batch_size=b),
    "hessian_plane": lambda m, x, y, b: measure.hessian_plane(m, "mse", x, y, batch_size=b)[1].values,
    "jacobian_norm": lambda m, x, y, b: measure.jacobian_norm(m, x, of="output", batch_size=b).each + 0 * len(y),
    "keskar": lambda m, x, y, b: measure.keskar(m, "mse", x, y, epsilon=0.01, starts=1, batch_size=b).value,
    "line": lambda m, x, y, b: measure.line(m, m, shifted(m), "mse", x, y, ALPHAS, batch_size=b).loss,
    "line_curvature": lambda m, x, y, b: measure.line_curvature(m, m, shifted(m), "mse", x, y, batch_size=b),
    "ntk": lambda m, x, y, b: measure.ntk(m, x).matrix + 0 * len(y),
    "margins": lambda m, x, y, b: measure.margins(m, x, (y > 0).astype(int), batch_size=b).values,
    "random_ball": lambda m, x, y, b: measure.random_ball(m, "mse", x, y, radius=0.1, samples=4, batch_size=b).rises,
    "reset_batch_norm": lambda m, x, y, b: statistics(m, x, b) + 0 * len(y),
    "sam": lambda m, x, y, b: measure.sam(m, "mse", x, y, batch_size=b).value,
    "sensitivity": lambda m, x, y, b: measure.sensitivity(m, "mse", x, y, batch_size=b).each,
    "surface": lambda m, x, y, b: measure.surface(m, plane(m), "mse", x, y, GRID, GRID, batch_size=b).loss,
}
ARRAYS_ONLY = {  # take no model together with data
    "alpha_grid", "as_float64", "assign", "barrier_over_chord", "barrier_over_mean", "chance_curvature",
    "critical_point", "descend", "diagonal", "effective_rank", "eigenpairs", "filter_axes", "flat",
    "gradient_flatness", "inertia", "kernel_norms", "layer_parts", "newton", "normalized", "path_norm", "path_plane",
    "pca", "random_direction", "random_plane", "random_walk_shares", "resolution", "restore_weights",
    "spectral_density", "subset", "three_point_plane", "trace",
}  # fmt: skip


def net(kind="functional", dtype="float32"):
    keras.utils.set_random_seed(3)
    dense = [
        keras.layers.Dense(4, activation="tanh", dtype=dtype, name="first"),
        keras.layers.BatchNormalization(dtype=dtype),
        keras.layers.Dense(1, dtype=dtype),
    ]
    inputs = keras.Input((FEATURES,), dtype=dtype)
    if kind == "sequential":
        model = keras.Sequential([inputs, *dense])
    else:
        h = inputs
        for layer in dense:
            h = layer(h)
        model = keras.Model(inputs, h)
    model.dtype_policy = keras.DTypePolicy(dtype)
    rng = np.random.default_rng(5)  # the same weights in every precision
    # Moving variances and scales, which must be positive, are ones.
    model.set_weights([w if w.ndim == 1 and w.all() else rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, FEATURES)), rng.normal(size=(N, 1))


def test_every_instrument_is_here():
    functions = {name for name in measure.__all__ if inspect.isfunction(getattr(measure, name))}
    assert functions == set(INSTRUMENTS) | ARRAYS_ONLY


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_the_model_is_left_as_it_was_and_chunks_change_nothing(name, data):
    model = net(dtype="float64")
    before = [v.numpy() for v in model.variables]
    values = [np.asarray(INSTRUMENTS[name](model, *data, batch)) for batch in (500, 5)]
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert np.isfinite(values[0]).all()
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_functional_and_sequential_models_and_both_precisions_agree(name, data):
    wide, sequential, narrow = (
        np.asarray(INSTRUMENTS[name](net(kind, dtype), *data, 500))
        for kind, dtype in (("functional", "float64"), ("sequential", "float64"), ("functional", "float32"))
    )
    np.testing.assert_allclose(sequential, wide, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(narrow, wide, rtol=2e-2, atol=2e-3 * np.abs(wide).max())


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_shared_functions_give_the_same_numbers(name, data):
    """As trainings of one net share them: other weights, other data of the same shapes, another loss."""
    from dlhw._tf.compiled import sharing

    model, (x, y) = net(dtype="float64"), data
    first = model.get_weights()
    states = [(first, y), ([w * 1.1 for w in first], y), (first, y + 1)]
    programs = {}

    def values(share):
        results = []
        for weights, targets in states:
            model.set_weights(weights)
            with sharing(programs) if share else contextlib.nullcontext():
                results.append(np.asarray(INSTRUMENTS[name](model, x, targets, 500)))
        return results

    for shared, alone in zip(values(True), values(False), strict=True):
        np.testing.assert_array_equal(shared, alone)
    count = len(programs)
    values(True)
    assert len(programs) == count


def test_other_losses_and_models_share_nothing(data):
    from dlhw._tf.compiled import sharing

    programs, (x, y) = {}, data
    with sharing(programs):
        values = [
            measure.sensitivity(model, loss, x, y).mean
            for model in (net(), net("sequential"))
            for loss in ("mse", "mae")
        ]
    assert len(programs) == 4
    assert values[0] == pytest.approx(values[2], rel=1e-5)
    assert values[0] != pytest.approx(values[1], rel=1e-3)


@pytest.mark.parametrize("name", INSTRUMENTS)
@pytest.mark.parametrize("wrong", ["features", "none"])
def test_wrong_shapes_are_refused_in_one_line(name, wrong, data):
    x, y = data
    x, y = (x[:, :2], y) if wrong == "features" else (x[:0], y[:0])
    with pytest.raises(UserError) as caught:
        INSTRUMENTS[name](net(), x, y, 500)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted({*INSTRUMENTS, *ARRAYS_ONLY}))
def test_the_docstring_says_what_is_taken_given_and_refused(name):
    doc = inspect.getdoc(getattr(measure, name)) or ""
    for section in ("Args:", "Returns:", "Raises:"):
        assert section in doc, section
    assert ">>> " in doc


NUMBERS = {"int": (1.5, 10.0, "1", True), "float": ("1", [1.0, 2.0], True)}
CALLED = {name: getattr(measure, name) for name in dir(measure) if inspect.isroutine(getattr(measure, name))}
CALLED |= {name: getattr(measure, name) for name in ("Objective", "PlaneLoss", "StackedObjective")} | {"SAM": dlhw.SAM}


def numbers_of(function):
    """The arguments that are one number, by their annotations."""
    parameters = inspect.signature(function).parameters.values()
    kinds = {p.name: str(p.annotation).removesuffix(" | None") for p in parameters}
    return {name: kind for name, kind in kinds.items() if kind in NUMBERS}


@pytest.mark.parametrize("name", [name for name, function in CALLED.items() if numbers_of(function)])
def test_what_is_no_number_is_refused_in_one_line(name):
    """Of every argument that is a number, before anything else is looked at."""
    function, kinds = CALLED[name], numbers_of(CALLED[name])
    needed = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    for argument, kind in kinds.items():
        for wrong in NUMBERS[kind]:
            with pytest.raises(UserError, match=f"^`{argument}` .*must be a (whole )?number$") as caught:
                function(**{other: 1 if other in kinds else None for other in needed} | {argument: wrong})
            assert "\n" not in str(caught.value)


def test_numbers_of_numpy_and_tensorflow_are_numbers():
    @check_numbers
    def both(n: int, share: float, limit: float | None = None):
        return n, share, limit

    assert both(np.int64(3), tf.constant(0.5), np.float32(2)) == (3, 0.5, 2)
    assert both(np.array(3), 1) == (3, 1, None)
    with pytest.raises(UserError, match=r"^`n` array\(\[1, 2\]\) must be a whole number$"):
        both(np.array([1, 2]), 1)
    with pytest.raises(TypeError, match=r"both\(\) missing 1 required positional argument: 'share'"):
        both(3)
