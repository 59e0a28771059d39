"""Instruments and trainings on models that are not our own.

Oracles: `model.evaluate` over one batch, an eager GradientTape, central differences of the float64 gradient, closed
forms. What they would miss: a fault that Keras's own evaluation shares, such as targets (n,) that broadcast to (n, n);
that one is refused and has a test of its own. The zoo (tests/zoo) runs every kind of model through every instrument;
here are the values that were once wrong.
"""

from __future__ import annotations

import numpy as np
import pytest

import dlhw  # noqa: F401  (sets KERAS_BACKEND)
from dlhw import measure
from dlhw._tf.inputs import ChunkedArray
from dlhw.errors import UserError
from dlhw.training import Trainer, cross_entropy, fit, fit_many, optimizer

import keras  # isort: skip
import tensorflow as tf  # isort: skip

L = keras.layers


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(7)


def rng():
    return np.random.default_rng(0)


def chain(*layers, shape, dtype=None, seed=1):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(shape, dtype=dtype)
    h = inputs
    for layer in layers:
        h = layer(h)
    return keras.Model(inputs, h)


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def evaluated(model, loss, x, y):
    """What Keras reports for all examples as one batch, with the states of the model put back."""
    with measure.restore_weights(model):
        model.compile(loss=loss)
        return float(model.evaluate(x, y, batch_size=len(y), verbose=0))


def difference(model, loss, x, y, v, h=1e-5):
    """Derivative of the gradient along v, by central differences with Richardson's extrapolation."""
    theta, objective = measure.flat(model), measure.Objective(model, loss, x, y)

    def gradient(t):
        measure.assign(model, t)
        return objective.gradient()[1]

    one, two = ((gradient(theta + k * h * v) - gradient(theta - k * h * v)) / (2 * k * h) for k in (1, 2))
    measure.assign(model, theta)
    return (4 * one - two) / 3


SMOOTH = {
    "layer norm": lambda: chain(L.Dense(6, activation="tanh"), L.LayerNormalization(), L.Dense(1), shape=(3,)),
    "group norm": lambda: chain(L.Dense(6, activation="tanh"), L.GroupNormalization(3), L.Dense(1), shape=(3,)),
    "softsign": lambda: chain(L.Dense(6, activation="softsign"), L.Dense(1), shape=(3,)),
    "nearest": lambda: chain(
        L.Reshape((3, 1, 1)), L.Conv2D(2, 1, activation="tanh"), L.Resizing(5, 2, interpolation="nearest"),
        L.Conv2D(1, 2, activation="tanh"), L.GlobalAveragePooling2D(), shape=(3,),
    ),
    "transformer": lambda: transformer(),
}  # fmt: skip


