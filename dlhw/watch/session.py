"""One watched model over its calls of `fit`: hooks that come and go, rows that are read, probes, and the result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from dlhw._tf.inputs import first_line
from dlhw.watch import saving
from dlhw.watch.names import described_model, without_prefix
from dlhw.watch.probes import facts
from dlhw.watch.probes.probe import Prober
from dlhw.watch.probes.series import ProbeSeries
from dlhw.watch.spec import Result, Settings
from dlhw.watch.steps.guard import Guard
from dlhw.watch.steps.hooks import Hooks
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
        self.settings = settings
        self._describe()
        self.step = Step(model, self.note)
        self.taps: list[OptimizerTap] = []
        self.rows: dict[int, OptimizerRows] = {}  # by the position of their tap
        self.epoch_step: list[int] = []
        self.history: list[dict[str, float]] = []
        self.probes = ProbeSeries(model, self.prober, self.note)
        self.seconds, self.ended = 0.0, ""
        self.guard: Guard | None = None
        self._hooks = Hooks()
        self._compiled: tuple[Any, Any, Any] | None = None  # the step of the model, and those in its place
        self._calls_read, self._rows_per_call = 0, 1.0
        self._began: float | None = None
        self.on_interrupt: Callable[[], None] = lambda: None

    def _describe(self) -> None:
        """Read what the model and its compiled optimizer and loss are."""
        model = self.model
        self.facts, self._optimizer = facts.of_model(model, self.options.probe), model.optimizer
        self.settings = dataclasses.replace(
            self.settings,
            model=described_model(model),
            parameters=int(sum(np.prod(v.shape) for v in model.trainable_variables)),
            optimizer=", ".join(described(o) for _, o in optimizers_of(model)),
            loss=self.facts.loss,
            probe=self.prober.examples,
        )

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
        if isinstance(self.model.train_function, Guard):
            self.note("Nothing is recorded: another Watch records this training.")
            return
        self.ended = "running"
        if self.model.optimizer is not self._optimizer:  # compiled again
            self._describe()
        try:
            self._install()
        except Exception as error:
            self.end()
            self.note(f"Nothing is recorded: hooks cannot be installed ({type(error).__name__}: {first_line(error)}).")
        if not self.probes.measured:
            self.measure_probe()

    def _install(self) -> None:
        per_call = max(1, int(self.model.steps_per_execution))
        rows = 4 * max(self.options.steps_per_read, per_call)
        self.step.install()
        several = self.step.strategy.num_replicas_in_sync > 1
        for name, optimizer in optimizers_of(self.model):
            if several and optimizer is not self.model.optimizer:
                self.note(f"The steps of {name} are not recorded: on several replicas only those of one optimizer are.")
                continue
            tap = next((t for t in self.taps if t.optimizer is optimizer and t.fits()), None)
            if tap is None:
                n = sum(t.name.split(" ")[0] == name for t in self.taps) + 1
                tap = OptimizerTap(f"{name} {n}" if n > 1 else name, optimizer, self.step, self.note, rows)
                self.taps.append(tap)
            tap.prepare_if_built()
            tap.install()
        self._replace_train_function(max(1, self.options.steps_per_read // per_call))

    def _replace_train_function(self, calls: int) -> None:
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
        self.guard = Guard(self.step, full, light, self.options.update_every, before, calls, self.read, self.interrupt)
        model.train_function, self._calls_read = self.guard, 0
        self._hooks.put(model, "make_train_function", self._begin_another)

    def _begin_another(self, force: bool = False) -> None:
        """Stand in for `make_train_function`, with which every training begins.

        A callback that raises ends a training without a word to the others: hooks are removed here at the latest.
        """
        self.interrupt()
        self.model.make_train_function(force=force)

    def read(self) -> int:
        """Fetch the rows that were written since the last time; returns after how many calls it is time again."""
        count = self.guard.calls if self.guard is not None else self._calls_read
        calls, self._calls_read = max(1, count - self._calls_read), count
        room = [self.options.steps_per_read]
        for k, tap in enumerate(self.taps):
            read = tap.read_new()
            if read is None:
                continue
            if k not in self.rows:
                names = [getattr(v, "path", v.name).removeprefix(f"{self.model.name}/") for v in tap.variables]
                sizes = [int(np.prod(v.shape)) for v in tap.variables]
                self.rows[k] = OptimizerRows(tap.name, names, sizes)
            batches, rows, lost = read
            self.rows[k].add(batches, rows, lost)
            self._rows_per_call = max(self._rows_per_call, (len(rows) + lost) / calls)
            room.append(int(tap.rows / self._rows_per_call) - 1)
            if lost:
                self.note(f"{tap.name} takes so many steps in a batch that {lost:,} were not read.")
        return min(room)

    def begin_epoch(self) -> None:
        """Start the clock of an epoch."""
        self._began = time.perf_counter()

    def end_epoch(self, logs: Mapping[str, Any]) -> None:
        """Read the rows of an epoch, and store its logs."""
        self.seconds += time.perf_counter() - self._began if self._began is not None else 0.0
        self._began = None
        self.read()
        if not any(tap.was_called for tap in self.taps):
            self.note("No update is recorded: the training step calls `apply` of no optimizer that the model holds.")
        self.epoch_step.append(self.step.batch_count())
        self.history.append({name: float(value) for name, value in logs.items() if _is_number(value)})

    def measure_probe(self) -> None:
        """Measure the probe, where there is one."""
        if self.options.probe is not None:
            self.probes.measure(self.epochs, self.step.batch_count(), self.options.probe[0])

    def interrupt(self) -> None:
        """Remove everything from a model whose training ends by an exception."""
        if self.guard is None:
            return
        self.ended = "interrupted"
        self.read()
        self.end()
        self.on_interrupt()

    def end(self) -> None:
        """Give model and optimizers their own methods back."""
        if self.ended == "running":
            self.ended = ""
        if self.guard is not None and self.model.train_function is self.guard:
            self.model.train_function = self.guard.before
        self.guard = None
        self._hooks.remove()
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
            **self.probes.columns(tuple(self.options.functions)),
            nonfinite_layer=self.probes.nonfinite_layer,
            facts=dataclasses.replace(self.facts, **self.step.facts()),
            notes=tuple(self.notes),
            seconds=self.seconds,
            ended=self.ended,
        )
        return without_prefix(result, f"{self.model.name}/")

    def environment(self) -> dict[str, Any]:
        """Return versions, devices and how long the training took, with its probes."""
        strategy = self.step.strategy
        seconds = self.seconds + self.probes.seconds
        if strategy.num_replicas_in_sync == 1:
            return saving.environment(seconds)
        return saving.environment(seconds, strategy.extended.worker_devices, "mirrored")


def _is_number(value: Any) -> bool:
    """Return whether a log is a number; other callbacks may put anything there."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
