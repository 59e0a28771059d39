"""Arrays in .npz files: written the same byte for byte, and read without trust in what a header claims.

Needs no TensorFlow.
"""

from __future__ import annotations

import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from dlhw.storage import files

CORRUPT = (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What reading an .npz file raises that is not as it was written; RuntimeError if a flipped bit calls it encrypted."""
DAMAGED_ARCHIVE = (OSError, MemoryError, *CORRUPT)
"""What reading a missing or damaged .npz file raises."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write a compressed .npz whose bytes depend on the arrays alone (NumPy stamps every member 1980-01-01).

    Returns:
        SHA-256 of the file.

    Raises:
        RunError: if the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    files.write_bytes(path, buffer.getvalue())
    return files.digest(buffer.getvalue())


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; nothing in it is unpickled, and no memory is taken for data that it lacks.

    Args:
        path: the file.
        names: the arrays that are wanted, if they are there; None: all.

    Raises:
        OSError: or another of `DAMAGED_ARCHIVE`.
    """
    # In memory, where a position that a damaged archive names is an error of the archive, not of the disk.
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        members = [(info.filename.removesuffix(".npy"), info) for info in archive.infolist()]
        wanted = [(name, info) for name, info in members if names is None or name in names]
        arrays = {name: _member(archive, info) for name, info in wanted}
        if len(arrays) != len(wanted):
            raise ValueError("two arrays have one name")
        return arrays


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    name = info.filename
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name} has version {version} of the format")
        shape, is_fortran, dtype = _HEADERS[version](file)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects")
        if any(n < 0 for n in shape):
            raise ValueError(f"{name} has shape {shape}")
        claimed, there = math.prod(shape) * dtype.itemsize, info.file_size - file.tell()
        if claimed != there:
            raise ValueError(f"{name} claims {claimed} bytes and holds {there}")
        data = bytearray(file.read())  # the check sum is that of the whole member, so this verifies it
        if len(data) != claimed:
            raise ValueError(f"{name} claims {claimed} bytes and holds {len(data)}")
    return np.ndarray(shape, dtype, data, order="F" if is_fortran else "C")
