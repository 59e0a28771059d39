"""Settings and results of `simulate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlhw.choices import Until
from dlhw.errors import require
from dlhw.models import architectures
from dlhw.present.section import Section, SectionRun
from dlhw.runs import until
from dlhw.runs.base_settings import FunctionSettings
from dlhw.runs.settings import option
from dlhw.runs.tuning import TuningSettings
from dlhw.training.convergence import OVER_STEPS

DEAD = 1e-6
"""Variance of a prediction relative to that of the target, below which a net counts as dead."""


@dataclass(frozen=True)
class Settings(TuningSettings, FunctionSettings):
    """Settings of `dlhw simulate`."""

    models: tuple[str, ...] = option(
        ("deep", "middle", "shallow"),
        "Nets: deep, middle, shallow, or hidden widths such as 10-18-15-4.",
        notation=architectures.DENSE_NOTATION,
        describe=architectures.describe,
    )

    until: Until = option("epochs", until.HELP)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_tuning()
        until.check_until(self.until, self.epochs, OVER_STEPS.least)
        require(len(self.models) > 0, "`models` is empty; name at least one net")
        require(len(set(self.models)) == len(self.models), "`models` names a net twice")
        for net in self.models:
            architectures.parse(net)


@dataclass(frozen=True)
class Result:
    """N nets, S seeds, T epochs, n training points, m = 5 (n - 1) + 1 points of the dense grid.

    A curve is nan after the epoch at which its training stopped or diverged.
    """

    SIZES: ClassVar = {"N": "models", "S": "seeds"}
    x: Annotated[NDArray[np.floating], "m"]
    y: Annotated[NDArray[np.floating], "m"]  # the scaled target
    loss: Annotated[NDArray[np.floating], "N, S, T + 1"]  # MSE on the training points after each epoch; 0 is the start
    prediction: Annotated[NDArray[np.floating], "N, S, m"]  # after training
    diverged_at: Annotated[NDArray[np.integer], "N, S"]  # epoch, or -1
    dead: Annotated[NDArray[np.bool_], "N, S"]  # prediction variance under 1e-6 of the target's
    seconds: Annotated[tuple[float, ...], "N"]  # of wall time, the S seeds together, nets side by side
    compile_seconds: Annotated[tuple[float, ...], "N"]
    frames: Annotated[NDArray[np.floating], "N, F, n"] | None = None  # of the first seed, for an animation
    stopped_at: Annotated[NDArray[np.integer], "N, S"] | None = None  # epoch, or -1; with `until` converged
    # With `tune`, of G rates on K seeds; all else is at the tuned rate. Losses are medians of the last 5 %.
    tuned_rate: Annotated[NDArray[np.floating], "N"] | None = None
    tuning_loss: Annotated[NDArray[np.floating], "N, G, K"] | None = None  # nan where a training diverged
    untuned_loss: Annotated[NDArray[np.floating], "N, S"] | None = None  # at the learning rate of the settings


SECTION = Section(
    "1-1 a",
    "Deep against shallow on a function",
    assignment_settings=("func", "epochs", "learning_rate", "momentum", "optimizer", "activation", "init", "models"),
    captions={
        "loss": "Training error against epoch: median of the seeds, band from minimum to maximum.",
        "fit": "Target and predictions on a grid five times denser than the training points, residuals below.",
        "tuning": "Training error against learning rate, on seeds that are not reported; outlined: the chosen rates.",
    },
    pitfalls=(
        "Training one seed per net: the spread over seeds is as large as the difference between nets.",
        "Comparing the last epoch only: full-batch training with momentum fluctuates, and the last value is luck.",
        "Plotting a dead net, which predicts a constant, as if it learned slowly.",
    ),
    quick_settings={"epochs": 5000, "seeds": 3},
    runs=(
        SectionRun("The cardinal sine"),
        SectionRun("The sign function", {"func": "sign"}),
        SectionRun("The square wave", {"func": "square"}, preset="complete"),
        SectionRun("Every net at the learning rate that suits it best", {"tune": True}, preset="complete"),
        SectionRun("Every net until it has converged", {"until": "converged"}, preset="complete"),
    ),
)

TINY = Settings(models=("2", "3-2"), epochs=30, points=20, seeds=2)
