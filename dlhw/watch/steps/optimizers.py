"""The optimizers of a model, and what they are in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

SHOWN: tuple[str, ...] = (
    "learning_rate",
    "momentum",
    "nesterov",
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
)
SHOWN += ("gradient_accumulation_steps", "use_ema")


def optimizers_of(model: keras.Model) -> list[tuple[str, keras.optimizers.Optimizer]]:
    """Return every optimizer that a model holds, with a name: the compiled one first, then those of its attributes."""
    found_optimizers: dict[int, tuple[str, keras.optimizers.Optimizer]] = {}
    if isinstance(model.optimizer, keras.optimizers.Optimizer):
        found_optimizers[id(model.optimizer)] = ("optimizer", model.optimizer)
    # Under names of its own that begin with _self_, TensorFlow holds everything once more.
    for name, value in [(n, v) for n, v in vars(model).items() if not n.startswith("_self_")]:
        for held in _flat(value):
            inner = {id(o): o for _, o in found_optimizers.values()}
            if isinstance(held, keras.optimizers.Optimizer) and id(held) not in inner:
                found_optimizers[id(held)] = (name.lstrip("_"), held)
    return _distinct(list(found_optimizers.values()))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, (list, tuple)):
        yield from value
    else:
        yield value


def _distinct(named: list[tuple[str, keras.optimizers.Optimizer]]) -> list[tuple[str, keras.optimizers.Optimizer]]:
    """Number the optimizers that share a name, such as those of one list."""
    met: dict[str, int] = {}
    for k, (name, optimizer) in enumerate(named):
        met[name] = met.get(name, 0) + 1
        named[k] = (name if met[name] == 1 else f"{name} {met[name]}", optimizer)
    return named


def _config(make: Callable[[], keras.optimizers.Optimizer]) -> dict[str, Any]:
    """Return the configuration of an optimizer; {} where a class of the user has none."""
    try:
        return dict(make().get_config())
    except Exception:
        return {}


def described(optimizer: keras.optimizers.Optimizer) -> str:
    """Return the class of an optimizer, its learning rate, and what differs from its defaults."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    inner = optimizer.inner_optimizer if scales else optimizer
    config, defaults = _config(lambda: inner), _config(type(inner))
    parts = []
    for name in SHOWN:
        value = config.get(name)
        if (name == "learning_rate" and value is not None) or (value is not None and value != defaults.get(name)):
            shown = value["class_name"] if isinstance(value, dict) else value
            parts.append(f"{name}={shown:.3g}" if isinstance(shown, float) else f"{name}={shown}")
    words = f"{type(inner).__name__}({', '.join(parts)})"
    return words if inner is optimizer else f"{type(optimizer).__name__} of {words}"
