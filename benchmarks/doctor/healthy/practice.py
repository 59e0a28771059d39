"""What real programs have beside a net and an optimizer: schedules, clipping, penalties, frozen layers, pipelines."""

from __future__ import annotations

import keras
import tensorflow as tf

from benchmarks.doctor import data
from benchmarks.doctor.healthy.register import healthy, hidden, named, optimizer, stack
from benchmarks.doctor.program import Training

KIND = "practice"
SPARSE = "sparse_categorical_crossentropy"
L = keras.layers


def digits_net(*between, **options):
    return stack(
        (64,), L.Dense(64, "relu", **options), *between, L.Dense(32, "relu", **options), L.Dense(10, "softmax")
    )


@healthy(KIND, "accuracy", 0.94, {"fifth": 0.2, "third": 0.3, "half": 0.5})
def dropout(seed, choice):
    d = data.digits()
    model = stack((64,), L.Dense(128, "relu"), L.Dropout(choice), L.Dense(64, "relu"), L.Dense(10, "softmax"))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, {"batch": L.BatchNormalization, "layer": L.LayerNormalization})
def normalization(seed, choice):
    d = data.digits()
    model = digits_net(choice())
    model.compile(optimizer("heavy-ball"), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, {"weak": 1e-4, "usual": 1e-3})
def penalty(seed, choice):
    d = data.digits()
    model = digits_net(kernel_regularizer=keras.regularizers.L2(choice))
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 22, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, named("exponential", "cosine", "warm-up", "plateau"))
def schedule(seed, choice):
    d = data.digits()
    every = keras.optimizers.schedules
    rate = {
        "exponential": lambda: every.ExponentialDecay(0.1, 200, 0.8),
        "cosine": lambda: every.CosineDecay(0.1, 850),
        "warm-up": lambda: every.CosineDecay(0.001, 800, warmup_target=0.1, warmup_steps=50),
        "plateau": lambda: 0.1,
    }[choice]()
    model = digits_net()
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), SPARSE, metrics=["accuracy"])
    callbacks = [keras.callbacks.ReduceLROnPlateau(patience=3)] if choice == "plateau" else []
    return Training(model, d.x, d.y, d.probe, 20, 32, {"callbacks": callbacks, **d.validation})


@healthy(
    KIND, "accuracy", 0.94, {"norm": {"clipnorm": 1.0}, "global": {"global_clipnorm": 1.0}, "value": {"clipvalue": 0.5}}
)
def clipping(seed, choice):
    d = data.digits()
    model = digits_net()
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, **choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, {"three": 3, "five": 5})
def early_stopping(seed, choice):
    d = data.digits()
    model = digits_net()
    model.compile("adam", SPARSE, metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=choice, restore_best_weights=True)
    return Training(model, d.x, d.y, d.probe, 40, 32, {"callbacks": [stop], **d.validation})


@healthy(KIND, "accuracy", 0.94, {"smoothed": 0.1, "plain": 0.0})
def label_smoothing(seed, choice):
    d = data.one_hot(data.digits(), 10)
    model = digits_net()
    model.compile("adam", keras.losses.CategoricalCrossentropy(label_smoothing=choice), metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, 48, d.validation)


@healthy(KIND, "accuracy", 0.94, {"logits": 32, "uneven-batches": 50, "large-batches": 256})
def logits(seed, choice):
    d = data.digits()
    model = stack((64,), *hidden(2, 64, "relu"), L.Dense(10))
    rate = keras.optimizers.Adam(1e-3 if choice < 100 else 4e-3)
    model.compile(rate, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 20, choice, d.validation)


@healthy(KIND, "accuracy", 0.93, named("heavy-ball", "adam"))
def residual_net(seed, choice):
    d = data.digits()
    inputs = keras.Input((64,))
    x = L.Dense(48)(inputs)
    for _ in range(3):
        x = x + L.Dense(48)(L.Dense(48, "relu")(L.LayerNormalization()(x)))
    model = keras.Model(inputs, L.Dense(10, "softmax")(x))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, {"concatenated": L.Concatenate, "added": L.Add})
def two_inputs(seed, choice):
    d = data.digits()
    upper, lower = keras.Input((32,), name="upper"), keras.Input((32,), name="lower")
    x = choice()([L.Dense(32, "relu")(upper), L.Dense(32, "relu")(lower)])
    model = keras.Model([upper, lower], L.Dense(10, "softmax")(L.Dense(32, "relu")(x)))
    model.compile(keras.optimizers.Adam(2e-3), SPARSE, metrics=["accuracy"])
    x_val = [d.x_val[:, :32], d.x_val[:, 32:]]
    options = {"validation_data": (x_val, d.y_val)}
    return Training(model, [d.x[:, :32], d.x[:, 32:]], d.y, (x_val, d.y_val), 20, 32, options)


@healthy(KIND, "accuracy", 0.9, {"frozen": False, "tuned": True})
def pretrained_layers(seed, choice):
    d = data.digits()
    trunk = stack((64,), *hidden(2, 64, "relu"))
    first = keras.Sequential([trunk, L.Dense(10, "softmax")])
    first.compile("adam", SPARSE)
    first.fit(d.x, d.y, epochs=5, verbose=0)
    trunk.trainable = choice
    model = keras.Sequential([keras.Input((64,)), trunk, L.Dense(5, "softmax")])
    model.compile("adam" if not choice else keras.optimizers.Adam(5e-4), SPARSE, metrics=["accuracy"])
    y, y_val = d.y % 5, d.y_val % 5
    return Training(model, d.x, y, (d.x_val, y_val), 20, 32, {"validation_data": (d.x_val, y_val)})


@healthy(KIND, "accuracy", 0.93, {"arrays": False, "pipeline": True})
def pipeline(seed, choice):
    d = data.digits()
    model = digits_net()
    model.compile("adam", SPARSE, metrics=["accuracy"], steps_per_execution=4)
    if not choice:
        return Training(model, d.x, d.y, d.probe, 18, 64, d.validation)
    batches = tf.data.Dataset.from_tensor_slices((d.x, d.y)).shuffle(1400, seed=seed).batch(32).prefetch(2)
    return Training(model, batches, None, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, {"sgd": "sgd", "momentum": "heavy-ball"})
def full_batches(seed, choice):
    d = data.moons()
    model = stack((2,), *hidden(2, 16, "tanh"), L.Dense(1, "sigmoid"))
    rate = keras.optimizers.SGD(0.5) if choice == "sgd" else keras.optimizers.SGD(0.2, momentum=0.9)
    model.compile(rate, "binary_crossentropy", metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 400, 600, {"validation_freq": 20, **d.validation})
