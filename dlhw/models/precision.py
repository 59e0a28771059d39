"""Models in float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlhw._tf.types import Data
from dlhw.errors import require
from dlhw.models.copies import copied
from dlhw.models.state import layers_of

_NARROW = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def as_float64(model: keras.Model, x: Data = None) -> keras.Model:
    """Return a copy of a model in float64, with the same weights and state, whatever is nested in it.

    Second derivatives need it: near-zero eigenvalues are smaller than the rounding of float32. The copy is checked to
    give the outputs of the model on a few examples, up to the rounding of the precision of the model.

    Args:
        model: a built functional or sequential model, or a subclassed one with `get_config`.
        x: inputs for the check, (n, ...); default: random ones in the shape of the model's inputs.

    Returns:
        The copy. Its inputs, weights and computations are float64.

    Raises:
        UserError: for a model that is not built, that Keras cannot copy from its configuration, whose layers insist on
            another precision, or whose copy computes something else.

    Example:
        >>> from dlhw import measure, models
        >>> measure.as_float64(models.mlp((4,))).weights[0].dtype
        'float64'
    """
    copy = copied(model, x, config=_float64_config, prepare=_float64_inputs)
    kinds = {str(v.dtype) for v in copy.weights} | {
        layer.compute_dtype for layer in layers_of(copy) if layer.weights and hasattr(layer, "compute_dtype")
    }
    narrow = sorted(k for k in kinds if k in _NARROW)
    require(not narrow, f"some layers of {model.name} stay {', '.join(narrow)}; they ignore `dtype`")
    return copy


def _float64_inputs(copy: keras.Model) -> None:
    """Let models cast their inputs to float64: by default they cast to float32 first."""
    for part in layers_of(copy):
        if isinstance(part, keras.Model):
            part.dtype_policy = keras.DTypePolicy("float64")


def _float64_config(config: Any) -> Any:
    """Return the configuration with every float precision replaced by float64."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] in _NARROW:
            return "float64"
        return {k: "float64" if k == "dtype" and v in _NARROW else _float64_config(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_float64_config(v) for v in config)
    return np.copy(config) if isinstance(config, np.ndarray) else config
