"""Can these numbers be right? Rules that recognize measurement mistakes in the numbers of an experiment.

An item is a kind of measurement (`sensitivity`, `interpolation`, ...) with named columns; a rule looks for one mistake
in one or several items. `dlhw check` and :func:`dlhw.check` apply every rule of an item. Nothing here loads TensorFlow.
"""
