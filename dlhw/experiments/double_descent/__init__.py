"""Do more parameters always generalize worse, or always better?

The test error against the number of parameters, through the interpolation threshold, where a model can first fit every
training label: random Fourier features with the least-squares solution of least norm, and nets of one hidden layer.
Label noise, an optimal ridge penalty and early stopping show what the peak at the threshold is made of.
Reference: Belkin et al. 2019, Reconciling modern machine-learning practice and the classical bias-variance trade-off.
"""

from dlhw.experiments.double_descent.compute import run
from dlhw.experiments.double_descent.figures import figures, series
from dlhw.experiments.double_descent.findings import summary
from dlhw.experiments.double_descent.interactive import interactive
from dlhw.experiments.double_descent.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
