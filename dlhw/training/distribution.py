"""Which device a run uses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from dlhw.context import Device
from dlhw.errors import require


def resolve(device: Device) -> str:
    """The TensorFlow name of a device: auto takes the first GPU if there is one, else the CPU.

    Raises UserError if a GPU is asked for and TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    require(bool(gpus) or device != "gpu", "--device gpu: TensorFlow sees no GPU here; use --device cpu or auto")
    return "/GPU:0" if gpus and device != "cpu" else "/CPU:0"


def scope(device: Device) -> AbstractContextManager[Any]:
    """A context in which tensors and compiled functions live on the device."""
    return tf.device(resolve(device))


def describe(device: Device) -> str:
    """The device as it is written into a run: CPU, or the name of the GPU."""
    if resolve(device) == "/CPU:0":
        return "CPU"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return str(details.get("device_name", "GPU"))
