"""What is left of a barrier once the hidden units of two nets are in one order."""

from __future__ import annotations

import numpy as np

from benchmarks.reproduce.reproduction import Reproduction, Values

SEEDS, NET, EPOCHS, BATCH, RATE, MEASURED = range(3), "512-512-512", 10, 500, 1e-3, 5000


def aligned_barrier() -> Values:
    """Return the barrier of the training loss before and after weight matching, by seed."""
    from dlhw import datasets, measure, models, training

    data = datasets.load("mnist")
    x, y = data.x_train[:MEASURED], data.y_train[:MEASURED]
    alphas = tuple(np.linspace(0, 1, 11))
    values = {}
    for seed in SEEDS:
        nets = [models.image_net(NET, data.shape, data.classes, seed=2 * seed + k) for k in range(2)]
        for k, net in enumerate(nets):
            trainer = training.Trainer(net, batch_size=BATCH, optimizer=training.optimizer("adam", RATE))
            trainer.fit((data.x_train, data.y_train), (data.x_test, data.y_test), epochs=EPOCHS, seed=2 * seed + k)
        a, b = nets
        matched = measure.align(a, b, seed=seed).weights
        profile = measure.line(a, a.get_weights(), matched, training.cross_entropy, x, y, alphas)
        values[f"seed {seed}"] = float(measure.barrier_over_chord(profile.alphas, profile.loss))
    return values


REPRODUCTIONS = (
    Reproduction(
        "barrier-after-matching",
        "Ainsworth, Hayase and Srinivasa 2023: Git Re-Basin: merging models modulo permutation symmetries",
        "figure 2",
        "On MNIST, no barrier is left between two MLPs with three hidden layers of 512 units once the units of one are "
        "in the order of the other's.",
        "near 0",
        "Barrier of the training loss over the straight line between the ends, in nats, after weight matching",
        "784-512-512-512-10 from starts of their own, Adam at 0.001, batch 500, 10 epochs; 5000 training images",
        0.0,
        0.05,
        aligned_barrier,
        "They train for 100 epochs. Without matching the barrier of such nets is about one nat.",
        command="dlhw interpolate --net 512-512-512 --by seed=0,1 --optimizer adam --batch-size 500 --align",
    ),
)
