"""TensorBoard event files of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf


class EventWriter:
    """Scalars and histograms of one training, as event files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.writer = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, scalars: Mapping[str, float], weights: Mapping[str, np.ndarray] | None = None) -> None:
        """Write numbers, and the distribution of weights by name, at an epoch or step."""
        with tf.device("/CPU:0"), self.writer.as_default(step=step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            for name, values in (weights or {}).items():
                tf.summary.histogram(name, values)
        self.writer.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self.writer.close()
