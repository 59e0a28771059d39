"""A run on disk: run.json (settings, numbers, versions), arrays.npz, figures. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from dlhw import files
from dlhw.errors import UserError, require
from dlhw.runs.settings import run_name

T = TypeVar("T")

SCHEMA = 1
LIVE_PAGE = "live.html"
OF_UNFINISHED = ("parts", LIVE_PAGE)
"""What a run folder contains before the run is finished."""
BEGUN = Path("parts") / "run.json"
"""Which run has begun in a run folder."""


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


def check_free(path: Path, settings: Any, overwrite: bool = False) -> None:
    """Raise UserError if a run cannot be saved at `path`; writes nothing.

    Refused: a place that cannot be written, a file or folder that is not a run, a stored run with other settings.
    """
    try:
        for parent in [path, *path.parents]:
            if parent.exists() or parent.is_symlink():
                require(parent.is_dir(), f"`out`: {parent} is not a folder; choose another place")
                writable = os.access(parent, os.W_OK | os.X_OK)
                require(writable, f"`out`: {parent} cannot be written; choose another place")
                break
        if not path.exists() or overwrite:
            return
        visible = [p.name for p in path.iterdir() if not p.name.startswith(".") and p.name not in OF_UNFINISHED]
    except OSError as error:
        raise UserError(f"`out`: {path} cannot be used ({error.strerror}); choose another place") from None
    if not visible:
        _check_unfinished(path, settings)
        return
    require("run.json" in visible, f"{path} contains files but no run; choose another `out`, or use `overwrite`")
    try:
        stored = read_json(path)["settings"]
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
    (path / "parts").mkdir(parents=True, exist_ok=True)
    files.write_json(path / BEGUN, {"experiment": experiment, "settings": dataclasses.asdict(settings)})


def begun(path: Path) -> dict[str, Any] | None:
    """Return experiment and settings of the run that was interrupted in a run folder, or None."""
    try:
        record = json.loads((path / BEGUN).read_text())
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
def locked(path: Path) -> Iterator[None]:
    """Lock the run folder `path`, which is made if necessary; UserError if another live process holds it.

    The lock is the operating system's (filelock), so a process that dies leaves none behind.
    """
    from filelock import FileLock, Timeout

    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(f"{path} is in use by another process; wait for it, or choose another `out`") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another `out`") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows refuses, and filelock deletes the file there itself
            (path / ".lock").unlink(missing_ok=True)  # safe while it is held: filelock >= 3.24 refuses a deleted file
        lock.release()


def save(
    path: Path,
    *,
    experiment: str,
    settings: Any,
    result: Any,
    environment: Any,
    numbers: Any,
    draw: Callable[[Path], Any],
) -> None:
    """Write arrays.npz, the figures that `draw` writes into the folder, and run.json.

    An older run.json is deleted first and the new one written last, so that it never describes files of another run.
    """
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").unlink(missing_ok=True)
    arrays, plain = files.split(result)
    files.write_arrays(path / "arrays.npz", arrays)
    draw(path)
    record = {
        "schema": SCHEMA,
        "experiment": experiment,
        "settings": dataclasses.asdict(settings),
        "environment": environment,
        "numbers": numbers,
        "result": plain,
    }
    files.write_json(path / "run.json", record)
    shutil.rmtree(path / "parts", ignore_errors=True)


def runs_in(path: Path) -> list[Path]:
    """Return `path` if it is a run, else the runs one or two folders below it; UserError if there are none."""
    try:
        if (path / "run.json").is_file():
            return [path]
        folders = sorted(p.parent for pattern in ("*/run.json", "*/*/run.json") for p in path.glob(pattern))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    if not folders:
        read_json(path)  # says what is wrong
    return folders


def read_json(path: Path) -> dict[str, Any]:
    """Read run.json of a run folder; UserError if it is missing, not JSON, or of another schema."""
    file = path / "run.json"
    try:
        require(path.is_dir(), f"{path} is not a folder; give the folder of a run, such as artifacts/simulate/default")
        unfinished = (path / "parts").is_dir()
        require(file.is_file() or not unfinished, f"{path} was interrupted; the command that started it resumes it")
        require(file.is_file(), f"{path} is not a run: it contains no run.json")
        record = json.loads(file.read_text())
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None
    keys = {"schema", "experiment", "settings", "environment", "numbers", "result"}
    require(isinstance(record, dict) and "schema" in record, f"{file} is not the record of a run")
    schema = record["schema"]
    require(schema == SCHEMA, f"{file} has schema {schema}; this version reads {SCHEMA}: run the experiment again")
    require(
        keys <= record.keys(),
        f"{file} lacks {', '.join(sorted(keys - record.keys()))}: run the experiment again",
    )
    return record


def read_result(path: Path, cls: type[T], plain: Mapping[str, Any]) -> T:
    """Return the result of a run folder: arrays.npz and the plain values of run.json.

    Raises:
        UserError: if arrays.npz is missing or damaged, or is not a result of this version.
    """
    file = path / "arrays.npz"
    try:
        arrays = files.read_arrays(file)
    except files.DAMAGED_ARCHIVE as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file} cannot be read ({reason}): run the experiment again") from None
    try:
        return files.join(cls, arrays, plain)
    except TypeError as error:
        raise UserError(f"the stored result does not fit this version ({error}): run the experiment again") from None
