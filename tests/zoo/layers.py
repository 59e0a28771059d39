"""Dense nets: activations, normalizations, regularizers, constraints, policies."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np

from tests.zoo.kinds import KINDS, Kind, L, add, chain, floats

SMOOTH = ("tanh", "sigmoid", "softsign", "gelu", "silu", "elu", "softplus", "mish", "exponential")
for _name in (*SMOOTH, "relu", "selu", "leaky_relu", "hard_silu"):
    KINDS[f"dense {_name}"] = Kind("activations", lambda name=_name: chain(L.Dense(5, activation=name), L.Dense(1)))


@add("prelu", "activations")
def _():
    return chain(L.Dense(5), L.PReLU(alpha_initializer=keras.initializers.Constant(0.3)), L.Dense(1))


NORMALIZATIONS = {
    "layer norm": partial(L.LayerNormalization),
    "batch norm": partial(L.BatchNormalization),
    "group norm": partial(L.GroupNormalization, 3),
    "unit norm": partial(L.UnitNormalization),
    "rms norm": partial(L.RMSNormalization),
}
for _name, _make in NORMALIZATIONS.items():
    KINDS[_name] = Kind("normalizations", lambda make=_make: chain(L.Dense(6, activation="tanh"), make(), L.Dense(1)))


@add("spectral norm", "normalizations")
def _():
    return chain(L.SpectralNormalization(L.Dense(5, activation="tanh")), L.Dense(1))


@add("adapted normalization", "states")
def _():
    norm = L.Normalization()
    norm.adapt(5 + 3 * floats((3,), 8))
    return chain(norm, L.Dense(4, activation="tanh"), L.Dense(1))


@add("rescaling", "normalizations")
def _():
    return chain(L.Rescaling(0.5, offset=1.0), L.Dense(4, activation="tanh"), L.Dense(1))


@add("l2 regularizer", "losses that layers add")
def _():
    return chain(L.Dense(4, activation="tanh", kernel_regularizer="l2", bias_regularizer="l2"), L.Dense(1))


@add("activity regularizer", "losses that layers add")
def _():
    return chain(L.Dense(4, activation="tanh", activity_regularizer="l2"), L.Dense(1))


REDUCTIONS = {
    "mean": keras.ops.mean,
    "sum": keras.ops.sum,
    "vector": lambda x: keras.ops.mean(x, axis=0),
    "largest": keras.ops.max,
}


class Penalty(L.Layer):
    """Adds a loss that depends on its inputs."""

    def __init__(self, reduction, **kwargs):
        super().__init__(**kwargs)
        self.reduction = reduction

    def call(self, x):
        self.add_loss(0.1 * REDUCTIONS[self.reduction](keras.ops.square(x)))
        return x

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction}


for _name in REDUCTIONS:
    KINDS[f"add_loss {_name}"] = Kind(
        "losses that layers add",
        lambda reduction=_name: chain(L.Dense(4, activation="tanh"), Penalty(reduction), L.Dense(1)),
    )


@add("max-norm constraint", "constraints")
def _():
    return chain(L.Dense(4, activation="tanh", kernel_constraint=keras.constraints.MaxNorm(0.1)), L.Dense(1))


@add("non-negative constraint", "constraints")
def _():
    return chain(L.Dense(4, activation="tanh", kernel_constraint="non_neg", bias_constraint="non_neg"), L.Dense(1))


def of_policy(policy):
    layers = (L.Dense(5, activation="tanh", dtype=policy), L.Dense(1, dtype=policy))
    return chain(*layers, dtype="float64" if policy == "float64" else None)


for _policy in ("float32", "float64", "mixed_bfloat16", "mixed_float16"):
    KINDS[f"policy {_policy}"] = Kind("policies", partial(of_policy, _policy), precision=_policy)


@add("large targets in half precision", "policies", precision="mixed_float16", loss="mae",
     targets=lambda shape: np.full(shape, 2e5))  # fmt: skip
def _():
    return chain(L.Dense(4, activation="tanh", dtype="mixed_float16"), L.Dense(1, dtype="mixed_float16"))
