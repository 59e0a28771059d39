"""A batch taken in pieces inside a compiled graph, so that activations stay in the cache of the processor."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from dlhw._tf.inputs import length
from dlhw._tf.types import Tensor, Tensors

EXAMPLES = 80
"""Examples of a piece, measured best between 32 and 250; from 40 to 125 the times differ by a few per cent."""
_CALL_BYTES = 1 << 26
"""Largest inputs of one call, which cannot be interrupted."""


def piece_size(n: int, examples: int = EXAMPLES) -> int:
    """Return how many of n examples are taken at a time: a divisor of n near `examples` where there is one.

    A multiple of 8 fills the registers of the processor.
    """
    divisors = [size for size in range(examples // 2, 2 * examples + 1) if n % size == 0]
    for lanes in (8, 1):
        if sizes := [size for size in divisors if size % lanes == 0]:
            return min(sizes, key=lambda size: abs(size - examples))
    return min(n, examples)


def examples_per_call(n: int, x: Tensor) -> int:
    """Return how many of n examples one call takes: as many as divide n, so that one program serves all calls.

    Args:
        n: number of examples.
        x: inputs, (n, ...), or a structure of several.
    """
    size = sum(a.shape[1:].num_elements() * a.dtype.size for a in tf.nest.flatten(x))
    most = max(1, min(10_000, _CALL_BYTES // max(size, 1)))
    fewest = -(-n // most)
    calls = next((k for k in range(fewest, 2 * fewest + 1) if n % k == 0), None)
    return n // calls if calls else most


def sums_over_pieces(
    function: Callable[..., Tensor], arrays: Tensors, zeros: Tensor, examples: int = EXAMPLES
) -> Tensor:
    """Return the sum of `function` over the pieces of `arrays`, one piece after the other.

    Args:
        function: of tensors (k, ...), returns a structure of tensors that add up over the examples.
        arrays: structures of tensors (n, ...), one for each argument of `function`.
        zeros: what the sums start from, of the structure of the results.
        examples: about how many a piece holds.
    """
    n = length(arrays)
    size = piece_size(n, examples)
    if size == n:
        return function(*arrays)

    def add(total: Tensor, start: Tensor, examples: int) -> Tensor:
        def cut(a: Tensor) -> Tensor:
            return tf.slice(a, [start, *[0] * (len(a.shape) - 1)], [examples, *a.shape[1:]])

        return tf.nest.map_structure(tf.add, total, function(*tf.nest.map_structure(cut, arrays)))

    def body(i: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return i + 1, add(total, i * size, size)

    _, total = tf.while_loop(lambda i, _: i < n // size, body, (tf.constant(0), zeros))
    return add(total, tf.constant(n - n % size), n % size) if n % size else total


def rows_over_pieces(function: Callable[..., Tensor], arrays: Tensors, dtype: tf.DType) -> Tensor:
    """Return the results of `function`, (k,) of `dtype` for k examples, over all pieces of `arrays`: (n,)."""
    n = length(arrays)
    size = piece_size(n)
    if size == n:
        return function(*arrays)
    whole = n - n % size

    def split(a: Tensor) -> Tensor:
        return tf.reshape(a[:whole], [whole // size, size, *a.shape[1:]])

    pieces = tf.nest.map_structure(split, tuple(arrays))
    rows = tf.reshape(tf.map_fn(lambda piece: function(*piece), pieces, fn_output_signature=dtype), [whole])
    if not n % size:
        return rows
    return tf.concat([rows, function(*tf.nest.map_structure(lambda a: a[whole:], tuple(arrays)))], 0)
