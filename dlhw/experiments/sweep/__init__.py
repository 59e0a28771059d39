"""How do flatness and generalization depend on one setting of the training?

One net, trained with every value of one variable: learning rate, width, weight decay, momentum, label noise or batch
size; everything else is equal. Each net is measured where its training ends: loss, error, sensitivity to the input,
sharpness and curvature.
References: Novak et al. 2018, Sensitivity and generalization in neural networks; Keskar et al. 2017, On large-batch
training for deep learning; Jiang et al. 2020, Fantastic generalization measures and where to find them.
"""

from dlhw.experiments.sweep.compute import run
from dlhw.experiments.sweep.figures import figures, series
from dlhw.experiments.sweep.findings import summary
from dlhw.experiments.sweep.interactive import interactive
from dlhw.experiments.sweep.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
