"""Train every net from every seed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from dlhw.experiments.classify.spec import Result, Settings
from dlhw.runs import image_training, records
from dlhw.runs.context import Context
from dlhw.runs.jobs import make_job


def run(settings: Settings, context: Context) -> Result:
    """Train every net from every seed."""
    until_converged = settings.until == "converged"
    rows = {net: partial(make_job, settings, net, until_converged=until_converged) for net in settings.models}
    trained = image_training.train_rows(settings, rows, context)
    result = records.stack_curves(trained, Result)
    if not until_converged:
        return result
    return replace(result, stopped_at=np.array([[record.stopped_at for record in row] for row in trained]))
