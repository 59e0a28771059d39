"""Convolutions, pools, resizes, and applications of Keras."""

from __future__ import annotations

import keras

from tests.zoo.kinds import KINDS, Kind, L, chain, classes

SQUARE, LOGITS = (6, 6, 2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net(*layers, shape=SQUARE):
    return lambda: chain(*[layer() for layer in layers], L.Flatten(), L.Dense(3), shape=shape)


def conv(kind=None, filters=2, size=2, **more):
    return lambda: (kind or L.Conv2D)(filters, size, activation="tanh", **more)


PLANAR = {
    "conv 2d": (conv(),),
    "conv 2d same strided": (conv(size=3, padding="same", strides=2),),
    "conv 2d dilated": (conv(dilation_rate=2),),
    "conv 2d no bias": (conv(use_bias=False),),
    "conv 2d layer norm": (conv(), lambda: L.LayerNormalization(axis=(1, 2, 3))),
    "separable conv": (conv(L.SeparableConv2D),),
    "depthwise conv": (lambda: L.DepthwiseConv2D(2, activation="tanh", depth_multiplier=2),),
    "transposed conv": (conv(L.Conv2DTranspose),),
    "max pool": (conv(), L.MaxPooling2D),
    "average pool": (conv(), lambda: L.AveragePooling2D(2)),
    "global average pool": (conv(), L.GlobalAveragePooling2D),
    "global max pool": (conv(), L.GlobalMaxPooling2D),
    "upsampling nearest": (conv(), L.UpSampling2D, conv()),
    "upsampling bilinear": (conv(), lambda: L.UpSampling2D(2, interpolation="bilinear"), conv()),
    "upsampling bicubic": (conv(), lambda: L.UpSampling2D(2, interpolation="bicubic"), conv()),
    "resizing nearest": (conv(), lambda: L.Resizing(4, 7, interpolation="nearest"), conv()),
    "padding and cropping": (conv(), lambda: L.ZeroPadding2D(2), conv(), lambda: L.Cropping2D(1)),
    "batch norm of a conv": (conv(), L.BatchNormalization),
    "dropout": (conv(), lambda: L.Dropout(0.4, seed=1)),
    "spatial dropout": (conv(), lambda: L.SpatialDropout2D(0.4, seed=1)),
    "gaussian noise": (conv(), lambda: L.GaussianNoise(0.3, seed=1)),
}
for _name, _layers in PLANAR.items():
    KINDS[_name] = Kind("images", net(*_layers), SQUARE, LOGITS, classes)
KINDS["conv 1d"] = Kind("images", net(conv(L.Conv1D), L.MaxPooling1D, shape=(6, 2)), (6, 2), LOGITS, classes)
KINDS["conv 3d"] = Kind("images", net(conv(L.Conv3D), shape=(4, 4, 4, 1)), (4, 4, 4, 1), LOGITS, classes)
# TensorFlow has no float64 kernel of this pool on the CPU.
KINDS["max pool 3d"] = Kind("images", net(conv(L.Conv3D), L.MaxPooling3D, shape=(5, 5, 5, 1)), (5, 5, 5, 1), LOGITS,
                            classes, "float32")  # fmt: skip
APPLICATIONS = {
    "MobileNetV2": lambda: keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=4),
    "ResNet50V2": lambda: keras.applications.ResNet50V2(weights=None, input_shape=(32, 32, 3), classes=4),
}
for _name, _make in APPLICATIONS.items():
    KINDS[_name] = Kind("applications", _make, (32, 32, 3), "sparse_categorical_crossentropy", classes, "float32")