def transformer():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    h = L.Dense(4)(L.Reshape((3, 1))(inputs))
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 2)(h, h))
    return keras.Model(inputs, L.Dense(1)(L.Flatten()(h)))


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_equal_differences_of_the_gradient(name, float64):
    model = SMOOTH[name]()
    x, y = rng().normal(size=(20, 3)), rng().normal(size=(20, 1))
    v = rng().normal(size=model.count_params())
    product = measure.hessian(model, "mse", x, y) @ v
    expected = difference(model, "mse", x, y, v)
    np.testing.assert_allclose(product, expected, atol=1e-8 * np.abs(expected).max())
    whole = measure.hessian_matrix(model, "mse", x, y)
    np.testing.assert_allclose(whole @ v, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_second_derivatives_through_a_resize(kind, float64):
    """TensorFlow resizes in float32, so differences are good to a thousandth."""
    model = chain(
        L.Conv2D(2, 3, activation="tanh"), L.UpSampling2D(2, interpolation=kind), L.Conv2D(1, 3, activation="tanh"),
        L.GlobalAveragePooling2D(), shape=(5, 5, 1),
    )  # fmt: skip
    x, y = rng().normal(size=(6, 5, 5, 1)), rng().normal(size=(6, 1))
    v = rng().normal(size=model.count_params())
    expected = difference(model, "mse", x, y, v, h=1e-3)
    product = measure.hessian(model, "mse", x, y) @ v
    np.testing.assert_allclose(product, expected, atol=1e-3 * np.abs(expected).max())
    raw = measure.Objective(model, "mse", x, y).matrix()
    np.testing.assert_allclose(raw, raw.T, atol=1e-6 * np.abs(raw).max())


def test_moments_are_put_back_after_a_product():
    original = tf.nn.moments
    model = SMOOTH["layer norm"]()
    measure.hessian(model, "mse", np.ones((4, 3)), np.ones((4, 1))) @ np.ones(model.count_params())
    assert tf.nn.moments is original


@tf.custom_gradient
def _sine_with_a_stopped_cosine(x):
    return tf.sin(x), lambda upstream: upstream * tf.stop_gradient(tf.cos(x))


class WrongTwice(L.Layer):
    def call(self, x):
        return _sine_with_a_stopped_cosine(x)


class Response(L.Layer):
    def call(self, x):
        return tf.nn.local_response_normalization(x)


def test_the_layer_whose_second_derivative_is_wrong_or_missing_is_named():
    model = chain(L.Dense(6, activation="tanh"), WrongTwice(name="sine"), L.Dense(1), shape=(3,))
    x, y = rng().normal(size=(9, 3)), rng().normal(size=(9, 1))
    for instrument in (measure.hessian, measure.hessian_matrix):
        with pytest.raises(
            UserError, match=r"layer 'sine' \(WrongTwice\) has second derivatives that do not match its gradient"
        ):
            instrument(model, "mse", x, y)
    assert measure.hessian(model, "mse", x, y, check=False).shape == (31, 31)
    model = chain(L.Conv2D(2, 2, activation="tanh"), Response(name="lrn"), L.Flatten(), L.Dense(1), shape=(4, 4, 1))
    with pytest.raises(UserError, match=r"layer 'lrn' \(Response\) has no second derivative"):
        measure.hessian(model, "mse", rng().normal(size=(9, 4, 4, 1)), y)


def test_a_kernel_that_float64_lacks_is_refused_in_a_line(float64):
    model = chain(L.Conv3D(2, 2), L.MaxPooling3D(), L.Flatten(), L.Dense(1), shape=(4, 4, 4, 1))
    with pytest.raises(UserError, match=r"MaxPooling3D.*cannot be called|cannot be called on x: .*MaxPooling3D"):
        measure.Objective(model, "mse", rng().normal(size=(5, 4, 4, 4, 1)), np.ones((5, 1)))


def test_relu_nets_pass_the_check_without_a_warning(recwarn):
    model = chain(L.Dense(40, activation="relu"), L.Dense(40, activation="relu"), L.Dense(1), shape=(3,))
    measure.hessian(model, "mse", rng().normal(size=(50, 3)), rng().normal(size=(50, 1)))
    assert not [w for w in recwarn if "Hessian" in str(w.message)]


def adapted():
    norm = L.Normalization()
    norm.adapt(rng().normal(5, 3, size=(50, 3)).astype("float32"))
    return chain(norm, L.Dense(2, activation="tanh"), L.Dense(1), shape=(3,))


def test_copies_carry_the_state_that_weights_do_not():
    model, x = adapted(), rng().normal(5, 3, size=(9, 3)).astype("float32")
    wide = measure.as_float64(model)
    np.testing.assert_allclose(wide(x), model(x), rtol=1e-5)
    assert wide(x).dtype == tf.float64
    lookup = L.StringLookup()
    lookup.adapt(np.array(["a", "b", "c", "a"]))
    words = chain(lookup, L.Embedding(5, 3), L.Flatten(), L.Dense(1), shape=(2,), dtype="string")
    texts = np.array([["a", "c"], ["b", "unknown"]])
    np.testing.assert_allclose(measure.as_float64(words)(tf.constant(texts)), words(tf.constant(texts)), rtol=1e-5)


class Scaled(L.Layer):
    """A layer with state that neither its weights nor its configuration hold."""

    factor = 1.0

    def call(self, x):
        return x * self.factor


def test_a_copy_that_computes_something_else_is_refused():
    model = chain(Scaled(name="scaled"), L.Dense(1), shape=(3,))
    measure.as_float64(model)
    model.get_layer("scaled").factor = 2.0
    with pytest.raises(UserError, match="layer 'scaled' holds state"):
        measure.as_float64(model)


def test_ends_of_a_line_with_other_states_are_refused():
    x, y = rng().normal(5, 3, size=(9, 3)).astype("float32"), np.ones((9, 1))
    a, b = adapted(), adapted()
    assert np.isfinite(measure.line(a, a, b, "mse", x, y, [0.5]).loss).all()
    b.layers[1].adapt(rng().normal(0, 1, size=(50, 3)).astype("float32"))
    with pytest.raises(UserError, match=r"layer 'normalization.*' holds state"):
        measure.line(a, a, b, "mse", x, y, [0.5])


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(1)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("make", [Own, lambda: keras.Sequential([L.Dense(1)])])
def test_models_that_are_not_built_are_refused(make):
    model, x, y = make(), np.ones((8, 3)), np.ones((8, 1))
    for call in (
        lambda: measure.Objective(model, "mse", x, y),
        lambda: measure.sensitivity(model, "mse", x, y),
        lambda: measure.jacobian_norm(model, x, of="output"),
        lambda: measure.as_float64(model),
        lambda: measure.flat(model),
        lambda: Trainer(model, batch_size=2, optimizer=optimizer("sgd", 0.1)),
        lambda: fit(model, x, y, steps=1, optimizer=optimizer("sgd", 0.1)),
    ):
        with pytest.raises(UserError, match=r"not built.*call it once on data"):
            call()
    model(x)
    assert measure.Objective(model, "mse", x, y).value().loss == pytest.approx(evaluated(model, "mse", x, y), rel=1e-6)


def sequences(mask):
    data = rng().normal(size=(9, 5, 2)).astype("float32")
    for k, n in enumerate([1, 2, 3, 4, 5, 3, 2, 5, 1]):
        data[k, n:] = mask
    return data


CASES = {
    "masking": lambda: (chain(L.Masking(), L.LSTM(3, return_sequences=True), L.Dense(1), shape=(5, 2)), sequences(0.0),
                        rng().normal(size=(9, 5, 1)), "mse"),
    "mask_zero": lambda: (chain(L.Embedding(7, 3, mask_zero=True), L.Dense(4), shape=(5,), dtype="int32"),
                          rng().integers(0, 3, (9, 5)), rng().integers(0, 4, (9, 5)),
                          keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    "ignore_class": lambda: (chain(L.Dense(3), shape=(4, 2)), rng().normal(size=(9, 4, 2)),
                             rng().integers(-1, 3, (9, 4)),
                             keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)),
    "sum": lambda: (chain(L.Dense(1), shape=(3,)), rng().normal(size=(9, 3)), rng().normal(size=(9, 1)),
                    keras.losses.MeanSquaredError(reduction="sum")),
    "smoothing": lambda: (chain(L.Dense(3), shape=(3,)), rng().normal(size=(9, 3)), np.eye(3)[rng().integers(0, 3, 9)],
                          keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)),
    "circle": lambda: (chain(L.Dense(3), L.UnitNormalization(), shape=(3,)), rng().normal(size=(9, 3)),
                       rng().integers(0, 3, 9), keras.losses.Circle()),
    "activity": lambda: (chain(L.Dense(3, activity_regularizer="l2"), L.Dense(1), shape=(3,)),
                         rng().normal(size=(9, 3)), rng().normal(size=(9, 1)), "mse"),
    "summed add_loss": lambda: (chain(Penalty(tf.reduce_sum), L.Dense(1), shape=(3,)), rng().normal(size=(9, 3)),
                                rng().normal(size=(9, 1)), "mse"),
    "vector add_loss": lambda: (chain(Penalty(lambda a: tf.reduce_mean(a, 0)), L.Dense(1), shape=(3,)),
                                rng().normal(size=(9, 3)), rng().normal(size=(9, 1)), "mse"),
    "largest of a batch": lambda: (chain(Penalty(tf.reduce_max), L.Dense(1), shape=(3,)), rng().normal(size=(9, 3)),
                                   rng().normal(size=(9, 1)), "mse"),
    "vae": lambda: (chain(L.Dense(2), Sampling(), L.Dense(3), shape=(3,)), rng().normal(size=(9, 3)),
                    rng().normal(size=(9, 3)), "mse"),
    "large targets": lambda: (chain(L.Dense(1, dtype="mixed_float16"), shape=(3,)), rng().normal(size=(9, 3)),
                              np.full((9, 1), 2e5), "mae"),
    "whole targets": lambda: (chain(L.Dense(1), shape=(3,)), rng().normal(size=(9, 3)), rng().integers(0, 9, 9),
                              lambda a, b: tf.square(a - b)),
}  # fmt: skip


