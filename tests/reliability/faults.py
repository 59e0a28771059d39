"""Operations on files that fail once, or after which the process is as if it had been killed."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

OPERATIONS = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "chmod")


class Killed(BaseException):
    """Stands for a sudden exit: nothing after it has an effect on the files."""


class Faults:
    """Counts the operations on files under a folder, and lets the k-th of them fail.

    Args:
        monkeypatch: of pytest.
        root: the folder; others are left alone.
        kill: whether the process ends there, in place of an error of a full disk.
    """

    def __init__(self, monkeypatch, root: Path, *, kill: bool) -> None:
        self.root, self.kill = str(root), kill
        self.count, self.failing = 0, -1
        self.log: list[str] = []
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))
        monkeypatch.setattr(tempfile, "mkstemp", self._wrapped("mkstemp", tempfile.mkstemp))
        monkeypatch.setattr(os, "fdopen", self._opened(os.fdopen))

    def start(self, failing: int = -1) -> None:
        """Count from zero; the operation of this number fails. -1: none does."""
        self.count, self.failing, self.log = 0, failing, []

    def _step(self, name: str) -> None:
        """Count an operation, and fail if it is its turn."""
        k, self.count = self.count, self.count + 1
        self.log.append(name)
        if self.failing < 0 or k < self.failing:
            return
        if self.kill:
            raise Killed(f"at operation {k}, {name}")
        if k == self.failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _wrapped(self, name, function):
        def call(*args, **kwargs):
            where = [str(a) for a in (*args, *kwargs.values()) if isinstance(a, (str, Path))]
            inside = any(w.startswith(self.root) for w in where) or name == "fsync"
            if inside or "dir_fd" in kwargs:
                self._step(name)
            return function(*args, **kwargs)

        return call

    def _opened(self, fdopen):
        faults = self

        def call(*args, **kwargs):
            file = fdopen(*args, **kwargs)
            write = file.write

            class Wrapped:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def __getattr__(self, name):
                    return getattr(file, name)

                def write(self, data):
                    try:
                        faults._step("write")
                    except BaseException:
                        write(data[: len(data) // 2])
                        raise
                    return write(data)

            return Wrapped()

        return call
