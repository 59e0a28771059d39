"""What is measured on the probe between epochs, without a trace on the training."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.compiled import Programs, sharing
from dlhw._tf.inputs import first_line
from dlhw._tf.types import Data
from dlhw.errors import UserError, require
from dlhw.measure.hessians import hessian
from dlhw.measure.input_gradients import sensitivity
from dlhw.measure.noise_scale import gradient_noise_scale
from dlhw.measure.objective import Objective
from dlhw.measure.spectrum import eigenpairs
from dlhw.models.weights import flat
from dlhw.watch.probes.losses_of_model import BatchLosses, is_standard
from dlhw.watch.probes.probe_data import ProbeData, check_call, check_targets
from dlhw.watch.probes.units import Units
from dlhw.watch.probes.untouched import untouched
from dlhw.watch.spec import MEASURES

Array = NDArray[np.floating]
Function = Callable[[keras.Model, Any], float]

SHARPNESS_EXAMPLES = 512
SHARPNESS_STEPS = 40
"""Most products with the Hessian; each costs about four forward and backward passes."""
SHARPNESS_TOLERANCE = 1e-2
"""Residual over eigenvalue; the eigenvalue itself is then exact to about its square."""
BASIS_BYTES = 2**30
"""Most memory for the basis of Lanczos's method."""
NOISE_EXAMPLES = 2048
MOST_WEIGHTS = 1_000_000


@dataclass
class ProbeRow:
    """What was measured at one time; nan: not measured."""

    loss: float = float("nan")
    accuracy: float = float("nan")
    sensitivity: float = float("nan")
    sharpness: float = float("nan")
    noise_scale: float = float("nan")
    dead: Array = field(default_factory=lambda: np.empty(0))  # (U,)
    saturated: Array = field(default_factory=lambda: np.empty(0))  # (U,)
    functions: Array = field(default_factory=lambda: np.empty(0))  # (M,)
    weights: Array | None = None  # (N,)
    seconds: float = 0.0


