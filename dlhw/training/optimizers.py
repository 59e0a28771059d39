"""Optimizers as pure functions of tensors, equal to `keras.optimizers` step for step.

A Keras optimizer owns variables, so it cannot train a stack of nets held as loop tensors, and
`optimizer.stateless_apply` does not exist on the TensorFlow backend. Every rule here is elementwise,
so it acts on a stack of S nets as it does on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import tensorflow as tf

from dlhw._tf.types import Tensor, Tensors
from dlhw.choices import WITH_MOMENTUM, Decay, OptimizerName
from dlhw.errors import check_numbers, require

OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)


@dataclass(frozen=True)
class Optimizer:
    """A first-order rule: `slots` makes its memory, `step` moves the parameters.

    sgd       m <- momentum m - lr g;  p <- p + m                          (Polyak 1964)
    nesterov  m <- momentum m - lr g;  p <- p + momentum m - lr g          (Sutskever et al. 2013)
    adam      m, v moving averages;    p <- p - lr_t m/(sqrt(v) + epsilon) (Kingma and Ba 2015)
    rmsprop   v <- rho v + (1-rho) g^2; p <- p - lr g/sqrt(v + epsilon)    (Tieleman and Hinton 2012)

    Weight decay w acts on all trainable tensors, biases too, as `weight_decay` of a Keras optimizer does:
    decoupled p <- p - lr w p before the update (Loshchilov and Hutter 2019; adam with it is Keras's AdamW)
    l2        g <- g + w p, the gradient of the loss with the penalty w/2 |p|^2

    With a `radius` any of these is sharpness-aware (SAM, Foret et al. 2021): g is the gradient of the same batch at
    p + radius g1/|g1|, where g1 is the one at p; weight decay acts at p.
    """

    name: OptimizerName
    learning_rate: float
    momentum: float = 0.0  # sgd and nesterov
    beta_1: float = 0.9  # adam
    beta_2: float = 0.999  # adam
    rho: float = 0.9  # rmsprop
    epsilon: float = 1e-7  # adam and rmsprop
    weight_decay: float = 0.0
    decay: Decay = "decoupled"
    radius: float = 0.0  # rho of sam; 0: one gradient a step

    def ascended(self, parameters: Tensors, gradients: Tensors, axis: tuple[int, ...] | None = None) -> list[Tensor]:
        """Return where SAM takes its second gradient: p + radius g/|g|, with the norm over all parameters.

        Args:
            parameters: trainable tensors.
            gradients: their gradients.
            axis: axes of one net in a stack of nets, each of which has a norm of its own; None: all.

        Returns:
            Tensors in the shapes of the parameters, equal to them where the gradient vanishes.
        """
        squares = [tf.reduce_sum(tf.square(g), axis, keepdims=axis is not None) for g in gradients]
        norm = tf.sqrt(tf.add_n(squares))
        scale = tf.math.divide_no_nan(tf.constant(self.radius, norm.dtype), norm)
        return [p + scale * g for p, g in zip(parameters, gradients, strict=True)]

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

            if self.weight_decay and self.name != "rmsprop":  # whose rule below is `step`, with the decay in it
                if self.decay == "l2":
                    g = g + c(self.weight_decay) * tf.convert_to_tensor(v)
                else:
                    tf.raw_ops.AssignVariableOp(resource=v.handle, value=self._decayed(tf.convert_to_tensor(v)))
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
        if self.weight_decay and self.decay == "l2":
            gradients = [g + self.weight_decay * p for p, g in zip(parameters, gradients, strict=True)]
        elif self.weight_decay:
            parameters = [self._decayed(p) for p in parameters]
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

    def _decayed(self, p: Tensor) -> Tensor:
        """Return a tensor after decoupled weight decay, in the order of products that Keras has."""
        rate, weight = (tf.convert_to_tensor(value, p.dtype) for value in (self.learning_rate, self.weight_decay))
        return p - p * weight * rate

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


@check_numbers
def optimizer(
    name: str,
    learning_rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    decay: Decay = "decoupled",
    *,
    rho: float | None = None,
    base: str | None = None,
) -> Optimizer:
    """Return the optimizer called `name`; other settings are Keras's defaults.

    Args:
        name: one of :data:`OPTIMIZERS`: sgd, nesterov, adam, rmsprop, sam.
        learning_rate: step size.
        momentum: of sgd, nesterov and sam, in [0, 1).
        weight_decay: of all trainable tensors, 0 or more.
        decay: decoupled (as Keras's `weight_decay` and AdamW), or l2 (added to the gradient, as PyTorch's SGD).
        rho: of sam, the distance at which the second gradient of a step is taken; default 0.05, as in the paper.
        base: of sam, the optimizer that uses the second gradient; default sgd.

    Returns:
        The optimizer, a pure function of tensors.

    Raises:
        UserError: for an unknown name, values out of range, momentum for adam or rmsprop, and `rho` or `base` without
            sam.

    Example:
        >>> from dlhw.training import optimizer
        >>> optimizer("sgd", 0.1, 0.9).momentum
        0.9
        >>> optimizer("sam", 0.1, 0.9, rho=0.1).radius
        0.1
    """
    known, radius = ", ".join(OPTIMIZERS), 0.0
    require(name in OPTIMIZERS, f"`optimizer` {name!r} is unknown; use {known}")
    if name == "sam":
        name, radius = base or "sgd", 0.05 if rho is None else float(rho)
        require(name in OPTIMIZERS and name != "sam", f"`base` {name!r} is unknown; use one of {known} but sam")
        require(0 < radius < float("inf"), f"`rho` {radius:g} must be positive and finite")
    else:
        require(rho is None and base is None, f"`rho` and `base` apply to sam, not to {name}; leave them out")
    require(learning_rate > 0, f"`learning_rate` {learning_rate:g} must be positive")
    require(0 <= momentum < 1, f"`momentum` {momentum:g} must lie in [0, 1)")
    takes = ", ".join(WITH_MOMENTUM[:-1]) + f" and {WITH_MOMENTUM[-1]}"
    require(momentum == 0 or name in WITH_MOMENTUM, f"`momentum` applies to {takes}, not to {name}")
    require(decay in get_args(Decay), f"`decay` {decay!r} is unknown; use {', '.join(get_args(Decay))}")
    limit = 1 / learning_rate
    require(0 <= weight_decay < limit, f"`weight_decay` {weight_decay:g} must lie in [0, {limit:g}), 1 / learning rate")
    rates = {"learning_rate": float(learning_rate), "momentum": float(momentum), "weight_decay": float(weight_decay)}
    return Optimizer(name, **rates, decay=decay, radius=radius)  # type: ignore[arg-type]
