"""Is there a loss barrier on the line between two trained nets, and what is the curvature at its ends?

theta(alpha) = (1 - alpha) A + alpha B, where A and B were trained identically except for one setting: the batch size,
or the learning rate. Held fixed: net, data, epochs, and the examples on which every point of the line is evaluated.
References: Goodfellow et al. 2015, Qualitatively characterizing neural network optimization problems; Frankle et al.
2020 and Entezari et al. 2022 for the two definitions of a barrier; Ainsworth et al. 2023 for the order of hidden units,
and Garipov et al. 2018 for curves of low loss, which are measured where they are asked for.
"""

from dlhw.experiments.interpolate.compute import run
from dlhw.experiments.interpolate.figures import figures, series
from dlhw.experiments.interpolate.findings import summary
from dlhw.experiments.interpolate.interactive import interactive
from dlhw.experiments.interpolate.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
