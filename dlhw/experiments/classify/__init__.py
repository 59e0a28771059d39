"""Which of three convolutional nets learns images best: deep, wide, or plain?

Held fixed: data, optimizer, learning rate, batch size and epochs; the nets differ in depth, width and number of
parameters, as in the course assignment NTU MLDS HW1-1. Loss and accuracy are evaluated in inference mode after every
epoch.
Reference: LeCun et al. 1998, Gradient-based learning applied to document recognition.
"""

from dlhw.experiments.classify.compute import run
from dlhw.experiments.classify.figures import figures, interactive, series
from dlhw.experiments.classify.findings import summary
from dlhw.experiments.classify.spec import SECTION, TINY, Result, Settings

__all__ = ["SECTION", "TINY", "Result", "Settings", "figures", "interactive", "run", "series", "summary"]
