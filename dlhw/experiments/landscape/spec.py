"""Settings and results of `landscape`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw import datasets
from dlhw.choices import Activation, Norm
from dlhw.datasets import functions
from dlhw.errors import require
from dlhw.experiments.landscape.result import Result as Result
from dlhw.experiments.landscape.section import SECTION as SECTION
from dlhw.models import architectures
from dlhw.runs import experiment as registry
from dlhw.runs.base_settings import BatchSettings, FunctionSettings, check_seeds, refuse_changed
from dlhw.runs.saved_models import MODEL_FILES
from dlhw.runs.settings import build, check, option

Array = NDArray[np.floating]

TRAINED = {"simulate": "middle", "classify": "10c5-p2-20c5-p2-50", "trajectory": "400-9"}
"""The experiments whose nets can be trained here, and the net that each trains by default."""
TRAINED_ON_DIGITS = {"classify": "8c3-p2-30", "trajectory": "50-9"}
"""The same for images of 8x8."""
MOST = 6  # nets side by side
LINES = ("start-end", "line")  # planes of one dimension
OF_TRAINING = ("examples", "epochs", "batch_size", "learning_rate", "activation", "func", "every")
OF_IMAGES = ("examples", "batch_size", "every", "subset", "data")


@dataclass(frozen=True)
class Settings:
    """Settings of `dlhw landscape`."""

    of: tuple[str, ...] = option(
        ("trajectory",), "simulate, classify or trajectory; or files PATH.keras or PATH.h5 to compare.", paths=True
    )
    plane: Literal["path", "random", "three-points", "hessian", "start-end", "line"] = option(
        "path",
        "path: principal directions of the training; random, the default for files: two random directions; "
        "three-points: through three nets; hessian: the two eigenvectors of the Hessian of largest eigenvalue. Lines: "
        "start-end, from start to end of the training; line, one random direction.",
    )
    nets: tuple[str, ...] = option(
        (),
        "Nets to train and compare; default: that of the experiment.",
        notation=architectures.IMAGE_NOTATION,
    )
    norm: Norm = option("filter", "How a random direction is scaled.")
    span: float = option(
        0.0,
        "Half the width of the grid, or how far start-end extends beyond both ends; 0 selects 1 for random directions, "
        "0.5 for start-end, for hessian the distance at which its largest eigenvalue has added ten times the loss, "
        "otherwise enough to contain the path or the nets.",
        shown="chosen by the plane",
    )
    grid: int = option(51, "Points per side of the grid.")
    subset: int = option(5000, "Training examples on which the loss is measured, the same at every point.")
    curvature: int = option(0, "Points per side of a map of |smallest / largest eigenvalue|; 0: none.")
    data: str = option(
        "mnist",
        "Image data set; for PATH.keras also an .npz file with arrays x and y, or x_test and y_test.",
        paths=True,
    )
    loss: str = option(
        "auto",
        "Loss of PATH.keras by its Keras name; auto: the one that it was compiled with, else cross entropy or squared "
        "error, depending on the targets.",
    )
    func: str = option("sinc", "Target of `of` simulate.")
    examples: int = option(0, "Training examples, a stratified subset; 0 takes all.")
    epochs: int = option(0, "Epochs of the training.", shown="those of the experiment")
    batch_size: int = option(0, "Examples per step.", shown="that of the experiment")
    learning_rate: float = option(0.0, "Step size.", shown="that of the experiment")
    activation: Activation = option("relu", "Activation of the hidden layers.")
    every: int = option(1, "Epochs between two points of the path; simulate has its own points.")
    seed: int = option(0, "Base seed; net s, and its random directions, use seed + s.")
    seeds: int = option(1, "Number of trainings, or of random planes at PATH.keras.")

    @classmethod
    def other_defaults(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plane of saved models, which have no path: random."""
        of = values.get("of") or ("",)
        return {"plane": "random"} if str(of[0]).lower().endswith(MODEL_FILES) else {}

    def __post_init__(self) -> None:
        check(self)
        self._check_of()
        require(3 <= self.grid <= 1001, f"`grid` {self.grid} must lie in 3..1001")
        require(self.subset >= 1, f"`subset` {self.subset} must be positive")
        require(self.span >= 0, f"`span` {self.span:g} must be positive, or 0")
        valid = self.curvature == 0 or 2 <= self.curvature <= self.grid
        require(valid, f"`curvature` {self.curvature} must lie in 2..{self.grid}, the grid, or be 0")
        require(self.curvature == 0 or not self.is_line, "`curvature` needs a plane, not a line")
        check_seeds(self.seed, self.seeds)
        require(self.every >= 1, f"`every` {self.every} must be positive")
        for name in ("epochs", "batch_size", "learning_rate", "examples"):
            require(getattr(self, name) >= 0, f"`{name}` {getattr(self, name):g} must be positive, or 0")
        shown = self.seeds * (len(self.of) if self.saved else len(self.net_names()))
        require(
            shown <= MOST, f"{shown} surfaces are too many for one figure (at most {MOST}); reduce `nets` or `seeds`"
        )
        if self.plane not in ("random", "line"):
            refuse_changed(self, ("norm",), f"applies to random directions, and `plane` is {self.plane}")
        if self.saved:
            self._check_files()
        else:
            refuse_changed(
                self, ("loss",), "applies to saved models; nets trained here have the loss of their training"
            )
            self._check_training()

    def _check_of(self) -> None:
        """Refuse anything but one experiment, or files of models that exist."""
        require(len(self.of) > 0, f"`of` is empty; use {', '.join(TRAINED)}, or files PATH.keras")
        if any(name in TRAINED for name in self.of):
            message = f"`of` {','.join(self.of)}: name one experiment, or files PATH.keras only"
            require(len(self.of) == 1, message)
            return
        for path in self.of:
            known = path.lower().endswith(MODEL_FILES)
            choices = f"{', '.join(TRAINED)}, or a file PATH{' or PATH'.join(MODEL_FILES[:2])}"
            require(known, f"`of` {path!r} is unknown; use {choices}")
            require(Path(path).is_file(), f"`of` {path}: there is no such file")

    def _check_files(self) -> None:
        planes = ("random", "three-points", "hessian", "line")
        no_path = f"`plane` {self.plane}: a saved model has no training path; use {', '.join(planes)}"
        require(self.plane in planes, no_path)
        three = self.plane != "three-points" or len(self.of) == 3
        count = f"{len(self.of)} file{'s' * (len(self.of) > 1)}"
        require(three, f"`plane` three-points: `of` names {count}, not three")
        known = self.data in datasets.DATASETS or Path(self.data).is_file()
        sets = ", ".join(datasets.DATASETS)
        require(known, f"`data` {self.data!r} is not a file; use {sets}, or an .npz of x and y")
        require(not self.nets, "`nets` are trained here, and `of` names saved models; give only one of them")
        refuse_changed(self, OF_TRAINING, "applies to a training, and `of` names saved models")
        is_one = self.plane not in ("three-points", "hessian")
        what = "through three files" if self.plane == "three-points" else "of the Hessian of a file"
        require(is_one or self.seeds == 1, f"`seeds` {self.seeds}: there is one plane {what}; leave it out")

    def _check_training(self) -> None:
        training = self.training_settings()  # refuses what cannot be trained
        if isinstance(training, FunctionSettings):
            for net in self.net_names():
                architectures.parse(net)
            refuse_changed(self, OF_IMAGES, "applies to images, and simulate trains on all points of a function")
            return
        refuse_changed(self, ("func",), f"applies to simulate, and `of` is {self.of[0]}")
        training.check_nets(self.net_names(), "nets")
        epochs = training.epochs
        require(self.every <= epochs, f"`every` {self.every} must lie in 1..{epochs}, the epochs")
        enough = self.plane != "path" or epochs // self.every >= 2
        require(enough, f"`epochs` {epochs}: a plane through a path needs at least three points of it")
        even = epochs % self.every == 0
        require(even, f"`every` {self.every} must divide the {epochs} epochs, so that the path ends at the net")

    def unused(self) -> tuple[str, ...]:
        """Return the fields that have no effect under the values of the others."""
        of_nets = (
            ("nets", *OF_TRAINING) if self.saved else ("loss", *(OF_IMAGES if self.of[0] == "simulate" else ("func",)))
        )
        return of_nets if self.plane in ("random", "line") else ("norm", *of_nets)

    def training_settings(self) -> FunctionSettings | BatchSettings:
        """Return the settings of the training; a value of 0 or "auto" is that of its own experiment."""
        name = self.of[0]
        default = self._defaults_of_training()
        kind = FunctionSettings if name == "simulate" else BatchSettings
        values = {field.name: getattr(default, field.name) for field in fields(kind)}
        for key in values:
            given = getattr(self, key, None)
            if given not in (None, 0, "auto"):
                values[key] = given
        values |= {"seed": self.seed, "seeds": self.seeds}
        return kind(**values)

    def _defaults_of_training(self) -> Any:
        """Return the default settings of the experiment whose nets are trained, for the data set."""
        cls = registry.get(self.of[0]).settings
        return cls() if self.of[0] == "simulate" else build(cls, {"data": self.data})

    def net_names(self) -> tuple[str, ...]:
        """Return the nets that are trained; one of the experiment where none is named."""
        if self.nets:
            return self.nets
        nets = TRAINED_ON_DIGITS if self.data == "digits" else TRAINED
        return (nets.get(self.of[0], TRAINED[self.of[0]]),)

    @property
    def saved(self) -> bool:
        """Whether the nets come from files."""
        return self.of[0] not in TRAINED

    @property
    def input_files(self) -> tuple[str, ...]:
        """The files of the user that are read: models and their data."""
        return (*self.of, self.data) if self.saved else ()

    @property
    def is_line(self) -> bool:
        """Whether the plane has one dimension."""
        return self.plane in LINES

    @property
    def dataset(self) -> str:
        """The image data set that is read, or ""."""
        return self.data if self.of != ("simulate",) and self.data in datasets.DATASETS else ""

    def where(self) -> str:
        """Return on what the loss is evaluated."""
        if self.of == ("simulate",):
            return f"all points of {functions.formula(self.func)}"
        if self.data not in datasets.DATASETS:
            return f"{Path(self.data).name}, at most {self.subset} examples"
        n = self.examples or datasets.dataset_info(self.data).train
        return f"{min(self.subset, n)} of {n} training images of {self.data}"

    def curvature_points(self) -> NDArray[np.integer]:
        """Return the positions on an axis of the grid at which the map of curvature is taken."""
        return np.unique(np.linspace(0, self.grid - 1, self.curvature).round().astype(int))


TINY = Settings(data="digits", nets=("6",), examples=200, epochs=4, learning_rate=0.05, grid=5, subset=50, seeds=2)
