"""Every public instrument and both trainings, each held against its oracle on one kind of model."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlhw import measure
from dlhw.errors import UserError
from dlhw.seeds import Stream
from dlhw.training import Trainer, fit, optimizer
from tests.zoo import kinds, oracles

import keras  # isort: skip

HALF = {"mixed_bfloat16": 0.05, "mixed_float16": 0.01}


@dataclass(frozen=True)
class Subject:
    """A model with data, a loss and the tolerance of its precision."""

    name: str
    model: Any
    x: Any
    y: np.ndarray
    loss: Any

    @functools.cached_property
    def base(self) -> float:
        """The loss at the weights as they are."""
        return oracles.evaluate(*self.data)

    @functools.cached_property
    def slope(self) -> np.ndarray:
        """The gradient there."""
        return oracles.gradient(*self.data)

    @property
    def data(self) -> tuple[Any, Any, Any, Any]:
        return self.model, self.loss, self.x, self.y

    def near(self, value: Any, expected: Any, wide: float = 1e-7, narrow: float = 1e-4) -> None:
        """Assert equality within the rounding of the model's precision, relative to the largest entry."""
        policy = kinds.KINDS[self.name].precision
        narrow = HALF.get(policy, narrow)
        is_wide = keras.config.floatx() == "float64" and "size" not in self.name
        is_resized = any(word in self.name for word in ("bilinear", "bicubic"))  # TensorFlow resizes in float32
        tolerance = narrow if is_resized or policy in HALF or not is_wide else wide
        expected = np.asarray(expected, np.float64)
        scale = float(np.abs(expected).max(initial=0.0)) or 1.0
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance * scale + 1e-12)


def value(s: Subject) -> None:
    results = [measure.Objective(*s.data, batch_size=size).value().loss for size in (4, 500)]
    s.near(results, [s.base] * 2, wide=1e-6)


def gradient_norm(s: Subject) -> None:
    total, layers = measure.gradient_norm(*s.data, batch_size=4)
    s.near(total, np.linalg.norm(s.slope))
    s.near(np.sum(layers**2), total**2)


def hessian(s: Subject) -> None:
    operator = measure.hessian(*s.data)
    v = np.random.default_rng(1).normal(size=operator.shape[0])
    if kinds.KINDS[s.name].precision in HALF:  # differences in half precision say nothing
        model = measure.as_float64(s.model)
        s.near(operator @ v, measure.hessian(model, *s.data[1:]) @ v)
        return
    coarse = any(word in s.name for word in ("bilinear", "bicubic")) or kinds.KINDS[s.name].precision == "float32"
    s.near(operator @ v, oracles.product(*s.data, v, 3e-3 if coarse else 1e-5), wide=1e-5, narrow=1e-2)


def hessian_matrix(s: Subject) -> None:
    matrix = measure.hessian_matrix(*s.data)
    v = np.random.default_rng(1).normal(size=len(matrix))
    s.near(matrix @ v, measure.hessian(*s.data, check=False) @ v)


def ggn(s: Subject) -> None:
    operator = measure.ggn(*s.data)
    v = np.random.default_rng(1).normal(size=operator.shape[0])
    if kinds.KINDS[s.name].precision in HALF:
        s.near(operator @ v, measure.ggn(measure.as_float64(s.model), *s.data[1:]) @ v)
        return
    coarse = any(word in s.name for word in ("bilinear", "bicubic")) or kinds.KINDS[s.name].precision == "float32"
    expected = oracles.gauss_newton_product(*s.data, v, 3e-3 if coarse else 1e-5)
    s.near(operator @ v, expected, wide=1e-5, narrow=1e-2)


