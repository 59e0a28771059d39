"""The measurements of a probe over a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dlhw._tf.inputs import first_line
from dlhw.watch.probes.edges import edge
from dlhw.watch.probes.nonfinite import nonfinite_layer
from dlhw.watch.probes.probe import Prober, ProbeRow

MOST_SNAPSHOTS = 256 * 2**20
"""Bytes of snapshots of the weights that are held at most."""


class ProbeSeries:
    """What was measured on a probe, and when.

    Args:
        model: that trains.
        prober: measures it.
        note: called with a sentence on what cannot be measured.
    """

    def __init__(self, model: keras.Model, prober: Prober, note: Callable[[str], None]) -> None:
        self.model, self.prober, self.note = model, prober, note
        self.measured: list[tuple[int, int, float, ProbeRow]] = []  # epoch, batch, edge of stability, numbers
        self.nonfinite_layer = ""

    def measure(self, epoch: int, batch: int, x: Any) -> None:
        """Measure the probe, unless this epoch has been measured.

        Args:
            epoch: epochs that have ended.
            batch: batches that have been seen.
            x: inputs of the probe.
        """
        if self.measured and self.measured[-1][0] == epoch:
            return
        try:
            row = self.prober.measure()
        except Exception as error:
            self.note(f"The probe could not be measured ({type(error).__name__}: {first_line(error)}).")
            return
        self._limit_snapshots(row)
        self.measured.append((epoch, batch, edge(self.model.optimizer), row))
        if not self.nonfinite_layer and not np.isfinite(row.loss):
            self.nonfinite_layer = nonfinite_layer(self.model, x)

    def _limit_snapshots(self, row: ProbeRow) -> None:
        """Drop the snapshots of the weights once they are too many."""
        if row.weights is None or (len(self.measured) + 1) * row.weights.nbytes <= MOST_SNAPSHOTS:
            return
        self.note(f"The path of the weights is not recorded: its snapshots exceed {MOST_SNAPSHOTS // 2**20} MiB.")
        for old in [*(measured[-1] for measured in self.measured), row]:
            old.weights = None

    @property
    def seconds(self) -> float:
        """How long all measurements took."""
        return float(sum(row.seconds for *_, row in self.measured))

    def columns(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the fields of :class:`dlhw.watch.spec.Result` that hold probes; names: of functions of the user."""
        rows = [row for *_, row in self.measured]

        def column(name: str) -> np.ndarray:
            return np.array([getattr(row, name) for row in rows], dtype=np.float64)

        def table(name: str, width: int) -> np.ndarray:
            return np.array([getattr(row, name) for row in rows], dtype=np.float64).reshape(len(rows), width)

        layers = tuple(self.prober.unit_layers)
        weights = [row.weights for row in rows]
        is_stored = len({w.shape for w in weights if w is not None}) == 1 and all(w is not None for w in weights)
        return {
            "probe_epoch": np.array([epoch for epoch, *_ in self.measured], dtype=np.int64),
            "probe_step": np.array([step for _, step, *_ in self.measured], dtype=np.int64),
            "probe_loss": column("loss"),
            "probe_accuracy": column("accuracy"),
            "sensitivity": column("sensitivity"),
            "sharpness": column("sharpness"),
            "edge": np.array([value for _, _, value, _ in self.measured], dtype=np.float64),
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
