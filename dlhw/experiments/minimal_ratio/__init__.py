"""What is the shape of the loss where the gradient vanishes?

Many small smooth nets train on the loss for various numbers of steps; from there 1/2 |g|^2 is minimized until the
gradient is zero to rounding (|g| < 1e-8, float64); searches that end earlier are reported separately. The minimal ratio
is the fraction of eigenvalues of the exact Hessian that are positive: 1 at a strict minimum.
References: Dauphin et al. 2014, Identifying and attacking the saddle point problem; Frye et al. 2021, Critical
point-finding methods reveal gradient-flat regions of deep network losses (NTU MLDS HW1-2).
"""

from dlhw.experiments.minimal_ratio.compute import run
from dlhw.experiments.minimal_ratio.figures import figures, series
from dlhw.experiments.minimal_ratio.findings import summary
from dlhw.experiments.minimal_ratio.interactive import interactive
from dlhw.experiments.minimal_ratio.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
