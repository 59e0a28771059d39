"""Compare Gauss-Newton products with difference quotients, as TensorFlow's derivatives of gradients may be wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlhw._tf.inputs import first_line
from dlhw.errors import UserError, warn
from dlhw.measure.derivative_check import compare, evaluated, few_examples, in_float64, named_error
from dlhw.measure.objective import Objective
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]


def check_outer_products(objective: Objective) -> None:
    """Compare G v along a random direction v with the difference of J' (gradient of the loss in the outputs) along v.

    J stays that of the weights, so that the derivative is G v and not H v. It covers J v, J' and the second derivative
    of the loss, in float64 on a few examples where the model can be copied into it.

    Raises:
        UserError: for derivatives that are missing or wrong.
    """
    wide = in_float64(objective)
    small = wide or few_examples(objective, objective.model)
    theta = small.theta
    v = np.random.default_rng(0).normal(size=small.size)
    with restore_weights(small.model):
        try:
            (product,) = evaluated(small, "ggn", v)
        except (LookupError, TypeError, NotImplementedError, UserError) as error:
            raise named_error(small, f"has no second derivative ({first_line(error)})") from None

        def gradient(at: Array) -> Array:
            small.move(at)
            (slope,) = evaluated(small, "slope")
            small.move(theta)
            return evaluated(small, "pulled", small.denominator * slope)[0]

        comparison = compare(gradient, theta, v, product, 8 if wide else 4)
        small.move(theta)
    if comparison.agrees:
        return
    is_nan = not np.isfinite(product).all() and np.isfinite(comparison.differences).all()
    if wide and (comparison.is_smooth or is_nan):
        raise named_error(small, "has derivatives of its gradient that do not match differences of its outputs")
    why = "kinks lie closer to the weights than the step" if wide else "float32 is too coarse to tell why"
    warn(
        f"a Gauss-Newton product of {objective.model.name!r} differs from the difference of its gradients: {why}. It "
        "is that of the smooth piece in which the weights lie"
    )
