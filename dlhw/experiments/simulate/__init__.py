"""Does depth help at an equal number of parameters? ReLU nets fit a function of x.

Held fixed: the data, the optimizer, the number of steps and the number of parameters (571, 572 and 571); only the depth
differs. SGD with learning rate 0.01 and momentum 0.9, mean squared error,
20000 full-batch steps (NTU MLDS HW1-1). The target is scaled to largest absolute value one by default.
"""

from dlhw.experiments.simulate.compute import run
from dlhw.experiments.simulate.figures import animation, figures, series
from dlhw.experiments.simulate.findings import summary
from dlhw.experiments.simulate.interactive import interactive
from dlhw.experiments.simulate.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "animation", "figures", "interactive", "run", "series", "summary"]
