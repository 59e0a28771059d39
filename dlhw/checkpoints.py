"""Finished and unfinished parts of a run, by name, so that an interrupted run resumes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np  # else late: the command line makes options from `Context`, and --help must be fast

    Arrays = dict[str, np.ndarray]

_ELAPSED = "elapsed"
"""Name under which the wall time of a run is stored."""
_DIGEST = "sha256"
"""Name of the array that holds the digest of the others."""
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
        folder: where the files are.
        begin: called before the first checkpoint is written; default: makes the folder.
    """

    def __init__(self, folder: Path, begin: Callable[[], None] | None = None) -> None:
        self.folder = folder
        self.begin = begin or partial(folder.mkdir, parents=True, exist_ok=True)
        self._has_begun, self._lock = False, threading.Lock()

    def _path(self, name: str) -> Path:
        # A net of many layers has a name longer than a file may have.
        short = name if len(name) <= 80 else f"{name[:80]}-{_short_hash(name)}"
        return self.folder / f"{short}.npz"

    def get(self, name: str) -> Arrays | None:
        """Return the arrays that an earlier process stored, or None.

        A file that is not as it was written is put aside, and a warning names it.
        """
        from dlhw.errors import RunError, warn
        from dlhw.storage import archives
        from dlhw.storage.files import writing

        path = self._path(name)
        if not path.exists():
            return None
        try:
            arrays = archives.read_arrays(path)
            if str(arrays.pop(_DIGEST, "")) != _digest(name, arrays):
                raise ValueError("its numbers are not those that were stored")
            return arrays
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}") from None
        except archives.CORRUPT as error:
            aside = path.with_suffix(".damaged")
            with writing(path):
                path.replace(aside)
            warn(f"{path} is damaged ({error}): it is now {aside.name}, and computed again")
            return None

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays atomically.

        Raises:
            RunError: if they cannot be written, such as into a folder that was deleted meanwhile.
        """
        import numpy as np

        from dlhw.storage import archives

        with self._lock:
            if not self._has_begun:
                self.begin()
                self._has_begun = True
        archives.write_arrays(self._path(name), {**arrays, _DIGEST: np.array(_digest(name, arrays))})

    def drop(self, name: str) -> None:
        """Delete the file of `name`, if there is one."""
        from dlhw.storage.files import writing

        path = self._path(name)
        with writing(path):
            path.unlink(missing_ok=True)


class RunCheckpoints:
    """The checkpoints of one run, in a store that several runs may share.

    Args:
        store: where they are.
        cache_key: settings and versions as text; only checkpoints with this key are read.
    """

    def __init__(self, store: CheckpointStore, cache_key: str) -> None:
        self.store, self.key = store, _short_hash(cache_key)
        self.resumed = False  # whether anything was read
        stored = store.get(f"{_ELAPSED}-{self.key}")
        self._began = time.perf_counter() - (0.0 if stored is None else float(stored["seconds"]))

    @property
    def seconds(self) -> float:
        """Wall time of the run: of this process, and of earlier ones up to their last checkpoint."""
        return time.perf_counter() - self._began

    def get(self, name: str) -> Arrays | None:
        """Return the arrays stored under `name`, or None."""
        arrays = self.store.get(f"{name}-{self.key}")
        self.resumed = self.resumed or arrays is not None
        return arrays

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays under `name`, and how long the run has taken so far."""
        import numpy as np

        self.store.put(f"{name}-{self.key}", arrays)
        self.store.put(f"{_ELAPSED}-{self.key}", {"seconds": np.array(self.seconds)})

    def drop(self, name: str) -> None:
        """Delete what is stored under `name`, if anything."""
        self.store.drop(f"{name}-{self.key}")


def _digest(name: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays and of the name under which they are stored."""
    whole = hashlib.sha256(name.encode())
    for key, array in sorted(arrays.items()):
        whole.update(f"{key} {array.dtype.str} {array.shape} ".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
