"""What stands for an optimizer: a name, an optimizer of Keras, or one of :mod:`dlhw.training.optimizers` itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from dlhw.errors import require
from dlhw.training.optimizers import Optimizer, optimizer

if TYPE_CHECKING:
    import keras

_RATES = {"sgd": 0.01, "nesterov": 0.01, "adam": 0.001, "rmsprop": 0.001}
"""Keras's default learning rates."""
_UNSUPPORTED = {  # settings of Keras's optimizers that our rules do not have, and the value that leaves them out
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
    "amsgrad": False,
    "centered": False,
}


def as_optimizer(value: Optimizer | str | keras.optimizers.Optimizer) -> Optimizer:
    """Return the optimizer that `value` stands for.

    Args:
        value: an :class:`Optimizer`; a name of :data:`OPTIMIZERS`, with Keras's default learning rate; or a Keras
            optimizer whose rule is implemented here. Only the settings of a Keras optimizer are read: training always
            starts with a fresh state.

    Returns:
        The rule.

    Raises:
        UserError: for anything else, and for settings of a Keras optimizer that are not supported, such as
            clipping or a learning rate schedule.

    Example:
        >>> from dlhw.training import as_optimizer
        >>> as_optimizer("adam").learning_rate
        0.001
    """
    import keras

    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str):
        return optimizer(value, _RATES.get(value, 0.01))
    kinds = {
        keras.optimizers.SGD: "sgd",
        keras.optimizers.Adam: "adam",
        keras.optimizers.AdamW: "adam",
        keras.optimizers.RMSprop: "rmsprop",
    }
    require(
        type(value) in kinds,
        f"optimizer {type(value).__name__} is unknown; use dlhw.training.optimizer(name, learning_rate), or a Keras "
        "SGD, Adam, AdamW or RMSprop",
    )
    config = value.get_config()
    for name, off in _UNSUPPORTED.items():
        set_to = config.get(name, off)
        require(set_to in (off, None), f"the Keras optimizer has {name}={set_to}; it is not supported, leave it out")
    rate = config["learning_rate"]
    require(isinstance(rate, (int, float)), "the Keras optimizer has a schedule of the learning rate; use a number")
    name, momentum = kinds[type(value)], float(config.get("momentum", 0.0))
    require(name == "sgd" or momentum == 0, f"RMSprop has momentum={momentum:g}; it is not supported, leave it out")
    more: dict[str, Any] = {key: float(config[key]) for key in ("beta_1", "beta_2", "rho", "epsilon") if key in config}
    excluded = getattr(value, "_exclude_from_weight_decay", None) or getattr(
        value, "_exclude_from_weight_decay_pattern", None
    )
    require(not excluded, "the Keras optimizer excludes variables from weight decay; it is not supported, leave it out")
    result = optimizer(
        "nesterov" if config.get("nesterov") else name, float(rate), momentum, config.get("weight_decay") or 0.0
    )
    return dataclasses.replace(result, **more)
