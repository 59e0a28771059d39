"""Relatives of the Hessian that are never negative: the generalized Gauss-Newton matrix and the Fisher information."""

from __future__ import annotations

from typing import Literal

import keras
from scipy.sparse.linalg import LinearOperator

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.hessians import operator
from dlhw.measure.likelihoods import check_likelihood
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.outer_product_check import check_outer_products
from dlhw.models.selection import Layers


@check_numbers
def ggn(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    layers: Layers = None,
    batch_size: int = BATCH,
    check: bool = True,
) -> LinearOperator:
    """Return the generalized Gauss-Newton matrix over all of (x, y), as an operator of shape (P, P).

    G = (1/n) sum_i J_i^T L_i J_i, with J_i the Jacobian of the outputs z_i of the model with respect to the weights and
    L_i the Hessian of the loss of example i with respect to z_i (Schraudolph 2002, Fast curvature matrix-vector
    products; Martens 2020, New insights and perspectives on the natural gradient method). It is the Hessian of the loss
    of the model linearized at its weights: H minus the part of the curvature of the model itself, which vanishes where
    all residuals do. For losses that are convex in z, G has no negative eigenvalues; for a model that is linear in its
    weights, G = H without regularizers.

    Keras's mean squared error is the mean over the C outputs too, so that L_i = (2/C) I and G = (2/(n C)) J^T J.
    "Outputs" are those of the model: for one that ends with a softmax, z are probabilities, and G differs from that of
    the same net with its logits as outputs. Losses that layers add (regularizers) are no functions of z and left out.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        layers: as in :func:`dlhw.measure.hessian`: the block of these layers.
        batch_size: examples per chunk; it changes rounding and memory only.
        check: compare one product with a difference quotient, in float64 on a few examples, before anything is
            returned.

    Returns:
        The operator; `@` multiplies it with vectors (P,). A product costs about as much as one of the Hessian.

    Raises:
        UserError: for names of layers that the model does not have, and where derivatives are missing or wrong.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> g = measure.ggn(net, "mse", x, y)
        >>> bool(measure.eigenpairs(g, which="smallest").values[0] > -1e-12)
        True
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    if check:
        check_outer_products(objective)
    return operator(objective, "ggn")


@check_numbers
def fisher(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    kind: Literal["true", "empirical"] = "true",
    layers: Layers = None,
    batch_size: int = BATCH,
    check: bool = True,
) -> LinearOperator:
    """Return the Fisher information matrix of the weights over the inputs x, as an operator of shape (P, P).

    true: F = (1/n) sum_i E[s s^T], s = d l_i / d theta with l_i the negative log likelihood of example i, over targets
        drawn from the distribution that the outputs of the model stand for, taken exactly and not by sampling; `y` only
        says which entries count. The distribution is that of which the loss is the negative log likelihood: categories
        or bits with the predicted probabilities for cross entropies; a normal distribution of variance C/2 for Keras's
        mean squared error, the mean over C outputs. Where the loss is a mean over C bits or T positions, l_i is their
        sum, and F is divided by C or T once, as the loss is. It equals :func:`ggn` for cross entropy from logits and
        for squared errors (F = (2/(n C)) J^T J).
    empirical: (1/n) sum_i g_i g_i^T with the gradients g_i of the losses of the examples at the observed targets. It
        is not an approximation of the true one away from a perfect fit, and vanishes at one (Kunstner et al. 2019,
        Limitations of the empirical Fisher approximation for natural gradient descent). For a mean over C bits or T
        positions it is on another scale: a gradient of the mean has 1/C or 1/T, its square 1/C^2 or 1/T^2, so that its
        expectation over targets drawn from the outputs is the true one divided by C or T.

    Losses that layers add (regularizers) are left out of both.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`; for kind="true" a cross entropy or the mean squared error.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        kind: see above.
        layers: as in :func:`dlhw.measure.hessian`: the block of these layers.
        batch_size: examples per chunk; it changes rounding and memory only.
        check: as in :func:`ggn`.

    Returns:
        The operator; `@` multiplies it with vectors (P,).

    Raises:
        UserError: for losses whose distribution is not known, such as with smoothed labels, an unknown kind, names of
            layers that the model does not have, and kind="empirical" where the loss of an example depends on the
            others.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> v = np.ones(13)
        >>> bool(np.allclose(measure.fisher(net, "mse", x, y) @ v, measure.ggn(net, "mse", x, y) @ v))
        True
    """
    require(kind in ("true", "empirical"), f"`kind` {kind!r} is unknown; use true or empirical")
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    if kind == "true":
        check_likelihood(objective.loss)
    require(
        kind == "true" or objective.probe.separable,
        "the loss of an example depends on the other examples of its batch, so it has no gradient of its own",
    )
    if check:
        check_outer_products(objective)
    return operator(objective, "fisher" if kind == "true" else "empirical")
