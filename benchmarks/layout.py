"""Both layouts of dlhw against each other, for each kind of work: what `dlhw.models.use_batch_innermost` is made from.

Seconds for 10000 images of MNIST on one thread, what the first call takes longer (tracing and compilation), and the
number of images from which the batch-innermost layout is faster in all. `--avx2` restricts the processor to AVX2.

    DLHW_DATA_DIR=... python -m benchmarks.layout --nets 10c5-p2-20c5-p2-50 deep
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

IMAGES, ROUNDS = 10_000, 3
LAYOUTS = ("plain", "batch-innermost")
Row = tuple[float, float]  # seconds of the first call more than of another, seconds of another


def timed(call: Callable[[], object], rounds: int = ROUNDS) -> Row:
    """Return what the first call takes longer than the others, and the median of the others."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times[0] - statistics.median(times[1:]), statistics.median(times[1:])


def timed_whole(call: Callable[[int], object]) -> Row:
    """Return the same for a function that compiles in every call, from calls with 2000 and with all images."""
    short, long = ([timed(lambda n=n: call(n), 1)[1] for _ in range(ROUNDS)] for n in (2000, IMAGES))
    one = (statistics.median(long) - statistics.median(short)) / 0.8
    return statistics.median(long) - one, one


def works(net: str) -> dict[str, Callable[[str], Row]]:
    """Return what is timed, by the name of the work."""
    import numpy as np

    from dlhw import datasets, measure
    from dlhw.models import image_net
    from dlhw.training import Trainer, cross_entropy, optimizer

    data = datasets.load("mnist")
    x, y = data.x_test[:IMAGES], data.y_test[:IMAGES]
    model, other = image_net(net, seed=0), image_net(net, seed=1)
    objective = measure.Objective(model, cross_entropy, x, y)
    vector = np.ones(objective.size)

    def training(layout: str) -> Row:
        marks = [time.perf_counter()]
        trainer = Trainer(model, batch_size=64, optimizer=optimizer("sgd", 0.001, 0.9), layout=layout)  # type: ignore[arg-type]
        trainer.fit((x, y), (x[:64], y[:64]), epochs=ROUNDS, progress=lambda *_: marks.append(time.perf_counter()))
        epochs = np.diff(marks[1:])
        return marks[1] - marks[0], float(np.median(epochs))

    def line(_: str) -> Row:
        def points(n: int) -> None:
            measure.line(model, model, other, cross_entropy, x, y, np.linspace(0, 1, n))

        short, long = timed(lambda: points(3), 1)[1], timed(lambda: points(19), 1)[1]
        return short - 3 * (long - short) / 16, (long - short) / 16

    return {
        "training": training,
        "value": lambda _: timed(objective.value),
        "gradient": lambda _: timed(objective.gradient),
        "product": lambda _: timed(lambda: objective.product(vector)),
        "sensitivity": lambda _: timed_whole(lambda n: measure.sensitivity(model, cross_entropy, x[:n], y[:n])),
        "jacobian": lambda _: timed_whole(lambda n: measure.jacobian_norm(model, x[:n])),
        "line": line,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nets", nargs="*", default=["10c5-p2-20c5-p2-50", "deep", "wide"])
    parser.add_argument("--avx2", action="store_true")
    arguments = parser.parse_args()
    if arguments.avx2:
        os.environ["DNNL_MAX_CPU_ISA"] = "AVX2"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_max_isa=AVX2"
    import dlhw  # isort: skip  (it sets TensorFlow's environment)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(
        "| net | work | plain, s | batch innermost, s | compilation more, s | faster from |\n|---|---|---|---|---|---|"
    )
    for net in arguments.nets:
        rows: dict[str, dict[str, Row]] = {}
        for layout in LAYOUTS:
            with dlhw.models.layout(layout):  # type: ignore[arg-type]
                for name, work in works(net).items():
                    rows.setdefault(name, {})[layout] = work(layout)
        for name, row in rows.items():
            (first, plain), (compilation, fast) = (row[layout] for layout in LAYOUTS)
            more, gain = compilation - first, plain - fast
            count = f"{max(more, 0) / gain * IMAGES:,.0f}" if gain > 0 else "never"
            print(f"| {net} | {name} | {plain:.2f} | {fast:.2f} | {more:.1f} | {count} |", flush=True)


if __name__ == "__main__":
    main()
