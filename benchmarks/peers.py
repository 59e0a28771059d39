"""The nets of dlhw in PyTorch, for the benchmarks."""

from __future__ import annotations

import torch

from dlhw.models.architectures import kernels, parse_layers


def torch_net(net: str) -> torch.nn.Sequential:
    """Return the net of a string such as "20c3-p2-100", on images of 28x28 and ten classes."""
    layers: list[torch.nn.Module] = []
    flat, shapes = False, iter(kernels(net, (28, 28, 1), 10))
    for layer in parse_layers(net):
        if layer.kind == "pool":
            layers.append(torch.nn.MaxPool2d(layer.size))
            continue
        shape = next(shapes)
        if layer.kind == "conv":
            layers += [torch.nn.Conv2d(shape[2], shape[3], shape[0]), torch.nn.ReLU()]
        else:
            layers += [] if flat else [torch.nn.Flatten()]
            layers, flat = [*layers, torch.nn.Linear(*shape), torch.nn.ReLU()], True
    return torch.nn.Sequential(*layers, *([] if flat else [torch.nn.Flatten()]), torch.nn.Linear(*next(shapes)))
