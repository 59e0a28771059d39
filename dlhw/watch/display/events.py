"""What TensorBoard shows of a watched training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlhw.errors import require
from dlhw.watch.spec import Result

MOST_STEPS = 200
"""Steps of one epoch that are written; TensorBoard itself shows a sample of a thousand."""


class Events:
    """Event files of a watched training.

    Args:
        folder: in which they are written.

    Raises:
        UserError: if TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        from importlib.util import find_spec

        installed = find_spec("tensorboard") is not None
        require(installed, '`tensorboard` needs the package of that name: pip install "dlhw[tensorboard]"')
        self.folder = folder
        self.rows = self.probes = 0  # that are written

    def write(self, result: Result) -> None:
        """Write the steps and probes that are new."""
        from dlhw.training.tensorboard import EventWriter

        writer = EventWriter(self.folder)
        new = np.arange(self.rows, len(result.step))
        for k in new[:: max(1, -(-len(new) // MOST_STEPS))]:
            writer.write(int(result.step[k]), _of_step(result, int(k)))
        for k in range(self.probes, len(result.probe_epoch)):
            writer.write(int(result.probe_step[k]), _of_probe(result, k))
        writer.close()
        self.rows, self.probes = len(result.step), len(result.probe_epoch)


def _of_step(result: Result, k: int) -> dict[str, float]:
    scalars = {"step/loss": float(result.loss[k]), "step/learning rate": float(result.learning_rate[k])}
    for name, norm, update, weight in zip(
        result.layers, result.gradient_norm[k], result.update_norm[k], result.weight_norm[k], strict=True
    ):
        scalars[f"gradient norm/{name}"] = float(norm)
        if weight > 0:
            scalars[f"update ratio/{name}"] = float(update / weight)
    return _finite(scalars)


def _of_probe(result: Result, k: int) -> dict[str, float]:
    columns = {
        "loss": result.probe_loss,
        "accuracy": result.probe_accuracy,
        "sensitivity": result.sensitivity,
        "sharpness": result.sharpness,
        "edge": result.edge,
        "noise scale": result.noise_scale,
    }
    scalars = {f"probe/{name}": float(column[k]) for name, column in columns.items()}
    scalars |= {
        f"dead units/{name}": float(v) for name, v in zip(result.unit_layers, result.dead_share[k], strict=True)
    }
    scalars |= {f"probe/{n}": float(v) for n, v in zip(result.function_names, result.functions[k], strict=True)}
    return _finite(scalars)


def _finite(scalars: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in scalars.items() if np.isfinite(value)}