class Prober:
    """Measures a model on a probe; everything that it cannot measure is nan, and named once.

    Args:
        model: that trains.
        x: inputs of the probe; None: there is none.
        y: its targets.
        measures: of :data:`dlhw.watch.spec.MEASURES`.
        functions: further measures (model, (x, y)) -> number, by name.
        note: called with a sentence on what cannot be measured.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Data,
        y: Data,
        measures: Collection[str],
        functions: Mapping[str, Function],
        note: Callable[[str], None],
    ) -> None:
        self.model, self.measures, self.functions, self.note = model, tuple(measures), dict(functions), note
        self.given = (x, y)
        self.data: ProbeData | None = None
        self.units: Units | None = None
        self._noted: set[str] = set()
        self._programs: Programs = {}
        self._hessian_checked = False

    @property
    def examples(self) -> int:
        """Examples of the probe; 0: there is none, or it has not been checked."""
        return 0 if self.data is None else self.data.n

    @property
    def unit_layers(self) -> tuple[str, ...]:
        """The layers whose units are counted, in the order of computation."""
        return () if self.units is None else self.units.names

    @property
    def unit_counts(self) -> tuple[int, ...]:
        """Units of these layers."""
        return () if self.units is None else self.units.counts

    def check(self) -> None:
        """Find out what can be measured.

        Raises:
            UserError: for a probe that does not fit the model, and functions without a proper name.
        """
        unknown = [name for name in self.measures if name not in MEASURES]
        require(not unknown, f"`measures` {', '.join(unknown)!r} unknown; use {', '.join(MEASURES)}")
        for name, function in self.functions.items():
            proper = isinstance(name, str) and name.strip() and name not in MEASURES
            require(bool(proper), f"`functions`: {name!r} is no name for a function; use a text other than a measure")
            require(callable(function), f"`functions`: {name!r} is not a function (model, (x, y)) -> number")
        x, y = self.given
        if x is None and y is None:
            return
        require(x is not None, "the probe has targets and no inputs; give (x, y)")
        data = ProbeData(self.model, x, y)
        if not self.model.built:
            self.note("The probe is not measured: the model is built while it trains; build it or call it once before.")
            return
        with untouched(self.model), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, y = data.tried()
            try:
                outputs = check_call(self.model, x)
                check_targets(self.model, x, y, outputs)
            except NotImplementedError as error:
                self.note(
                    f"Only `functions` are measured on the probe: the model cannot be called. {first_line(error)}"
                )
            else:
                if "units" in self.measures:
                    self._attempt("units", lambda: self._find_units(x))
        self.data = data

    def measure(self) -> ProbeRow:
        """Return what is measured now; the model and all random numbers stay as they are."""
        start = time.perf_counter()
        u, m = len(self.unit_layers), len(self.functions)
        row = ProbeRow(dead=np.full(u, np.nan), saturated=np.full(u, np.nan), functions=np.full(m, np.nan))
        data = self.data
        if data is not None:
            self._attempt("probe", lambda: self._measure(row, data))
        row.seconds = time.perf_counter() - start
        return row

    def _measure(self, row: ProbeRow, data: ProbeData) -> None:
        steps: dict[str, Callable[[], None]] = {
            "loss": lambda: self._forward(row, data),
            "sensitivity": lambda: setattr(row, "sensitivity", sensitivity(self.model, None, data.x, data.y).mean),
            "sharpness": lambda: setattr(row, "sharpness", self._sharpness(data)),
            "noise": lambda: setattr(row, "noise_scale", self._noise(data)),
            "weights": lambda: setattr(row, "weights", self._weights()),
        }
        with untouched(self.model), sharing(self._programs), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is for the findings
            for name, step in steps.items():
                if name in self.measures or (name == "loss" and "units" in self.measures):
                    self._attempt(name, step)
            for k, (name, function) in enumerate(self.functions.items()):
                self._attempt(f"function {name}", lambda: self._call(row, k, function))  # noqa: B023

    def _attempt(self, name: str, step: Callable[[], None]) -> None:
        """Take a step; name what fails, once for each measure."""
        try:
            step()
        except Exception as error:
            if name not in self._noted:
                self._noted.add(name)
                kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                self.note(f"Not measured on the probe: {name}, because: {kind}{first_line(error)}")

    def _find_units(self, x: Any) -> None:
        self.units = Units(self.model, x, self.note)

    def _forward(self, row: ProbeRow, data: ProbeData) -> None:
        """Measure loss, accuracy and units in one pass."""
        batches = BatchLosses(self.model)
        units = self.units if self.units is not None else Units.none(self.model)
        row.dead, row.saturated = units.run(data.chunks(), batches.add)
        if "loss" not in self.measures:
            return
        row.accuracy = batches.accuracy
        if is_standard(self.model):
            try:
                row.loss = Objective(self.model, None, data.x, data.y).value().loss
                return
            except UserError:  # such as several outputs
                pass
        row.loss = batches.loss
        if batches.failure is not None:
            raise batches.failure

    def _sharpness(self, data: ProbeData) -> float:
        size = int(sum(np.prod(v.shape) for v in self.model.trainable_variables))
        steps = min(SHARPNESS_STEPS, BASIS_BYTES // (8 * max(size, 1)))
        require(steps >= 5, f"the largest Hessian eigenvalue of {size:,} weights needs too much memory")
        operator = hessian(self.model, None, *data.first(SHARPNESS_EXAMPLES), check=not self._hessian_checked)
        self._hessian_checked = True
        pairs = eigenpairs(operator, steps=steps, tolerance=SHARPNESS_TOLERANCE)
        if not pairs.converged[0] and "sharpness" not in self._noted:
            self._noted.add("sharpness")
            share = float(pairs.residuals[0] / abs(pairs.values[0]))
            self.note(
                f"The sharpness is a lower bound where {steps} products with the Hessian did not suffice (residual "
                f"{100 * share:.0f} % of it)."
            )
        return float(pairs.values[0])

    def _noise(self, data: ProbeData) -> float:
        return gradient_noise_scale(self.model, None, *data.first(NOISE_EXAMPLES)).value

    def _weights(self) -> Array:
        weights = flat(self.model)
        require(
            len(weights) <= MOST_WEIGHTS,
            f"{len(weights):,} weights are too many to store at every probe; at most {MOST_WEIGHTS:,} are",
        )
        return weights

    def _call(self, row: ProbeRow, k: int, function: Function) -> None:
        row.functions[k] = float(np.asarray(function(self.model, self.given)).reshape(()))
