"""Atomic writes, strict JSON, and dataclasses as arrays. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")

DAMAGED_ARCHIVE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a missing or damaged .npz file raises."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old file or the new one: temporary file, fsync, rename."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed .npz whose bytes depend on the arrays alone (NumPy stamps every member 1980-01-01)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; raises one of `DAMAGED_ARCHIVE`."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def write_json(path: Path, data: object) -> None:
    """Write strict JSON: nan and infinity become null."""
    write_bytes(path, (to_json(data) + "\n").encode())


def to_json(data: object, indent: int | None = 1) -> str:
    """Return `data` as strict JSON; NumPy scalars become numbers, tuples lists, nan and infinity null."""
    return json.dumps(_plain(data), indent=indent, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def split(record: object) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the other values of a dataclass instance, by field."""
    fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}  # type: ignore[arg-type]
    arrays = {k: v for k, v in fields.items() if isinstance(v, np.ndarray)}
    return arrays, {k: v for k, v in fields.items() if k not in arrays}


def join(cls: type[T], arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> T:
    """Return the instance of `cls` that :func:`split` took apart; lists become tuples where the field is one.

    Raises:
        TypeError: if the values are not the fields of `cls`.
    """
    hints = get_type_hints(cls)
    values = {k: tuple(v) if get_origin(hints.get(k)) is tuple else v for k, v in plain.items()}
    return cls(**arrays, **values)
