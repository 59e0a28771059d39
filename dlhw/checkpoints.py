"""Finished and unfinished parts of a run, by name, so that an interrupted run resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np  # else late: the command line makes options from `Context`, and --help must be fast

    Arrays = dict[str, np.ndarray]

UNFINISHED = " so far"
"""Suffix of the name under which the state of an unfinished part is stored."""


class CheckpointStore(Protocol):
    """Where the arrays of parts of a run are stored."""

    def get(self, name: str) -> Arrays | None:
        """Return the arrays stored under `name`, or None."""

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays under `name`."""

    def drop(self, name: str) -> None:
        """Delete what is stored under `name`, if anything."""


class MemoryCheckpoints(dict[str, "Arrays"]):
    """Checkpoints that live as long as the process: the default in a notebook."""

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays under `name`."""
        self[name] = dict(arrays)

    def drop(self, name: str) -> None:
        """Delete what is stored under `name`, if anything."""
        self.pop(name, None)


class FolderCheckpoints:
    """Checkpoints in a folder, one .npz file each.

    Args:
        folder: made when the first checkpoint is written.
        begin: called before that.
    """

    def __init__(self, folder: Path, begin: Callable[[], None] | None = None) -> None:
        self.folder, self.begin = folder, begin

    def _path(self, name: str) -> Path:
        # A net of many layers has a name longer than a file may have.
        short = name if len(name) <= 80 else f"{name[:80]}-{_short_hash(name)}"
        return self.folder / f"{short}.npz"

    def get(self, name: str) -> Arrays | None:
        """Return the arrays that an earlier process stored, or None where there are none or they are damaged."""
        from dlhw.files import DAMAGED_ARCHIVE, read_arrays

        try:
            return read_arrays(self._path(name))
        except DAMAGED_ARCHIVE:
            return None

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays atomically."""
        from dlhw.files import write_arrays

        self.folder.mkdir(parents=True, exist_ok=True)
        if self.begin is not None:
            begin, self.begin = self.begin, None
            begin()
        write_arrays(self._path(name), arrays)

    def drop(self, name: str) -> None:
        """Delete the file of `name`, if there is one."""
        self._path(name).unlink(missing_ok=True)


class RunCheckpoints:
    """The checkpoints of one run, in a store that several runs may share.

    Args:
        store: where they are.
        cache_key: settings and versions as text; only checkpoints with this key are read.
    """

    def __init__(self, store: CheckpointStore, cache_key: str) -> None:
        self.store, self.key = store, _short_hash(cache_key)
        self.resumed = False  # whether anything was read

    def get(self, name: str) -> Arrays | None:
        """Return the arrays stored under `name`, or None."""
        arrays = self.store.get(f"{name}-{self.key}")
        self.resumed = self.resumed or arrays is not None
        return arrays

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays under `name`."""
        self.store.put(f"{name}-{self.key}", arrays)

    def drop(self, name: str) -> None:
        """Delete what is stored under `name`, if anything."""
        self.store.drop(f"{name}-{self.key}")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
