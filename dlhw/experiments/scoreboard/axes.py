"""What differs between the nets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from dlhw.runs.base_settings import BatchSettings, ImageSettings
from dlhw.runs.settings import option
from dlhw.runs.variations import widened

if TYPE_CHECKING:
    from dlhw.training import Optimizer


@dataclass(frozen=True)
class Axis:
    """A setting that differs between the nets."""

    key: str  # attribute of a configuration
    field: str  # of the settings of the run, a list of values
    name: str


AXES = (
    Axis("width", "widths", "width"),
    Axis("batch_size", "batch_sizes", "batch size"),
    Axis("learning_rate", "learning_rates", "learning rate"),
    Axis("weight_decay", "weight_decays", "weight decay"),
    Axis("radius", "radii", "SAM"),
)
"""In the order of the combinations: nets of one width come one after the other, and share compiled programs."""


@dataclass(frozen=True)
class NetSettings(BatchSettings):
    """Settings of the trainings of one configuration."""

    radius: float = option(0.0, "Radius of sharpness-aware minimization; 0: without it.")

    def make_optimizer(self, learning_rate: float | None = None) -> Optimizer:
        """Return the optimizer, sharpness-aware where there is a radius."""
        if self.radius == 0:
            return super().make_optimizer(learning_rate)
        from dlhw.training import optimizer

        rate = self.learning_rate if learning_rate is None else learning_rate
        momentum = 0.0 if "momentum" in self.unused() else self.momentum
        return optimizer("sam", rate, momentum, self.weight_decay, self.decay, rho=self.radius, base=self.optimizer)


@dataclass(frozen=True)
class Configuration:
    """One combination of values of the axes."""

    width: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    radius: float

    def __str__(self) -> str:
        return ", ".join(f"{axis.name} {getattr(self, axis.key):g}" for axis in AXES)

    def net(self, settings: ImageSettings) -> str:
        """Return the net, as wide as the width says.

        Args:
            settings: of the run, with the net of width 1.
        """
        return widened(str(settings.net), self.width)  # type: ignore[attr-defined]

    def settings(self, settings: ImageSettings) -> NetSettings:
        """Return the settings of the trainings of this configuration.

        Args:
            settings: of the run.

        Raises:
            UserError: for values out of range.
        """
        own = {f.name: getattr(settings, f.name) for f in fields(ImageSettings)}
        own |= {axis.key: getattr(self, axis.key) for axis in AXES if axis.key != "width"}
        return NetSettings(**own)
