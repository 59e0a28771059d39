"""Do nets trained in large batches end in sharper places, and are they more sensitive to their inputs?

One net, trained with every batch size at one learning rate, for equally many epochs or updates. Sensitivity is the mean
of |d loss_i / d x_i|, one gradient per example, on the test set, whatever the batch size. The gradient of a batch mean,
which carries a factor 1/B and makes the popular figure, is drawn beside it.
References: Keskar et al. 2017, On large-batch training for deep learning; Novak et al. 2018, Sensitivity and
generalization in neural networks; Dinh et al. 2017, Sharp minima can generalize for deep nets.
"""

from dlhw.experiments.sweep_batch.compute import run
from dlhw.experiments.sweep_batch.figures import figures, series
from dlhw.experiments.sweep_batch.findings import summary
from dlhw.experiments.sweep_batch.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "run", "series", "summary"]
