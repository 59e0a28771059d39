"""What TensorFlow's own gradients lack for exact second derivatives.

There are two problems. The gradient of a gradient kernel is missing (a LookupError) or registered as "not
differentiable", so that its gradient is silently zero; both are registered here, once, when this module is imported.
And `tf.nn.moments` stops the gradient of the mean, which is correct for first derivatives and wrong for second ones;
:func:`exact_moments` replaces it while a second derivative is traced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops as _ops  # the registry has no public name

from dlhw._tf.types import Tensor


def _register(name: str, gradient: Callable[[Any, Any], Any]) -> None:
    """Register `gradient` for the op `name`, in place of what TensorFlow has."""
    try:
        tf.RegisterGradient(name)(gradient)
    except KeyError:
        _ops.gradient_registry._registry[name]["type"] = gradient


def _softsign_grad(op: Any, upstream: Tensor) -> Tensor:
    """Return the gradient of dy / (1 + |x|)^2 with respect to dy and x."""
    dy, x = op.inputs
    slope = 1 / tf.square(1 + tf.abs(x))
    return upstream * slope, -2 * upstream * dy * tf.sign(x) * slope / (1 + tf.abs(x))


def _resize_gradient(resize: Any, adjoint: Any) -> Callable[[Any, Any], Any]:
    """Return the gradient of a resize op: its adjoint, whose own gradient is the resize again."""

    def gradient(op: Any, upstream: Tensor) -> Tensor:
        image = op.inputs[0]
        attributes = {k: op.get_attr(k) for k in ("align_corners", "half_pixel_centers")}

        @tf.custom_gradient
        def back(dy: Tensor) -> Tensor:
            def again(u: Tensor) -> Tensor:
                return tf.cast(resize(images=u, size=tf.shape(dy)[1:3], **attributes), dy.dtype)

            return adjoint(dy, image, **attributes), again

        return back(upstream), None

    return gradient


def _nearest_adjoint(dy: Tensor, image: Tensor, **attributes: Any) -> Tensor:
    return tf.raw_ops.ResizeNearestNeighborGrad(grads=dy, size=tf.shape(image)[1:3], **attributes)


def _float_adjoint(op: Any) -> Tensor:
    return lambda dy, image, **attributes: op(grads=dy, original_image=image, **attributes)


def _scale_and_translate_grad(op: Any, upstream: Tensor) -> Tensor:
    grads, _, scale, translation = op.inputs
    kernel = {"kernel_type": op.get_attr("kernel_type"), "antialias": op.get_attr("antialias")}
    resized = tf.raw_ops.ScaleAndTranslate(
        images=upstream, size=tf.shape(grads)[1:3], scale=scale, translation=translation, **kernel
    )
    return resized, None, None, None


_RESIZES = {
    "ResizeBilinear": (tf.raw_ops.ResizeBilinear, _float_adjoint(tf.raw_ops.ResizeBilinearGrad)),
    "ResizeBicubic": (tf.raw_ops.ResizeBicubic, _float_adjoint(tf.raw_ops.ResizeBicubicGrad)),
    "ResizeNearestNeighbor": (tf.raw_ops.ResizeNearestNeighbor, _nearest_adjoint),
}
for _name, _kernels in _RESIZES.items():
    _register(_name, _resize_gradient(*_kernels))
_register("SoftsignGrad", _softsign_grad)
_register("ScaleAndTranslateGrad", _scale_and_translate_grad)


def _moments(x: Tensor, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """Return mean and variance of `x` over `axes`, as `tf.nn.moments` does, with correct higher derivatives."""
    with tf.name_scope(name or "moments"):
        wide = tf.cast(x, tf.float32) if x.dtype == tf.float16 else x
        mean = tf.reduce_mean(wide, axes, keepdims=True)
        variance = tf.reduce_mean(tf.square(wide - mean), axes, keepdims=True)
        if not keepdims:
            mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


_patching = threading.RLock()
_depth = 0
_original: Any = None


@contextmanager
def exact_moments() -> Iterator[None]:
    """Replace `tf.nn.moments`, which every normalization of Keras calls, by one without `stop_gradient`.

    The value and the first derivative are the same up to rounding. Threads may nest: the last one to leave puts the
    original back.
    """
    global _depth, _original
    with _patching:
        if _depth == 0:
            _original = tf.nn.moments
            tf.nn.moments = _moments
        _depth += 1
    try:
        yield
    finally:
        with _patching:
            _depth -= 1
            if _depth == 0:
                tf.nn.moments = _original
