"""Models in float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlhw.errors import UserError, require

_NARROW = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def widened(model: keras.Model) -> keras.Model:
    """A copy of a functional or sequential model in float64, with the same weights, whatever is nested in it.

    Second derivatives are worth their digits only there: near-zero eigenvalues drown in the rounding of float32.

    Raises UserError for a model that Keras cannot copy from its configuration (a subclassed one), or whose layers
    insist on another precision.
    """
    try:
        copy = model.__class__.from_config(_wide(model.get_config()))
        for part in (copy, *(m for m in copy._flatten_layers() if isinstance(m, keras.Model))):
            part.dtype_policy = keras.DTypePolicy("float64")  # else it casts its input to float32 first
        copy.set_weights(model.get_weights())
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{model.name} cannot be copied into float64; use a functional Keras model ({error})") from None
    kinds = {str(v.dtype) for v in copy.weights} | {
        layer.compute_dtype for layer in copy._flatten_layers() if layer.weights
    }
    narrow = sorted(k for k in kinds if k in _NARROW)
    require(not narrow, f"some layers of {model.name} stay {', '.join(narrow)}; they do not follow `dtype`")
    return copy


def _wide(config: Any) -> Any:
    """The configuration with every float precision named in it made float64."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] in _NARROW:
            return "float64"
        return {k: "float64" if k == "dtype" and v in _NARROW else _wide(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_wide(v) for v in config)
    return np.copy(config) if isinstance(config, np.ndarray) else config
