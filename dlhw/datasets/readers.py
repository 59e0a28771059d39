"""Files of the well-known image sets, as their authors or Keras store them -> uint8 arrays."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dlhw.errors import UserError, require
from dlhw.storage import archives

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""x_train, y_train, x_test, y_test."""

LAYOUTS = {
    "mnist": "mnist.npz or the four IDX files (.gz or not)",
    "fashion-mnist": "the four IDX files of Fashion-MNIST (.gz or not)",
    "cifar10": "the python batches of CIFAR-10 (data_batch_1 to 5, test_batch)",
}
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_NPZ = ("x_train", "y_train", "x_test", "y_test")
_BATCHES = {  # MD5, as published beside the archive and used by torchvision
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


class Incomplete(UserError):  # noqa: N818
    """Some files of a set are there and others are missing."""


def mnist(folder: Path) -> Arrays | None:
    """From mnist.npz, or the IDX files; None if the folder holds neither."""
    path = next((p for p in (folder / "mnist.npz", folder / "mnist.npz" / "mnist.npz") if p.is_file()), None)
    if path is None:
        return _idx_files(folder)
    try:
        stored = archives.read_arrays(path, _NPZ)
    except archives.DAMAGED_ARCHIVE as error:
        raise _damaged(path, error) from None
    missing = [k for k in _NPZ if k not in stored]
    require(not missing, f"{path} lacks {', '.join(missing)}")
    x, y, u, v = (stored[k] for k in _NPZ)
    return x, y, u, v


def fashion_mnist(folder: Path) -> Arrays | None:
    """From the IDX files; None if the folder does not hold them."""
    return _idx_files(folder)


def cifar10(folder: Path) -> Arrays | None:
    """From the six python batches, here or in cifar-10-batches-py; None if they are not there.

    A pickle can run code when it is read, so a file whose MD5 is not the published one is refused unread.
    """
    inner = [folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-py-target" / "cifar-10-batches-py"]
    places = [p for p in inner if (p / "test_batch").exists()]
    if not places:
        return None
    images, labels = [], []
    for name, md5 in _BATCHES.items():
        path = places[0] / name
        if not path.exists():
            raise Incomplete(f"{path} is missing; CIFAR-10 needs all six batches")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _damaged(path, error) from None
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        require(digest == md5, f"{path} is damaged: its MD5 is {digest}, not {md5}; download the file again")
        batch = pickle.loads(data, encoding="bytes")
        images.append(batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(np.array(batch[b"labels"], np.uint8))
    return np.concatenate(images[:5]), np.concatenate(labels[:5]), images[5], labels[5]


def _idx_files(folder: Path) -> Arrays | None:
    paths = [_one_of(folder, name) for name in _IDX]
    if not any(paths):
        return None
    for path, name in zip(paths, _IDX, strict=True):
        if path is None:
            raise Incomplete(f"{folder} lacks {name}(.gz)")
    x, y, u, v = (read_idx(path) for path in paths if path is not None)
    return x, y, u, v


def _one_of(folder: Path, name: str) -> Path | None:
    # Some mirrors write train-images.idx3-ubyte.
    # Kaggle's copy keeps each file in a folder of its own name.
    spellings = (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    places = [folder / s for s in spellings] + [folder / s / t for s in spellings for t in spellings]
    return next((place for place in places if place.is_file()), None)


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes (format by Y. LeCun): 0 0 type rank, sizes big-endian, data."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from None
    is_idx = len(data) >= 4 and data[:3] == b"\x00\x00\x08"
    require(is_idx, f"{path} is damaged: it is not an IDX file of unsigned bytes")
    rank = data[3]
    start = 4 + 4 * rank
    require(len(data) >= start, f"{path} is damaged: its header ends early")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", rank, 4))
    size = int(np.prod(shape))
    require(len(data) == start + size, f"{path} is damaged: it holds {len(data) - start} bytes of data, not {size}")
    return np.frombuffer(data, np.uint8, size, start).reshape(shape)


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is damaged: {first_line(error)}")


def first_line(error: Exception) -> str:
    """Return an error message in one line, even if it is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]


READERS: dict[str, Callable[[Path], Arrays | None]] = {
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
}
"""What reads a data set from a folder; None where the folder does not hold it."""
