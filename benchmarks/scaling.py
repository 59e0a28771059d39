"""What splitting a training costs on one processor: logical CPUs of one process, and two workers on the loopback.

No replica has a core of its own here, so nothing can become faster: the ratio is the price of the split itself.
`DLHW_DATA_DIR=... python -m benchmarks.scaling`
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

NETS = {"MLP 784-400-9-10": "400-9", "CNN of interpolate, 21,840": "10c5-p2-20c5-p2-50"}
WAYS = {"one device": 1, "mirrored, 2 logical CPUs": 2, "multi-worker, 2 processes": 2}


def seconds(way: str, net: str, batch_size: int, images: int) -> None:
    """Print the seconds of one epoch after a warm-up; runs in a process of its own."""
    import dlhw
    from dlhw import datasets, models
    from dlhw.runs.context import Context
    from dlhw.training import Trainer, optimizer
    from dlhw.training.distributed import plan as plans

    context = Context(device="cpu", strategy="mirrored", replicas=2) if "mirrored" in way else Context(device="cpu")
    plan = context.plan()
    strategy = plans.strategy(plan) if plan.synchronous else None
    data = datasets.load("mnist", examples=images)
    trainer = Trainer(
        models.image_net(net),
        batch_size=batch_size,
        optimizer=optimizer("sgd", 0.01, 0.9),
        xla=False,
        strategy=strategy,
    )
    train, few = (data.x_train, data.y_train), (data.x_test[:100], data.y_test[:100])
    first, second = (trainer.fit(train, few, epochs=n, train_eval_examples=100).seconds for n in (1, 3))
    if plan.chief:
        print(json.dumps({"seconds": (second - first) / 2, "version": dlhw.__version__}))


def run(way: str, net: str, batch_size: int, images: int) -> float:
    """Seconds of one way, each in fresh processes."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--way", way, "--net", net]
    command += ["--batch-size", str(batch_size), "--images", str(images)]
    environments = [dict(os.environ)]
    if way.startswith("multi"):
        hosts = ["127.0.0.1:34571", "127.0.0.1:34572"]
        tasks = [{"type": "worker", "index": k} for k in range(2)]
        environments = [
            os.environ | {"TF_CONFIG": json.dumps({"cluster": {"worker": hosts}, "task": t})} for t in tasks
        ]
    started = [subprocess.Popen(command, env=e, stdout=subprocess.PIPE, text=True) for e in environments]
    said = [p.communicate()[0] for p in started]
    return float(json.loads(said[0].splitlines()[-1])["seconds"])


def main() -> None:
    """The table, medians over rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=15000)
    parser.add_argument("--way")
    parser.add_argument("--net")
    parser.add_argument("--batch-size", type=int, default=0)
    given = parser.parse_args()
    if given.way:
        seconds(given.way, given.net, given.batch_size, given.images)
        return
    print("| net | batch | " + " | ".join(WAYS) + " |\n|" + "---|" * (2 + len(WAYS)))
    for name, net in NETS.items():
        for batch_size in (64, 512):
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(given.rounds):
                for way in WAYS:
                    times[way].append(run(way, net, batch_size, given.images))
            medians = {way: sorted(t)[len(t) // 2] for way, t in times.items()}
            base = medians["one device"]
            cells = [f"{m:.2f} s ({m / base:.2f})" for m in medians.values()]
            print(f"| {name} | {batch_size} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
