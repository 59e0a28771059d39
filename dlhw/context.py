"""What a run needs from outside: where to report progress, which parts are already done, which device."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np  # else late: the command line makes options from this module, and --help is to be quick

Device = Literal["auto", "cpu", "gpu"]
Strategy = Literal["auto", "none", "mirrored", "multi-worker"]
Xla = Literal["auto", "on", "off"]


class Report(Protocol):
    """Where progress goes."""

    def __call__(self, done: float, total: float, loss: float, unit: str = "steps", note: str = "") -> None:
        """`done` of `total` units have passed; `loss` is the newest median; `note` says more, such as parts."""


class Parts(Protocol):
    """Finished parts of a run, by name."""

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of a part that has ended, or None."""

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays of a part as soon as it ends."""

    def drop(self, name: str) -> None:
        """Forget a part, if it is kept."""


class MemoryParts(dict[str, Any]):
    """Parts that live as long as the process: the default in a notebook."""

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays."""
        self[name] = dict(arrays)

    def drop(self, name: str) -> None:
        """Forget them."""
        self.pop(name, None)


class FolderParts:
    """Parts in a folder, one .npz each; `tag` holds settings and version, so that no foreign part is taken up."""

    def __init__(self, folder: Path, tag: str) -> None:
        self.folder, self.tag = folder, hashlib.sha256(tag.encode()).hexdigest()[:8]

    def _path(self, name: str) -> Path:
        # A net of many layers has a name longer than a file may have.
        short = name if len(name) <= 60 else f"{name[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return self.folder / f"{short}-{self.tag}.npz"

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of a part kept by an earlier process, or None."""
        import numpy as np

        try:
            with np.load(self._path(name), allow_pickle=False) as stored:
                return {k: stored[k] for k in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):  # not there, or damaged: done again
            return None

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays; after a crash either all of them are there or none."""
        from dlhw.store import write_arrays

        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self._path(name), arrays)

    def drop(self, name: str) -> None:
        """Delete the file of a part."""
        self._path(name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Context:
    """Handed to `run` of an experiment. The default reports nothing and keeps parts in memory."""

    progress: Report | None = None
    parts: Parts = field(default_factory=MemoryParts)
    device: Device = "auto"
    jobs: int | None = None  # trainings side by side; None: one a core
    data_dir: Path | None = None  # where data sets are read; None: DLHW_DATA_DIR, else the cache of Keras
    strategy: Strategy = "auto"  # how one training is split over devices (dlhw.training.distribution)
    replicas: int = 0  # devices to use; 0: all
    xla: Xla = "auto"  # compile trainings on images with XLA; auto: where it pays
    animate: bool = False  # record what an animation needs
    tensorboard: Path | None = None  # folder of event files; None: write none
    scheduler: str = ""  # address of a Dask scheduler that gets the trainings; "": none

    @property
    def workers(self) -> int:
        """How many trainings run side by side: as asked for, by default one a core."""
        return self.jobs or os.cpu_count() or 1
