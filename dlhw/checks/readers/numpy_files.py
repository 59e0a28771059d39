"""`.npy` and `.npz` files, without pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dlhw.checks.readers.json_files import as_fact
from dlhw.checks.readers.raw import Raw, arrays, column_name
from dlhw.errors import UserError, require

_MOST_MEMBERS = 200


def read(path: Path) -> list[Raw]:
    """Read a NumPy file.

    Raises:
        UserError: if it is broken, holds pickled objects, or arrays of no use.
    """
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return [_of_array(content, str(path))]
        with content as archive:
            size = sum(entry.file_size for entry in archive.zip.infolist())
            require(len(archive.files) <= _MOST_MEMBERS and size < 2**30, f"{path} holds too many or too large arrays")
            values = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        if isinstance(error, UserError):
            raise
        pickled = "pickle" in str(error).lower() or "object" in str(error).lower()
        reason = "holds Python objects, which are not unpickled" if pickled else "is no NumPy file, or is damaged"
        raise UserError(f"{path} {reason}; save arrays of numbers with numpy.save or numpy.savez") from None
    structured = [_of_array(value, f"{path}, {name}") for name, value in values.items() if value.dtype.names]
    facts = {name: fact for name, value in values.items() if not value.shape and (fact := as_fact(value.item())) != ""}
    columns = arrays({name: value for name, value in values.items() if value.ndim})
    require(bool(columns or structured), f"{path}: there are no vectors of numbers")
    return [*([Raw(str(path), columns, facts=facts)] if columns else []), *structured]


def _of_array(array: np.ndarray[Any, Any], source: str) -> Raw:
    if array.dtype.names:
        return Raw(source, arrays({name: array[name] for name in array.dtype.names}))
    require(array.ndim in (1, 2) and array.size > 0, f"{source} has shape {array.shape}, and not (rows, columns)")
    if array.ndim == 2 and len(array) < 5 < array.shape[1]:
        array = array.T
    if array.ndim == 1:
        return Raw(source, arrays({column_name(0): array}))
    return Raw(source, arrays({column_name(k): column for k, column in enumerate(array.T)}))