def ntk(s: Subject) -> None:
    two = keras.tree.map_structure(lambda a: a[:2], s.x)
    kernel = measure.ntk(s.model, two)
    last = len(kernel.matrix) - 1
    rows = np.stack([oracles.output_gradient(s.model, two, k) for k in (0, last)])
    s.near(kernel.matrix[[0, 0, last]][[0, 1, 2], [0, last, last]], [rows[0] @ rows[0], rows[0] @ rows[1],
                                                                     rows[1] @ rows[1]], narrow=1e-3)  # fmt: skip


def eigenpairs(s: Subject) -> None:
    pair = measure.eigenpairs(measure.hessian(*s.data), steps=20, tolerance=1e-2)
    image = measure.hessian(*s.data, check=False) @ pair.vectors[0]
    s.near(pair.vectors[0] @ image, pair.values[0], narrow=1e-2)


def sensitivity(s: Subject) -> None:
    s.near(measure.sensitivity(*s.data, batch_size=4).each, oracles.sensitivities(*s.data))


def jacobian_output(s: Subject) -> None:
    _jacobian(s, "output")


def jacobian_softmax(s: Subject) -> None:
    _jacobian(s, "softmax")


def _jacobian(s: Subject, of: Any) -> None:
    s.near(measure.jacobian_norm(s.model, s.x, of=of, batch_size=4).each, oracles.jacobians(s.model, s.x, of))


def line(s: Subject) -> None:
    start = s.model.get_weights()
    end = [w + 0.1 if np.issubdtype(w.dtype, np.floating) else w for w in start]
    result = measure.line(s.model, start, end, *s.data[1:], [0.5], batch_size=4)
    with oracles.restored(s.model):
        for k, alpha in enumerate((0.0, 0.5, 1.0)):
            s.model.set_weights([(1 - alpha) * a + alpha * b if a.dtype.kind == "f" else a
                                 for a, b in zip(start, end, strict=True)])  # fmt: skip
            s.near(result.loss[k], oracles.evaluate(*s.data), wide=1e-6)


def line_curvature(s: Subject) -> None:
    start = s.model.get_weights()
    end = [w + 0.1 if np.issubdtype(w.dtype, np.floating) else w for w in start]
    at_start = measure.line_curvature(s.model, start, end, *s.data[1:])[0]
    with oracles.restored(s.model):
        theta = oracles.flat(s.model).astype(np.float64)
        s.model.set_weights(end)
        d = oracles.flat(s.model) - theta
        s.model.set_weights(start)
        s.near(at_start, d @ (measure.hessian(*s.data, check=False) @ d), wide=1e-6, narrow=1e-2)


def surface(s: Subject) -> None:
    theta = measure.flat(s.model)
    plane = measure.random_plane(theta, s.model, seed=2)
    result = measure.surface(s.model, plane, *s.data[1:], [0.0, 0.3], [-0.2])
    with oracles.restored(s.model):
        for k, a in enumerate((0.0, 0.3)):
            oracles.place(s.model, plane.at(a, -0.2))
            s.near(result.loss[k, 0], oracles.evaluate(*s.data), wide=1e-6)


def keskar(s: Subject) -> None:
    result = measure.keskar(*s.data, starts=1, iterations=2)
    s.near(result.loss, s.base, wide=1e-6)
    assert result.value >= 0


def sam(s: Subject) -> None:
    result = measure.sam(*s.data, rho=0.05)
    g = s.slope
    with oracles.restored(s.model):
        oracles.place(s.model, oracles.flat(s.model) + 0.05 * g / np.linalg.norm(g))
        s.near(result.largest, oracles.evaluate(*s.data), wide=1e-6)


def random_ball(s: Subject) -> None:
    result = measure.random_ball(*s.data, radius=0.1, samples=4, seed=5)
    theta = oracles.flat(s.model).astype(np.float64)
    u = np.random.default_rng(5).normal(size=len(theta))
    with oracles.restored(s.model):
        oracles.place(s.model, theta + 0.1 * u / np.linalg.norm(u))
        s.near(result.rises[0] + result.loss, oracles.evaluate(*s.data), wide=1e-6)
    s.near(result.loss, s.base, wide=1e-6)


