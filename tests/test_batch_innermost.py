"""The batch-innermost layout is the Keras model: outputs, derivatives, trainings, and where it is used."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import dlhw
from dlhw import measure, models
from dlhw._tf.pieces import examples_per_call, piece_size
from dlhw.models import forward_function, image_net, use_batch_innermost
from dlhw.models.batch_innermost.tiles import Filter, best_tile
from dlhw.runs import experiment as registry
from dlhw.runs import runner
from dlhw.runs.context import Context
from dlhw.training import Trainer, cross_entropy, optimizer

K = keras.layers
RNG = np.random.default_rng(0)
NETS = (
    "pool with a remainder",
    "uneven kernel and strides",
    "stride over a pool",
    "same padding",
    "normalized",
    "overlapping pools",
    "convolution alone",
)


def sequential(shape, *layers):
    """Return a net in float64 with weights that are not zero anywhere."""
    model = keras.Sequential([keras.Input(shape, dtype="float64"), *layers])
    for variable in model.weights:
        noise = RNG.normal(size=variable.shape)
        variable.assign(1 + np.abs(noise) if "variance" in variable.path else np.asarray(variable) + 0.1 * noise)
    return model


def nets():
    """One net for each kind of layer and of setting, by name."""
    wide = {"dtype": "float64"}
    conv, pool, dense = K.Conv2D, K.MaxPooling2D, K.Dense
    tail = lambda n=3, **more: [K.Flatten(**wide), dense(n, **more, **wide)]  # noqa: E731
    return {
        "pool with a remainder": [conv(3, 3, activation="relu", **wide), pool(2, **wide), conv(4, 2, **wide), *tail()],
        "uneven kernel and strides": [conv(4, (2, 3), strides=(1, 2), activation="tanh", **wide), *tail(70)],
        "stride over a pool": [conv(3, 3, strides=3, activation="relu", **wide), pool(2, **wide), *tail()],
        "same padding": [
            conv(3, 3, padding="same", activation="tanh", **wide),
            pool(2, **wide),
            conv(4, 4, strides=2, padding="same", activation="gelu", **wide),
            K.AveragePooling2D(2, padding="same", **wide),
            *tail(activation="softmax"),
        ],
        "normalized": [
            K.Rescaling(0.5, 0.1, **wide),
            conv(3, 3, use_bias=False, **wide),
            K.BatchNormalization(**wide),
            K.ReLU(**wide),
            pool(3, 2, padding="same", **wide),
            K.Dropout(0.3, **wide),
            conv(5, 1, **wide),
            K.LeakyReLU(**wide),
            K.GlobalAveragePooling2D(**wide),
            dense(4, **wide),
        ],
        "overlapping pools": [
            conv(3, 5, **wide),
            K.Activation("relu", **wide),
            pool(3, **wide),
            pool((2, 1), 1, **wide),
            K.GlobalMaxPooling2D(keepdims=True, **wide),
            *tail(4),
            K.Softmax(**wide),
        ],
        "convolution alone": [conv(3, 3, activation="softmax", **wide)],
    }


def derivatives(outputs, model, x):
    """Return outputs, gradient by inputs and weights of a sum of squares, and a product with its Hessian."""
    variables = [v.value for v in model.trainable_variables]
    watched = [x, *variables]

    def both():
        with tf.GradientTape() as outer:
            outer.watch(watched)
            with tf.GradientTape() as tape:
                tape.watch(watched)
                z = outputs(x)
                value = tf.reduce_sum(tf.square(z - 0.3))
            gradient = tape.gradient(value, watched, unconnected_gradients="zero")
            vectors = [np.random.default_rng(1).normal(size=v.shape) for v in watched]
            along = tf.add_n(
                [tf.reduce_sum(tf.convert_to_tensor(g) * v) for g, v in zip(gradient, vectors, strict=True)]
            )
        return [z, *gradient, *outer.gradient(along, watched, unconnected_gradients="zero")]

    return [np.asarray(tf.convert_to_tensor(part)) for part in both()]


@pytest.mark.parametrize("shape", [(13, 17, 2), (12, 12, 1)], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_outputs_gradients_and_hessian_products_are_those_of_keras(name, shape):
    model = sequential(shape, *nets()[name])
    ours = forward_function(model, "batch-innermost", "value")
    assert ours.layout == "batch-innermost", name
    for examples in (5, 1):
        x = tf.constant(RNG.normal(size=(examples, *shape)))
        expected = derivatives(lambda x: model(x), model, x)
        for got, right in zip(derivatives(ours, model, x), expected, strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-10 * np.abs(right).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pool with a remainder", "same padding", "overlapping pools"])
def test_compiled_with_xla_it_is_the_same_function(name):
    model = sequential((13, 17, 2), *nets()[name])
    ours = forward_function(model, "batch-innermost", "training")
    assert ours.layout == "batch-innermost"
    x = tf.constant(RNG.normal(size=(7, 13, 17, 2)))  # not whole registers
    compiled = tf.function(lambda x: derivatives_in_graph(ours, model, x), jit_compile=True, autograph=False)
    for got, right in zip(compiled(x), derivatives_in_graph(lambda x: model(x), model, x), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-10 * np.abs(right).max())


def derivatives_in_graph(outputs, model, x):
    variables = [x, *(v.value for v in model.trainable_variables)]
    with tf.GradientTape() as outer:
        outer.watch(variables)
        with tf.GradientTape() as tape:
            tape.watch(variables)
            value = tf.reduce_sum(tf.square(outputs(x) - 0.3))
        gradient = [tf.convert_to_tensor(g) for g in tape.gradient(value, variables)]
        along = tf.add_n([tf.reduce_sum(tf.sin(g)) for g in gradient])
    return [value, *gradient, *(tf.convert_to_tensor(h) for h in outer.gradient(along, variables))]


def test_the_gradient_of_equal_numbers_in_a_pool_goes_to_the_first():
    x = tf.constant(RNG.integers(0, 2, (6, 8, 8, 1)).astype(np.float32))  # whole numbers: sums are exact, ties many
    for layer in (K.MaxPooling2D(2), K.MaxPooling2D(3, 2), K.MaxPooling2D(2, 1, padding="same")):
        conv = K.Conv2D(2, 3, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((8, 8, 1)), conv, layer])
        ours = forward_function(model, "batch-innermost", "training")
        gradients = []
        for outputs in (model, ours):
            with tf.GradientTape() as tape:
                tape.watch(x)
                z = outputs(x)
            gradients.append(
                tape.gradient(z, x, output_gradients=tf.reshape(tf.range(tf.size(z), dtype="float32"), z.shape))
            )
        assert ours.layout == "batch-innermost"
        np.testing.assert_array_equal(*gradients)


def test_the_statistics_of_a_training_are_those_of_keras_and_stand_still_for_given_weights():
    wide = {"dtype": "float64"}
    layers = [K.Conv2D(3, 3, **wide), K.BatchNormalization(**wide), K.ReLU(**wide), K.Flatten(**wide)]
    model = sequential((6, 6, 1), *layers, K.Dense(2, **wide))
    x, results = tf.constant(RNG.normal(size=(9, 6, 6, 1))), []
    for layout in ("plain", "batch-innermost"):
        outputs = forward_function(model, layout, "training")
        assert outputs.layout == layout
        with models.restore_weights(model):
            before = [np.asarray(v) for v in model.non_trainable_variables]
            given = outputs(x, training=True, weights=[tf.constant(w) for w in model.get_weights()])
            for variable, value in zip(model.non_trainable_variables, before, strict=True):
                np.testing.assert_array_equal(variable, value)
            z = outputs(x, training=True)
            results.append([z, given, *(np.asarray(v) for v in model.non_trainable_variables)])
    for plain, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-10)


def test_nets_with_dropout_train_in_the_plain_layout_whose_draws_xla_would_change():
    net = keras.Sequential([keras.Input((6, 6, 1)), K.Conv2D(3, 3), K.Dropout(0.4), K.MaxPooling2D(2)])
    assert forward_function(net, "batch-innermost", "training").layout == "plain"
    assert forward_function(net, "batch-innermost", "value").layout == "batch-innermost"


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_losses_of_saturated_outputs_are_taken_from_logits_as_in_keras(activation):
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), K.Conv2D(3, 3), K.MaxPooling2D(2), K.Flatten(), K.Dense(2, activation=activation)]
    )
    model.layers[-1].bias.assign([40.0, -40.0])
    x, y = RNG.uniform(size=(200, 6, 6, 1)).astype("f"), RNG.integers(0, 2, 200)
    loss, y = (
        ("binary_crossentropy", np.eye(2)[y]) if activation == "sigmoid" else ("sparse_categorical_crossentropy", y)
    )
    numbers = []
    for layout in ("plain", "batch-innermost"):
        with models.layout(layout):
            objective = measure.Objective(model, loss, x, y)
            value, gradient = objective.gradient()
            assert objective._compiled("gradient")[0].layout == layout
            numbers.append((value, np.linalg.norm(gradient)))
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-5)
    assert numbers[0][0] > 10
    assert numbers[0][1] > 0.1


@pytest.mark.slow
def test_inputs_that_keras_would_adapt_give_the_same_numbers():
    pooled = lambda **more: keras.Sequential(  # noqa: E731
        [
            keras.Input((8, 8, 1), **more),
            K.Conv2D(3, 3, **more),
            K.MaxPooling2D(2, **more),
            K.GlobalAveragePooling2D(**more),
        ]
    )
    net, wide = pooled(), pooled(dtype="float64")
    whole = RNG.integers(0, 255, (40, 8, 8, 1), dtype=np.uint8)
    cases = {
        "whole numbers": (net, whole),
        "without channels": (net, whole[..., 0] / 255),
        "larger images": (net, RNG.uniform(size=(40, 10, 11, 1))),
        "float64 layers": (wide, whole / 255),
    }
    y = RNG.integers(0, 3, 40)
    for name, (model, x) in cases.items():
        values = []
        for layout in ("plain", "batch-innermost"):
            with models.layout(layout):
                values.append(measure.Objective(model, cross_entropy, x, y).value().loss)
        assert values[1] == pytest.approx(values[0], rel=1e-5), name
        trainer = Trainer(model, batch_size=40, optimizer=optimizer("sgd", 0.1), layout="batch-innermost")
        assert np.isfinite(trainer.fit((x, y), (x, y), epochs=1).train_loss).all(), name


@pytest.mark.slow
def test_a_loss_that_xla_does_not_have_is_computed_in_the_plain_layout():
    def outside(y_true, y_pred):
        targets = tf.numpy_function(lambda a: a.astype(np.float32), [y_true], tf.float32)
        targets.set_shape(y_true.shape)
        return tf.square(y_pred[:, 0] - targets)

    net = image_net("3c3-p2-6", (6, 6, 1), 3, seed=0)
    x, y = RNG.uniform(size=(700, 6, 6, 1)).astype("f"), RNG.integers(0, 3, 700)
    numbers = []
    for layout in ("plain", "batch-innermost"):
        with models.layout(layout):
            value = measure.Objective(net, outside, x, y).value().loss
            numbers.append([value, measure.sensitivity(net, outside, x, y).mean])
    np.testing.assert_array_equal(*numbers)


def test_what_a_pool_drops_is_dropped_before_normalization_too():
    for filters in (4, 64):
        layers = [K.Conv2D(filters, 3), K.BatchNormalization(), K.ReLU(), K.Conv2D(filters, 3), K.Conv2D(filters, 3)]
        net = keras.Sequential([keras.Input((11, 11, 1)), *layers, K.MaxPooling2D(2), K.Flatten(), K.Dense(2)])
        assert forward_function(net, "batch-innermost", "training").layout == "batch-innermost"


@pytest.mark.slow
def test_a_training_resumes_byte_by_byte():
    x, y = RNG.uniform(size=(330, 8, 8, 1)).astype("f"), RNG.integers(0, 3, 330)
    states = []

    def train(layout, checkpoint=None, initial=None):
        model = image_net("3c3-p2-6", (8, 8, 1), 3, seed=0)
        trainer = Trainer(model, batch_size=100, optimizer=optimizer("adam", 0.01), layout=layout)
        trainer.fit((x, y), (x, y), epochs=4, checkpoint=checkpoint, initial_state=initial)
        assert trainer.layout == "batch-innermost"
        return measure.flat(model).tobytes()

    first = train("batch-innermost", lambda state, stopping: states.append(dict(state())))
    assert train("auto", initial=states[1]) == first  # in the layout in which it began


@pytest.mark.slow
@pytest.mark.parametrize("batch", [64, 200])
def test_two_hundred_steps_of_training_agree_to_rounding(batch):
    x = RNG.uniform(size=(25 * batch + 1, 10, 10, 1)).astype(np.float32)  # the last batch is one example
    y = RNG.integers(0, 4, len(x))
    weights = []
    for layout in ("plain", "batch-innermost"):
        model = image_net("6c3-p2-8c3-p2-12", (10, 10, 1), 4, seed=1)
        trainer = Trainer(model, batch_size=batch, optimizer=optimizer("sgd", 0.02, 0.9), layout=layout)
        curves = trainer.fit((x, y), (x[:50], y[:50]), epochs=8)
        assert trainer.layout == layout
        weights.append((measure.flat(model), curves.train_loss))
    (plain, plain_loss), (ours, our_loss) = weights
    assert np.linalg.norm(ours - plain) <= 1e-4 * np.linalg.norm(plain)
    np.testing.assert_allclose(our_loss, plain_loss, rtol=1e-4)


@pytest.mark.slow
def test_regularizers_and_masked_classes_are_part_of_a_training_in_pieces():
    x, y = RNG.uniform(size=(320, 6, 6, 1)).astype(np.float32), RNG.integers(0, 3, 320)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)
    weights = []
    for layout in ("plain", "batch-innermost"):
        keras.utils.set_random_seed(0)
        conv = K.Conv2D(3, 3, kernel_regularizer="l2", kernel_constraint="max_norm")
        model = keras.Sequential([keras.Input((6, 6, 1)), conv, K.MaxPooling2D(2), K.Flatten(), K.Dense(3)])
        trainer = Trainer(model, batch_size=160, optimizer=optimizer("sgd", 0.1), loss=loss, layout=layout)
        trainer.fit((x, y), (x, y), epochs=5)
        assert trainer.layout == layout
        weights.append(measure.flat(model))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_loss_that_looks_at_the_whole_batch_is_not_taken_in_pieces():
    def ranked(y_true, y_pred):  # of each example against the mean of its batch
        return tf.square(y_pred[:, 0] - tf.reduce_mean(y_pred[:, 0]) - tf.cast(y_true[:, 0], y_pred.dtype))

    x, y = RNG.uniform(size=(200, 6, 6, 1)).astype(np.float32), RNG.integers(0, 3, 200)
    weights = []
    for layout in ("plain", "batch-innermost"):
        model = image_net("3c3-p2-6", (6, 6, 1), 1, seed=0)
        trainer = Trainer(model, batch_size=200, optimizer=optimizer("sgd", 0.1), loss=ranked, layout=layout)
        trainer.fit((x, y), (x, y), epochs=3)
        assert trainer.layout == layout
        weights.append(measure.flat(model))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_instruments_give_the_same_numbers_in_both_layouts():
    net, other = (image_net("3c3-p2-4c3-p2-6", (13, 13, 1), 4, seed=s, dtype="float64") for s in (0, 1))
    x, y = RNG.normal(size=(130, 13, 13, 1)), RNG.integers(0, 4, 130)
    vector = RNG.normal(size=net.count_params())
    numbers = {}
    for layout in ("plain", "batch-innermost"):
        with models.layout(layout):
            objective = measure.Objective(net, cross_entropy, x, y)
            names = ("value", "example_losses", "gradient", "product")
            assert {objective._compiled(name)[0].layout for name in names} == {layout}
            profile = measure.line(net, net, other, cross_entropy, x, y, [0.3, 0.6])
            numbers[layout] = {
                "value": [objective.value().loss, objective.value().accuracy],
                "losses": objective.example_losses(),
                "gradient": objective.gradient()[1],
                "product": objective.product(vector),
                "sensitivity": measure.sensitivity(net, cross_entropy, x, y).each,
                "jacobian": measure.jacobian_norm(net, x).each,
                "line": np.concatenate([profile.loss, profile.accuracy]),
            }
    for name, plain in numbers["plain"].items():
        ours = numbers["batch-innermost"][name]
        np.testing.assert_allclose(ours, plain, rtol=1e-10, atol=1e-10 * np.abs(plain).max(), err_msg=name)


def other_models():
    """Models that only the plain layout computes."""
    image = keras.Input((8, 8, 1))
    conv = K.Conv2D(2, 3)
    yield "groups", keras.Sequential([image, conv, K.Conv2D(2, 3, groups=2)])
    yield "dilated", keras.Sequential([image, K.Conv2D(2, 3, dilation_rate=2)])
    yield "layer norm", keras.Sequential([image, K.Conv2D(2, 3), K.LayerNormalization()])
    yield "softmax inside", keras.Sequential([image, K.Conv2D(2, 3, activation="softmax"), K.Conv2D(2, 3)])
    yield "channels first", keras.Sequential([keras.Input((1, 8, 8)), K.MaxPooling2D(2, data_format="channels_first")])
    yield "a branch", keras.Model(image, K.Add()([K.Conv2D(1, 3, padding="same")(image), image]))
    yield "half precision", keras.Sequential([image, K.Conv2D(2, 3, dtype="mixed_bfloat16")])
    yield "activity", keras.Sequential([image, K.Conv2D(2, 3, activity_regularizer="l2")])
    yield "open size", keras.Sequential([keras.Input((None, None, 1)), K.Conv2D(2, 3)])
    yield "a class", Doubled(image, K.Conv2D(2, 3)(image))
    yield "a layer as activation", keras.Sequential([image, K.Conv2D(2, 3, activation=K.PReLU())])
    changed = K.Conv2D(2, 3)
    model = keras.Sequential([image, changed])
    object.__setattr__(changed, "call", lambda x: 3 * K.Conv2D.call(changed, x))
    yield "a changed layer", model


class Doubled(keras.Model):
    """Its call is not its graph."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


