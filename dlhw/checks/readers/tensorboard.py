"""Scalars in event files of TensorBoard, read record by record without TensorFlow."""

from __future__ import annotations

import importlib.util
import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlhw.checks.readers.raw import MOST_BYTES, Raw
from dlhw.errors import UserError, require

_HEADER, _CHECKSUM = struct.Struct("<Q"), 4
_EVENTS = "*tfevents*"
_SET = re.compile(r"(^|[/_.-])(train|training|validation|val|test|eval)$", re.IGNORECASE)
_KERAS = ("epoch_", "evaluation_")
"""What Keras puts before the names of its metrics; it counts epochs from 0, and measures at their ends."""
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
"""Number formats of tensors, by their codes in the files."""

Scalars = dict[str, dict[int, float]]
"""Value by step, by tag."""


def read(path: Path) -> list[Raw]:
    """Read an event file, or all below a folder: one table for every training.

    Raises:
        UserError: if the tensorboard extra is not installed, or a file is damaged or holds no scalars.
    """
    _check_installed(path)
    files = sorted(path.rglob(_EVENTS)) if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    require(size <= MOST_BYTES, f"{path} has {size / 2**20:.0f} MiB of events; name one of its files")
    trainings: dict[str, Scalars] = defaultdict(dict)
    for file in files:
        folder = file.parent.relative_to(path).as_posix() if path.is_dir() else ""
        label = _SET.search(folder)
        name = folder[: label.start()] if label is not None else folder
        for tag, values in _scalars(file).items():
            trainings[name].setdefault(_header(tag, label[2] if label is not None else ""), {}).update(values)
    raws = [_table(f"{path}{f', {name}' if name not in ('', '.') else ''}", tags) for name, tags in trainings.items()]
    require(bool(raws), f"{path} holds no scalars")
    return raws


def _check_installed(path: Path) -> None:
    try:
        installed = importlib.util.find_spec("tensorboard") is not None
    except ValueError:  # an import of it is blocked
        installed = False
    require(installed, f"{path}: event files need TensorBoard; pip install 'dlhw[tensorboard]'")


def _header(tag: str, which: str) -> str:
    """Return the header of a tag: `epoch_loss` of a folder `train` -> `train loss`, `Loss/test` -> `Loss test`."""
    for start in _KERAS:
        tag = tag.removeprefix(start)
    words = " ".join(tag.replace("/", " ").replace("_", " ").split())
    return f"{which} {words}".strip()


def _table(source: str, tags: Scalars) -> Raw:
    steps = sorted({step for values in tags.values() for step in values})
    columns = {header: tuple(values.get(step) for step in steps) for header, values in tags.items()}
    return Raw(source, {"step": tuple(map(float, steps)), **columns})


def _scalars(path: Path) -> Scalars:
    from tensorboard.compat.proto.event_pb2 import Event

    scalars: Scalars = defaultdict(dict)
    for record in _records(path):
        try:
            event = Event.FromString(record)
        except Exception as error:  # of protobuf, whichever implementation is installed
            raise UserError(f"{path} is no event file, or is damaged ({type(error).__name__})") from None
        for value in event.summary.value:
            number = _number(value)
            if number is not None:
                later = value.tag.startswith(_KERAS[0])
                scalars[value.tag][int(event.step) + later] = number
    return scalars


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file; the last may be cut off while it is written."""
    data = path.read_bytes()
    place = 0
    while place + _HEADER.size + _CHECKSUM <= len(data):
        (length,) = _HEADER.unpack_from(data, place)
        start = place + _HEADER.size + _CHECKSUM
        require(length <= len(data) or place > 0, f"{path} is no event file")
        if start + length > len(data):
            return
        yield data[start : start + length]
        place = start + length + _CHECKSUM


def _number(value: Any) -> float | None:
    """Return the number of a summary value; None if it is no scalar."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or any(d.size != 1 for d in value.tensor.tensor_shape.dim):
        return None
    tensor = value.tensor
    if tensor.dtype not in _DTYPES:
        return None
    if tensor.tensor_content:
        return float(np.frombuffer(tensor.tensor_content, _DTYPES[tensor.dtype])[0])
    listed = [*tensor.float_val, *tensor.double_val, *tensor.int_val, *tensor.int64_val]
    return float(listed[0]) if listed else None
