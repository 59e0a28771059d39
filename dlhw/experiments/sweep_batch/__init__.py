"""Do large batches lead to sharper minima, and to nets that are more sensitive to their inputs?

One net, trained with every batch size at one learning rate, for equally many epochs or updates. Sensitivity is the mean
of |d loss_i / d x_i|, one gradient per example, on the test set, whatever the batch size. The gradient of a batch mean,
which contains a factor 1/B and is often reported instead, is plotted for comparison.
References: Keskar et al. 2017, On large-batch training for deep learning; Novak et al. 2018, Sensitivity and
generalization in neural networks; Dinh et al. 2017, Sharp minima can generalize for deep nets.
"""

from dlhw.experiments.sweep.compute import measure
from dlhw.experiments.sweep.figures import figures, series
from dlhw.experiments.sweep.findings import summary
from dlhw.experiments.sweep.interactive import interactive
from dlhw.experiments.sweep_batch.spec import SECTION, TINY, Result, Settings
from dlhw.runs.context import Context

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]


def run(settings: Settings, context: Context) -> Result:
    """Train with every batch size from every seed, and measure each net where its training ends."""
    return measure(settings, context, Result)
