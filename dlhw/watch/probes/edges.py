"""The edge of stability of an optimizer: the curvature above which its steps overshoot ever further."""

from __future__ import annotations

from typing import Any

import keras


def edge(optimizer: Any) -> float:
    """Return the largest Hessian eigenvalue at which steps on a quadratic converge.

    With rate eta and momentum beta it is 2 / eta for gradient descent, 2 (1 + beta) / eta for heavy ball and
    2 (1 + beta) / (eta (1 + 2 beta)) for Nesterov's momentum, as Keras takes them (Cohen et al. 2021, appendix B).
    Decoupled weight decay lambda shrinks the weights by d = 1 - eta lambda before each step, which puts 1 + d in the
    place of 2. Clipping is not considered: it changes what happens beyond the edge, not where it is.

    Args:
        optimizer: of Keras; the inner one of a LossScaleOptimizer counts.

    Returns:
        The edge at the present learning rate, in units of the loss per squared weight; nan for optimizers that scale
        the gradient of every weight by itself, and for those that change the step of SGD.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, keras.optimizers.SGD):
        return float("nan")
    if type(optimizer).update_step is not keras.optimizers.SGD.update_step:
        return float("nan")
    eta, beta = float(optimizer.learning_rate), float(optimizer.momentum)
    if not eta > 0:
        return float("nan")
    decay = float(optimizer.weight_decay or 0.0)
    width = 2 - eta * decay
    return width * (1 + beta) / (eta * (1 + 2 * beta if optimizer.nesterov else 1))
