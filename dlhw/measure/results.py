"""Results that are saved to a file and loaded again. Needs no TensorFlow."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from dlhw.errors import UserError, require
from dlhw.storage import archives, fields, files

_PLAIN = "json"
"""Name of the array that holds the values that are not arrays, as strict JSON."""


class Saved:
    """A dataclass of arrays and plain values with `save` and `load`."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write the result to one file: its arrays, and its numbers and texts as strict JSON.

        Args:
            path: a file NAME.npz; an older one is replaced.

        Raises:
            UserError: for another ending, and a folder that does not exist.
            RunError: if the file cannot be written.
        """
        target = Path(path)
        require(target.suffix == ".npz", f"`path` {target} must end in .npz")
        require(target.parent.is_dir(), f"`path` {target}: there is no folder {target.parent}; create it first")
        arrays, plain = fields.split(self)
        text = files.to_json({"class": type(self).__name__, "values": plain})
        archives.write_arrays(target, {**arrays, _PLAIN: np.frombuffer(text.encode(), np.uint8)})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Return the result that :meth:`save` wrote.

        Args:
            path: the file.

        Returns:
            The result.

        Raises:
            UserError: for a file that is missing, damaged, or holds another kind of result.
        """
        try:
            arrays = archives.read_arrays(Path(path))
            record = json.loads(arrays.pop(_PLAIN).tobytes())
            kind, plain = record["class"], record["values"]
            require(kind == cls.__name__, f"{path} holds {kind}, not {cls.__name__}")
            return fields.join(cls, arrays, plain)
        except (KeyError, TypeError, *archives.DAMAGED_ARCHIVE) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{path} holds no {cls.__name__}, or is damaged") from None
