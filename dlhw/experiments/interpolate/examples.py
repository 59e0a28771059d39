"""What the nets on a line predict for one test image of every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlhw.datasets.loading import Data

if TYPE_CHECKING:
    import keras

Array = NDArray[np.floating]


def first_of_each_class(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the indices of the first example of every class, in order of the classes."""
    return np.unique(labels, return_index=True)[1]


def unmeasured(data: Data, points: int) -> dict[str, np.ndarray]:
    """Return the images as whole numbers from 0 to 255, their labels, and probabilities that are nan."""
    shown = first_of_each_class(data.y_test)
    return {
        "images": np.round(255.0 * np.clip(data.x_test[shown], 0.0, 1.0)).astype(np.uint8),
        "labels": data.y_test[shown],
        "probabilities": np.full((points, len(shown), data.classes), np.nan, np.float16),
    }


def probabilities(model: keras.Model, a: list[Array], b: list[Array], alphas: Array, data: Data) -> NDArray[np.float16]:
    """Return the softmax of the outputs at (1 - alpha) a + alpha b, (alphas, images, classes).

    Args:
        model: of one output, the logits; it is used to compute, and its weights change.
        a: the weights at alpha = 0, as `model.get_weights()` gives them.
        b: those at alpha = 1.
        alphas: points of the line.
        data: whose test images are shown.
    """
    images, rows = data.x_test[first_of_each_class(data.y_test)], []
    for alpha in alphas:
        model.set_weights([(1 - alpha) * p + alpha * q for p, q in zip(a, b, strict=True)])
        logits = np.asarray(model(images, training=False), np.float64)
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        rows.append(shifted / shifted.sum(axis=-1, keepdims=True))
    return np.array(rows).astype(np.float16)


def fields(lines: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Return the fields of a result from the lines of the first seed; nothing for lines of an older checkpoint."""
    if not all("probabilities" in line for line in lines):
        return {}
    return {
        "example_images": lines[0]["images"],
        "example_labels": lines[0]["labels"],
        "example_probabilities": np.stack([line["probabilities"] for line in lines]),
    }
