"""Windows that slide over activations with the batch innermost, (channels, height, width, batch).

With the batch as the last axis every slice of a window is contiguous in memory over all examples, so that a window is
copied at the rate of the memory, and elementwise operations fill the vector registers whatever the number of channels.
XLA's own gradient of a strided slice, a padded array, is slow; here each operation has its adjoint written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from dlhw._tf.types import Tensor


def windows(h: Tensor, axis: int, size: int, step: int) -> Tensor:
    """Return all windows along an axis: entry i of window k, h[..., k step + i, ...], at i C + c of the first axis.

    Args:
        h: (C, ...).
        axis: along which the windows slide, not the first.
        size: entries of a window.
        step: distance between windows; what is left at the end is dropped.

    Returns:
        (size C, ...), with the number of windows as the length of `axis`.
    """
    length = h.shape[axis]

    # Each of the two linear maps is the gradient of the other, so that derivatives of any order stay fast.
    @tf.custom_gradient
    def gather(h: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        count = (length - size) // step + 1
        entries = [_cut(h, axis, i, i + step * (count - 1) + 1, step) for i in range(size)]
        return tf.concat(entries, 0), scatter

    @tf.custom_gradient
    def scatter(g: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return _stored(lambda: _overlap_add(g, axis, size, step, length), g), gather

    return gather(h)


def _overlap_add(windows: Tensor, axis: int, size: int, step: int, length: int) -> Tensor:
    """Return the sum of all windows in their places along an axis of `length` entries."""
    channels, shape = windows.shape[0] // size, windows.shape.as_list()
    shifts = -(-size // step)
    shape[0], shape[axis] = channels, shape[axis] + shifts - 1
    residues = []
    for residue in range(step):  # entries of equal residue modulo the step are moved as one block
        total = tf.zeros(shape, windows.dtype)
        for shift, i in enumerate(range(residue, size, step)):
            entry = _pad(windows[i * channels : (i + 1) * channels], axis, shift, shifts - 1 - shift)
            total = entry if shift == 0 else total + entry
        residues.append(total)
    if step == 1:
        whole = residues[0]
    else:
        shape[axis] *= step
        whole = tf.reshape(tf.stack(residues, axis + 1), shape)
    covered = shape[axis]
    return _cut(whole, axis, 0, length) if covered >= length else _pad(whole, axis, 0, length - covered)


def _stored(function: Callable[[], Tensor], like: Tensor) -> Tensor:
    """Return the result of `function`, which XLA does not fuse with what uses it.

    Fused with an operation of other axes, it would be computed number by number from its position. XLA compiles the
    body of a loop by itself; this loop runs once, which the compiler cannot know.
    """
    if tf.executing_eagerly():
        return function()
    bits = tf.bitcast(tf.reshape(like, [-1])[0], tf.int64 if like.dtype.size == 8 else tf.int32)
    once = tf.cast(tf.not_equal(tf.bitwise.bitwise_or(bits, tf.ones_like(bits)), 0), tf.int32)
    shape = function().shape
    return tf.while_loop(lambda i, _: i < once, lambda i, _: (i + 1, function()), (0, tf.zeros(shape, like.dtype)))[1]


def _cut(a: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    if (start, stop, step) == (0, a.shape[axis], 1):
        return a
    return a[tuple([slice(None)] * axis + [slice(start, stop, step)])]


def _pad(a: Tensor, axis: int, before: int, after: int) -> Tensor:
    if before == after == 0:
        return a
    return tf.pad(a, [[before, after] if k == axis else [0, 0] for k in range(len(a.shape))])


def transposed(h: Tensor, axes: Sequence[int]) -> Tensor:
    """Return `h` with its axes in another order; the gradient is brought back in a pass of its own."""
    back = [axes.index(k) for k in range(len(axes))]

    @tf.custom_gradient
    def forth(h: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return tf.transpose(h, axes), return_

    @tf.custom_gradient
    def return_(g: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return _stored(lambda: tf.transpose(g, back), g), forth

    return forth(h)


@tf.custom_gradient
def stored(h: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return `h`, computed once: fused with windows that overlap, it would be computed once for each of them."""
    return _stored(lambda: h, h), lambda g: g


@tf.custom_gradient
def first_maximum(z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the maximum over the middle axis of (m, q, n), whose gradient goes to the first of equal entries.

    TensorFlow's max-pool does so on a CPU; the gradient of `tf.reduce_max` is shared between equal entries.
    """
    entries = tf.unstack(z, axis=1)
    largest, index = entries[0], tf.zeros_like(entries[0], tf.int32)
    for k, entry in enumerate(entries[1:], start=1):
        index = tf.where(entry > largest, k, index)
        largest = tf.maximum(largest, entry)

    def gradient(g: Tensor) -> Tensor:
        places = tf.reshape(tf.range(len(entries)), [1, -1, 1])
        return tf.where(tf.equal(places, index[:, None]), g[:, None], tf.zeros([], g.dtype))

    return largest, gradient
