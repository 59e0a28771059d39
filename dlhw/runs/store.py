"""A run on disk: run.json (settings, numbers, versions), arrays.npz, figures. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlhw.errors import SYSTEM_REFUSES, RunError, UserError, require
from dlhw.runs.record_file import RECORD, holds_run, read_record, write_record
from dlhw.runs.settings import run_name
from dlhw.storage import files, publish

if TYPE_CHECKING:
    from filelock import BaseFileLock

LIVE_PAGE = "live.html"
OF_UNFINISHED = ("parts", LIVE_PAGE)
"""What a run folder contains before the run is finished."""
BEGUN = Path("parts") / "run.json"
"""Which run has begun in a run folder."""
_DRAWN = (".png", ".svg", ".pdf", ".html", ".gif")
_ELSEWHERE = "choose another `out`, or use `overwrite`"


def folder(out: Path, experiment: str, settings: Any, name: str = "") -> Path:
    """Return the folder of a run with these settings: out/experiment/name.

    Args:
        out: folder of all runs.
        experiment: its name.
        settings: its settings.
        name: of the run; "": what differs from the defaults.

    Raises:
        UserError: for a name that is not one of a folder.
    """
    allowed = all(c.isalnum() or c in "=_-.,+ " for c in name) and not name.startswith((".", " ")) and len(name) <= 80
    require(allowed, f"`name` {name!r} must be a folder's name: letters, digits, = _ - . , + and at most 80 of them")
    return out / experiment / (name or run_name(settings))


def check_writable(path: Path) -> None:
    """Raise UserError if files cannot be written into a folder, or it cannot be made; writes nothing."""
    try:
        for parent in [path, *path.parents]:
            if parent.exists() or parent.is_symlink():
                require(parent.is_dir(), f"`out`: {parent} is not a folder; choose another place")
                writable = os.access(parent, os.W_OK | os.X_OK)
                require(writable, f"`out`: {parent} cannot be written; choose another place")
                break
    except OSError as error:
        raise UserError(f"`out`: {path} cannot be used ({error.strerror}); choose another place") from None


def check_free(path: Path, settings: Any, overwrite: bool = False) -> None:
    """Raise UserError if a run cannot be saved at `path`; writes nothing.

    Refused: a place that cannot be written, a file or folder that is not a run, a stored run with other settings.
    """
    check_writable(path)
    try:
        if not path.exists() or overwrite:
            return
        visible = {p.name for p in path.iterdir() if not p.name.startswith(".")} - {*OF_UNFINISHED}
    except OSError as error:
        raise UserError(f"`out`: {path} cannot be used ({error.strerror}); choose another place") from None
    if not holds_run(path):
        require(not visible or begun(path) is not None, f"{path} contains files but no run; {_ELSEWHERE}")
        _check_unfinished(path, settings)
        return
    try:
        stored = read_record(path)["settings"]
    except UserError as error:
        raise UserError(
            f"{str(error).removesuffix(': run the experiment again')}; use `overwrite` to replace it"
        ) from None
    other = _differing(stored, settings)
    require(
        not other,
        f"{path} holds a run with other settings ({', '.join(other)}); use `overwrite` to replace it",
    )


def _differing(stored: Mapping[str, Any], settings: Any) -> list[str]:
    """Return the fields in which stored settings differ from `settings`."""
    mine = json.loads(files.to_json(dataclasses.asdict(settings)))
    # A field that the stored run does not know is younger than the run, which then had its default; `load` reads it so.
    defaults = {f.name: f.default for f in dataclasses.fields(settings) if f.default is not dataclasses.MISSING}
    stored = json.loads(files.to_json(defaults)) | dict(stored)
    return sorted(k for k in {*stored, *mine} if stored.get(k) != mine.get(k))


def begin(path: Path, experiment: str, settings: Any) -> None:
    """Write into a run folder which run has begun there, until :func:`save` replaces it by the run."""
    with files.writing(path / BEGUN):
        (path / "parts").mkdir(exist_ok=True)
    files.write_json(path / BEGUN, {"experiment": experiment, "settings": dataclasses.asdict(settings)})


def begun(path: Path) -> dict[str, Any] | None:
    """Return experiment and settings of the run that was interrupted in a run folder, or None."""
    try:
        record = files.read_json(path / BEGUN)
        return {"experiment": str(record["experiment"]), "settings": dict(record["settings"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_unfinished(path: Path, settings: Any) -> None:
    """Refuse to replace an interrupted run with other settings, whose trainings would be lost."""
    record = begun(path)
    other = _differing(record["settings"], settings) if record is not None else []
    require(
        not other,
        f"{path} holds an interrupted run with other settings ({', '.join(other)}); use `overwrite` to replace it",
    )


@contextmanager
def locked(path: Path, seconds: float = 0.0) -> Iterator[None]:
    """Lock a folder of a run or report, which is made if necessary.

    The lock is the operating system's (filelock), so a process that dies leaves none behind. Folders that are made and
    are empty at the end are deleted.

    Args:
        path: the folder.
        seconds: how long to wait for another process that holds the lock.

    Raises:
        UserError: if another live process holds it, or the folder cannot be written.
        RunError: if the disk is full.
    """
    from filelock import FileLock, Timeout

    absent = [p for p in (path, *path.parents) if not p.exists()]
    try:
        with _acquired(path, FileLock(path / ".lock", timeout=seconds), Timeout):
            yield
    finally:
        with suppress(OSError):  # one that holds anything stays
            for empty in absent:
                empty.rmdir()


@contextmanager
def _acquired(path: Path, lock: BaseFileLock, timeout: type[Exception]) -> Iterator[None]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except timeout:
        raise UserError(f"{path} is in use by another process; wait for it, or choose another `out`") from None
    except OSError as error:
        if error.errno in SYSTEM_REFUSES:
            raise RunError(f"{path} cannot be written: {error.strerror}") from None
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another `out`") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows refuses, and filelock deletes the file there itself
            (path / ".lock").unlink(missing_ok=True)  # safe while it is held: filelock >= 3.24 refuses a deleted file
        lock.release()


def save(
    path: Path, record: Mapping[str, Any], result: Any, draw: Callable[[Path], Any], figures: Collection[str]
) -> None:
    """Write arrays.npz, the figures that `draw` writes, and run.json, in place of the run that the folder holds.

    Until all of them are written the folder holds what it held; from then on it holds the new run.

    Args:
        path: the run folder, whose lock the caller holds.
        record: experiment, settings, environment and numbers.
        result: of the experiment.
        draw: writes figures into the folder that it is given.
        figures: names of all figures and pages of the experiment; files of these names belong to the old run.
    """
    with files.writing(path / RECORD):
        drawn = [p for p in path.iterdir() if p.suffix in _DRAWN]
    obsolete = {p.name for p in drawn if p.stem.removesuffix("-slides") in figures}
    with publish.replacing(path, RECORD, {*obsolete, "parts"}) as new:
        draw(new)
        write_record(new, record, result)


def is_interrupted(path: Path) -> bool:
    """Return whether the writing of a run was interrupted in a run folder."""
    return publish.is_interrupted(path)


def complete(path: Path) -> None:
    """Finish the writing of a run that was interrupted, in a run folder whose lock the caller holds."""
    publish.complete(path, RECORD)


def _below(path: Path) -> list[Path]:
    """Return `path` if it is a run, else the runs one or two folders below it."""
    try:
        if holds_run(path):
            return [path]
        below = (p for pattern in ("*", "*/*") for p in path.glob(pattern))
        return sorted(p for p in below if not p.name.startswith(".") and p.name != "parts" and holds_run(p))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None


def runs_of(path: Path, names: Collection[str]) -> list[Path]:
    """Return those of the runs in a folder that belong to some experiments; what cannot be read belongs to none."""
    folders = []
    for folder in _below(path):
        with suppress(UserError):
            folders += [folder] if read_record(folder)["experiment"] in names else []
    return folders


def runs_in(path: Path) -> list[Path]:
    """Return `path` if it is a run, else the runs one or two folders below it; UserError if there are none."""
    folders = _below(path)
    if not folders:
        read_record(path)  # says what is wrong
    return folders
