"""`Watch`: a Keras callback that records every step of `model.fit` and measures a probe between epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from dlhw._tf.types import Data
from dlhw.errors import require, warn
from dlhw.watch import saving
from dlhw.watch.diagnosis import Diagnosis
from dlhw.watch.display.events import Events
from dlhw.watch.display.live import Display
from dlhw.watch.findings import diagnose
from dlhw.watch.names import named_functions
from dlhw.watch.pace import Pace
from dlhw.watch.session import Options, Session
from dlhw.watch.spec import MEASURES, Result, Settings

Probe = tuple[Data, Data] | None
Function = Callable[[keras.Model, Any], float]


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Records a training inside of `model.fit`, and says what is wrong with it.

    At every step: loss of the batch, and of every layer the norm of its gradient (raw, and after accumulation and
    clipping), of its update and of its weights, and the shares of gradient entries that are zero or not finite. On the
    probe, at epochs 0, 1, 2, 4, 8, ...: what `measures` names. Weights, optimizer and history are bit for bit those of
    the same training without it. What cannot be recorded of a model is named once in `notes`, and training goes on.

    Example:
        >>> import keras, numpy as np, dlhw
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> watch = dlhw.Watch(probe=(x, np.sin(3 * x)))
        >>> _ = model.fit(x, np.sin(3 * x), epochs=2, batch_size=16, verbose=0, callbacks=[watch])
        >>> watch.result.gradient_norm.shape
        (8, 2)
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        probe: Probe = None,
        every: int = 0,
        measures: Sequence[str] = MEASURES,
        functions: Mapping[str, Function] | Sequence[Function] = (),
        tensorboard: str | Path | None = None,
        live: bool = False,
        overwrite: bool = False,
        steps_per_read: int = 256,
        update_every: int = 1,
    ) -> None:
        """Prepare a record; nothing is written before training.

        Args:
            folder: where the run is stored, after every epoch; None: nowhere.
            probe: (x, y), some hundred examples that were held out; None: only steps are recorded.
            every: epochs between two measurements of the probe; 0: at epochs 0, 1, 2, 4, 8, ... and the last.
            measures: what is measured on the probe: loss, units, sensitivity, sharpness, noise, weights.
            functions: further measures, functions (model, probe) -> number, by name or with names of their own.
            tensorboard: folder of event files that are written beside; None: none.
            live: show charts after every epoch in a notebook; otherwise every new finding is printed as a line.
            overwrite: replace another run in the folder.
            steps_per_read: steps between two reads from the device.
            update_every: steps between two measurements of updates, weights and zeros; they cost several passes over
                the weights.

        Raises:
            UserError: for an unknown measure, numbers that are not positive, and a folder that cannot be used.
        """
        super().__init__()
        for name, value in (("steps_per_read", steps_per_read), ("update_every", update_every), ("every", every)):
            is_valid = isinstance(value, int) and value >= (name != "every")
            require(is_valid, f"`{name}` {value!r} must be a whole number, at least {int(name != 'every')}")
        functions = named_functions(functions)
        names = tuple(functions)
        is_pair = probe is None or (isinstance(probe, (tuple, list)) and len(probe) == 2)
        require(is_pair, f"`probe` is a {type(probe).__name__}; give a pair (x, y) of arrays")
        measures = (measures,) if isinstance(measures, str) else tuple(measures)
        self.given = Settings(every=every, measures=measures, functions=names)
        self.folder = None if folder is None else Path(folder)
        self.probe, self.functions, self.overwrite = probe, dict(functions), overwrite
        self.steps_per_read, self.update_every = steps_per_read, update_every
        self.display = Display(live)
        self.storing, self.showing = Pace(), Pace()
        self.events = None if tensorboard is None else Events(Path(tensorboard))
        self.session: Session | None = None
        if self.folder is not None:
            saving.check_place(self.folder)

    @property
    def settings(self) -> Settings:
        """What the watched training is."""
        return self.given if self.session is None else self.session.settings

    @property
    def result(self) -> Result:
        """What has been recorded.

        Raises:
            UserError: before training.
        """
        session = self.session
        require(session is not None, "nothing has been recorded yet; give this callback to `fit`")
        return session.result()  # type: ignore[union-attr]

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be recorded, one sentence each."""
        return () if self.session is None else tuple(self.session.notes)

    @property
    def findings(self) -> tuple[Diagnosis, ...]:
        """What the numbers say so far, the most severe first; () before training."""
        return () if self.session is None else diagnose(self.settings, self.result)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Install the hooks; refuse a probe or a folder that does not fit, before the first step.

        Args:
            logs: of Keras; not used.

        Raises:
            UserError: for a probe that does not fit the model, and a folder that holds another run.
        """
        options = Options(self.probe, self.functions, self.steps_per_read, self.update_every)
        session = self.session
        if session is None or session.model is not self.model:
            session = Session(self.model, self.given, options)
            if self.folder is not None:
                saving.check_folder(self.folder, session.settings, self.overwrite)
            session.on_interrupt = self._store_interrupted
            self.display = Display(self.display.live)
            if self.events is not None:
                self.events = Events(self.events.folder)
        self.session = session
        session.begin()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock of an epoch.

        Args:
            epoch: of Keras; not used.
            logs: of Keras; not used.
        """
        if self.session is not None:
            self.session.begin_epoch()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Read the steps, measure the probe where it is due, show and store.

        Args:
            epoch: of Keras; not used, since a second `fit` begins at 0 again and the record goes on.
            logs: what Keras reports of the epoch, stored as it is.
        """
        session = self.session
        if session is None:
            return
        session.end_epoch(logs or {})
        if self._is_due(session.epochs):
            session.measure_probe()
        self._publish(session)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Measure the probe at the end, remove the hooks and store everything.

        Args:
            logs: of Keras; not used.
        """
        session = self.session
        if session is None:
            return
        session.read()
        session.measure_probe()
        session.end()
        self._publish(session, final=True)

    def _store_interrupted(self) -> None:
        """Store what was recorded of a training that ended by an exception, without figures."""
        session = self.session
        if self.folder is None or session is None:
            return
        try:
            saving.save(self.folder, session.settings, session.result(), session.environment())
        except Exception as error:
            session.note(f"The training could not be stored ({type(error).__name__}: {error}).")

    def _is_due(self, epoch: int) -> bool:
        """Return whether the probe is measured after so many epochs."""
        every = self.given.every
        return epoch % every == 0 if every else epoch & (epoch - 1) == 0

    def _publish(self, session: Session, *, final: bool = False) -> None:
        """Show and store what has been recorded; a full disk is a note, not the end of a training."""
        is_shown = final or self.display.live or self.showing.is_due()
        is_stored = self.folder is not None and (final or self.storing.is_due())
        try:
            result = session.result() if is_shown or is_stored else None
            if result is not None and is_shown:
                with self.showing.timed():
                    self.display.show(session.settings, result, final=final)
                    if self.events is not None:
                        self.events.write(result)
            if result is not None and self.folder is not None and is_stored:
                with self.storing.timed():
                    saving.save(self.folder, session.settings, result, session.environment(), figures=final)
        except Exception as error:
            sentence = f"The training could not be stored or shown ({type(error).__name__}: {error})."
            session.note(sentence)
            warn(sentence)
