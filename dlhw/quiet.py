"""Silence for what native libraries write to stderr while they load.

TensorFlow logs from C++ before it reads any setting of its own: `TF_CPP_MIN_LOG_LEVEL` does not reach the lines that it
writes while it is imported (tensorflow/tensorflow, issue 100442). So the file descriptor is redirected meanwhile.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Hide what is written to file descriptor 2; show it if an error is raised."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except Exception:
            hidden.seek(0)
            os.write(saved, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `tensorflow` once, with a loader that imports it silently."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.loader  # TensorFlow reads its resources through it
        with silent_stderr():
            self.loader.exec_module(module)


def silence_tensorflow() -> None:
    """Let the first import of TensorFlow write nothing, unless it is imported already."""
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