class Penalty(L.Layer):
    def __init__(self, of, **kwargs):
        super().__init__(**kwargs)
        self.of = of

    def call(self, x):
        self.add_loss(0.1 * self.of(tf.square(x)))
        return x


class Sampling(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)


@pytest.mark.filterwarnings("ignore:the loss is a sum")
@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_are_those_that_keras_minimizes(name):
    model, x, y, loss = CASES[name]()
    expected = evaluated(model, loss, x, y)
    before = [v.numpy() for v in model.variables]
    for size in (500, 4):
        objective = measure.Objective(model, loss, x, y, batch_size=size)
        assert objective.value().loss == pytest.approx(expected, rel=1e-5)
        assert objective.value() == objective.value() or np.isnan(objective.value().accuracy)
        _, gradient = objective.gradient()
    with measure.restore_weights(model), tf.GradientTape() as tape:
        model.compile(loss=loss)
        value = model.compute_loss(x=x, y=tf.constant(y), y_pred=model(x, training=False))
    wanted = tape.gradient(value, [v.value for v in model.trainable_variables])
    wanted = np.concatenate([np.ravel(tf.convert_to_tensor(g)) for g in wanted])
    tolerance = 1e-2 if name == "large targets" else 1e-4  # computed in float16
    np.testing.assert_allclose(gradient, wanted, rtol=tolerance, atol=tolerance / 10 * np.abs(wanted).max())
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_no_loss_means_the_compiled_loss():
    model = chain(L.Dense(1), shape=(3,))
    x, y = rng().normal(size=(9, 3)), rng().normal(size=(9, 1))
    with pytest.raises(UserError, match="loss=None means the loss that the model was compiled with"):
        measure.Objective(model, None, x, y)
    model.compile(loss="mae", loss_weights=[3.0])
    expected = 3 * np.abs(model.predict(x, verbose=0) - y).mean()
    assert measure.Objective(model, None, x, y).value().loss == pytest.approx(expected, rel=1e-5)
    model.compile(loss=["mae"])
    assert measure.Objective(model, None, x, y).value().loss == pytest.approx(expected / 3, rel=1e-5)


