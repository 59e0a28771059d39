"""What does the path of the weights look like?

Held fixed: net, data, optimizer, learning rate, batch size and epochs; the trainings differ only in the seed. The
weights are recorded as one vector before training and every few epochs, and projected onto principal components,
computed once from all paths together and once for each path.
References: Li et al. 2018, Visualizing the loss landscape of neural nets; Antognini and Sohl-Dickstein 2018, PCA of
high dimensional random walks with comparison to neural network training.
"""

from dlhw.experiments.trajectory.animation import animation
from dlhw.experiments.trajectory.compute import run
from dlhw.experiments.trajectory.figures import figures, series
from dlhw.experiments.trajectory.findings import summary
from dlhw.experiments.trajectory.interactive import interactive
from dlhw.experiments.trajectory.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "animation", "figures", "interactive", "run", "series", "summary"]
