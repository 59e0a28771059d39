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


def sharpness_at_the_edge() -> Values:
    """Return the late sharpness over 2 / rate, median over seeds, of every rate at which all seeds reach that line."""
    kept = run("edge")
    numbers = kept.summary().numbers
    rows = {f"rate {rate:g}": numbers[f"rate {rate:g}"] for rate in kept.settings.learning_rates}
    return {name: row["late_ratio"]["median"] for name, row in rows.items() if min(row["reached_at"]) >= 0}


def interpolation_peak() -> Values:
    """Return where the test error is largest, as a multiple of the examples, by noise of the labels and seed."""
    kept = run("double-descent")
    at = kept.result.features[kept.result.test_error.argmax(axis=1)] / kept.settings.examples  # (L, S)
    return {
        f"noise {noise:g}, seed {s}": float(at[k, s])
        for k, noise in enumerate(kept.settings.noise)
        for s in range(at.shape[1])
    }


REPRODUCTIONS = (
    Reproduction(
        "edge-of-stability",
        "Cohen et al. 2021: Gradient descent on neural networks typically occurs at the edge of stability",
        "figure 1",
        "In full-batch training, the largest eigenvalue of the Hessian rises to 2 / learning rate and then stays just "
        "above it.",
        "just above 1",
        "Largest eigenvalue over 2 / learning rate, median of the last quarter of the steps and of five seeds, for "
        "every rate at which all seeds reach that line",
        "tanh net of 901 weights on sinc, 8000 steps of gradient descent",
        0.97,
        1.1,
        sharpness_at_the_edge,
        "The smallest rate has not reached its line after 8000 steps, and is left out.",
        command="dlhw edge",
    ),
    Reproduction(
        "interpolation-peak",
        "Belkin et al. 2019: Reconciling modern machine-learning practice and the classical bias-variance trade-off",
        "figure 2",
        "The test error of random Fourier features on MNIST, n = 4000, has its peak where there are as many features "
        "as examples.",
        "1",
        "Number of features with the largest test error, over the number of examples",
        "least-norm solutions for features of 4000 images of MNIST, with 0 and 20 % of the labels shuffled; the next "
        "points of the grid are 0.9 and 1.1",
        0.9,
        1.1,
        interpolation_peak,
        command="dlhw double-descent",
    ),
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
