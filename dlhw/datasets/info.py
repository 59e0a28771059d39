"""The data sets: shapes, sizes, readers and checksums. Reads no data."""

from __future__ import annotations

from dataclasses import dataclass

from dlhw.datasets import bundled
from dlhw.errors import require


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before it is read."""

    shape: tuple[int, int, int]
    train: int
    test: int
    classes: int
    max_pixel: int
    package: bundled.Package | None = None  # that brings the data; None: files in a folder, see `readers.READERS`
    checksum: str = ""  # of the four arrays, see `checksum`; "": the reader checks its files

    @property
    def text(self) -> str:
        """28x28x1, 60000 + 10000."""
        return f"{'x'.join(map(str, self.shape))}, {self.train} + {self.test}"


DATASETS: dict[str, DatasetInfo] = {
    "mnist": DatasetInfo(
        (28, 28, 1),
        60000,
        10000,
        10,
        255,
        checksum="06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
    ),
    "fashion-mnist": DatasetInfo(
        (28, 28, 1),
        60000,
        10000,
        10,
        255,
        checksum="ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
    ),
    "cifar10": DatasetInfo((32, 32, 3), 50000, 10000, 10, 255),
    "digits": DatasetInfo((8, 8, 1), 1437, 360, 10, 16, bundled.DIGITS),
    "mnist-5k": DatasetInfo((28, 28, 1), 4000, 1000, 10, 255, bundled.MNIST_5K),
}


def dataset_info(name: str) -> DatasetInfo:
    """Return what is known of the data set called `name`; UserError if there is none."""
    require(name in DATASETS, f"`data` {name!r} is unknown; use {', '.join(DATASETS)}")
    return DATASETS[name]


def check_examples(name: str, examples: int | None) -> None:
    """Raise UserError unless the set has that many training examples, and every class one of them."""
    info = dataset_info(name)
    low, high = info.classes, info.train
    require(
        examples is None or low <= examples <= high,
        f"`examples` {examples} must lie in {low}..{high}: at least one for each class, at most all of {name}",
    )
