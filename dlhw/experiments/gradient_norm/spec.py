"""Settings and results of `gradient-norm`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw import datasets
from dlhw.choices import DatasetName
from dlhw.datasets import functions
from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present.section import Section
from dlhw.runs.base_settings import BatchSettings, FunctionSettings, refuse_changed
from dlhw.runs.settings import option

BLOCK = 100
"""Iterations that the bootstrap of the correlation draws together: neighbours depend on each other."""
_OF_A_FUNCTION = ("func", "points", "domain", "scale")


@dataclass(frozen=True)
class Settings(FunctionSettings):
    """Settings of `dlhw gradient-norm`."""

    epochs: int = option(5000, "Training steps; on a function, one step is one epoch, because the batch is full.")
    model: str = option(
        "middle",
        "Net: deep, middle, shallow, or hidden widths such as 10-18-15-4.",
        notation=architectures.DENSE_NOTATION,
        describe=architectures.describe,
    )
    data: Literal["function", DatasetName] = option(
        "function", "function: fit `func` with squared error; else a data set of images, with cross entropy."
    )
    batch_size: int = option(64, "Images per step; on a function, all points.")

    def __post_init__(self) -> None:
        super().__post_init__()
        architectures.parse(self.model)
        require(self.batch_size >= 1, f"`batch_size` {self.batch_size} must be positive")
        if self.data == "function":
            require(self.batch_size == 64, "`batch_size` needs `data`: a function is fitted on all points at once")
            return
        refuse_changed(self, _OF_A_FUNCTION, f"applies to a function, and `data` {self.data} names images")
        passes = -(-self.epochs // self.steps_per_epoch)
        require(passes <= 100_000, f"`epochs` {self.epochs} are {passes} passes over {self.data}; at most 100000")
        self.image_settings()  # refuses a batch that the set cannot fill

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        return (*super().unused(), *(("batch_size",) if self.data == "function" else _OF_A_FUNCTION))

    @property
    def dataset(self) -> str:
        """The image data set that is read, or ""."""
        return "" if self.data == "function" else self.data

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass over the images."""
        return -(-datasets.dataset_info(self.data).train // self.batch_size)

    def image_settings(self) -> BatchSettings:
        """Return the same training as settings on images: as many passes over the set as hold all steps."""
        if self.data == "function":
            raise TypeError("a function of x has no images")
        shared = {f.name for f in fields(self)} & {f.name for f in fields(BatchSettings)}
        values = {name: getattr(self, name) for name in shared}
        return BatchSettings(**values | {"epochs": -(-self.epochs // self.steps_per_epoch)})

    @property
    def image_net(self) -> str:
        """The net as those for images are written: hidden widths."""
        return "-".join(map(str, architectures.parse(self.model)))

    @property
    def parameters(self) -> int:
        """Number of parameters of the net on these data."""
        if self.data == "function":
            return architectures.count(architectures.parse(self.model))
        return self.image_settings().parameters(self.image_net)

    def where(self) -> str:
        """Return what is learned: the formula, or the data set."""
        if self.data == "function":
            return functions.formula(self.func)
        return f"{self.data}, batches of {self.batch_size}"


@dataclass(frozen=True)
class Result:
    """S seeds, T epochs, L layers. Entry k belongs to the weights before update k + 1."""

    SIZES: ClassVar = {"S": "seeds"}
    loss: Annotated[NDArray[np.floating], "S, T"]  # MSE on the points; on images cross entropy of the batch in nats
    gradient_norm: Annotated[NDArray[np.floating], "S, T"]  # of that loss
    layer_gradient_norms: Annotated[NDArray[np.floating], "S, T, L"]
    correlation: Annotated[NDArray[np.floating], "S, 3"]  # Spearman of log norm and log loss; 95 % interval
    diverged_at: Annotated[NDArray[np.integer], "S"]  # step, or -1; on images the last step of the pass
    seconds: float
    compile_seconds: float


SECTION = Section(
    "1-2 b",
    "The gradient norm while a net learns",
    assignment_settings=("func", "epochs", "learning_rate", "momentum", "optimizer", "activation", "init"),
    captions={
        "gradient-norm": "Gradient norm and loss of every iteration, one seed: raw light, rolling median dark.",
        "layers": "Gradient norm of every layer; the squares add up to that of the whole net.",
    },
    pitfalls=(
        "Taking the norm after the update, or of the last batch only, and plotting it against the loss of another "
        "moment.",
        "Adding up the norms of layers: only their squares add up.",
    ),
    quick_settings={"epochs": 2000, "seeds": 2},
)

TINY = Settings(model="3-2", epochs=150, points=20, seeds=2)
