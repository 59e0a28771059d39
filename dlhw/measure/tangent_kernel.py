"""The empirical neural tangent kernel: inner products of the gradients of outputs with respect to the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled, shared
from dlhw._tf.inputs import chunks, input_tensors, length, wide_dtype
from dlhw._tf.types import Data, Tensor
from dlhw.errors import check_numbers, require
from dlhw.measure.budget import Budget, Progress
from dlhw.measure.results import Saved
from dlhw.models.forward import Forward
from dlhw.models.probe import probe
from dlhw.models.selection import Layers, selected_variables

Array = NDArray[np.floating]

_MEMORY = 1 << 28
"""Bytes that a block of rows of the Jacobian may take; two are held at a time."""
LARGEST_KERNEL = 20_000
"""Most rows of a kernel: 1.6 GB in float32."""


@dataclass(frozen=True)
class TangentKernel(Saved):
    """The Gram matrix of the gradients of outputs; `np.asarray` and the solvers of this package take it as a matrix."""

    matrix: Array  # (n C, n C): row i C + c is output c of example i
    outputs: int  # C
    complete: bool = True  # whether all examples that were given were reached in time

    @property
    def examples(self) -> int:
        """Number of examples, n."""
        return len(self.matrix) // self.outputs

    @property
    def by_examples(self) -> Array:
        """Mean over the outputs of the kernel of each output with itself, (n, n): (1/C) sum_c K[ic, jc]."""
        n, c = self.examples, self.outputs
        return np.einsum("icjc->ij", self.matrix.reshape(n, c, n, c)) / c

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.matrix, dtype, copy=copy)


@check_numbers
def ntk(
    model: keras.Model,
    x: Data,
    *,
    layers: Layers = None,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> TangentKernel:
    """Return the empirical neural tangent kernel K = J J^T at the weights of the model, over all pairs of examples.

    J is the Jacobian, (n C, P), of the C outputs at n examples with respect to the weights (Jacot et al. 2018, Neural
    tangent kernel). K has the nonzero eigenvalues of J^T J, which is the Gauss-Newton matrix of squared errors up to a
    factor: Keras's mean squared error is a mean over n C numbers, so that G = (2/(n C)) J^T J, and the nonzero
    eigenvalues of K are n C / 2 times those of :func:`dlhw.measure.ggn` with loss="mse".

    Outputs of any shape are taken as one axis of C numbers. In inference mode; in the precision of the model. Memory is
    that of K and of two blocks of rows of J of a quarter of a gigabyte; rows are computed again where J does not fit.

    Args:
        model: any built Keras model of one output.
        x: inputs, (n, ...).
        layers: as in :func:`dlhw.measure.hessian`: gradients with respect to the weights of these layers alone. The
            kernels of all layers add up to the whole.
        progress: called with the number of blocks of examples done, that of all, and the seconds that the others will
            take; True: prints them.
        max_seconds: no block begins later; the kernel is then that of the first examples, and `complete` is False.

    Returns:
        K, (n C, n C): `.matrix`; summed over the outputs, (n, n): `.by_examples`.

    Raises:
        UserError: for outputs that depend on other examples of the batch, a model whose states a pass changes, names of
            layers that it does not have, and more than 20000 rows.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> kernel = measure.ntk(net, x)
        >>> top = measure.eigenpairs(measure.ggn(net, "mse", x, np.sin(x))).values[0]
        >>> bool(np.isclose(measure.eigenpairs(kernel).values[0], 20 / 2 * top))
        True
    """
    data = input_tensors(model, x)
    n = length(data)
    behaviour = probe(model, None, data)
    require(
        behaviour.separable, "an output depends on the other examples of its batch, so it has no gradient of its own"
    )
    require(
        not behaviour.moving, f"a pass of {model.name!r} changes its states, so its examples cannot be taken singly"
    )
    jacobian = _Jacobian(model, layers, data)
    require(
        n * jacobian.outputs <= LARGEST_KERNEL,
        f"the kernel of {n} examples and {jacobian.outputs} outputs has {n * jacobian.outputs} rows (at most "
        f"{LARGEST_KERNEL}); take fewer examples, such as of measure.subset",
    )
    blocks = list(chunks(data, jacobian.examples_per_block))
    return _filled(jacobian, blocks, n, Budget("ntk", len(blocks) ** 2, progress, max_seconds, unit="blocks"))


def _filled(jacobian: _Jacobian, blocks: list[Tensor], n: int, budget: Budget) -> TangentKernel:
    """Return the kernel, block by block: all pairs of a new block with itself and those before it, then the next."""
    c = jacobian.outputs
    matrix = np.empty((n * c, n * c), jacobian.dtype)
    ends = np.cumsum([0, *(length(block) * c for block in blocks)])
    finished, last = 0, None
    for k, block in enumerate(blocks):
        rows, here = jacobian(block), slice(ends[k], ends[k + 1])
        for j in range(k, -1, -1):  # from the block whose rows are known
            other = rows if j == k else last if j == k - 1 and last is not None else jacobian(blocks[j])
            there = slice(ends[j], ends[j + 1])
            matrix[here, there] = rows @ other.T
            matrix[there, here] = matrix[here, there].T
            budget.step(1 if j == k else 2)
            if budget.is_spent and j and finished:
                return TangentKernel(matrix[: ends[finished], : ends[finished]].copy(), c, False)
        finished, last = k + 1, rows
        if budget.is_spent:
            break
    return TangentKernel(matrix[: ends[finished], : ends[finished]].copy(), c, finished == len(blocks))


class _Jacobian:
    """Rows of the Jacobian of the outputs with respect to weights, for a block of examples."""

    def __init__(self, model: keras.Model, layers: Layers, data: Tensor) -> None:
        self.variables = [v.value for v in selected_variables(model, layers)]
        require(len(self.variables) > 0, f"model {model.name!r} has no trainable weights")
        self.size = sum(int(np.prod(v.shape)) for v in self.variables)
        dtype = max((wide_dtype(v.dtype) for v in self.variables), key=lambda d: d.size)
        self.dtype = dtype.as_numpy_dtype
        forward = Forward(model)

        def example_rows(x: Tensor) -> Tensor:
            """Return the rows of one example, (C, P)."""
            one = tf.nest.map_structure(lambda a: a[None], x)
            with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
                tape.watch(self.variables)
                z = tf.reshape(forward(one), [-1])

            def row(k: Tensor) -> Tensor:
                slope = tf.one_hot(k, self.outputs, dtype=z.dtype)
                parts = tape.gradient(z, self.variables, output_gradients=slope, unconnected_gradients="zero")
                return tf.concat([tf.cast(tf.reshape(tf.convert_to_tensor(p), [-1]), dtype) for p in parts], 0)

            return tf.map_fn(row, tf.range(self.outputs), fn_output_signature=tf.TensorSpec([self.size], dtype))

        def jacobian_rows(x: Tensor) -> Tensor:
            return tf.map_fn(example_rows, x, fn_output_signature=tf.TensorSpec([self.outputs, self.size], dtype))

        first = next(chunks(data, 1))
        self.outputs = int(np.prod(forward(first).shape))
        key = ("ntk", id(model), tuple(map(id, self.variables)))
        self.compiled = shared(key, lambda: Compiled(jacobian_rows))
        row_bytes = self.outputs * self.size * dtype.size
        self.examples_per_block = max(1, min(length(data), _MEMORY // row_bytes))

    def __call__(self, x: Tensor) -> Array:
        """Return the rows of a block, (examples C, P)."""
        return np.reshape(self.compiled(x).numpy(), (-1, self.size))
