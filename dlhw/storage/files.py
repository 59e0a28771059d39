"""Atomic writes, digests, and strict JSON. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from dlhw.errors import RunError

TEMPORARY = ".dlhw-tmp"
"""Ending of a file that is being written, whose name begins with a dot."""
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM)
"""What file systems answer that cannot sync a folder."""
_DEPTH = 100
"""Most levels of a JSON file."""


@contextmanager
def writing(path: Path, afterwards: str = "what was stored before is unchanged") -> Iterator[None]:
    """Context manager: what the operating system refuses while `path` is written becomes one line.

    Args:
        path: what is written.
        afterwards: the state in which an error leaves the folder.

    Raises:
        RunError: in place of OSError.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
            raise RunError(f"{path} cannot be written: its folder was deleted meanwhile") from None
        raise RunError(f"{path} cannot be written: {error.strerror or error}; {afterwards}") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old file or the new one: temporary file, fsync, rename.

    Raises:
        RunError: if it cannot be written.
    """
    with writing(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
            raise


def sync_folder(path: Path) -> None:
    """Let what was renamed in a folder outlast a loss of power, where the system can do that for folders."""
    if os.name != "posix":
        return
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def digest(data: object) -> str:
    """Return the SHA-256 of bytes, or of plain values as JSON: order of keys and spaces do not count."""
    if not isinstance(data, bytes):
        data = json.dumps(_plain(data), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return hashlib.sha256(data).hexdigest()


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not strict JSON, or nested too deeply.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not strict JSON")

    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level, depth = [value], 0
    while level:
        level = [v for inner in level for v in _values(inner)]
        depth += 1
        if depth > _DEPTH:
            raise ValueError("it is nested too deeply")
    return value


def _values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    return None if isinstance(value, float) and not math.isfinite(value) else value
