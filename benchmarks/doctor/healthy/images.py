"""Convolutional nets on small images, and autoencoders."""

from __future__ import annotations

import keras

from benchmarks.doctor import data
from benchmarks.doctor.healthy.register import healthy, named, optimizer, stack
from benchmarks.doctor.program import Training

KIND = "convolutional net"
SPARSE = "sparse_categorical_crossentropy"
L = keras.layers


@healthy(KIND, "accuracy", 0.95, named("nesterov", "adam", "rmsprop"))
def convolutions(seed, choice):
    d = data.images()
    model = stack(
        (8, 8, 1),
        L.Conv2D(16, 3, activation="relu"),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(48, "relu"),
        L.Dense(10, "softmax"),
    )
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@healthy(KIND, "accuracy", 0.95, named("heavy-ball", "adam"))
def convolutions_with_norm(seed, choice):
    d = data.images()
    blocks = [layer for n in (16, 24) for layer in (L.Conv2D(n, 3, use_bias=False), L.BatchNormalization(), L.ReLU())]
    model = stack((8, 8, 1), *blocks, L.Flatten(), L.Dense(10, "softmax"))
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 8, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, named("adam-fast", "adamw"))
def global_pooling(seed, choice):
    d = data.images()
    model = stack(
        (8, 8, 1),
        L.Conv2D(24, 3, padding="same", activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(48, 3, padding="same", activation="relu"),
        L.GlobalAveragePooling2D(),
        L.Dropout(0.2),
        L.Dense(10),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(choice), loss, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 22, 32, d.validation)


@healthy(KIND, "accuracy", 0.95, named("heavy-ball", "adam"))
def residual_convolutions(seed, choice):
    d = data.images()
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        branch = L.Conv2D(16, 3, padding="same")(L.Activation("relu")(L.BatchNormalization()(x)))
        x = L.Add()([x, branch])
    outputs = L.Dense(10, "softmax")(L.Flatten()(L.MaxPooling2D()(x)))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 8, 32, d.validation)


@healthy(KIND, "accuracy", 0.94, {"255": 1 / 255, "centred": 1 / 127.5})
def rescaled_inside(seed, choice):
    d = data.images(scale=False)
    offset = 0.0 if choice == 1 / 255 else -1.0
    model = stack(
        (8, 8, 1),
        L.Rescaling(choice, offset=offset),
        L.Conv2D(16, 3, activation="relu"),
        L.Flatten(),
        L.Dense(32, "relu"),
        L.Dense(10, "softmax"),
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 12, 32, d.validation)


@healthy(KIND, "accuracy", 0.93, named("adam", "nadam"))
def separable_convolutions(seed, choice):
    d = data.images()
    model = stack(
        (8, 8, 1),
        L.Conv2D(16, 3, activation="relu"),
        L.SeparableConv2D(32, 3, activation="relu"),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(10, "softmax"),
    )
    model.compile(optimizer(choice), SPARSE, metrics=["accuracy"])
    return Training(model, d.x, d.y, d.probe, 15, 32, d.validation)


@healthy("autoencoder", "loss", 0.022, {"mse": ("mse", "sigmoid"), "linear": ("mse", None)})
def autoencoder(seed, choice):
    d = data.digits()
    loss, last = choice
    model = stack((64,), L.Dense(48, "relu"), L.Dense(16), L.Dense(48, "relu"), L.Dense(64, last))
    model.compile(keras.optimizers.Adam(2e-3), loss)
    return Training(model, d.x, d.x, (d.x_val, d.x_val), 30, 32, {"validation_data": (d.x_val, d.x_val)})


@healthy("autoencoder", "mse", 0.03, {"dense": 24, "wide": 32})
def autoencoder_of_entropy(seed, choice):
    d = data.digits()
    model = stack((64,), L.Dense(choice, "relu"), L.Dense(64, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["mse"])
    return Training(model, d.x, d.x, (d.x_val, d.x_val), 30, 32, {"validation_data": (d.x_val, d.x_val)})


@healthy("autoencoder", "loss", 0.03, named("adam", "rmsprop"))
def convolutional_autoencoder(seed, choice):
    d = data.images()
    model = stack(
        (8, 8, 1),
        L.Conv2D(12, 3, padding="same", activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(8, 3, padding="same", activation="relu"),
        L.UpSampling2D(),
        L.Conv2D(1, 3, padding="same", activation="sigmoid"),
    )
    model.compile(optimizer(choice), "mse")
    return Training(model, d.x, d.x, (d.x_val, d.x_val), 15, 32, {"validation_data": (d.x_val, d.x_val)})
