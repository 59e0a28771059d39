"""How large each image between two layers has to be: only what the outputs depend on is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from dlhw.models.batch_innermost.known import Link, has_activation

K = keras.layers
Size = tuple[int, int]
Pads = tuple[tuple[int, int], tuple[int, int]]


def needed(links: Sequence[Link]) -> list[Size]:
    """Return height and width of the inputs of every layer, and of the outputs of the last, that anything depends on.

    A pool that does not divide its inputs drops the last rows: they are not computed in the first place, nor what only
    they depend on. (0, 0) stands for inputs that are not images.
    """
    sizes = [_full(links[-1].outputs)]
    for link in reversed(links):
        full = _full(link.inputs)
        if isinstance(link.layer, (K.Conv2D, K.MaxPooling2D, K.AveragePooling2D)):
            (_, bottom), (_, right) = _reach(link, sizes[-1])
            sizes.append((min(bottom, full[0]), min(right, full[1])))
        elif isinstance(link.layer, (K.Rescaling, K.Dropout)) or has_activation(link.layer):
            sizes.append(sizes[-1] if full != (0, 0) else full)
        else:  # among them statistics of a batch: those of whole images
            sizes.append(full)
    return sizes[::-1]


def pads(link: Link, inputs: Size, outputs: Size) -> Pads:
    """Return rows and columns to add before and after `inputs`, so that a convolution or a pool gives `outputs`."""
    (top, bottom), (first, last) = _reach(link, outputs)
    return (-top, max(bottom - inputs[0], 0)), (-first, max(last - inputs[1], 0))


def _reach(link: Link, outputs: Size) -> list[tuple[int, int]]:
    """Return from where to where the first `outputs` of a convolution or a pool reach in each direction."""
    layer: Any = link.layer
    size = layer.kernel_size if isinstance(layer, K.Conv2D) else layer.pool_size
    spans = []
    for length, k, step, full in zip(outputs, size, layer.strides, _full(link.inputs), strict=True):
        total = max((-(-full // step) - 1) * step + k - full, 0) if layer.padding == "same" else 0
        before = total // 2
        spans.append((-before, (length - 1) * step + k - before))
    return spans


def _full(shape: tuple[int, ...]) -> Size:
    return (shape[0], shape[1]) if len(shape) == 3 else (0, 0)