def as_float64(s: Subject) -> None:
    wide = measure.as_float64(s.model)
    with oracles.restored(s.model), oracles.restored(wide):
        expected, result = (m(s.x, training=False) for m in (s.model, wide))
    pairs = zip(*(v if isinstance(v, list) else [v] for v in (result, expected)), strict=True)
    for z, target in pairs:
        s.near(np.asarray(z, np.float64), np.asarray(keras.ops.cast(target, "float32")), 1e-5)
        assert z.dtype == "float64"


def weights(s: Subject) -> None:
    theta = measure.flat(s.model)
    np.testing.assert_array_equal(theta, oracles.flat(s.model))
    measure.assign(s.model, theta)
    parts = list(measure.layer_parts(s.model).values())
    assert sum(part.stop - part.start for part in parts) == len(theta)
    assert len(measure.filter_axes(s.model)) == len(s.model.trainable_variables)


RATE = 0.05


def trainer(s: Subject) -> None:
    def train(model: Any) -> None:
        engine = Trainer(model, batch_size=len(s.y), optimizer=optimizer("sgd", RATE), loss=s.loss, compiled=False)
        engine.fit((s.x, s.y), (s.x, s.y), epochs=2)

    shuffled = np.random.default_rng([0, Stream.BATCHES])
    _trains(s, train, [shuffled.permutation(len(s.y)) for _ in range(2)])


def full_batch(s: Subject) -> None:
    def train(model: Any) -> None:
        fit(model, s.x, s.y, steps=2, optimizer=optimizer("sgd", RATE), loss=s.loss, compiled=False)

    _trains(s, train, [np.arange(len(s.y))] * 2)


def _trains(s: Subject, train: Callable[[Any], Any], orders: list[np.ndarray]) -> None:
    with oracles.restored(s.model):
        train(s.model)
        result = [v.numpy() for v in s.model.trainable_variables]
    for a, b in zip(result, oracles.trained(s.model, s.loss, s.x, s.y, orders, RATE), strict=True):
        s.near(a, b, wide=1e-6, narrow=1e-3)


INSTRUMENTS: dict[str, Callable[[Subject], None]] = {
    f.__name__: f
    for f in (
        value, gradient_norm, hessian, hessian_matrix, eigenpairs, sensitivity, jacobian_output,
        jacobian_softmax, line, line_curvature, surface,
        keskar, sam, random_ball, as_float64, weights, trainer, full_batch,
    )
}  # fmt: skip


CURVATURES: dict[str, Callable[[Subject], None]] = {"ggn": ggn, "ntk": ntk}
"""Tried on one kind of each theme, and not in the table."""
AS_HESSIAN = {"hessian_matrix", "eigenpairs", "line_curvature"}
"""Instruments that ask the operator of `hessian`, which is held against differences on every kind: one kind of each
theme will do for them."""
APPLICATIONS = {"value", "gradient_norm", "sensitivity", "as_float64"}
"""What is tried of whole applications of Keras: more takes minutes and shows nothing new."""
FAST = {"value", "gradient_norm", "hessian", "sensitivity", "as_float64", "trainer"}


@dataclass(frozen=True)
class Outcome:
    """What came of an instrument on a kind: right, or refused and why. What is wrong raises."""

    right: bool
    reason: str = ""


def outcome(s: Subject, instrument: str) -> Outcome:
    """Run one instrument; the model must be bit-equal afterwards, its states and seeds too."""
    before = [v.numpy() for v in oracles.variables_of(s.model)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (INSTRUMENTS | CURVATURES)[instrument](s)
            result = Outcome(True)
        except UserError as error:
            result = Outcome(False, str(error))
    assert "\n" not in result.reason
    for variable, held in zip(oracles.variables_of(s.model), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), held, err_msg=f"{variable.name} has changed")
    return result
