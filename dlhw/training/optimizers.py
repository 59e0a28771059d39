"""Optimizers as pure functions of tensors, equal to `keras.optimizers` step for step.

A Keras optimizer owns variables, so it cannot train a stack of nets held as loop tensors, and
`optimizer.stateless_apply` does not exist on the TensorFlow backend. Every rule here is elementwise,
so it acts on a stack of S nets as it does on one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import tensorflow as tf

from dlhw._tf.types import Tensor, Tensors
from dlhw.choices import OptimizerName
from dlhw.errors import require

if TYPE_CHECKING:
    import keras

OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)


@dataclass(frozen=True)
class Optimizer:
    """A first-order rule: `slots` makes its memory, `step` moves the parameters.

    sgd       m <- momentum m - lr g;  p <- p + m                          (Polyak 1964)
    nesterov  m <- momentum m - lr g;  p <- p + momentum m - lr g          (Sutskever et al. 2013)
    adam      m, v moving averages;    p <- p - lr_t m/(sqrt(v) + epsilon) (Kingma and Ba 2015)
    rmsprop   v <- rho v + (1-rho) g^2; p <- p - lr g/sqrt(v + epsilon)    (Tieleman and Hinton 2012)
    """

    name: OptimizerName
    learning_rate: float
    momentum: float = 0.0  # sgd and nesterov
    beta_1: float = 0.9  # adam
    beta_2: float = 0.999  # adam
    rho: float = 0.9  # rmsprop
    epsilon: float = 1e-7  # adam and rmsprop

    def slots(self, parameters: Tensors) -> tuple[list[Tensor], ...]:
        """Return the initial state of the optimizer.

        Args:
            parameters: trainable tensors of any shapes.

        Returns:
            Zeros in the shapes of the parameters: one list, or two for adam.
        """
        return tuple([tf.zeros_like(p) for p in parameters] for _ in range(2 if self.name == "adam" else 1))

    def apply(self, count: Tensor, variables: Tensors, gradients: Tensors, slots: Tensors) -> None:
        """Update variables in place, as :meth:`step` does for tensors.

        Uses TensorFlow's fused kernel of the rule where there is one. It reads and writes every number once, which
        halves the time of a step with hundreds of thousands of weights.

        Args:
            count: number of the update, 1, 2, ..., an integer tensor; only adam uses it.
            variables: trainable variables.
            gradients: their gradients.
            slots: the state, lists of variables with the shapes of :meth:`slots`.
        """
        lr, mu = self.learning_rate, self.momentum
        for k, (v, g) in enumerate(zip(variables, gradients, strict=True)):

            def c(value: float, dtype: Any = v.dtype) -> Tensor:
                return tf.constant(value, dtype)  # tf.cast would round a Python number to float32 on the way

            if self.name == "adam":
                tf.raw_ops.ResourceApplyAdam(
                    var=v.handle,
                    m=slots[0][k].handle,
                    v=slots[1][k].handle,
                    beta1_power=c(self.beta_1) ** tf.cast(count, v.dtype),
                    beta2_power=c(self.beta_2) ** tf.cast(count, v.dtype),
                    lr=c(lr),
                    beta1=c(self.beta_1),
                    beta2=c(self.beta_2),
                    epsilon=c(self.epsilon),
                    grad=g,
                )
            elif self.name == "rmsprop":  # TensorFlow's kernel carries a momentum that Keras's rule does not have
                (moved,), ((mean,),) = self.step(
                    count, [tf.convert_to_tensor(v)], [g], ([tf.convert_to_tensor(slots[0][k])],)
                )
                for variable, value in ((v, moved), (slots[0][k], mean)):  # by its handle: that of the own replica
                    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
            elif mu == 0:
                tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=c(lr), delta=g)
            else:
                tf.raw_ops.ResourceApplyKerasMomentum(
                    var=v.handle,
                    accum=slots[0][k].handle,
                    lr=c(lr),
                    grad=g,
                    momentum=c(mu),
                    use_nesterov=self.name == "nesterov",
                )

    def step(
        self,
        count: tf.Tensor,
        parameters: Tensors,
        gradients: Tensors,
        slots: tuple[list[Tensor], ...],
    ) -> tuple[list[Tensor], tuple[list[Tensor], ...]]:
        """Return parameters and state after one update.

        Args:
            count: number of the update, 1, 2, ..., an integer tensor; only adam uses it.
            parameters: trainable tensors.
            gradients: their gradients.
            slots: the state, see :meth:`slots`.

        Returns:
            The new parameters and the new state.
        """
        lr, old = self.learning_rate, slots[0]
        if self.name == "adam":
            return self._adam(count, parameters, gradients, slots)
        if self.name == "rmsprop":
            v = [self.rho * a + (1 - self.rho) * tf.square(g) for a, g in zip(old, gradients, strict=True)]
            moved = [p - lr * g / tf.sqrt(a + self.epsilon) for p, g, a in zip(parameters, gradients, v, strict=True)]
            return moved, (v,)
        if self.momentum == 0:
            return [p - lr * g for p, g in zip(parameters, gradients, strict=True)], slots
        m = [self.momentum * a - lr * g for a, g in zip(old, gradients, strict=True)]
        if self.name == "nesterov":
            moved = [p + self.momentum * a - lr * g for p, a, g in zip(parameters, m, gradients, strict=True)]
        else:
            moved = [p + a for p, a in zip(parameters, m, strict=True)]
        return moved, (m,)

    def _adam(
        self,
        count: tf.Tensor,
        parameters: Tensors,
        gradients: Tensors,
        slots: tuple[list[Tensor], ...],
    ) -> tuple[list[Tensor], tuple[list[Tensor], ...]]:
        dtype = parameters[0].dtype
        t = tf.cast(count, dtype)
        b1, b2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        rate = self.learning_rate * tf.sqrt(1 - tf.pow(b2, t)) / (1 - tf.pow(b1, t))
        m = [a + (g - a) * (1 - self.beta_1) for a, g in zip(slots[0], gradients, strict=True)]
        v = [a + (tf.square(g) - a) * (1 - self.beta_2) for a, g in zip(slots[1], gradients, strict=True)]
        moved = [p - rate * a / (tf.sqrt(b) + self.epsilon) for p, a, b in zip(parameters, m, v, strict=True)]
        return moved, (m, v)


def optimizer(name: str, learning_rate: float, momentum: float = 0.0) -> Optimizer:
    """Return the optimizer called `name`; other settings are Keras's defaults.

    Args:
        name: one of :data:`OPTIMIZERS`: sgd, nesterov, adam, rmsprop.
        learning_rate: step size.
        momentum: of sgd and nesterov, in [0, 1).

    Returns:
        The optimizer, a pure function of tensors.

    Raises:
        UserError: for an unknown name, values out of range, and momentum for adam or rmsprop.

    Example:
        >>> from dlhw.training import optimizer
        >>> optimizer("sgd", 0.1, 0.9).momentum
        0.9
    """
    require(name in OPTIMIZERS, f"`optimizer` {name!r} is unknown; use {', '.join(OPTIMIZERS)}")
    require(learning_rate > 0, f"`learning_rate` {learning_rate:g} must be positive")
    require(0 <= momentum < 1, f"`momentum` {momentum:g} must lie in [0, 1)")
    require(momentum == 0 or name in ("sgd", "nesterov"), f"`momentum` applies to sgd and nesterov, not to {name}")
    return Optimizer(name, float(learning_rate), float(momentum))  # type: ignore[arg-type]


_RATES = {"sgd": 0.01, "nesterov": 0.01, "adam": 0.001, "rmsprop": 0.001}
"""Keras's default learning rates."""
_UNSUPPORTED = {  # settings of Keras's optimizers that our rules do not have, and the value that leaves them out
    "weight_decay": None,
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
        UserError: for anything else, and for settings of a Keras optimizer that are not supported, such as weight
            decay, clipping or a learning rate schedule.

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
    kinds = {keras.optimizers.SGD: "sgd", keras.optimizers.Adam: "adam", keras.optimizers.RMSprop: "rmsprop"}
    require(
        type(value) in kinds,
        f"optimizer {type(value).__name__} is unknown; use dlhw.training.optimizer(name, learning_rate), or a Keras "
        "SGD, Adam or RMSprop",
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
    result = optimizer("nesterov" if config.get("nesterov") else name, float(rate), momentum)
    return dataclasses.replace(result, **more)
