"""run.json and arrays.npz of a run folder: written with digests, and checked when they are read. No TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dlhw.errors import UserError, require, warn
from dlhw.storage import archives, fields, files, publish, shapes

T = TypeVar("T")

SCHEMA = 2
"""Of run.json. 1: the same without digests."""
RECORD, ARRAYS = "run.json", "arrays.npz"
_AGAIN = "run the experiment again"
_SECTIONS: Mapping[str, type] = {
    "experiment": str,
    "settings": dict,
    "environment": dict,
    "numbers": dict,
    "result": dict,
}
_warned: list[Path] = []


def write_record(folder: Path, record: Mapping[str, Any], result: Any) -> None:
    """Write arrays.npz, then run.json, into a folder.

    Args:
        folder: where they are written.
        record: experiment, settings, environment and numbers.
        result: a dataclass; its arrays go into arrays.npz, its other values into run.json.
    """
    arrays, plain = fields.split(result)
    digests = {ARRAYS: archives.write_arrays(folder / ARRAYS, arrays)}
    whole = {"schema": SCHEMA, "digests": digests, **record, "result": plain}
    digests["record"] = _digest(whole)
    files.write_json(folder / RECORD, whole)


def _digest(record: Mapping[str, Any]) -> str:
    """Return the digest of a record without itself."""
    others = {k: v for k, v in record["digests"].items() if k != "record"}
    return files.digest({**record, "digests": others})


def holds_run(folder: Path) -> bool:
    """Return whether there is a finished run in a folder that can be read."""
    try:
        return publish.current(folder, RECORD).is_file()
    except OSError:
        return False


def signature(folder: Path) -> tuple[object, ...]:
    """Return what changes when the files of a run are replaced."""
    parts: list[object] = []
    for name in (RECORD, ARRAYS):
        path = publish.current(folder, name)
        try:
            status = path.stat()
            parts.append((path, status.st_mtime_ns, status.st_ino))
        except OSError:
            parts.append(path)
    return tuple(parts)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record in run.json of a run folder.

    Raises:
        UserError: if it is missing, not JSON, of another schema, or not as it was written.
    """
    try:
        file = publish.current(folder, RECORD)
        is_folder = folder.is_dir()
        require(is_folder, f"{folder} is not a folder; give the folder of a run, such as artifacts/simulate/default")
        unfinished = (folder / "parts").is_dir()
        require(file.is_file() or not unfinished, f"{folder} was interrupted; the command that started it resumes it")
        require(file.is_file(), f"{folder} is not a run: it contains no {RECORD}")
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from None
    try:
        record = files.read_json(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {str(error).splitlines()[0]}; {_AGAIN}") from None
    require(isinstance(record, dict) and "schema" in record, f"{file} is not the record of a run")
    schema = record["schema"]
    known = type(schema) is int and 1 <= schema <= SCHEMA
    require(known, f"{file} has schema {str(schema)[:20]}; this version reads 1 to {SCHEMA}: {_AGAIN}")
    lacking = sorted(_SECTIONS.keys() - record.keys())
    require(not lacking, f"{file} lacks {', '.join(lacking)}: {_AGAIN}")
    for name, kind in _SECTIONS.items():
        value = record[name]
        require(isinstance(value, kind), f"{file}: {name!r} is a {type(value).__name__}, not a {kind.__name__}")
    _check_environment(file, record["environment"])
    digests = record.get("digests")
    if schema == 1:
        require(digests is None, f"{file} has schema 1, which has no digests, and digests: {_AGAIN}")
        _warn_once(file)
        return record
    complete = isinstance(digests, dict) and all(isinstance(digests.get(name), str) for name in ("record", ARRAYS))
    require(complete, f"{file} has no digests: {_AGAIN}")
    require(digests["record"] == _digest(record), f"{file} was changed after it was written: {_AGAIN}")
    return record


def _check_environment(file: Path, environment: Mapping[str, Any]) -> None:
    """Refuse an environment whose values are not of the kinds that are shown."""
    versions = environment.get("versions")
    strings = [environment.get("device"), environment.get("date", "")]
    numbers = [environment.get("wall_seconds", 0.0), environment.get("jobs", 1)]
    fits = isinstance(versions, dict) and all(isinstance(v, str) for v in (*versions.values(), *strings))
    fits = fits and all(isinstance(v, (int, float)) for v in numbers)
    require(fits, f"{file}: 'environment' does not say with which versions, where and how long: {_AGAIN}")


def _warn_once(file: Path) -> None:
    if not _warned:
        _warned.append(file)
        warn(f"{file} is of an earlier version, without digests: changes in it, and in others like it, go unnoticed")


def read_result(folder: Path, cls: type[T], record: Mapping[str, Any], settings: Any = None) -> T:
    """Return the result of a run folder: arrays.npz and the plain values of its record.

    Args:
        folder: of the run.
        cls: class of the result.
        record: that of :func:`read_record`.
        settings: of the run, for the sizes that follow from them.

    Raises:
        UserError: if arrays.npz is missing, damaged or that of another run, or does not fit `cls`.
    """
    file = publish.current(folder, ARRAYS)
    try:
        stored = record.get("digests", {}).get(ARRAYS)
        if stored is not None:
            with file.open("rb") as opened:
                same = hashlib.file_digest(opened, "sha256").hexdigest() == stored
            require(same, f"{file} was changed after it was written, or is that of another run: {_AGAIN}")
        arrays = archives.read_arrays(file)
    except UserError:
        raise
    except archives.DAMAGED_ARCHIVE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{file} cannot be read ({reason}): {_AGAIN}") from None
    try:
        result = fields.join(cls, arrays, record["result"])
        shapes.check(result, settings)
    except TypeError as error:
        raise UserError(f"{file} and {RECORD} do not fit this version ({error}): {_AGAIN}") from None
    return result


def as_record(experiment: str, settings: Any, environment: Any, numbers: Any) -> dict[str, Any]:
    """Return the part of run.json that is not the result."""
    return {
        "experiment": experiment,
        "settings": dataclasses.asdict(settings),
        "environment": environment,
        "numbers": numbers,
    }
