"""Does full-batch training reach the edge of stability, where the largest Hessian eigenvalue is 2 / learning rate?

Held fixed: net, data and optimizer; the learning rate varies. On a quadratic, gradient descent diverges where the
largest eigenvalue (the sharpness) exceeds 2 / learning rate. Nets are no quadratics: their sharpness rises while they
train (progressive sharpening), until it reaches that line, and then stays there, while the loss falls on, though not at
every step. With momentum beta the line is 2 (1 + beta) / rate, with Nesterov's (2 + 2 beta) / ((1 + 2 beta) rate).
Reference: Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability. Not part of
the assignment.
"""

from dlhw.experiments.edge.compute import run
from dlhw.experiments.edge.figures import figures, series
from dlhw.experiments.edge.findings import summary
from dlhw.experiments.edge.interactive import interactive
from dlhw.experiments.edge.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
