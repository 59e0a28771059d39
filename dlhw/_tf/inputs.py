"""User data as tensors: arrays, frames, memory maps, several inputs; everything else is refused."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.errors import UserError, require


class ChunkedArray:
    """An array on disk (`numpy.memmap`) that is converted to tensors slice by slice, never as a whole."""

    def __init__(self, array: np.ndarray, dtype: tf.DType) -> None:
        self.array, self.dtype, self.shape = array, dtype, tf.TensorShape(array.shape)

    def __getitem__(self, at: slice) -> tf.Tensor:
        return tf.cast(np.ascontiguousarray(self.array[at]), self.dtype)


def float_dtype(model: keras.Model) -> tf.DType:
    """Return the precision in which data and losses are kept for `model`: its own, and float32 at the least.

    Targets in half precision would be rounded (1001 to 1000) or overflow before the loss is taken.
    """
    return wide_dtype(tf.as_dtype(model.compute_dtype))


def wide_dtype(dtype: tf.DType) -> tf.DType:
    """Return `dtype`, or float32 in place of a half precision."""
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype


def is_several(model: keras.Model, data: Tensor) -> bool:
    """Whether `data` is a structure of several inputs, not one array."""
    if isinstance(data, (tuple, dict)):
        return True
    if not isinstance(data, list) or not data:
        return False
    inputs = getattr(model, "inputs", None)
    if inputs is not None:
        return len(inputs) > 1
    return all(getattr(a, "ndim", 0) >= 1 for a in data)


def input_tensors(model: keras.Model, x: Tensor, *, in_memory: bool = False) -> Tensor:
    """Return inputs (one array, or a tuple, list or dict of them) as tensors, each with the examples on its first axis.

    Whole numbers stay whole (int32 or int64), others become floats of :func:`float_dtype`, texts stay texts. A list is
    several inputs where the model has several. Memory maps stay on disk (:class:`ChunkedArray`) unless `in_memory`.

    Raises UserError for datasets, sparse and ragged arrays, tables with columns that are not numbers.
    """

    def convert(a: Any) -> Tensor:
        return _tensor(a, "x", float_dtype(model), texts=True, in_memory=in_memory)

    return keras.tree.map_structure(convert, x) if is_several(model, x) else convert(x)


def target_tensor(model: keras.Model, y: Tensor, *, in_memory: bool = False) -> Tensor:
    """Return targets as one tensor, (n, ...); a list, tuple or dict of one array is that array.

    Raises UserError for the targets of several outputs, and for what :func:`input_tensors` refuses.
    """
    require(y is not None, "y is None; every example needs a target")
    arrays = list(y.values()) if isinstance(y, dict) else y if isinstance(y, (list, tuple)) else [y]
    if isinstance(y, (dict, tuple)) or (len(arrays) and all(getattr(a, "ndim", 0) >= 1 for a in arrays)):
        require(
            len(arrays) == 1,
            f"y holds {len(arrays)} arrays, the targets of several outputs; give a model of one output, such as "
            "keras.Model(inputs, outputs[0]), and its targets",
        )
        y = arrays[0]
    return _tensor(y, "y", float_dtype(model), texts=False, in_memory=in_memory)


def _tensor(a: Tensor, name: str, floats: tf.DType, *, texts: bool, in_memory: bool) -> Tensor:
    if isinstance(a, (tf.Tensor, tf.Variable)) or (tf.is_tensor(a) and hasattr(a, "numpy")):
        array: Any = a
        kind = tf.as_dtype(a.dtype)
    else:
        array = _array(a, name)
        kind = _kind(array, name)
    if isinstance(array, (tf.SparseTensor, tf.RaggedTensor)):
        raise _refused(name, a, "give a dense array of one shape (tf.sparse.to_dense, .to_tensor())")
    require(len(array.shape) > 0, f"{name} is the single number {array}; give an array with an axis of examples")
    if kind == tf.string:
        require(texts, f"{name} holds strings; give numbers, such as class labels")
        return tf.convert_to_tensor(array, tf.string)
    dtype = floats if kind.is_floating or kind.is_bool else tf.int32 if kind.size <= 2 or kind == tf.int32 else tf.int64
    on_disk = isinstance(array, np.memmap) and not in_memory
    return ChunkedArray(array, dtype) if on_disk else tf.cast(array, dtype)


def _array(a: Tensor, name: str) -> np.ndarray:
    """Return `a` as a NumPy array."""
    if isinstance(a, (tf.SparseTensor, tf.RaggedTensor)) or hasattr(a, "tocoo"):
        raise _refused(name, a, "give a dense array of one shape (.toarray(), .to_tensor())")
    if isinstance(a, (tf.data.Dataset, keras.utils.PyDataset)) or (hasattr(a, "__next__") and not hasattr(a, "shape")):
        raise _refused(name, a, "give arrays, such as np.concatenate of its batches")
    if isinstance(a, keras.KerasTensor):
        raise _refused(name, a, "give arrays of examples")
    try:
        array = a.to_numpy() if hasattr(a, "to_numpy") else a if isinstance(a, np.memmap) else np.asarray(a)
    except (ValueError, TypeError) as error:
        raise _refused(name, a, f"give an array of one shape ({first_line(error)})") from None
    return array


def _kind(array: np.ndarray, name: str) -> tf.DType:
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(v, (str, bytes)) for v in array.flat)):
        return tf.string
    require(
        array.dtype.kind in "fiub" or array.dtype.name == "bfloat16",
        f"{name} holds values of type {array.dtype}; give numbers in an array of one shape",
    )
    return tf.as_dtype(array.dtype)


def _refused(name: str, a: Tensor, remedy: str) -> UserError:
    return UserError(f"{name} is of type {type(a).__name__}; {remedy}")


_NOISE = re.compile(r"\x1b\[\d*m|\{\{[^}]*\}\} ?|\[Op:\w+\]|name: *$")
_KERAS = "Exception encountered when calling "


def first_line(error: BaseException) -> str:
    """Return an error message in one line of at most 200 characters; of a Keras error, the layer and the cause."""
    lines = [_NOISE.sub("", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    if lines[0].startswith(_KERAS) and len(lines) > 1:
        return f"{lines[0].removeprefix(_KERAS).rstrip('.')}: {lines[1]}"[:200].strip()
    return lines[0][:200].strip()


def length(data: Tensor) -> int:
    """Return the number of examples; UserError unless every array of the structure has as many, and at least one."""
    sizes = {int(a.shape[0]) for a in tf.nest.flatten(data)}
    require(
        len(sizes) == 1 and min(sizes) > 0,
        f"the inputs have {sorted(sizes)} examples; all arrays need the same number, at least one",
    )
    return sizes.pop()


def chunks(data: Tensor, size: int) -> Iterator[Any]:
    """Yield `data`, a structure of tensors, in chunks of `size` examples; the last may be smaller."""
    for start in range(0, length(data), size):
        yield tf.nest.map_structure(lambda a: a[start : start + size], data)  # noqa: B023


def take(data: Tensor, rows: np.ndarray) -> Tensor:
    """Select the examples `rows` of a structure of tensors, in that order."""

    def gather(a: Tensor) -> Tensor:
        return tf.cast(a.array[rows], a.dtype) if isinstance(a, ChunkedArray) else tf.gather(a, rows)

    return tf.nest.map_structure(gather, data)


def check_labels(y: Tensor, classes: int, *, ignored: int | None = None) -> None:
    """Refuse class labels that are not integers in 0..classes-1, except `ignored`.

    Raises UserError that names the first wrong label and the number of outputs.
    """
    require(
        classes >= 2,
        "a model of one output has no classes; use binary instead of sparse categorical cross entropy",
    )
    labels = np.asarray(y.array if isinstance(y, ChunkedArray) else y)
    wrong = (labels < 0) | (labels >= classes) | (labels != np.floor(labels))
    if ignored is not None:
        wrong &= labels != ignored
    require(
        not wrong.any(),
        f"label {reprlib.repr(labels[wrong].flat[0].item()) if wrong.any() else ''} is not a class of a model with "
        f"{classes} outputs; labels are integers in 0..{classes - 1}",
    )
