"""The reader of a file or folder, by its name and its first bytes."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from dlhw.checks.readers.raw import MOST_BYTES, Raw
from dlhw.errors import UserError, require

_READERS = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "logs",
    ".dat": "logs",
    ".log": "logs",
    ".out": "logs",
    ".npy": "numpy_files",
    ".npz": "numpy_files",
    ".json": "json_files",
    ".ipynb": "notebooks",
}
_EVENTS = "tfevents"
_MOST_RUNS = 200


def read(path: Path) -> list[Raw]:
    """Return the tables of a file, a run folder, or a folder of runs or event files.

    Raises:
        UserError: if there is nothing of that name, or it cannot be read.
    """
    try:
        require(path.exists(), f"{path}: there is no such file or folder")
        if path.name == "run.json" and (path.parent / "arrays.npz").is_file():
            path = path.parent
        if path.is_dir():
            return _read_folder(path)
        require(path.is_file(), f"{path} is no file")
        size = path.stat().st_size
        require(size > 0, f"{path} is empty")
        limit = MOST_BYTES // 2**20
        require(
            size <= MOST_BYTES, f"{path} has {size / 2**20:.0f} MiB, and at most {limit} are read; save the numbers"
        )
        return _module(_reader_of(path)).read(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from None


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"dlhw.checks.readers.{name}")


def _reader_of(path: Path) -> str:
    """Return the module that reads a file."""
    if _EVENTS in path.name:
        return "tensorboard"
    if path.suffix.lower() in _READERS:
        return _READERS[path.suffix.lower()]
    with path.open("rb") as file:
        first = file.read(8)
    if first.startswith(b"\x93NUMPY"):
        return "numpy_files"
    if first.startswith((b"PK", b"\x89HDF", b"\x80", b"%PDF", b"\x89PNG")):
        raise UserError(f"{path}: {path.suffix or 'such'} files are not read; save the numbers as CSV, JSON or .npy")
    return "json_files" if first.lstrip()[:1] in (b"{", b"[") else "logs"


def _read_folder(path: Path) -> list[Raw]:
    from dlhw.runs import store
    from dlhw.runs.record_file import read_record

    runs = store.runs_of(path, _module("run_folders").experiments())
    require(len(runs) <= _MOST_RUNS, f"{path} contains {len(runs)} runs; name one of them")
    if runs:
        raws = [raw for run in runs for raw in _module("run_folders").read(run)]
        require(bool(raws), f"{path}: every training diverged, or what varies is no batch size; there is no item")
        return raws
    if any(_EVENTS in entry.name for entry in path.rglob(f"*{_EVENTS}*")):
        return list(_module("tensorboard").read(path))
    for run in store.runs_in(path):
        read_record(run)  # says what is wrong
    raise UserError(f"{path} holds no run of an experiment that measures an item; name a file or another run")
