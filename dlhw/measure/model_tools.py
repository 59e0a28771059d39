"""Tools of `dlhw.models` that measurements need, under the name `dlhw.measure`."""

from dlhw.models.precision import as_float64
from dlhw.models.state import restore_weights
from dlhw.models.weights import assign, flat, layer_parts

__all__ = ["as_float64", "assign", "flat", "layer_parts", "restore_weights"]
