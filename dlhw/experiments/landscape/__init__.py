"""What does the loss look like around a trained net?

theta(a, b) = theta + a d1 + b d2: a plane in the space of weights, spanned by two random directions scaled filter by
filter, by the two principal directions of the path of training, by the two leading eigenvectors of the Hessian, or
through three nets; or a line. The net is one that this command trains, or a saved Keras model. Every point is evaluated
on one fixed set of examples. A plane shows two of P directions; the loss may behave differently along the others.
References: Li et al. 2018, Visualizing the loss landscape of neural nets; Goodfellow et al. 2015, Qualitatively
characterizing neural network optimization problems; Garipov et al. 2018, Loss surfaces, mode connectivity.
"""

from dlhw.experiments.landscape.animation import animation, check_animation
from dlhw.experiments.landscape.compute import check_inputs, run
from dlhw.experiments.landscape.figures import figures, series
from dlhw.experiments.landscape.findings import summary
from dlhw.experiments.landscape.interactive import interactive
from dlhw.experiments.landscape.page import pages
from dlhw.experiments.landscape.spec import SECTION, TINY, Result, Settings

__all__ = [
    "SECTION",
    "TINY",
    "Result",
    "Settings",
    "animation",
    "check_animation",
    "check_inputs",
    "figures",
    "interactive",
    "pages",
    "run",
    "series",
    "summary",
]
