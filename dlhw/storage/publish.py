"""A set of files that takes the place of another one at once: at every instant the old set is whole, or the new one.

The new files are written into a hidden folder beside the old ones. Renaming that folder is the instant at which the new
set is whole; then its files are moved to their places, the one that describes the others (run.json) last. What a crash
interrupts there, :func:`complete` finishes. Needs no TensorFlow.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dlhw.storage import files

_NEW, _WHOLE = ".dlhw-new", ".dlhw-whole"
_OBSOLETE = ".obsolete"
"""File in which a new set names what it makes obsolete."""


@contextmanager
def replacing(folder: Path, last: str, obsolete: Iterable[str] = ()) -> Iterator[Path]:
    """Context manager: an empty folder for files, which take the place of those in `folder` when the block ends.

    If the block raises, `folder` stays as it was. The caller holds the lock of the folder.

    Args:
        folder: an existing folder.
        last: name of a file that the block has to write.
        obsolete: names in `folder`, of files and folders, that go with the old files.

    Raises:
        RunError: if a file cannot be written.
    """
    complete(folder, last)
    new = folder / _NEW
    with files.writing(folder / last):
        _delete(new)
        new.mkdir()
    yield new
    written = {path.name for path in new.iterdir()}
    files.write_json(new / _OBSOLETE, sorted(set(obsolete) - written))
    with files.writing(folder / last):
        files.sync_folder(new)
        new.rename(folder / _WHOLE)
        files.sync_folder(folder)
    complete(folder, last)


def complete(folder: Path, last: str) -> None:
    """Finish what a crash interrupted, and delete what it left half written.

    Raises:
        RunError: if the folder cannot be written.
    """
    whole = folder / _WHOLE
    with files.writing(folder / last, "the new files are whole, and the same command moves them to their places"):
        if whole.is_dir():
            if (whole / last).exists():
                _delete(folder / last)  # it would describe files of two sets
                for path in sorted(whole.iterdir()):
                    if path.name not in (last, _OBSOLETE):
                        _move(path, folder / path.name)
                files.sync_folder(folder)
                _move(whole / last, folder / last)
            for name in _obsolete_in(whole):
                _delete(folder / name)
            _delete(whole)
        if folder.is_dir():
            _delete(folder / _NEW)
            for path in folder.glob(f".*{files.TEMPORARY}"):
                path.unlink(missing_ok=True)


def is_interrupted(folder: Path) -> bool:
    """Return whether a crash left something for :func:`complete`."""
    return any((folder / name).exists() for name in (_NEW, _WHOLE)) or any(folder.glob(f".*{files.TEMPORARY}"))


def current(folder: Path, name: str) -> Path:
    """Return where a file of the set is, which a crash may have left where it was written."""
    moved = folder / _WHOLE / name
    return moved if moved.is_file() else folder / name


def _obsolete_in(whole: Path) -> list[str]:
    """Return the names that a set makes obsolete; none that leads out of the folder, whoever wrote it."""
    try:
        names = [str(name) for name in files.read_json(whole / _OBSOLETE)]
    except (OSError, ValueError, TypeError):
        return []
    return [name for name in names if name == Path(name).name and name not in ("", ".", "..")]


def _move(path: Path, to: Path) -> None:
    if to.is_dir() and not to.is_symlink():  # damage: a file cannot take the place of a folder
        shutil.rmtree(to)
    path.replace(to)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
