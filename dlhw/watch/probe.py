"""stub"""

from dataclasses import dataclass


@dataclass
class ProbeRow:
    loss: float = float("nan")
    accuracy: float = float("nan")
    sensitivity: float = float("nan")
    sharpness: float = float("nan")
    noise_scale: float = float("nan")
    dead: object = ()
    saturated: object = ()
    functions: object = ()
    weights: object = None
    seconds: float = 0.0


class Prober:
    def __init__(self, model, x, y, measures, functions, note):
        self.unit_layers = ()
        self.unit_counts = ()
        self.examples = 0

    def check(self): ...
    def measure(self):
        return ProbeRow()


def nonfinite_layer(model, x):
    return ""