def test_other_models_are_computed_by_keras_without_a_word(recwarn):
    for name, model in other_models():
        assert forward_function(model, "batch-innermost", "training").layout == "plain", name
    assert not recwarn


def test_weights_can_be_given_in_place_of_those_of_the_model():
    model, other = (image_net("3c3-p2-6", (8, 8, 1), 4, seed=s) for s in (0, 1))
    x = tf.constant(RNG.uniform(size=(4, 8, 8, 1)).astype(np.float32))
    weights = [tf.constant(w) for w in other.get_weights()]
    for layout in ("plain", "batch-innermost"):
        outputs = forward_function(model, layout, "value")
        assert outputs.layout == layout
        np.testing.assert_allclose(outputs(x, weights=weights), other(x), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(outputs(x), model(x), rtol=1e-5, atol=1e-6)


def test_the_rule_counts_examples_and_layers(monkeypatch):
    from dlhw.models import forward, layout_rule

    conv, mlp, no_pool = image_net("2c3-p2-4", (8, 8, 1), 3), models.mlp((4,)), image_net("2c3-4", (8, 8, 1), 3)
    for avx512, layout in ((True, "plain"), (False, "batch-innermost")):
        monkeypatch.setattr(layout_rule, "has_avx512", lambda avx512=avx512: avx512)
        assert use_batch_innermost(conv, "training")
        assert not use_batch_innermost(conv, "training", 10_000)
        assert forward_function(conv, "auto", "value").layout == layout
        assert forward_function(conv, "auto", "gradient", 5000).layout == layout
        assert use_batch_innermost(no_pool, "training") is not avx512
        assert not use_batch_innermost(mlp, "training")
        assert use_batch_innermost(mlp, "line")
        assert not use_batch_innermost(mlp, "line", 50)
    monkeypatch.setattr(forward, "_on_gpu", lambda: True)
    assert not use_batch_innermost(conv, "training")
    assert not use_batch_innermost(conv, "line")
    assert set(forward.auto_layouts().values()) == {"plain"}


def test_a_layout_is_chosen_for_a_block_and_wrong_names_are_refused():
    net = image_net("2c3-p2-4", (8, 8, 1), 3)
    with models.layout("batch-innermost"):
        assert forward_function(net, "auto", "value", 1).layout == "batch-innermost"
        with models.layout("plain"):
            assert forward_function(net, "auto", "training").layout == "plain"
    with pytest.raises(dlhw.UserError, match="use auto, plain or batch-innermost"), models.layout("nhwc"):
        pass
    assert forward_function(net, "auto", "value", 1).layout == "plain"


def test_tiles_divide_what_is_computed_and_hold_whole_pools():
    for outputs in ((24, 24), (26, 26), (7, 9), (1, 1)):
        for pool in ((1, 1), (2, 2), (3, 1), (9, 9)):
            size = tuple(n * p for n, p in zip(outputs, pool, strict=True))
            tile = best_tile(Filter((5, 5), (1, 1), 3, 4, pool), size)
            assert all(n % t == 0 and t % p == 0 for n, t, p in zip(size, tile, pool, strict=True))
    few, many = (best_tile(Filter((3, 3), (1, 1), c, c, (1, 1)), (24, 24)) for c in (1, 256))
    assert np.prod(few) > np.prod(many)  # many channels need no help


def test_pieces_divide_a_batch_where_they_can():
    assert [piece_size(n) for n in (1, 7, 64, 100, 500, 4000, 8000)] == [1, 7, 64, 100, 100, 80, 80]
    assert piece_size(12_011) == 80  # a prime: the last piece is smaller
    images = tf.zeros((1, 28, 28, 1))
    assert [examples_per_call(n, images) for n in (13, 10_000, 60_000, 70_000)] == [13, 10_000, 10_000, 10_000]
    assert examples_per_call(1000, tf.zeros((1, 512, 512, 3))) * 512 * 512 * 12 <= 1 << 26


@pytest.mark.slow
def test_a_run_says_which_layout_its_trainings_took():
    settings = dataclasses.replace(registry.get("classify").tiny, models=("4c3-p2-8",), seeds=1)
    for layout in ("plain", "batch-innermost"):
        run = runner.execute("classify", settings, Context(jobs=1, layout=layout))
        assert run.environment["layouts"] == {"4c3-p2-8": layout}
        assert run.environment["requested"]["layout"] == layout
    with pytest.raises(dlhw.UserError, match="`layout` 'fast' is unknown"):
        Context(layout="fast")
