"""Names of types. TensorFlow has no type information that mypy reads, so the names say what is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.floating]
Tensor: TypeAlias = tf.Tensor
"""A tensor, or a structure of tensors where a model has several inputs."""
Tensors: TypeAlias = Sequence[tf.Tensor]

if TYPE_CHECKING:
    Data: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | Sequence[ArrayLike] | tf.Tensor | None
else:
    Data = object
"""Inputs or targets as users hold them: arrays, memory maps, frames, tensors, structures of several inputs."""
