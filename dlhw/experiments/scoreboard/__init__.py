"""Which measure of a trained net tells how well it generalizes?

Small nets over batch size, learning rate, width, weight decay and the radius of SAM, all trained to one training loss.
Fourteen measures are taken of each where its training ends, on training images alone, and ranked against the
generalization gap: Kendall's tau over all nets, and granulated over one setting at a time.
References: Jiang et al. 2020, Fantastic generalization measures and where to find them; Dziugaite et al. 2020, In
search of robust measures of generalization; Foret et al. 2021, Sharpness-aware minimization.
"""

from dlhw.experiments.scoreboard.compute import run
from dlhw.experiments.scoreboard.figures import figures, series
from dlhw.experiments.scoreboard.findings import summary
from dlhw.experiments.scoreboard.interactive import interactive
from dlhw.experiments.scoreboard.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
