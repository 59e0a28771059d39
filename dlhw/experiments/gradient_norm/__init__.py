"""How large is the gradient while a net learns, and does it follow the loss?

Held fixed: net, data and optimizer. Every iteration records the Euclidean norm over all trainable tensors of the
gradient of the loss that is minimized, before the update, and one norm per layer; the squares of the layers add up.
A function is fitted on its full batch. With --data the net learns images, and loss and norm are those of the batch.
The settings of the course assignment NTU MLDS HW1-2: sin(5 pi x)/(2x), 5000 epochs, SGD with learning rate 0.01 and
momentum 0.9.
"""

from dlhw.experiments.gradient_norm.compute import run
from dlhw.experiments.gradient_norm.figures import figures, series
from dlhw.experiments.gradient_norm.findings import summary
from dlhw.experiments.gradient_norm.interactive import interactive
from dlhw.experiments.gradient_norm.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
