"""Instruments: pure functions of a model, a loss and data. They know of no experiment and draw nothing."""

from dlhw.measure.gradients import gradient_norm

__all__ = ["gradient_norm"]
