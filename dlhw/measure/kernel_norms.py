"""Norms of the linear maps of the layers of a model."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw.errors import UserError, require, warn
from dlhw.measure.lanczos import largest_eigenvalue
from dlhw.models.state import layers_of, require_built

Array = NDArray[np.floating]

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)
_STEPS, _TOLERANCE = 500, 1e-5


@dataclass(frozen=True)
class KernelNorms:
    """Two norms of every Dense and convolution layer, in the order of the layers."""

    layers: tuple[str, ...]  # names of the L layers
    frobenius: Array  # (L,) of the kernel: square root of the sum of its squares
    spectral: Array  # (L,) of the linear map of the layer: its largest singular value


def kernel_norms(model: keras.Model) -> KernelNorms:
    """Return the Frobenius norm of every kernel and the spectral norm of the linear map that it makes.

    The spectral norm is the largest factor by which the layer, without its bias, lengthens an input: max |A x| / |x|.
    For Dense it is the largest singular value of the kernel. A convolution is the linear map from images of the size
    that the layer gets, with its strides and padding, to its outputs; its largest singular value is computed as the
    root of the largest eigenvalue of A^T A, by Lanczos's method in float64, to a relative error of 1e-5 or with a
    warning. It is not that of the kernel reshaped to a
    matrix, which ignores that a filter acts at many overlapping places (Sedghi et al. 2019, The singular values of
    convolutional layers).

    Args:
        model: a built Keras model; kernels of Dense, Conv1D, Conv2D and Conv3D. Biases and the weights of normalization
            layers have no part in the norms.

    Returns:
        The norms, with the names of the layers.

    Raises:
        UserError: for another layer with a trainable kernel, grouped or causal convolutions, and a convolution whose
            size of images is not fixed, each by the name of the layer; and for weights that are not finite.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,), inputs=3, seed=0)
        >>> norms = measure.kernel_norms(net)
        >>> bool(np.isclose(norms.spectral[0], np.linalg.norm(net.get_weights()[0], 2)))
        True
    """
    require_built(model)
    names, frobenius, spectral = [], [], []
    for layer in layers_of(model):
        own = [v for v in layer._trainable_variables if len(v.shape) > 1]
        if not own or isinstance(layer, _NORMALIZATIONS):  # over several axes, scales have as many
            continue
        if type(layer) is not keras.layers.Dense and type(layer) not in _CONVOLUTIONS:
            raise UserError(
                f"layer {layer.name!r} is a {type(layer).__name__}; norms are those of Dense, Conv1D, Conv2D and Conv3D"
            )
        kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float64)
        require(bool(np.isfinite(kernel).all()), f"layer {layer.name!r} has weights that are not finite")
        names.append(layer.name)
        frobenius.append(float(np.linalg.norm(kernel)))
        is_dense = type(layer) is keras.layers.Dense
        spectral.append(float(np.linalg.norm(kernel, 2)) if is_dense else _convolution_norm(layer, kernel))
    return KernelNorms(tuple(names), np.array(frobenius), np.array(spectral))


def _convolution_norm(layer: keras.layers.Layer, kernel: Array) -> float:
    """Return the largest singular value of a convolution on images of the size that the layer gets."""
    require(layer.groups == 1, f"layer {layer.name!r} has {layer.groups} groups; spectral norms are of one group")
    require(layer.padding != "causal", f"layer {layer.name!r} has causal padding; use valid or same")
    try:
        shape = tuple(layer.input.shape[1:])
    except (AttributeError, ValueError):
        raise UserError(
            f"layer {layer.name!r} is called several times, or never: its images have no one size"
        ) from None
    require(None not in shape, f"layer {layer.name!r} takes images of any size; fix the input shape of the model")
    weights = tf.constant(kernel)

    @tf.function(autograph=False)
    def gram(v: tf.Tensor) -> tf.Tensor:
        """Return A^T A v, the gradient of |A v|^2 / 2."""
        with tf.GradientTape() as tape:
            tape.watch(v)
            z = keras.ops.conv(
                v, weights, layer.strides, layer.padding, layer.data_format, dilation_rate=layer.dilation_rate
            )
            value = tf.reduce_sum(tf.square(z)) / 2
        return tape.gradient(value, v)

    def product(v: Array) -> Array:
        return np.asarray(gram(tf.reshape(tf.constant(v, tf.float64), (1, *shape)))).ravel()

    top = largest_eigenvalue(product, int(np.prod(shape)), steps=_STEPS, tolerance=_TOLERANCE)
    norm = float(np.sqrt(max(top.value, 0.0)))
    if not top.converged:
        warn(
            f"the spectral norm of layer {layer.name!r} has not converged in {top.steps} products with its map: it is "
            f"at least {norm:.6g}, and a singular value lies within {top.residual / norm:.1g} of that"
        )
    return norm
