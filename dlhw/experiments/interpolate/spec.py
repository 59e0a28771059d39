"""Settings and results of `interpolate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import UserError, require
from dlhw.measure.barriers import alpha_grid
from dlhw.present.section import Section
from dlhw.runs.base_settings import BatchSettings
from dlhw.runs.settings import DatasetDefaults, option


@dataclass(frozen=True)
class Settings(BatchSettings):
    """Settings of `dlhw interpolate`."""

    epochs: int = option(30, "Passes over the training set.")
    net: str = option("10c5-p2-20c5-p2-50", "Net: deep, wide, plain, or layers such as 20c3-p2-100.")
    by: tuple[str, ...] = option(
        ("batch-size=64,512", "learning-rate=0.001,0.01"),
        "How A and B differ: batch-size=A,B or learning-rate=A,B; may be repeated.",
        whole=True,
    )
    own_start: bool = option(
        True, "Start A and B from different initial weights, or from the same.", flags="--own-start/--shared-start"
    )
    alphas: tuple[float, ...] = option(
        tuple(round(-1 + 0.05 * k, 2) for k in range(61)),
        "Points of the line; 0 and 1 are added where missing.",
        shown="-1 to 2 by 0.05",
    )

    DATASET_DEFAULTS: ClassVar[DatasetDefaults] = {
        "digits": {
            "net": "8c3-p2-30",
            "by": ("batch-size=32,256", "learning-rate=0.01,0.1"),
            "batch_size": 32,
            "learning_rate": 0.01,
        },
        "mnist-5k": {"by": ("batch-size=64,512", "learning-rate=0.01,0.05"), "learning_rate": 0.01},
        "cifar10": {"by": ("batch-size=64,512", "learning-rate=0.005,0.02"), "learning_rate": 0.005},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_nets((self.net,), "net")
        require(len(self.by) > 0, "`by` is empty; give at least one pair, such as batch-size=64,512")
        require(len(set(map(parse, self.by))) == len(self.by), "`by` names a pair twice")
        for size in (v for text in self.by for v in parse(text)[1] if parse(text)[0] == "batch-size"):
            self.check_batch(int(size), "`by` batch-size")
        require(len(self.alphas) > 0, "`alphas` is empty; give points such as -1,0,0.5,1,2")

    @property
    def grid(self) -> NDArray[np.floating]:
        """The alphas in order, 0 and 1 among them, (G,)."""
        return alpha_grid(self.alphas)

    def ends(self, text: str) -> list[tuple[int, float]]:
        """Return batch size and learning rate of A and of B."""
        key, values = parse(text)
        if key == "batch-size":
            return [(int(v), self.learning_rate) for v in values]
        return [(self.batch_size, v) for v in values]

    def trainings(self) -> list[tuple[int, float]]:
        """Return every training of a seed, once; pairs may share one."""
        return list(dict.fromkeys(end for text in self.by for end in self.ends(text)))


def parse(text: str) -> tuple[str, tuple[float, float]]:
    """Parse "batch-size=64,512" -> ("batch-size", (64, 512))."""
    key, _, values = text.partition("=")
    example = "use batch-size=64,512 or learning-rate=1e-3,1e-2"
    require(key in ("batch-size", "learning-rate"), f"`by` {text!r}: {key!r} is unknown; {example}")
    try:
        numbers = [float(v) for v in values.split(",")]
    except ValueError:
        raise UserError(f"`by` {text!r}: {values!r} are not two numbers; {example}") from None
    require(len(numbers) == 2, f"`by` {text!r} has {len(numbers)} values, not two; {example}")
    valid = all(np.isfinite(v) and v > 0 for v in numbers)
    require(valid, f"`by` {text!r}: both values must be positive and finite")
    require(numbers[0] != numbers[1], f"`by` {text!r}: A and B are the same; {example}")
    whole = all(v == int(v) for v in numbers)
    require(key != "batch-size" or whole, f"`by` {text!r}: batch sizes must be integers")
    return key, (numbers[0], numbers[1])


@dataclass(frozen=True)
class Result:
    """R pairs, S seeds, G alphas. Nothing of a line is finite if one of its ends diverged."""

    SIZES: ClassVar = {"R": "by", "S": "seeds"}
    alphas: Annotated[NDArray[np.floating], "G"]
    train_loss: Annotated[NDArray[np.floating], "R, S, G"]  # cross entropy in nats
    train_accuracy: Annotated[NDArray[np.floating], "R, S, G"]  # fraction in [0, 1]
    test_loss: Annotated[NDArray[np.floating], "R, S, G"]
    test_accuracy: Annotated[NDArray[np.floating], "R, S, G"]
    curvature: Annotated[NDArray[np.floating], "R, S, 2"]  # second derivative of the training loss by alpha, at A and B
    distance: Annotated[NDArray[np.floating], "R, S"]  # |A - B|
    diverged_at: Annotated[NDArray[np.integer], "R, S"]  # first epoch at which A or B diverged, or -1
    seconds: tuple[float, ...]  # of every training, the seeds of one after the other
    line_seconds: Annotated[tuple[float, ...], "R S"]
    example_images: Annotated[NDArray[np.integer], "E, H, W, D"] | None = None  # of the test set, one per class; 0-255
    example_labels: Annotated[NDArray[np.integer], "E"] | None = None
    example_probabilities: Annotated[NDArray[np.floating], "R, G, E, C"] | None = None  # softmax, pairs of first seed


SECTION = Section(
    "1-3 c 1",
    "Flatness: the line between two nets",
    assignment_settings=(
        "data",
        "epochs",
        "batch_size",
        "learning_rate",
        "momentum",
        "optimizer",
        "activation",
        "init",
        "by",
    ),
    captions={"line": "Loss (left, logarithmic) and accuracy (right) along the line, training solid, test dashed."},
    pitfalls=(
        "Choosing a grid that misses both ends: the ends of the plot are then worse than the trained nets.",
        "Reading the width of a valley as flatness: it depends on the length of the line and the scale of the weights.",
        "Using the batch statistics of one end along the whole line.",
    ),
    quick_settings={
        "data": "digits",
        "net": "8c3-p2-30",
        "epochs": 15,
        "by": ("batch-size=32,256", "learning-rate=0.01,0.1"),
        "batch_size": 32,
        "learning_rate": 0.01,
        "seeds": 2,
    },
)

TINY = Settings(
    data="digits",
    net="8",
    by=("batch-size=20,50",),
    alphas=(-0.5, 0.5, 1.5),
    examples=100,
    epochs=2,
    learning_rate=0.05,
    seeds=2,
)
