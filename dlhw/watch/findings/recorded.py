"""What rules read of a result: medians by layer over steps, and names of losses, without TensorFlow."""

from __future__ import annotations

import numpy as np

from dlhw.watch.spec import Array, Facts, Flags, Result

CATEGORICAL = ("categorical_crossentropy", "categorical_focal_crossentropy")
SPARSE = ("sparse_categorical_crossentropy",)
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
SQUARED = ("mean_squared_error", "mse")
MEAN_ABSOLUTE = ("mean_absolute_error", "mae")
ABSOLUTE = (*MEAN_ABSOLUTE, "huber", "log_cosh", "logcosh")
RELATIVE = ("mean_absolute_percentage_error", "mape", "mean_squared_logarithmic_error", "msle")
REGRESSION = (*SQUARED, *ABSOLUTE, *RELATIVE)
"""Losses of numbers, which subtract the targets from the outputs entry by entry."""
CLASSIFICATION = (*CATEGORICAL, *SPARSE, *BINARY)

KERAS_LOSSES = (
    *CLASSIFICATION,
    *REGRESSION,
    *("poisson", "kl_divergence", "hinge", "squared_hinge", "categorical_hinge", "cosine_similarity", "dice"),
    *("tversky", "ctc", "circle", "categorical_generalized_cross_entropy"),
)
"""Losses of Keras, which guard against log and division by 0."""
NORMALIZING = (
    "BatchNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "UnitNormalization",
)


def median(values: Array, axis: int = 0) -> Array:
    """Return the median of the finite values along an axis; nan where there are none."""
    finite = np.where(np.isfinite(values), values, np.nan)
    empty = np.isnan(finite).all(axis=axis)
    filled = np.where(np.expand_dims(empty, axis), 0.0, finite)
    if not filled.size:
        return np.full(empty.shape, np.nan)
    return np.where(empty, np.nan, np.nanmedian(filled, axis=axis))


def one_median(values: Array) -> float:
    """Return the median of the finite values of a vector; nan where there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient; nan where the denominator is 0 or either is not finite."""
    valid = np.isfinite(numerator) & np.isfinite(denominator) & (denominator > 0)
    return np.where(valid, numerator / np.where(valid, denominator, 1.0), np.nan)


def update_ratios(result: Result) -> Array:
    """Return update norm over weight norm, (S, L); nan where a layer was not updated."""
    quotients = ratio(result.update_norm, result.weight_norm)
    return np.where(result.updated[:, None], quotients, np.nan)


def weighted(result: Result) -> Flags:
    """Whether a layer does more than normalize; all count where their kinds are not known."""
    kinds = result.facts.layer_kinds
    if len(kinds) != len(result.layers):
        return np.ones(len(result.layers), bool)
    return np.array([kind not in NORMALIZING for kind in kinds], bool)


def losses_not_finite(result: Result) -> Flags:
    """Whether the loss of a step is not finite, (S,). A loss of nan throughout is not known: gradients decide."""
    bad = np.any(np.nan_to_num(result.nonfinite_share) > 0, axis=1)
    if not np.isfinite(result.loss).any():
        return np.isinf(result.loss) | (bad & result.updated)
    if len(result.optimizers) > 1:
        return np.isinf(result.loss) | (np.isnan(result.loss) & bad)
    return ~np.isfinite(result.loss)


def updates_not_finite(result: Result) -> Flags:
    """Whether gradients that are not finite were applied, (S,). Loss scaling skips such steps on purpose."""
    return np.asarray(np.any(np.nan_to_num(result.nonfinite_share) > 0, axis=1) & result.updated, bool)


def bare(name: str) -> str:
    """Return the name of a layer without those of the models that it is in."""
    return name.rpartition("/")[-1]


def hidden(result: Result) -> Flags:
    """Whether a layer with an activation is not the output, (U,)."""
    output = bare(result.facts.output_layer)
    return np.array([bare(name) != output for name in result.unit_layers], bool)


def place(step: int) -> str:
    """Return `at batch 12`."""
    return f"at batch {step:,}"


def classes(facts: Facts) -> int:
    """Return the number of output units on the last axis; 0 where it is not known."""
    return max(facts.output_shape[-1], 0) if facts.output_shape else 0


def listed(names: tuple[str, ...] | list[str], most: int = 4) -> str:
    """Return `a, b and 3 more`."""
    shown, more = list(names[:most]), len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
