"""The measures that are ranked: what they are called, and how they are taken of a trained net."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlhw import datasets
from dlhw.runs.callbacks import gap_error

if TYPE_CHECKING:
    import keras

BOX, STEP, RADIUS = 1e-3, 0.05, 1.0
"""Size of Keskar's box, length of the step of SAM's sharpness, radius of the random ball."""
PRODUCTS, BALL_SAMPLES, STARTS = 30, 20, 1
"""Products of the estimate of the trace, points on the ball, random starts of Keskar's search."""
TOLERANCE = 1e-3
"""Residual of the largest eigenvalue, relative to it, below which it counts as converged."""


@dataclass(frozen=True)
class Measure:
    """One of the measures. Of each, theory expects a larger gap where it is larger."""

    key: str  # field of the result
    name: str
    log: bool = True  # whether an axis of it is logarithmic


MEASURES = (
    Measure("squared_norm", "squared weight norm"),
    Measure("spectral_product", "product of spectral norms", log=False),
    Measure("path_norm", "path norm"),
    Measure("distance", "distance from the start"),
    Measure("inverse_margin", "inverse squared margin"),
    Measure("spectral_over_margin", "spectral norms over margin", log=False),
    Measure("keskar", "Keskar's sharpness"),
    Measure("sam", "SAM sharpness"),
    Measure("random_ball", "rise on a random ball"),
    Measure("eigenvalue", "largest Hessian eigenvalue"),
    Measure("trace", "trace of the Hessian"),
    Measure("sensitivity", "sensitivity to the input"),
    Measure("jacobian", "Jacobian norm"),
    Measure("gradient_noise", "gradient noise"),
)
"""What is ranked."""
CONTROLS = (Measure("parameters", "number of parameters"), Measure("train_loss", "training loss at the stop"))
"""What a measure has to beat: it needs no measurement, or should be equal for all nets."""


def measure_net(
    examples: int,
    start: tuple[tuple[tuple[int, ...], ...], str, int],
    epoch: int,
    model: keras.Model,
    data: datasets.Data,
) -> dict[str, np.ndarray]:
    """Take all measures of a net where its training ends.

    Args:
        examples: training examples on which measures are taken.
        start: shapes of the kernels, init and seed of the initial weights.
        epoch: last epoch.
        model: the net.
        data: all of the data.
    """

    began = time.perf_counter()
    rows = datasets.fixed_sample(len(data.x_train), examples)
    subset = data.x_train[rows], data.y_train[rows]
    values = {"gap_error": gap_error(model, data), "epochs": np.array(float(epoch))}
    values |= _of_weights(model, subset, start) | _of_surroundings(model, subset) | _of_inputs(model, subset)
    return values | {"measure_seconds": np.array(time.perf_counter() - began)}


def _of_weights(
    model: keras.Model,
    subset: tuple[np.ndarray, np.ndarray],
    start: tuple[tuple[tuple[int, ...], ...], str, int],
) -> dict[str, np.ndarray]:
    """Return the norms, the distance from the start, and the margins."""
    from dlhw import measure, models

    kernels, init, seed = start
    theta = measure.flat(model).astype(np.float64)
    first = np.concatenate([w.ravel() for w in models.draw_weights(kernels, init=init, seed=seed)])  # type: ignore[arg-type]
    spectral = float(np.log(measure.kernel_norms(model).spectral ** 2).sum())
    margin = measure.margins(model, *subset).percentile(10)
    inverse = margin**-2 if margin > 0 else np.nan
    return {
        "squared_norm": np.array(theta @ theta),
        "spectral_product": np.array(spectral),
        "path_norm": np.array(measure.path_norm(model)),
        "distance": np.array(np.linalg.norm(theta - first)),
        "inverse_margin": np.array(inverse),
        "spectral_over_margin": np.array(spectral + np.log(inverse)),
    }


def _of_surroundings(model: keras.Model, subset: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the sharpness and the curvature of the training loss, with the quality of both."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    box = measure.keskar(model, cross_entropy, *subset, epsilon=BOX, starts=STARTS)
    hessian = measure.hessian(model, cross_entropy, *subset, check=False)
    top = measure.eigenpairs(hessian, steps=60, tolerance=TOLERANCE)
    trace = measure.trace(hessian, products=PRODUCTS)
    ball = measure.random_ball(model, cross_entropy, *subset, radius=RADIUS, samples=BALL_SAMPLES)
    noise = measure.gradient_noise_scale(model, cross_entropy, *subset)
    return {
        "keskar": np.array(box.value),
        "keskar_settled": np.array(float(box.settled)),
        "sam": np.array(measure.sam(model, cross_entropy, *subset, rho=STEP).value),
        "random_ball": np.array(ball.mean),
        "random_ball_error": np.array(ball.standard_error),
        "eigenvalue": top.values[0],
        "eigenvalue_residual": top.residuals[0],
        "trace": np.array(trace.value),
        "trace_error": np.array(trace.standard_error),
        "gradient_noise": np.array(noise.trace),
    }


def _of_inputs(model: keras.Model, subset: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Return how the loss and the outputs depend on the images."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    return {
        "sensitivity": np.array(measure.sensitivity(model, cross_entropy, *subset).mean),
        "jacobian": np.array(measure.jacobian_norm(model, subset[0]).mean),
    }
