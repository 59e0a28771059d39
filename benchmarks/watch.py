"""What `dlhw.Watch` costs in `model.fit`: the same training without and with it, taken in turn.

    python -m benchmarks.watch --rounds 9

Every net trains on random numbers in batches of 64. "norms": loss, gradient norms and shares that are not finite at
every step, and updates, weights and zeros at every 16th; "all": all of them at every step. Ratios are medians over the
rounds of the time of an epoch divided by that of the round without.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

BATCH, STEPS = 64, 200
VARIANTS: dict[str, dict[str, Any] | None] = {"without": None, "norms": {"update_every": 16}, "all": {}}


def data(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return random inputs and labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, *shape)).astype("float32")
    return x, rng.integers(0, 10, len(x))


def mlp() -> Any:
    """Return 784-350-128-10, 320,968 weights."""
    import keras

    layers = [keras.layers.Dense(350, "relu"), keras.layers.Dense(128, "relu"), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input((784,)), *layers])


def cnn() -> Any:
    """Return the CNN of `interpolate`."""
    from dlhw.models import image_net

    return image_net("10c5-p2-20c5-p2-50", seed=0)


NETS = {"MLP, 320,968 weights": mlp, "CNN of interpolate": cnn}


class Training:
    """One compiled net, and its callback or none."""

    def __init__(self, net: str, optimizer: str, options: dict[str, Any] | None, jit: bool) -> None:
        import keras

        import dlhw

        keras.utils.set_random_seed(0)
        self.model = NETS[net]()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit)
        self.callbacks = [] if options is None else [dlhw.Watch(**options)]

    def seconds(self, x: Any, y: Any) -> float:
        """Return how long an epoch takes once it is compiled: of two epochs of one call, the second."""
        marks: list[float] = []

        class Clock(keras_callback()):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                marks.append(time.perf_counter())

            def on_train_end(self, logs: Any = None) -> None:
                marks.append(time.perf_counter())

        self.model.fit(x, y, batch_size=BATCH, epochs=3, verbose=0, callbacks=[*self.callbacks, Clock()])
        return (marks[3] - marks[1]) / 2


def keras_callback() -> Any:
    import keras

    return keras.callbacks.Callback


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--optimizers", nargs="*", default=["sgd", "adam"])
    parser.add_argument("--jit", action="store_true", help="compile the step with XLA")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for net in NETS:
        x, y = data((784,) if net.startswith("MLP") else (28, 28, 1))
        for optimizer in arguments.optimizers:
            trainings = {v: Training(net, optimizer, options, arguments.jit) for v, options in VARIANTS.items()}
            times: dict[str, list[float]] = {name: [] for name in trainings}
            for _ in range(arguments.rounds):
                for name, training in trainings.items():
                    times[name].append(training.seconds(x, y) / STEPS * 1e3)
            for name, values in times.items():
                ratios = [a / b for a, b in zip(values, times["without"], strict=True)]
                quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
                row = {"net": net, "optimizer": optimizer, "recorded": name, "ms a step": statistics.median(values)}
                rows.append(row | {"ratio": statistics.median(ratios), "quartiles": [quartiles[0], quartiles[2]]})
                if not arguments.json:
                    low, high = rows[-1]["quartiles"]
                    ratio = f"{rows[-1]['ratio']:.3f} ({low:.3f} to {high:.3f})"
                    print(
                        f"{net:22} {optimizer:5} {name:8} {row['ms a step']:7.3f} ms a step, ratio {ratio}", flush=True
                    )
    if arguments.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