def test_losses_that_couple_examples_have_no_sensitivity():
    model, x, y, loss = CASES["circle"]()
    with pytest.raises(UserError, match="depends on the other examples"):
        measure.sensitivity(model, loss, x, y)
    model, x, y, loss = CASES["vae"]()
    with pytest.raises(UserError, match="depends on the other examples"):
        measure.sensitivity(model, loss, x, y)


class Noise(L.Layer):
    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


class Counter(L.Layer):
    def build(self, shape):
        self.calls = self.add_weight(shape=(), trainable=False, initializer="zeros")

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * self.calls


def test_a_forward_pass_that_is_no_function_is_refused_or_made_one():
    x, y = rng().normal(size=(9, 3)), rng().normal(size=(9, 1))
    noisy = chain(Noise(name="noise"), L.Dense(1), shape=(3,))
    for call in (
        lambda: measure.Objective(noisy, "mse", x, y),
        lambda: measure.sensitivity(noisy, "mse", x, y),
        lambda: measure.keskar(noisy, "mse", x, y),
        lambda: fit(noisy, x, y, steps=1, optimizer=optimizer("sgd", 0.1)),
    ):
        with pytest.raises(UserError, match="layer 'noise' is random"):
            call()
    counting = chain(Counter(), L.Dense(1), shape=(3,))
    counting.layers[1].calls.assign(4.0)
    expected = evaluated(counting, "mse", x, y)
    for size in (2, 500):
        assert measure.Objective(counting, "mse", x, y, batch_size=size).value().loss == pytest.approx(expected)
    measure.keskar(counting, "mse", x, y)
    assert float(counting.layers[1].calls) == 4.0


