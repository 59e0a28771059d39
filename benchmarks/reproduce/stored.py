"""Numbers that the kept runs of the experiments hold: the repeats are their seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reproduce.reproduction import Reproduction, Values

KEPT = Path(__file__).parents[2] / "artifacts" / "kept"


def run(name: str, folder: str = "default") -> Any:
    """Return a kept run."""
    import dlhw

    return dlhw.load(KEPT / name / folder)


def batch_mean_slope() -> Values:
    """Return the slope of log(batch-mean gradient / sensitivity) against log(batch size), by seed."""
    kept = run("sweep-batch")
    sizes = np.log(kept.settings.sizes)
    ratio = np.log(kept.result.batch_mean_gradient / kept.result.sensitivity)  # (B, S)
    return {f"seed {s}": float(np.polyfit(sizes, ratio[:, s], 1)[0]) for s in range(ratio.shape[1])}


def index_and_loss() -> Values:
    """Return Spearman's correlation of the fraction of negative curvatures and the loss at critical points."""
    numbers = run("minimal-ratio").summary().numbers
    rho, low, high = numbers["spearman_critical"]  # of the fraction that is positive
    return {"correlation": -rho, "lower end of the 95 % interval": -high, "upper end": -low}


def parameters_and_test_loss() -> Values:
    """Return Spearman's correlation of the number of parameters and the test loss."""
    numbers = run("sweep-params").summary().numbers["spearman of parameters and test loss"]
    return {
        "correlation": numbers["rho"],
        "lower end of the 95 % interval": numbers["low"],
        "upper end": numbers["high"],
    }


REPRODUCTIONS = (
    Reproduction(
        "batch-mean-sensitivity",
        "Answers to NTU MLDS 2018, HW1-3, such as JasonYao81000/MLDS2018SPRING: sensitivity against batch size",
        "figure of HW1-3",
        "Sensitivity falls with the batch size. It is the gradient of the mean loss of a batch with respect to its "
        "inputs, in which every example has the weight 1/B.",
        "falls",
        "Slope of log(gradient of the batch mean / gradient of one example) against log(batch size); -1 is the factor "
        "1/B alone",
        "CNN of 21,840 weights on MNIST, batch sizes 64 to 8000, 20 epochs",
        -1.1,
        -0.9,
        batch_mean_slope,
        "The last batch of 10,000 test images is smaller for batch sizes 4000 and 8000, hence not -1 exactly. Measured "
        "with one gradient per example, the same nets are not less sensitive after large batches.",
        command="dlhw sweep-batch 64 100 500 4000 8000",
    ),
    Reproduction(
        "index-and-loss",
        "Dauphin et al. 2014: Identifying and attacking the saddle point problem in high-dimensional non-convex "
        "optimization",
        "figure 1",
        "At critical points, the fraction of directions that curve downwards grows with the loss.",
        "positive, by eye",
        "Spearman's correlation of the fraction that does not curve upwards and the loss, with its 95 % interval",
        "99 critical points of a tanh net of ten weights on sinc",
        0.5,
        1.0,
        index_and_loss,
        "Their nets have 100 times as many weights. Where their points are merely close to critical, ours have a "
        "gradient norm below 1e-8.",
        command="dlhw minimal-ratio",
    ),
    Reproduction(
        "parameters-and-test-loss",
        "Neyshabur et al. 2015: In search of the real inductive bias",
        "figure 1",
        "Wider nets do not overfit MNIST more: the test error goes on falling with the number of hidden units.",
        "falls",
        "Spearman's correlation of the number of parameters and the test loss, with its 95 % interval",
        "ten ReLU nets 784-a-b-10 on MNIST, 10 epochs",
        -1.0,
        -0.3,
        parameters_and_test_loss,
        "After ten epochs at rate 1e-4 no net has fitted its training set, so part of this is that wide nets learn "
        "faster.",
        command="dlhw sweep-params",
    ),
)
