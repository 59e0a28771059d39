"""One setting of a training varied, and all others equal: `by` of interpolate, `over` of sweep."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np

from dlhw import datasets
from dlhw.choices import WITH_MOMENTUM
from dlhw.errors import UserError, require
from dlhw.models import architectures
from dlhw.runs.base_settings import BatchSettings, ImageSettings
from dlhw.runs.jobs import Job

if TYPE_CHECKING:
    from dlhw.runs.jobs import Callback

Value = float | int | str


@dataclass(frozen=True)
class Variable:
    """What is varied."""

    name: str  # as it is written: batch-size
    kind: type  # of its values
    axis: str  # label of an axis
    log: bool = False  # whether an axis of it is logarithmic

    @property
    def field(self) -> str:
        """The name of the setting, where there is one."""
        return self.name.replace("-", "_")

    def text(self, value: Value) -> str:
        """Return a value as text."""
        return value if isinstance(value, str) else f"{value:g}"

    def parse(self, text: Value) -> Value:
        """Return a value of this variable.

        Raises:
            UserError: for text that is no such value.
        """
        if self.kind is str:
            choices = [str(v) for v in get_args(get_type_hints(BatchSettings)[self.field])]
            require(text in choices, f"{self.name} {text!r} is unknown; use {', '.join(choices)}")
            return str(text)
        try:
            number = float(text)
        except ValueError:
            raise UserError(f"{self.name} {text!r} is not a number") from None
        require(math.isfinite(number), f"{self.name} {number:g} must be finite")
        if self.kind is int:
            require(number == int(number), f"{self.name} {number:g} must be a whole number")
            return int(number)
        return number


_ALL = (
    Variable("batch-size", int, "batch size", log=True),
    Variable("learning-rate", float, "learning rate", log=True),
    Variable("momentum", float, "momentum"),
    Variable("weight-decay", float, "weight decay", log=True),
    Variable("label-noise", float, "fraction of the training labels that are shuffled"),
    Variable("width", float, "width of the layers, relative to the net", log=True),
    Variable("epochs", int, "epochs", log=True),
    Variable("optimizer", str, "optimizer"),
    Variable("init", str, "initial weights"),
    Variable("decay", str, "kind of weight decay"),
    Variable("seed", int, "seed"),
)
VARIABLES = {variable.name: variable for variable in _ALL}
SWEPT = ("batch-size", "learning-rate", "width", "weight-decay", "momentum", "label-noise")
"""What `dlhw sweep` varies."""
PAIRED = tuple(name for name in VARIABLES if name != "width")
"""What may differ between the two ends of a line, whose weights must be those of one net."""


def variable(name: str, among: tuple[str, ...], argument: str) -> Variable:
    """Return the variable called `name`; UserError with the closest one if it is not in `among`.

    argument: what the message calls it, such as "`over`".
    """
    close = difflib.get_close_matches(name, among, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    require(name in among, f"{argument} {name!r} is unknown; {hint}use {', '.join(among)}")
    return VARIABLES[name]


@dataclass(frozen=True)
class Training:
    """One training of a comparison, without its seed."""

    net: str
    settings: BatchSettings
    noise: float = 0.0  # fraction of the training labels that are shuffled
    repeat: int = 0  # which of several that differ by nothing but their seeds

    def labels(self, seed: int) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return the function true labels -> labels that are trained on; None where they are the same."""
        return partial(datasets.shuffle_labels, noise=self.noise, seed=seed) if self.noise else None

    def job(
        self,
        seed: int,
        *,
        init_seed: int | None = None,
        epochs: int = 0,
        updates: int | None = None,
        snapshot_every: int = 0,
        callback: Callback | None = None,
    ) -> Job:
        """Return the training from a seed; epochs: in place of those of its settings."""
        s = self.settings
        return Job(
            self.net,
            seed,
            s.batch_size,
            s.learning_rate,
            epochs or s.epochs,
            init_seed=init_seed,
            updates=updates,
            labels=self.labels(seed),
            snapshot_every=snapshot_every,
            callback=callback,
            settings=s,
        )


def training(settings: ImageSettings, net: str, name: str, value: Value) -> Training:
    """Return the training whose variable `name` has a value, and which is otherwise that of the settings.

    Args:
        settings: of the experiment.
        net: the net that is trained.
        name: of the variable.
        value: of the variable.

    Raises:
        UserError: for a value out of range.
    """
    own = {f.name: getattr(settings, f.name) for f in fields(BatchSettings) if hasattr(settings, f.name)}
    if name == "width":
        return Training(widened(net, float(value)), BatchSettings(**own))
    if name == "seed":
        require(value in (0, 1), f"seed {value:g} must be 0 or 1: the two trainings of each seed of the run")
        return Training(net, BatchSettings(**own), repeat=int(value))
    if name == "label-noise":
        require(0 <= float(value) <= 1, f"label-noise {value:g} must lie in [0, 1], a fraction of the labels")
        return Training(net, BatchSettings(**own), float(value))
    if name == "optimizer" and value not in WITH_MOMENTUM:
        own["momentum"] = BatchSettings.momentum  # that of the others, which this one does not have
    changes: dict[str, Any] = {VARIABLES[name].field: value}
    return Training(net, BatchSettings(**own | changes))


def check_width(factor: float, name: str = "width") -> None:
    """Refuse a factor of the filters and units that is out of range; `name`: what the message calls it."""
    require(1 / 64 <= factor <= 64, f"{name} {factor:g} must lie in 1/64..64: a factor of the filters and units")


def widened(net: str, factor: float) -> str:
    """Return a net whose filters and hidden units are `factor` times as many, at least one of each.

    Raises:
        UserError: for a factor out of range.
    """
    check_width(factor)
    layers = []
    for layer in architectures.parse_layers(net):
        size = layer.size if layer.kind == "pool" else max(1, round(factor * layer.size))
        layers.append(str(architectures.Layer(layer.kind, size, layer.kernel)))
    return "-".join(layers)
