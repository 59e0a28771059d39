"""One watched model over its calls of `fit`: hooks that come and go, rows that are read, probes, and the result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from dlhw.watch import saving
from dlhw.watch.names import described_model, without_prefix
from dlhw.watch.probes import facts
from dlhw.watch.probes.edges import edge
from dlhw.watch.probes.probe import Prober, ProbeRow, nonfinite_layer
from dlhw.watch.spec import Result, Settings
from dlhw.watch.steps.guard import Guard
from dlhw.watch.steps.optimizers import described, optimizers_of
from dlhw.watch.steps.recording import OptimizerRows, joined
from dlhw.watch.steps.step import Step
from dlhw.watch.steps.tap import OptimizerTap


@dataclasses.dataclass(frozen=True)
class Options:
    """What a callback was given, beside its settings."""

    probe: Any  # (x, y), or None
    functions: Mapping[str, Callable[..., float]]
    steps_per_read: int
    update_every: int


class Session:
    """The record of one model.

    Args:
        model: that trains.
        settings: measures, their functions and when they are taken.
        options: probe, functions, intervals.

    Raises:
        UserError: for a probe that does not fit the model.
    """

    def __init__(self, model: keras.Model, settings: Settings, options: Options) -> None:
        self.model, self.options = model, options
        self.notes: list[str] = []
        x, y = options.probe if options.probe is not None else (None, None)
        self.prober = Prober(model, x, y, settings.measures, options.functions, self.note)
        self.prober.check()
        self.facts = facts.of_model(model, options.probe)
        self.settings = dataclasses.replace(
            settings,
            model=described_model(model),
            parameters=int(sum(np.prod(v.shape) for v in model.trainable_variables)),
            optimizer=", ".join(described(o) for _, o in optimizers_of(model)),
            loss=self.facts.loss,
            probe=self.prober.examples,
        )
        self.step = Step(model, self.note)
        self.taps: list[OptimizerTap] = []
        self.rows: dict[str, OptimizerRows] = {}
        self.epoch_step: list[int] = []
        self.history: list[dict[str, float]] = []
        self.probes: list[tuple[int, int, float, ProbeRow]] = []  # epoch, step, edge, numbers
        self.seconds = 0.0
        self.ended = ""
        self.nonfinite_layer = ""
        self.guard: Guard | None = None
        self._compiled: tuple[Any, Any, Any] | None = None  # the step of the model, and those in its place
        self._began: float | None = None

    def note(self, sentence: str) -> None:
        """Add a sentence on what cannot be recorded, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def epochs(self) -> int:
        """Epochs that have ended."""
        return len(self.epoch_step)

    def begin(self) -> None:
        """Install the hooks, and measure the probe before the first epoch."""
        self.end()  # of a training that was interrupted outside of its steps
        self.ended = "running"
        rows = max(self.options.steps_per_read, 2 * int(self.model.steps_per_execution))
        self.step.install()
        several = self.step.strategy.num_replicas_in_sync > 1
        for name, optimizer in optimizers_of(self.model):
            if several and optimizer is not self.model.optimizer:
                self.note(f"The steps of {name} are not recorded: on several replicas only those of one optimizer are.")
                continue
            tap = next((t for t in self.taps if t.optimizer is optimizer), None)
            if tap is None:
                tap = OptimizerTap(name, optimizer, self.step, self.note, 4 * rows)
                self.taps.append(tap)
            tap.prepare_if_built()
            tap.install()
        self._replace_train_function(rows)
        if not self.probes:
            self.measure_probe()

    def _replace_train_function(self, rows: int) -> None:
        """Put a guard in the place of the compiled step; one traced by an earlier `fit` does not know the hooks."""
        model, before = self.model, self.model.train_function
        if self._compiled is None or self._compiled[0] is not before:
            functions = []
            for _ in range(2):  # with and without details
                model.make_train_function(force=True)
                functions.append(model.train_function)
            self._compiled = before, *functions
        _, full, light = self._compiled
        was_trained = any(int(tap.inner.iterations.numpy()) for tap in self.taps)
        self.step.is_another_program = was_trained or self.options.update_every > 1
        self.guard = Guard(self.step, full, light, self.options.update_every, before, rows, self.read, self.interrupt)
        model.train_function = self.guard
        model.__dict__["make_train_function"] = self._begin_another

    def _begin_another(self, force: bool = False) -> None:
        """Stand in for `make_train_function`, with which every training begins.

        A callback that raises ends a training without a word to the others, so hooks are removed here at the latest.
        """
        self.interrupt()
        self.model.make_train_function(force=force)

    def read(self) -> None:
        """Fetch the rows that were written since the last time."""
        for tap in self.taps:
            read = tap.read_new()
            if read is None:
                continue
            if tap.name not in self.rows:
                names = [getattr(v, "path", v.name) for v in tap.variables]
                sizes = [int(np.prod(v.shape)) for v in tap.variables]
                self.rows[tap.name] = OptimizerRows(tap.name, names, sizes)
            batches, rows, lost = read
            self.rows[tap.name].add(batches, rows, lost)
            if lost:
                self.note(f"{tap.name} takes so many steps in a batch that some were not read; lower `steps_per_read`.")

    def begin_epoch(self) -> None:
        """Start the clock of an epoch."""
        self._began = time.perf_counter()

    def end_epoch(self, logs: Mapping[str, Any]) -> None:
        """Read the rows of an epoch, and store its logs."""
        if self._began is not None:
            self.seconds += time.perf_counter() - self._began
        self._began = None
        self.read()
        if not any(tap.was_called for tap in self.taps):
            self.note("No update is recorded: the training step calls `apply` of no optimizer that the model holds.")
        self.epoch_step.append(self.step.batch_count())
        self.history.append({name: float(value) for name, value in logs.items() if np.ndim(value) == 0})

    def measure_probe(self) -> None:
        """Measure the probe, unless this epoch has been measured."""
        if self.options.probe is None or (self.probes and self.probes[-1][0] == self.epochs):
            return
        try:
            row = self.prober.measure()
        except Exception as error:
            self.note(f"The probe could not be measured ({type(error).__name__}: {str(error).splitlines()[0]}).")
            return
        self.probes.append((self.epochs, self.step.batch_count(), edge(self.model.optimizer), row))
        if not self.nonfinite_layer and not np.isfinite(row.loss):
            self.nonfinite_layer = nonfinite_layer(self.model, self.options.probe[0])

    def interrupt(self) -> None:
        """Remove everything from a model whose training ends by an exception."""
        self.ended = "interrupted"
        self.read()
        self.end()

    def end(self) -> None:
        """Give model and optimizers their own methods back."""
        if self.ended == "running":
            self.ended = ""
        if self.guard is not None:
            self.model.train_function = self.guard.before
        self.guard = None
        self.model.__dict__.pop("make_train_function", None)
        self.step.remove()
        for tap in self.taps:
            tap.remove()

    def result(self) -> Result:
        """Return what has been recorded."""
        self.read()
        records = [r for r in self.rows.values() if r.updates]
        names = tuple(dict.fromkeys(name for logs in self.history for name in logs))
        history = np.array([[logs.get(name, np.nan) for name in names] for logs in self.history])
        result = Result(
            **joined(records),  # type: ignore[arg-type]
            epoch_step=np.array(self.epoch_step, dtype=np.int64),
            history_names=names,
            history=history.reshape(len(self.history), len(names)),
            **self._probed(),
            nonfinite_layer=self.nonfinite_layer,
            facts=dataclasses.replace(self.facts, **self.step.facts()),
            notes=tuple(self.notes),
            seconds=self.seconds,
            ended=self.ended,
        )
        return without_prefix(result, f"{self.model.name}/")

    def environment(self) -> dict[str, Any]:
        """Return versions, devices and how long the training took, with its probes."""
        strategy = self.step.strategy
        seconds = self.seconds + sum(row.seconds for *_, row in self.probes)
        if strategy.num_replicas_in_sync == 1:
            return saving.environment(seconds)
        return saving.environment(seconds, strategy.extended.worker_devices, "mirrored")

    def _probed(self) -> dict[str, Any]:
        """Return the fields of the result that hold probes."""
        rows = [row for *_, row in self.probes]

        def column(name: str) -> np.ndarray:
            return np.array([getattr(row, name) for row in rows], dtype=np.float64)

        def table(name: str, width: int) -> np.ndarray:
            return np.array([getattr(row, name) for row in rows], dtype=np.float64).reshape(len(rows), width)

        layers, names = tuple(self.prober.unit_layers), tuple(self.options.functions)
        weights = [row.weights for row in rows]
        is_stored = bool(weights) and all(w is not None for w in weights)
        return {
            "probe_epoch": np.array([epoch for epoch, *_ in self.probes], dtype=np.int64),
            "probe_step": np.array([step for _, step, *_ in self.probes], dtype=np.int64),
            "probe_loss": column("loss"),
            "probe_accuracy": column("accuracy"),
            "sensitivity": column("sensitivity"),
            "sharpness": column("sharpness"),
            "edge": np.array([value for _, _, value, _ in self.probes], dtype=np.float64),
            "noise_scale": column("noise_scale"),
            "probe_seconds": column("seconds"),
            "unit_layers": layers,
            "unit_counts": np.array(self.prober.unit_counts, dtype=np.int64),
            "dead_share": table("dead", len(layers)),
            "saturated_share": table("saturated", len(layers)),
            "function_names": names,
            "functions": table("functions", len(names)),
            "weights": np.array(weights, dtype=np.float32) if is_stored else None,
        }