def test_a_stateful_layer_starts_from_the_state_that_the_model_holds():
    keras.utils.set_random_seed(1)
    inputs = keras.Input(batch_shape=(6, 4, 2))
    model = keras.Model(inputs, L.Dense(1)(L.LSTM(3, stateful=True)(inputs)))
    x, y = rng().normal(size=(6, 4, 2)).astype("float32"), rng().normal(size=(6, 1))
    model(x)
    held = [v.numpy() for v in model.variables]
    expected = evaluated(model, "mse", x, y)
    objective = measure.Objective(model, "mse", x, y)
    assert [objective.value().loss for _ in range(2)] == [pytest.approx(expected, rel=1e-5)] * 2
    for variable, value in zip(model.variables, held, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_softmaxes_are_seen_wherever_they_stand():
    x = rng().normal(size=(9, 3))
    inner = chain(L.Dense(3, activation="softmax"), shape=(3,))
    inputs = keras.Input((3,))
    for model in (keras.Model(inputs, inner(inputs)), keras.Model(inputs, keras.ops.softmax(L.Dense(3)(inputs)))):
        with pytest.raises(UserError, match="already outputs probabilities"):
            measure.jacobian_norm(model, x)
        assert measure.jacobian_norm(model, x, of="output").mean > 0
        with pytest.warns(UserWarning, match="expects logits, and the outputs are probabilities"):
            measure.Objective(model, cross_entropy, x, np.zeros(9, int))
    with pytest.warns(UserWarning, match="expects probabilities, and the outputs are not"):
        measure.Objective(chain(L.Dense(3), shape=(3,)), "sparse_categorical_crossentropy", x, np.zeros(9, int))


def test_inputs_that_no_gradient_reaches_are_refused_and_layers_can_be_named():
    words = chain(L.Embedding(9, 4, name="words"), L.Flatten(), L.Dense(1), shape=(3,))
    ids, y = rng().integers(0, 9, (8, 3)), rng().normal(size=(8, 1)).astype("float32")
    with pytest.raises(UserError, match=r'no gradient reaches x.*at="words"'):
        measure.sensitivity(words, "mse", ids.astype("float32"), y)
    with pytest.raises(UserError, match=r'one array of floats.*at="words"'):
        measure.jacobian_norm(words, ids, of="output")
    kernel = words.layers[-1].get_weights()[0]
    residual = np.asarray(words(ids)) - y
    slopes = measure.sensitivity(words, "mse", ids, y, at="words", batch_size=3)
    np.testing.assert_allclose(slopes.each, np.abs(2 * residual[:, 0]) * np.linalg.norm(kernel), rtol=1e-5)
    jacobian = measure.jacobian_norm(words, ids, of="output", at="words")
    np.testing.assert_allclose(jacobian.each, np.linalg.norm(kernel), rtol=1e-5)
    with pytest.raises(UserError, match="`at` 'none'"):
        measure.sensitivity(words, "mse", ids, y, at="none")


def test_targets_that_would_broadcast_are_refused():
    model = chain(L.Dense(4), shape=(3,))
    x = rng().normal(size=(4, 3))
    for loss in ("mse", lambda a, b: tf.reduce_mean(tf.square(a - b), -1)):
        with pytest.raises(UserError, match="cannot be computed from targets"):
            measure.Objective(model, loss, x, np.ones(4))


def test_fit_takes_targets_as_the_trainer_does():
    """(n,) against (n, 1) with a loss of one's own: the (n, n) broadcast gave 12.57 in place of 8.31."""
    x, y = rng().normal(size=(12, 3)).astype("float32"), rng().normal(2, 2, size=12).astype("float32")
    square = lambda a, b: tf.square(a - b)  # noqa: E731
    models = [chain(L.Dense(1), shape=(3,)) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    expected = np.mean((np.asarray(models[0](x))[:, 0] - y) ** 2)
    history = fit(models[0], x, y, steps=3, optimizer=optimizer("sgd", 0.05), loss=square)
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)
    trainer = Trainer(models[1], batch_size=12, optimizer=optimizer("sgd", 0.05), loss=square)
    curves = trainer.fit((x, y), (x, y), epochs=3)
    np.testing.assert_allclose(curves.train_loss, history.loss, rtol=1e-5)


def test_labels_outside_the_classes_are_refused():
    model, x = chain(L.Dense(3), shape=(3,)), rng().normal(size=(9, 3))
    for labels, wrong in ((np.arange(9), "3"), (np.arange(9) - 1, "-1"), (np.full(9, 0.5), "0.5")):
        with pytest.raises(UserError, match=rf"label {wrong} is not a class of a model with 3 outputs"):
            measure.Objective(model, cross_entropy, x, labels)
        trainer = Trainer(model, batch_size=3, optimizer=optimizer("sgd", 0.1))
        with pytest.raises(UserError, match=rf"label {wrong} is not a class"):
            trainer.fit((x, labels), (x, np.zeros(9, int)), epochs=1)
    with pytest.raises(UserError, match="one output has no classes"):
        measure.Objective(chain(L.Dense(1), shape=(3,)), cross_entropy, x, np.zeros(9, int))


def trained_by_keras(model, loss, x, y, steps, rate=0.1):
    model.compile(optimizer=keras.optimizers.SGD(rate), loss=loss)
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model.get_weights()


TRAINED = {
    "constraint": (lambda: chain(L.Dense(5, kernel_constraint=keras.constraints.MaxNorm(0.1)), L.Dense(1), shape=(3,)),
                   "mse"),
    "activity": (lambda: chain(L.Dense(5, activity_regularizer="l2"), L.Dense(1), shape=(3,)), "mse"),
    "sum": (lambda: chain(L.Dense(1), shape=(3,)), keras.losses.MeanSquaredError(reduction="sum")),
    "regularizer": (lambda: chain(L.Dense(5, kernel_regularizer="l1"), L.Dense(1), shape=(3,)), "mse"),
    "vector": (lambda: chain(Penalty(lambda a: tf.reduce_mean(a, 0)), L.Dense(1), shape=(3,)), "mse"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the loss is a sum")
@pytest.mark.parametrize("name", TRAINED)
def test_trainings_take_the_steps_of_keras(name):
    make, loss = TRAINED[name]
    x, y = rng().normal(size=(12, 3)).astype("float32"), rng().normal(size=(12, 1)).astype("float32")
    rate = 0.01 if name == "sum" else 0.1
    one, two, three = make(), make(), make()
    for model in (two, three):
        model.set_weights(one.get_weights())
    expected = trained_by_keras(three, loss, x, y, 4, rate)
    Trainer(one, batch_size=12, optimizer=optimizer("sgd", rate), loss=loss).fit((x, y), (x, y), epochs=4)
    fit(two, x, y, steps=4, optimizer=optimizer("sgd", rate), loss=loss)
    for model in (one, two):
        for a, b in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    if name == "constraint":
        assert np.linalg.norm(one.get_weights()[0], axis=0).max() <= 0.1 + 1e-6


def test_masked_losses_are_trained_as_keras_trains_them():
    model, x, y, loss = CASES["masking"]()
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    expected = trained_by_keras(twin, loss, x, y, 3)
    Trainer(model, batch_size=9, optimizer=optimizer("sgd", 0.1), loss=loss).fit((x, y), (x, y), epochs=3)
    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_float16_needs_a_scaled_loss_and_is_refused():
    model = chain(L.Dense(2, dtype="mixed_float16", kernel_regularizer="l2", name="half"), L.Dense(1), shape=(3,))
    with pytest.raises(UserError, match=r"layer 'half' computes in float16.*mixed_bfloat16"):
        Trainer(model, batch_size=2, optimizer=optimizer("sgd", 0.1))


def test_targets_keep_their_digits_in_half_precision():
    """1000 +- 1 in bfloat16 would be multiples of 4."""
    model = chain(L.Dense(1, dtype="mixed_bfloat16"), shape=(3,))
    x, y = np.zeros((10, 3), "float32"), 1000 + rng().normal(size=(10, 1)).astype("float32")
    trainer = Trainer(model, batch_size=10, optimizer=optimizer("sgd", 0.01), loss="mse")
    assert trainer.measure(x, y)[0] == pytest.approx(np.mean(y.astype(float) ** 2), rel=1e-6)
    assert measure.Objective(model, "mse", x, y).value().loss == pytest.approx(np.mean(y.astype(float) ** 2), rel=1e-6)


def test_an_operator_refuses_weights_that_were_frozen_since():
    model = chain(L.Dense(2), L.Dense(1), shape=(3,))
    operator = measure.hessian(model, "mse", np.ones((4, 3)), np.ones((4, 1)))
    model.layers[1].trainable = False
    with pytest.raises(UserError, match="a layer was frozen"):
        operator @ np.ones(operator.shape[0])


def test_surfaces_of_nets_without_weights_after_the_first_layer():
    x, y = rng().normal(size=(9, 6, 6, 1)).astype("float32"), rng().integers(0, 2, 9)
    flat = chain(L.Flatten(), L.Dense(2), L.Activation("softmax"), shape=(6, 6, 1))
    pooled = chain(L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Activation("softmax"), shape=(6, 6, 1))
    frozen = chain(L.Conv2D(2, 3), L.Flatten(), L.Dense(2, activation="softmax"), shape=(6, 6, 1))
    frozen.layers[-1].trainable = False
    for model in (flat, pooled, frozen):
        theta = measure.flat(model)
        plane = measure.random_plane(theta, [v.shape for v in model.trainable_variables])
        values = measure.surface(model, plane, "sparse_categorical_crossentropy", x, y, [0.0, 0.5], [-0.5])
        np.testing.assert_array_equal(measure.flat(model), theta)
        for k, a in enumerate((0.0, 0.5)):
            measure.assign(model, plane.at(a, -0.5))
            expected = evaluated(model, "sparse_categorical_crossentropy", x, y)
            assert values.loss[k, 0] == pytest.approx(expected, rel=1e-4)
            measure.assign(model, theta)


def test_recomputing_statistics_of_a_net_without_any():
    model = chain(L.Lambda(lambda a: a * 2), L.Dense(1), shape=(3,))
    x, y = rng().normal(size=(9, 3)), rng().normal(size=(9, 1))
    start, end = model.get_weights(), [w + 1 for w in model.get_weights()]
    lines = [
        measure.line(model, start, end, "mse", x, y, [0.5], batch_norm=how) for how in ("recompute", "interpolate")
    ]
    np.testing.assert_array_equal(lines[0].loss, lines[1].loss)


class Two(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(1)

    def call(self, x):
        a, b = x["left"], x["right"]
        return self.dense(keras.ops.concatenate([a, b], -1))


def test_several_inputs_are_trained_and_measured():
    left, right = rng().normal(size=(12, 2)).astype("float32"), rng().normal(size=(12, 3)).astype("float32")
    y = rng().normal(size=(12, 1)).astype("float32")
    a, b = keras.Input((2,), name="left"), keras.Input((3,), name="right")

    def functional(structure):
        keras.utils.set_random_seed(1)
        return keras.Model(structure, L.Dense(1)(L.Concatenate()([a, b])))

    for model, x in (
        (functional([a, b]), [left, right]),
        (functional({"left": a, "right": b}), {"left": left, "right": right}),
        (Two(), {"left": left, "right": right}),
    ):
        model(x)
        start = model.get_weights()
        assert measure.Objective(model, "mse", x, [y], batch_size=5).value().loss == pytest.approx(
            evaluated(model, "mse", x, y), rel=1e-5
        )
        expected = trained_by_keras(model, "mse", x, y, 3)
        for train in (
            lambda m, x=x: Trainer(m, batch_size=12, optimizer=optimizer("sgd", 0.1), loss="mse").fit(
                (x, y), (x, y), epochs=3
            ),
            lambda m, x=x: fit(m, x, y, steps=3, optimizer=optimizer("sgd", 0.1)),
        ):
            model.set_weights(start)
            train(model)
            for p, q in zip(model.get_weights(), expected, strict=True):
                np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-6)
        with pytest.raises(UserError, match="several inputs"):
            measure.sensitivity(model, "mse", x, y)
    outputs = keras.Model(a, [L.Dense(1)(a), L.Dense(1)(a)])
    with pytest.raises(UserError, match="several outputs"):
        measure.Objective(outputs, "mse", left, y)
    with pytest.raises(UserError, match="y holds 2 arrays"):
        measure.Objective(outputs, "mse", left, [y, y])


@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam"])
def test_embeddings_are_trained_by_every_rule(rule):
    """Their gradients are sparse."""
    make = lambda: chain(L.Embedding(9, 4), L.Flatten(), L.Dense(1), shape=(3,), dtype="int32")  # noqa: E731
    ids, y = rng().integers(0, 9, (12, 3)), rng().normal(size=(12, 1)).astype("float32")
    one, two = make(), make()
    two.set_weights(one.get_weights())
    fit(one, ids, y, steps=3, optimizer=optimizer(rule, 0.01))
    Trainer(two, batch_size=12, optimizer=optimizer(rule, 0.01), loss="mse").fit((ids, y), (ids, y), epochs=3)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_data_of_other_kinds_is_taken_or_refused_in_a_line(tmp_path):
    model = chain(L.Dense(1), shape=(3,))
    x, y = rng().normal(size=(9, 3)).astype("float32"), rng().normal(size=(9, 1)).astype("float32")
    expected = measure.Objective(model, "mse", x, y).value().loss

    class Frame:  # what pandas has and is used of it
        def to_numpy(self):
            return x

    on_disk = np.memmap(tmp_path / "x", "float32", "w+", shape=x.shape)
    on_disk[:] = x
    for given in (x.tolist(), Frame(), tf.constant(x), on_disk, x.astype("float64")):
        objective = measure.Objective(model, "mse", given, y, batch_size=4)
        assert objective.value().loss == pytest.approx(expected, rel=1e-6), type(given)
    assert isinstance(measure.Objective(model, "mse", on_disk, y).data[0], ChunkedArray)
    np.testing.assert_allclose(
        measure.sensitivity(model, "mse", on_disk, y, batch_size=4).each,
        measure.sensitivity(model, "mse", x, y).each,
        rtol=1e-5,
    )
    from scipy.sparse import csr_matrix

    for given in (
        tf.data.Dataset.from_tensor_slices((x, y)), csr_matrix(x), tf.sparse.from_dense(x), (row for row in x),
        tf.ragged.constant([[1.0], [1.0, 2.0]]), [[1.0], [1.0, 2.0]], np.array([["a", None, 1]] * 9, object),
    ):  # fmt: skip
        for call in (
            lambda given=given: measure.Objective(model, "mse", given, y),
            lambda given=given: fit(model, given, y, steps=1, optimizer=optimizer("sgd", 0.1)),
        ):
            with pytest.raises(UserError, match=r"^x (is of type|holds values of type)"):
                call()
    with pytest.raises(UserError, match="y holds strings"):
        measure.Objective(model, "mse", x, np.array(["a"] * 9))


def test_ids_above_two_to_the_31_do_not_wrap():
    class Remainder(L.Layer):
        def call(self, x):
            return tf.cast(x % 7, "float32")

    model = chain(Remainder(), L.Dense(1), shape=(1,), dtype="int64")
    ids = 2**33 + np.arange(9)[:, None]
    expected = np.mean(np.asarray(model(ids)) ** 2)
    assert measure.Objective(model, "mse", ids, np.zeros((9, 1))).value().loss == pytest.approx(expected, rel=1e-6)


def test_stacks_refuse_what_they_would_leave_out():
    model = chain(L.Dense(3, activation="tanh", activity_regularizer="l2"), L.Dense(1), shape=(1,))
    with pytest.raises(UserError):
        fit_many([model], np.ones((4, 1)), np.ones((4, 1)), steps=1, optimizer=optimizer("sgd", 0.1))


def test_a_direction_has_the_size_of_every_filter():
    """What a filter is, layer by layer, told here by hand: (index into the kernel) -> one neuron's incoming weights."""
    a, b, words = keras.Input((6, 6, 2)), keras.Input((5, 4)), keras.Input((3,), dtype="int32")
    h = L.Conv2DTranspose(3, 2, name="transposed")(a)
    h = L.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(h)
    h = L.SeparableConv2D(4, 2, name="separable")(L.PReLU(name="slopes")(h))
    t = L.MultiHeadAttention(2, 3, name="attention")(b, b)
    t = L.Bidirectional(L.GRU(3), name="both")(L.LayerNormalization(axis=(1, 2), name="norm")(t))
    e = L.Flatten()(L.Embedding(7, 4, name="words")(words))
    parts = [L.GlobalAveragePooling2D()(h), t, e]
    model = keras.Model([a, b, words], L.Dense(2, name="dense")(L.Concatenate()(parts)))
    generator = rng()
    for variable in model.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    theta = measure.flat(model)
    direction = measure.random_direction(theta, model, seed=1)
    filters = {
        ("transposed", "kernel"): lambda k: [k[:, :, j] for j in range(3)],
        ("depthwise", "kernel"): lambda k: [k[:, :, i, j] for i in range(3) for j in range(2)],
        ("separable", "depthwise_kernel"): lambda k: [k[:, :, i, 0] for i in range(6)],
        ("separable", "pointwise_kernel"): lambda k: [k[..., j] for j in range(4)],
        ("query", "kernel"): lambda k: [k[:, i, j] for i in range(2) for j in range(3)],
        ("attention_output", "kernel"): lambda k: [k[..., j] for j in range(4)],
        ("gru_cell", "kernel"): lambda k: [k[:, j] for j in range(9)],
        ("gru_cell", "recurrent_kernel"): lambda k: [k[:, j] for j in range(9)],
        ("words", "embeddings"): lambda k: list(k),
        ("dense", "kernel"): lambda k: [k[:, j] for j in range(2)],
    }
    seen, at = set(), 0
    for variable in model.trainable_variables:
        size = int(np.prod(variable.shape))
        d, t = (v[at : at + size].reshape(variable.shape) for v in (direction, theta))
        at += size
        key = (variable.path.split("/")[-2], variable.name)
        if key in filters:
            seen.add(key)
            for p, q in zip(filters[key](d), filters[key](t), strict=True):
                assert np.linalg.norm(p) == pytest.approx(np.linalg.norm(q)), key
        elif variable.name not in ("kernel", "recurrent_kernel"):
            assert not d.any(), key
    assert seen == set(filters)
    transposed = chain(L.Conv2DTranspose(3, 2), shape=(6, 6, 2))
    kernel = measure.flat(transposed)
    wrong = measure.random_direction(kernel, [v.shape for v in transposed.trainable_variables], seed=1)
    assert not np.allclose(wrong, measure.random_direction(kernel, transposed, seed=1))
